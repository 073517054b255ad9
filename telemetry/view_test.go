package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
)

// sameBytes holds a view to its promise, also after a trip through JSON: what is printed is all there is.
func sameBytes(t testing.TB, report []byte) *telemetry.View {
	t.Helper()
	view, err := telemetry.NewView(report)
	if err != nil {
		t.Fatal(err)
	}
	printed, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	var read telemetry.View
	if err := json.Unmarshal(printed, &read); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(view.Append(nil), report) || !bytes.Equal(read.Append(nil), report) {
		t.Fatalf("the view of %x does not give it back", report)
	}
	return view
}

// unknown lists the paths of the fields that a view cannot name.
func unknown(fields []telemetry.ViewField, path string) (paths []string) {
	for i := range fields {
		f := &fields[i]
		if f.Form == telemetry.FormUnknown {
			paths = append(paths, fmt.Sprintf("%s%d", path, f.Number))
		}
		paths = append(paths, unknown(f.Fields, path+f.Name+".")...)
	}
	return paths
}

func TestViewShowsEveryByteOfAReport(t *testing.T) {
	for path, report := range seeds(t) {
		if paths := unknown(sameBytes(t, report).Fields, ""); len(paths) > 0 {
			t.Errorf("%s: unknown fields %v", path, paths)
		}
	}
	rng := rand.New(rand.NewPCG(20261123, 7))
	for range 50 {
		r := anyReport(rng)
		report, err := r.AppendMarshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if paths := unknown(sameBytes(t, report).Fields, ""); len(paths) > 0 {
			t.Errorf("unknown fields %v", paths)
		}
	}
}

func TestViewSaysWhatValuesMean(t *testing.T) {
	r := typicalReport(3, 2)
	r.Refusals[1], r.Dropped = 2, true
	r.Segments[1].Outcome.MOS, r.Segments[0].Context.Loss = 0, 4
	report, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	var walk func([]telemetry.ViewField)
	walk = func(fields []telemetry.ViewField) {
		for i := range fields {
			for _, v := range fields[i].Values {
				texts[fields[i].Name] += v.Text + ";"
			}
			if fields[i].Purpose == "" || fields[i].Says == "" {
				t.Errorf("%s has no purpose", fields[i].Name)
			}
			walk(fields[i].Fields)
		}
	}
	walk(sameBytes(t, report).Fields)
	for name, want := range map[string]string{
		"schema": "version 2;", "hour": "2026-11-22 13:00 UTC;", "origin": "call;", "stage": "ended;", "dropped": "yes;",
		"duration": "5 to 10 s;", "id_high": r.ID.String()[:16] + ";", "id_low": r.ID.String()[16:] + ";",
		"region": model.Region(77).String() + ";", "stars": "4 stars;", "problem": "delay-yes;", "network": "4g;",
		"propensity": "912345 millionths;912345 millionths;", "context_loss": "0.01 to 0.02 fraction;",
	} {
		if got := texts[name]; !strings.HasPrefix(got, want) {
			t.Errorf("%s is shown as %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(texts["refusals"], "0 policies (unknown);2 policies (signature);0 policies (threshold);") {
		t.Errorf("refusals are shown as %q", texts["refusals"])
	}
	if !strings.HasSuffix(texts["mos"], ";not measured;") {
		t.Errorf("mos is shown as %q", texts["mos"])
	}
}

// What is not in the registry, or not in its form, is shown as it came.
func TestViewOfWhatTheRegistryDoesNotHave(t *testing.T) {
	varint := func(number protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
	}
	text := func(number protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), s)
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"new field":             {varint(900, 1), "[900]"},
		"text in a number":      {text(7, "alice"), "[7]"},
		"number in a message":   {varint(16, 3), "[16]"},
		"id as a varint":        {varint(2, 3), "[2]"},
		"fixed64 in a counter":  {protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), 3), "[4]"},
		"fixed32":               {protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), 3), "[4]"},
		"group":                 {protowire.AppendTag(protowire.AppendTag(nil, 5, protowire.StartGroupType), 5, protowire.EndGroupType), "[5]"},
		"long varint":           {[]byte{7 << 3, 0x85, 0}, "[7]"},
		"long tag":              {[]byte{0xb8, 0, 5}, "[7]"},
		"long length":           {append(protowire.AppendTag(nil, 13, protowire.BytesType), 0x82, 0, 8, 1), "[13]"},
		"text in a situation":   {text(13, string(text(1, "bob"))), "[situations.1]"},
		"new field of segments": {text(16, string(varint(77, 1))), "[segments.77]"},
		"cut column":            {text(16, string(text(2, "\x80"))), "[segments.2]"},
		"long value in column":  {text(16, string(text(2, "\x81\x00"))), "[segments.2]"},
	} {
		if got := fmt.Sprint(unknown(sameBytes(t, c.bytes).Fields, "")); got != c.want {
			t.Errorf("%s: unknown %s, want %s", name, got, c.want)
		}
	}
	view := sameBytes(t, varint(7, 99))
	if got := view.Fields[0].Values[0].Text; got != "99, which no enum reaches" {
		t.Errorf("a stage off its list is shown as %q", got)
	}
	for _, b := range [][]byte{[]byte("GET / HTTP/1.1"), {0x80}, make([]byte, telemetry.MaxReportSize+1)} {
		if _, err := telemetry.NewView(b); telemetry.ReasonOf(err) == telemetry.RejectUnknown {
			t.Errorf("view of %d bytes that are no message: %v", len(b), err)
		}
	}
}

