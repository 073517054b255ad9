package telemetry_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/reportpb"
)

// TestSchemaCanHoldNothingPersonal walks every message a report can hold.
func TestSchemaCanHoldNothingPersonal(t *testing.T) {
	fields := 0
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			fields++
			switch f.Kind() {
			case protoreflect.EnumKind, protoreflect.Uint32Kind, protoreflect.BoolKind:
			case protoreflect.MessageKind:
				walk(f.Message())
			case protoreflect.Fixed64Kind:
				if name := f.FullName(); name != "attune.telemetry.v1.Report.id_high" && name != "attune.telemetry.v1.Report.id_low" {
					t.Errorf("%s is wide enough to name somebody", name)
				}
			default:
				t.Errorf("%s is a %s: only enumerations, bucket indices and small counters are allowed", f.FullName(), f.Kind())
			}
		}
	}
	walk((*reportpb.Report)(nil).ProtoReflect().Descriptor())
	if fields < 50 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// TestSchemaListsAreTheModels holds the enumerations of the schema to those of the model, name by name.
func TestSchemaListsAreTheModels(t *testing.T) {
	for _, list := range []struct {
		enum  protoreflect.Enum
		count int
		name  func(int) string
	}{
		{reportpb.Origin(0), telemetry.OriginCount, func(i int) string { return telemetry.Origin(i).String() }},
		{reportpb.NetworkType(0), model.NetworkTypeCount, func(i int) string { return model.NetworkType(i).String() }},
		{reportpb.Metered(0), model.MeteredCount, func(i int) string { return model.Metered(i).String() }},
		{reportpb.DeviceClass(0), model.DeviceClassCount, func(i int) string { return model.DeviceClass(i).String() }},
		{reportpb.TimeOfDay(0), model.TimeOfDayCount, func(i int) string { return model.TimeOfDay(i).String() }},
		{reportpb.Reach(0), model.ReachCount, func(i int) string { return model.Reach(i).String() }},
		{reportpb.Codec(0), model.CodecCount, func(i int) string { return model.Codec(i).String() }},
		{reportpb.AudioBandwidth(0), model.AudioBandwidthCount, func(i int) string { return model.AudioBandwidth(i).String() }},
		{reportpb.Transport(0), model.TransportCount, func(i int) string { return model.Transport(i).String() }},
		{reportpb.Stage(0), model.StageCount, func(i int) string { return model.Stage(i).String() }},
		{reportpb.Cause(0), model.CauseCount, func(i int) string { return model.Cause(i).String() }},
	} {
		values := list.enum.Descriptor().Values()
		if values.Len() != list.count {
			t.Errorf("%s has %d members, the model %d", list.enum.Descriptor().Name(), values.Len(), list.count)
			continue
		}
		for i := range values.Len() {
			want := strings.NewReplacer("-", "_", "+", "_").Replace(strings.ToUpper(list.name(i)))
			if v := values.Get(i); int(v.Number()) != i || !strings.HasSuffix(string(v.Name()), "_"+want) {
				t.Errorf("%s member %d is %s, the model has %s", list.enum.Descriptor().Name(), v.Number(), v.Name(), want)
			}
		}
	}
}

