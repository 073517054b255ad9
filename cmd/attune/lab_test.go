package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/cmd/attune/internal/cli"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/training/lab"
)

// TestLabRunSendsToNATS: reports of simulated calls are in the stream when the verb returns, packed or single, and are the
// same whichever way they go.
func TestLabRunSendsToNATS(t *testing.T) {
	data := t.TempDir() // holds what proves to be the operator, who may send packs
	server, err := broker.Start(broker.Config{Dir: filepath.Join(data, "nats")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	conn, err := nats.Connect(server.ClientURL(), server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := broker.EnsureStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	run := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		args = append([]string{"lab", "run"}, args...)
		if status := cli.Run(args, strings.NewReader(""), &out, &errOut); status != 0 {
			t.Fatalf("attune %v: status %d: %s", args, status, errOut.String())
		}
		return out.String()
	}
	calls := []string{"--calls", "60", "--duration", "10s"}
	file := filepath.Join(t.TempDir(), "history.packs")
	for time.Now().Minute() == 59 && time.Now().Second() > 30 { // reports of another hour have other ids
		time.Sleep(time.Second)
	}
	run(append(calls, "--out", file)...)
	empty, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nextMessage := empty.State.LastSeq + 1
	received := func(subject string, messages int) map[telemetry.ReportID]bool {
		t.Helper()
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.State.LastSeq - nextMessage + 1); got != messages {
			t.Errorf("%d messages on %s, want %d", got, subject, messages)
		}
		ids := map[telemetry.ReportID]bool{}
		take := func(data []byte) error {
			var r telemetry.Report
			if err := telemetry.Unmarshal(data, &r); err != nil {
				return err
			}
			if r.Origin != telemetry.OriginSimulation {
				t.Errorf("a report of origin %v", r.Origin)
			}
			ids[r.ID] = true
			return nil
		}
		for ; nextMessage <= info.State.LastSeq; nextMessage++ {
			m, err := stream.GetMsg(t.Context(), nextMessage)
			if err == nil && m.Subject != subject {
				t.Fatalf("a message on %s, want %s", m.Subject, subject)
			}
			if err == nil && subject == telemetry.PackSubject {
				err = telemetry.EachInPack(m.Data, take)
			} else if err == nil {
				err = take(m.Data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return ids
	}
	var summary struct{ Reports int }
	if err := json.Unmarshal([]byte(run(append(calls, "--nats", server.ClientURL(), "--data", data, "--packed", "--json")...)), &summary); err != nil || summary.Reports != 120 {
		t.Fatalf("%d reports, %v", summary.Reports, err)
	}
	packed := received(telemetry.PackSubject, 2)
	if len(packed) != 120 {
		t.Errorf("%d reports packed, want 120", len(packed))
	}
	if out := run("--send", file, "--nats", server.ClientURL()); !strings.Contains(out, "120 reports sent") {
		t.Errorf("sending the file: %s", out)
	}
	single := received(telemetry.Subject, 120)
	for id := range packed {
		if !single[id] {
			t.Fatalf("report %v was sent in a pack and is not in the file", id)
		}
	}
}

// TestLabCompareTellsPoliciesApart: two files of one name are called by where they are.
func TestLabCompareTellsPoliciesApart(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, dir := range []string{"one", "two"} {
		d := policy.Document{
			Format: policy.Format, FeatureSpec: model.FeatureSpec, Version: uint32(1 + i),
			Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
			Catalogue: model.DefaultCatalogue(), Sites: []policy.Site{lab.Site()}, Price: model.DefaultPrice(), IntervalSeconds: 4,
			Envelope: policy.SafeEnvelope(),
			Arms:     []policy.Arm{{Name: "a", Weight: policy.WeightScale, Default: map[model.NetworkType]int{model.NetworkUnknown: i}}},
		}
		text, err := d.Marshal()
		if err == nil {
			err = errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "policy.json"), text, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var out, errOut bytes.Buffer
	args := []string{"lab", "compare", "--policies", "learned:one/policy.json,learned:two/policy.json", "--calls", "1", "--seeds", "1", "--duration", "10s"}
	if status := cli.Run(args, strings.NewReader(""), &out, &errOut); status != 0 {
		t.Fatalf("status %d: %s", status, errOut.String())
	}
	for _, want := range []string{" learned:one/policy.json ", " learned:two/policy.json "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line of%s:\n%s", want, out.String())
		}
	}
}
