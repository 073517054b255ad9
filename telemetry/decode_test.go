package telemetry_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/reportpb"
)

func TestEveryRefusalHasItsReason(t *testing.T) {
	type report = telemetry.Report
	valid := typicalReport(1, 3)
	if err := valid.ValidateAt(began); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*report)
		want  telemetry.RejectReason
	}{
		{"no schema", func(r *report) { r.Schema = 0 }, telemetry.RejectSchema},
		{"no id", func(r *report) { r.ID = telemetry.ReportID{} }, telemetry.RejectID},
		{"hour of 1970", func(r *report) { r.Hour = 3 }, telemetry.RejectHour},
		{"hour of 2100", func(r *report) { r.Hour = telemetry.MaxHour }, telemetry.RejectHour},
		{"hour of next week", func(r *report) { r.Hour += 7 * 24 }, telemetry.RejectHour},
		{"origin", func(r *report) { r.Origin = 9 }, telemetry.RejectCall},
		{"stage", func(r *report) { r.Stage = model.StageCount }, telemetry.RejectCall},
		{"duration", func(r *report) { r.Duration = 200 }, telemetry.RejectCall},
		{"stars", func(r *report) { r.Stars, r.Problem = 6, 1 }, telemetry.RejectCall},
		{"problem", func(r *report) { r.Stars, r.Problem = 5, 17 }, telemetry.RejectCall},
		{"stars alone", func(r *report) { r.Stars, r.Problem = 5, 0 }, telemetry.RejectCall},
		{"problem alone", func(r *report) { r.Stars, r.Problem = 0, 3 }, telemetry.RejectCall},
		{"rating as it was given", func(r *report) { r.Rating = 4 }, telemetry.RejectCall},
		{"problems as they were given", func(r *report) { r.Problems = telemetry.ProblemEcho }, telemetry.RejectCall},
		{"rating of version 1", func(r *report) { r.Schema, r.Rating = 1, 6 }, telemetry.RejectCall},
		{"problems of version 1", func(r *report) { r.Schema, r.Problems = 1, 1<<12 }, telemetry.RejectCall},
		{"stars in version 1", func(r *report) { r.Schema, r.Stars, r.Problem = 1, 4, 2 }, telemetry.RejectCall},
		{"lost reports", func(r *report) { r.LostReports = telemetry.MaxLostReports + 1 }, telemetry.RejectCounter},
		{"lost segments", func(r *report) { r.LostSegments = telemetry.MaxLostSegments + 1 }, telemetry.RejectCounter},
		{"network", func(r *report) { r.Context.Network = 99 }, telemetry.RejectContext},
		{"region", func(r *report) { r.Context.Region = 999 }, telemetry.RejectContext},
		{"propensity 0", func(r *report) { r.Segments[1].Propensity = 0 }, telemetry.RejectPropensity},
		{"propensity above 1", func(r *report) { r.Segments[2].Propensity = model.PropensityScale + 1 }, telemetry.RejectPropensity},
		{"cause", func(r *report) { r.Segments[0].Cause = 17 }, telemetry.RejectSegment},
		{"policy version", func(r *report) { r.Segments[0].Policy = model.MaxPolicyVersion + 1 }, telemetry.RejectSegment},
		{"experiment", func(r *report) { r.Segments[0].Experiment = model.MaxExperiment + 1 }, telemetry.RejectSegment},
		{"length", func(r *report) { r.Segments[0].Seconds = 121 }, telemetry.RejectSegment},
		{"segment context", func(r *report) { r.Segments[0].Context.Jitter = 100 }, telemetry.RejectContext},
		{"previous action", func(r *report) { r.Segments[1].Context.Previous = model.Action{Codec: 1} }, telemetry.RejectContext},
		{"action", func(r *report) { r.Segments[2].Action.FrameMillis = 33 }, telemetry.RejectAction},
		{"no action", func(r *report) { r.Segments[2].Action = model.Action{} }, telemetry.RejectAction},
		{"outcome", func(r *report) { r.Segments[2].Outcome.MOS = 255 }, telemetry.RejectOutcome},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := typicalReport(1, 3)
			c.spoil(&r)
			encoded, err := r.AppendMarshal(nil)
			if err != nil {
				t.Fatal(err)
			}
			var got telemetry.Report
			if err = telemetry.Unmarshal(encoded, &got); err == nil {
				err = got.ValidateAt(began)
			}
			if telemetry.ReasonOf(err) != c.want {
				t.Errorf("refused with %v, want reason %v", err, c.want)
			}
		})
	}
	context := typicalReport(1, 1)
	context.Context.Loss = 3
	if err := context.Validate(); telemetry.ReasonOf(err) != telemetry.RejectContext {
		t.Errorf("measurements in the context of a report: %v", err)
	}
	crowd := typicalReport(1, telemetry.MaxSegments+1)
	if err := crowd.Validate(); telemetry.ReasonOf(err) != telemetry.RejectSegments {
		t.Errorf("%d segments: %v", len(crowd.Segments), err)
	}
}

