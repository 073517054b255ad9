package main_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/cmd/attune/internal/cli"
	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// offline is a publisher that never gets through.
type offline struct{}

func (offline) Conn() *nats.Conn { return nil }

func (offline) PublishMsgAsync(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	return nil, errors.New("offline")
}

// viewed is what "attune privacy view --json" prints.
type viewed struct {
	Reports []struct {
		Bytes  int                   `json:"bytes"`
		Hex    string                `json:"hex"`
		Fields []telemetry.ViewField `json:"fields"`
		Fault  string                `json:"fault"`
	} `json:"reports"`
}

func view(t *testing.T, args ...string) (v viewed) {
	t.Helper()
	var out, errs bytes.Buffer
	if status := cli.Run(append([]string{"privacy", "view", "--json"}, args...), nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	for i, r := range v.Reports {
		again := (&telemetry.View{Fields: r.Fields}).Append(nil)
		if hex.EncodeToString(again) != r.Hex || len(again) != r.Bytes {
			t.Errorf("report %d: what is shown is %x, the bytes are %s", i, again, r.Hex)
		}
		if r.Fault != "" {
			t.Errorf("report %d: %s", i, r.Fault)
		}
	}
	return v
}

// TestPrivacyViewShowsWhatWaits reads the spool that a client leaves, and holds what is printed to the bytes.
func TestPrivacyViewShowsWhatWaits(t *testing.T) {
	spool := filepath.Join(t.TempDir(), "spool")
	reporter, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: offline{}, Spool: spool})
	if err != nil {
		t.Fatal(err)
	}
	const calls = 3
	for range calls {
		call := reporter.Call(model.Context{Network: model.NetworkSatellite}, telemetry.OriginCall)
		call.Stage(model.StageMedia)
		call.Record(model.Segment{Cause: model.CauseStart, Action: model.DefaultAction(), Propensity: model.PropensityScale, Seconds: 4})
		call.Rate(1, telemetry.ProblemCuts)
		call.End(true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reporter.Close(ctx); err != nil {
		t.Fatal(err)
	}
	v := view(t, "--spool", spool)
	if len(v.Reports) != calls {
		t.Fatalf("%d reports are shown, %d wait", len(v.Reports), calls)
	}
	for _, f := range v.Reports[0].Fields {
		if f.Name == "rating" || f.Name == "problems" || f.Form == telemetry.FormUnknown {
			t.Errorf("field %d %s would be sent", f.Number, f.Name)
		}
	}
	view(t, "--example")
}

// TestCallShowsItsReport makes a real call without any server, and reads the reports it shows.
func TestCallShowsItsReport(t *testing.T) {
	speech := filepath.Join(t.TempDir(), "speech.wav")
	recording, err := wav.Create(speech)
	if err != nil {
		t.Fatal(err)
	}
	tone := make([]int16, 48000)
	for i := range tone {
		tone[i] = int16(8000 * math.Sin(float64(i)/20))
	}
	if err := errors.Join(recording.Write(tone), recording.Close()); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := cli.Run([]string{"call", "--network", "ethernet", "--duration", "3s", "--wav-in", speech, "--show-report"}, nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	for _, side := range []string{"caller", "callee"} {
		_, shown, found := strings.Cut(out.String(), "Report of the "+side+", not yet sent: ")
		if !found {
			t.Fatalf("no report of the %s is shown:\n%s", side, out.String())
		}
		var text strings.Builder
		for line := range strings.Lines(shown) {
			if offset, row, found := strings.Cut(strings.TrimSpace(line), "  "); found && len(offset) == 4 {
				text.WriteString(strings.ReplaceAll(row, " ", ""))
			} else if text.Len() > 0 {
				break
			}
		}
		report, err := hex.DecodeString(text.String())
		if err != nil {
			t.Fatal(err)
		}
		var r telemetry.Report
		if err := telemetry.Unmarshal(report, &r); err != nil {
			t.Fatalf("%s: %v in %x", side, err, report)
		}
		if err := r.Validate(); err != nil || r.Stage != model.StageEnded || len(r.Segments) == 0 {
			t.Errorf("%s: %+v (%v), want the report of a call with segments", side, r, err)
		}
	}
}