// refusing is a publisher that never gets through.
type refusing struct{}

func (refusing) Conn() *nats.Conn { return nil }

func (refusing) PublishMsgAsync(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	return nil, errors.New("no way out")
}

// A spool can be read while its client runs, and shows exactly what the client then sends.
func TestReadSpoolOfARunningClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if _, err := telemetry.ReadSpool(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a spool that is not there: %v", err)
	}
	r := reporter(t, telemetry.ReporterConfig{Publisher: refusing{}, Spool: path, RetryMin: time.Millisecond, RetryMax: time.Millisecond})
	call := r.Call(model.Context{Network: model.NetworkWiFi}, telemetry.OriginCall)
	call.Rate(2, telemetry.ProblemEcho)
	call.End(true)
	var spooled telemetry.Spooled
	for deadline := time.Now().Add(20 * time.Second); len(spooled.Reports) == 0; time.Sleep(5 * time.Millisecond) {
		var err error
		if spooled, err = telemetry.ReadSpool(path); err != nil && !errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			t.Fatalf("%d reports, %v", len(spooled.Reports), err)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	view := sameBytes(t, spooled.Reports[0])
	if paths := unknown(view.Fields, ""); len(paths) > 0 {
		t.Errorf("unknown fields %v", paths)
	}
	ended, end := context.WithCancel(t.Context())
	end() // nothing gets through anyway
	if err := r.Close(ended); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("reading the spool, or closing its client, changed it (%v)", err)
	}
	box := &tray{}
	r = reporter(t, telemetry.ReporterConfig{Publisher: box, Spool: path})
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(box.reports) != 1 {
		t.Fatalf("%d reports sent", len(box.reports))
	}
	if sent, err := box.reports[0].AppendMarshal(nil); err != nil || !bytes.Equal(sent, spooled.Reports[0]) {
		t.Errorf("sent %x, shown %x (%v)", sent, spooled.Reports[0], err)
	}
}

func TestReadSpoolThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	for _, content := range []string{"", "something else", "ATTUNESPOOL"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := telemetry.ReadSpool(path); err == nil {
			t.Errorf("%q is taken for a spool", content)
		}
	}
	if err := os.WriteFile(path, []byte("ATTUNESPOOL2\x01\x02"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := telemetry.ReadSpool(path); err != nil || s.Damaged != 2 || len(s.Reports) != 0 {
		t.Errorf("%+v, %v of a spool with a torn record", s, err)
	}
	if err := os.Truncate(path, telemetry.MaxSpoolView+1); err != nil {
		t.Fatal(err)
	}
	if _, err := telemetry.ReadSpool(path); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a spool that is too large: %v", err)
	}
}

func FuzzView(f *testing.F) {
	n := 0
	for _, report := range seeds(f) {
		f.Add(report)
		n++
	}
	if n < 7 {
		f.Fatalf("%d seeds", n)
	}
	f.Add([]byte{7 << 3, 0x85, 0})
	f.Fuzz(func(t *testing.T, report []byte) {
		view, err := telemetry.NewView(report)
		if err != nil {
			if telemetry.ReasonOf(err) == telemetry.RejectUnknown {
				t.Fatalf("refused without a reason: %v", err)
			}
			var r telemetry.Report
			if err := telemetry.Unmarshal(report, &r); err == nil {
				t.Fatal("a report cannot be viewed")
			}
			return
		}
		if !bytes.Equal(view.Append(nil), report) {
			t.Fatal("the view does not give the bytes back")
		}
		for i := range view.Fields {
			for _, v := range view.Fields[i].Values {
				if v.Text == "" {
					t.Fatalf("field %d has a value without a meaning", view.Fields[i].Number)
				}
			}
		}
	})
}

func ExampleNewView() {
	r := telemetry.Report{Schema: telemetry.SchemaVersion, Hour: telemetry.MinHour, Stage: model.StageMedia}
	encoded, err := r.AppendMarshal(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	view, err := telemetry.NewView(encoded)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range view.Fields {
		if len(f.Values) > 0 {
			fmt.Println(f.Number, f.Name, f.Values[0].Text)
		}
	}
	// Output:
	// 1 schema version 2
	// 2 id_high 0000000000000000
	// 3 id_low 0000000000000000
	// 4 hour 2024-01-01 00:00 UTC
	// 7 stage media
}