func TestBytesThatAreNoReport(t *testing.T) {
	r := typicalReport(1, 3)
	good, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(*reportpb.Report)) []byte {
		var m reportpb.Report
		if err := proto.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		encoded, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	many := make([]uint32, telemetry.MaxSegments+1)
	for _, c := range []struct {
		name  string
		bytes []byte
		want  telemetry.RejectReason
	}{
		{"nothing", nil, telemetry.RejectSchema},
		{"text", []byte("GET / HTTP/1.1\r\n"), telemetry.RejectMalformed},
		{"zeros", make([]byte, 100), telemetry.RejectMalformed},
		{"field number above 2^29-1", protowire.AppendVarint(protowire.AppendVarint(bytes.Clone(good), 1<<32), 7), telemetry.RejectMalformed},
		{"too large", append(bytes.Clone(good), make([]byte, telemetry.MaxReportSize)...), telemetry.RejectTooLarge},
		{"cut short", good[:len(good)-1], telemetry.RejectMalformed},
		{"string for a number", protowire.AppendString(protowire.AppendTag(bytes.Clone(good), 4, protowire.BytesType), "alice"), telemetry.RejectMalformed},
		{"short column", edit(func(m *reportpb.Report) { m.Segments.Mos = m.Segments.Mos[:2] }), telemetry.RejectMalformed},
		{"no propensities", edit(func(m *reportpb.Report) { m.Segments.Propensity = nil }), telemetry.RejectMalformed},
		{"action of no table", edit(func(m *reportpb.Report) { m.Segments.Action = []uint32{0, 9, 0} }), telemetry.RejectMalformed},
		{"previous action of no table", edit(func(m *reportpb.Report) { m.Segments.Previous = []uint32{0, 9, 0} }), telemetry.RejectMalformed},
		{"explored segment that is none", edit(func(m *reportpb.Report) { m.Segments.Explored = []uint32{3} }), telemetry.RejectMalformed},
		{"no tables", edit(func(m *reportpb.Report) { m.Actions, m.Deciders, m.Situations = nil, nil, nil }), telemetry.RejectMalformed},
		{"too many segments", edit(func(m *reportpb.Report) { m.Segments.Propensity = many }), telemetry.RejectSegments},
		{"too many actions", edit(func(m *reportpb.Report) { m.Actions = make([]*reportpb.Action, 600) }), telemetry.RejectSegments},
		{"wide bucket", edit(func(m *reportpb.Report) { m.Segments.Rate[0] = 300 }), telemetry.RejectOutcome},
		{"wide network", edit(func(m *reportpb.Report) { m.Situations[0].Network = 300 }), telemetry.RejectContext},
		{"negative stage", edit(func(m *reportpb.Report) { m.Stage = -1 }), telemetry.RejectCall},
		{"many refusals", edit(func(m *reportpb.Report) { m.Refusals = []uint32{256} }), telemetry.RejectCounter},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got telemetry.Report
			if err := telemetry.Unmarshal(c.bytes, &got); telemetry.ReasonOf(err) != c.want {
				t.Errorf("refused with %v, want reason %v", err, c.want)
			}
		})
	}
}

func TestNewerWriters(t *testing.T) {
	want := typicalReport(1, 3)
	encoded, err := want.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	// A field this reader does not know, of each wire type.
	extended := protowire.AppendVarint(protowire.AppendTag(encoded, 900, protowire.VarintType), 7)
	extended = protowire.AppendFixed64(protowire.AppendTag(extended, 901, protowire.Fixed64Type), 7)
	extended = protowire.AppendFixed32(protowire.AppendTag(extended, 902, protowire.Fixed32Type), 7)
	extended = protowire.AppendString(protowire.AppendTag(extended, 903, protowire.BytesType), "seven")
	column := protowire.AppendString(protowire.AppendTag(nil, 77, protowire.BytesType), "\x01\x02\x03")
	extended = protowire.AppendBytes(protowire.AppendTag(extended, 16, protowire.BytesType), column)
	extended = protowire.AppendBytes(protowire.AppendTag(extended, 12, protowire.BytesType), []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5})
	want.Refusals[1] = 1
	var got telemetry.Report
	if err := telemetry.Unmarshal(extended, &got); err != nil {
		t.Fatalf("unknown fields: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unknown fields changed the report (-want +got):\n%s", diff)
	}

	// A newer schema waits, whatever else is in the report.
	newer := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), telemetry.SchemaVersion+1)
	newer = protowire.AppendString(protowire.AppendTag(newer, 4, protowire.BytesType), "hours are text now")
	err = telemetry.Unmarshal(newer, &got)
	var wait *telemetry.NewerSchemaError
	if !errors.As(err, &wait) || wait.Schema != telemetry.SchemaVersion+1 {
		t.Errorf("newer schema: %v, want a NewerSchemaError", err)
	}
	if reason := telemetry.ReasonOf(err); reason != telemetry.RejectUnknown {
		t.Errorf("a report that must wait counts as refused: %v", reason)
	}
	want.Schema = telemetry.SchemaVersion + 1
	if err := want.Validate(); !errors.As(err, &wait) {
		t.Errorf("Validate of a newer schema: %v", err)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for i, name := range telemetry.RejectReasons() {
		if got := telemetry.RejectReason(i).String(); got != name || name == "" || seen[name] {
			t.Errorf("reason %d: %q, listed as %q", i, got, name)
		}
		seen[name] = true
	}
	if telemetry.RejectReasonCount != int(telemetry.RejectOutcome)+1 {
		t.Errorf("%d names for %d reasons", telemetry.RejectReasonCount, telemetry.RejectOutcome+1)
	}
	if got := telemetry.RejectReason(telemetry.RejectReasonCount).String(); got != "invalid" {
		t.Errorf("reason off the list is called %q", got)
	}
}