// viaSchema builds the message of a report field by field, as the comments of the schema say.
func viaSchema(r *telemetry.Report) *reportpb.Report {
	situation := func(c *model.Context) *reportpb.Situation {
		return &reportpb.Situation{
			Network: reportpb.NetworkType(c.Network), Metered: reportpb.Metered(c.Metered), Region: uint32(c.Region),
			Device: reportpb.DeviceClass(c.Device), TimeOfDay: reportpb.TimeOfDay(c.TimeOfDay), Reach: reportpb.Reach(c.Reach),
		}
	}
	m := &reportpb.Report{
		Schema: uint32(r.Schema), IdHigh: binary.BigEndian.Uint64(r.ID[:8]), IdLow: binary.BigEndian.Uint64(r.ID[8:]),
		Hour: r.Hour, Origin: reportpb.Origin(r.Origin), Stack: uint32(r.Stack), Stage: reportpb.Stage(r.Stage),
		Dropped: r.Dropped, Duration: uint32(r.Duration), Rating: uint32(r.Rating), Problems: uint32(r.Problems),
		Stars: uint32(r.Stars), Problem: reportpb.ProblemAnswer(r.Problem),
		LostSegments: r.LostSegments, LostReports: r.LostReports,
		Situations: []*reportpb.Situation{situation(&r.Context)}, Segments: &reportpb.Segments{},
	}
	for _, n := range r.Refusals {
		m.Refusals = append(m.Refusals, uint32(n))
	}
	actions := map[model.Action]uint32{}
	action := func(a model.Action) uint32 {
		if _, known := actions[a]; !known {
			actions[a] = uint32(len(actions))
			m.Actions = append(m.Actions, &reportpb.Action{
				Codec: reportpb.Codec(a.Codec), BitrateKbps: uint32(a.BitrateKbps), Bandwidth: reportpb.AudioBandwidth(a.Bandwidth),
				FrameMillis: uint32(a.FrameMillis), ExpectedLoss: uint32(a.ExpectedLoss), RedDepth: uint32(a.REDDepth),
				Dtx: a.DTX, Transport: reportpb.Transport(a.Transport), Site: uint32(a.Site),
			})
		}
		return actions[a]
	}
	c := m.Segments
	for i := range r.Segments {
		s := &r.Segments[i]
		c.Propensity = append(c.Propensity, s.Propensity)
		c.Cause = append(c.Cause, reportpb.Cause(s.Cause))
		if s.Explored {
			c.Explored = append(c.Explored, uint32(i))
		}
		m.Situations = append(m.Situations, situation(&s.Context)) // not shared: the tables need not be minimal
		c.Situation = append(c.Situation, uint32(i+1))
		m.Deciders = append(m.Deciders, &reportpb.Decider{Policy: s.Policy, Experiment: s.Experiment, Arm: uint32(s.Arm)})
		c.Decider = append(c.Decider, uint32(i))
		previous := uint32(0)
		if s.Context.Previous != (model.Action{}) {
			previous = 1 + action(s.Context.Previous)
		}
		c.Previous = append(c.Previous, previous)
		c.Action = append(c.Action, action(s.Action))
		c.Seconds = append(c.Seconds, uint32(s.Seconds))
		c.ContextRoundTripTime = append(c.ContextRoundTripTime, uint32(s.Context.RoundTripTime))
		c.ContextJitter = append(c.ContextJitter, uint32(s.Context.Jitter))
		c.ContextLoss = append(c.ContextLoss, uint32(s.Context.Loss))
		c.ContextBurst = append(c.ContextBurst, uint32(s.Context.Burst))
		c.ContextBandwidth = append(c.ContextBandwidth, uint32(s.Context.Bandwidth))
		c.Mos = append(c.Mos, uint32(s.Outcome.MOS))
		c.LossBefore = append(c.LossBefore, uint32(s.Outcome.LossBefore))
		c.LossAfter = append(c.LossAfter, uint32(s.Outcome.LossAfter))
		c.Concealed = append(c.Concealed, uint32(s.Outcome.Concealed))
		c.RoundTripTime = append(c.RoundTripTime, uint32(s.Outcome.RoundTripTime))
		c.JitterBufferDelay = append(c.JitterBufferDelay, uint32(s.Outcome.JitterBufferDelay))
		c.Rate = append(c.Rate, uint32(s.Outcome.Rate))
	}
	return m
}

func TestReadsWhatGeneratedCodeWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261122, 4))
	for range 100 {
		want := anyReport(rng)
		encoded, err := proto.Marshal(viaSchema(&want))
		if err != nil {
			t.Fatal(err)
		}
		var got telemetry.Report
		if err := telemetry.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("report changed on the way (-sent +received):\n%s", diff)
		}
	}
}

func TestGeneratedCodeReadsWhatIsWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261122, 5))
	for range 100 {
		r := anyReport(rng)
		encoded, err := r.AppendMarshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		var m reportpb.Report
		if err := proto.Unmarshal(encoded, &m); err != nil {
			t.Fatal(err)
		}
		if unknown := m.ProtoReflect().GetUnknown(); len(unknown) > 0 {
			t.Fatalf("the schema does not know %x", unknown)
		}
		// The generated code reads the numbers; what they say must be the same report.
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var got telemetry.Report
		if err := telemetry.Unmarshal(again, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("report changed on the way (-sent +received):\n%s", diff)
		}
		if string(again) != string(encoded) {
			t.Fatal("the generated code writes other bytes for the same message")
		}
	}
}

func TestTypicalReportInTheSchema(t *testing.T) {
	r := typicalReport(3, 2)
	encoded, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got reportpb.Report
	if err := proto.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	want := viaSchema(&r)
	want.Refusals = nil
	want.Situations, want.Segments.Situation = want.Situations[:1], nil // both segments are where the call began
	want.Deciders, want.Segments.Decider = want.Deciders[:1], nil
	want.Segments.Previous = nil
	if len(want.Actions) == 1 {
		want.Segments.Action = nil
	}
	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Errorf("unexpected message (-want +got):\n%s", diff)
	}
}

// TestClientLinksNothingHeavy guards what a call client takes in with this package.
func TestClientLinksNothingHeavy(t *testing.T) {
	forbidden := map[string]string{
		"github.com/nats-io/nats-server": "a client is no server",
		"github.com/ClickHouse":          "the warehouse is not the client's business",
		"gorgonia.org":                   "clients score, they do not train",
		"github.com/hraban/opus":         "needs cgo",
		"go.yaml.in":                     "the registry is read when code is generated, not on a phone",
		"github.com/attune-calls/attune/telemetry/internal/registry": "the registry is read when code is generated, not on a phone",
		"github.com/attune-calls/attune/telemetry/internal/reportpb": "reports are encoded by hand",
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{len .CgoFiles}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(strings.TrimSpace(string(out)))
	if len(lines) < 10 {
		t.Fatalf("go list says %q", out)
	}
	for i := 0; i+1 < len(lines); i += 2 {
		for prefix, why := range forbidden {
			if strings.HasPrefix(lines[i], prefix) {
				t.Errorf("telemetry links %s: %s", lines[i], why)
			}
		}
		if lines[i+1] != "0" {
			t.Errorf("telemetry links %s, which uses cgo", lines[i])
		}
	}
}