func TestHours(t *testing.T) {
	if got := telemetry.HourOf(time.Date(2024, 1, 1, 0, 59, 59, 0, time.UTC)); got != telemetry.MinHour {
		t.Errorf("first hour of 2024 is %d, MinHour %d", got, telemetry.MinHour)
	}
	if got := telemetry.HourOf(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)); got != telemetry.MaxHour {
		t.Errorf("first hour of 2100 is %d, MaxHour %d", got, telemetry.MaxHour)
	}
	if got := telemetry.HourOf(time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)); got != 0 {
		t.Errorf("an hour before 1970 is %d", got)
	}
}

// seeds are encoded reports kept in testdata, so that a change of the encoding shows.
func seeds(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.report")
	if err != nil || len(paths) < 7 {
		tb.Fatalf("%d seeds in testdata: %v", len(paths), err)
	}
	found := map[string][]byte{}
	for _, path := range paths {
		if found[path], err = os.ReadFile(path); err != nil {
			tb.Fatal(err)
		}
	}
	return found
}

// TestOldReportsStayReadable holds the encoding to files that the first release of each version wrote.
func TestOldReportsStayReadable(t *testing.T) {
	versions := map[uint16]int{}
	for path, encoded := range seeds(t) {
		var r telemetry.Report
		if err := telemetry.Unmarshal(encoded, &r); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		versions[r.Schema]++
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if again, err := r.AppendMarshal(nil); err != nil || !bytes.Equal(again, encoded) {
			t.Errorf("%s is written differently now (%v)", path, err)
		}
		r.Upgrade()
		if err := r.Validate(); err != nil || r.Schema != telemetry.SchemaVersion {
			t.Errorf("%s upgraded to version %d: %v", path, r.Schema, err)
		}
	}
	for version := uint16(1); version <= telemetry.SchemaVersion; version++ {
		if versions[version] == 0 {
			t.Errorf("no report of version %d in testdata", version)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, encoded := range seeds(f) {
		f.Add(encoded)
		f.Add(encoded[:len(encoded)/2])
	}
	rng := rand.New(rand.NewPCG(20261122, 6))
	for range 5 {
		r := anyReport(rng)
		encoded, err := r.AppendMarshal(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte{8, telemetry.SchemaVersion + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r telemetry.Report
		err := telemetry.Unmarshal(b, &r)
		var newer *telemetry.NewerSchemaError
		switch {
		case errors.As(err, &newer):
			return
		case err != nil:
			if telemetry.ReasonOf(err) == telemetry.RejectUnknown {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if err := proto.Unmarshal(b, new(reportpb.Report)); err != nil {
			t.Fatalf("accepted what is not the schema's message: %v", err)
		}
		if err := r.Validate(); err != nil && telemetry.ReasonOf(err) == telemetry.RejectUnknown {
			t.Fatalf("invalid without a reason: %v", err)
		}
		encoded, err := r.AppendMarshal(nil)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var again telemetry.Report
		if err := telemetry.Unmarshal(encoded, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the canonical encoding says something else:\n%s", diff)
		}
		upgrade(t, &again)
	})
}

// upgrade holds Upgrade to its promise: a valid report becomes a valid one of today's version in which nothing is said
// of an opinion but what is randomized, and nothing else changes.
func upgrade(t *testing.T, r *telemetry.Report) {
	t.Helper()
	if r.Validate() != nil {
		return // only valid reports are upgraded
	}
	was := *r
	r.Upgrade()
	if err := r.Validate(); err != nil || r.Schema != telemetry.SchemaVersion || r.Rating != 0 || r.Problems != 0 {
		t.Fatalf("upgraded from version %d: %+v, %v", was.Schema, r, err)
	}
	if rated := was.Rating > 0 || was.Stars > 0; rated != (r.Stars > 0) || rated != (r.Problem > 0) {
		t.Fatalf("rated %t, upgraded to stars %d and answer %d", rated, r.Stars, r.Problem)
	}
	if was.Schema == telemetry.SchemaVersion && (was.Stars != r.Stars || was.Problem != r.Problem) {
		t.Fatal("an answer is randomized twice")
	}
	was.Schema, was.Rating, was.Problems, was.Stars, was.Problem = r.Schema, 0, 0, r.Stars, r.Problem
	if diff := cmp.Diff(was, *r); diff != "" {
		t.Fatalf("Upgrade changed more than the answer:\n%s", diff)
	}
}
