package telemetry_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/internal/registry"
	"github.com/attune-calls/attune/telemetry/internal/reportpb"
	"github.com/attune-calls/attune/telemetry/response"
)

func theRegistry(t testing.TB) *registry.Registry {
	t.Helper()
	r, err := registry.Load("schema")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names lists the names of an enumeration's first n values.
func names[E interface {
	~uint8
	fmt.Stringer
}](n int,
) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = E(i).String()
	}
	return list
}

func TestRegistryListsAreTheModels(t *testing.T) {
	lists := map[string][]string{
		"telemetry.Origin":     names[telemetry.Origin](telemetry.OriginCount),
		"model.NetworkType":    names[model.NetworkType](model.NetworkTypeCount),
		"model.Metered":        names[model.Metered](model.MeteredCount),
		"model.DeviceClass":    names[model.DeviceClass](model.DeviceClassCount),
		"model.TimeOfDay":      names[model.TimeOfDay](model.TimeOfDayCount),
		"model.Reach":          names[model.Reach](model.ReachCount),
		"model.Codec":          names[model.Codec](model.CodecCount),
		"model.AudioBandwidth": names[model.AudioBandwidth](model.AudioBandwidthCount),
		"model.Transport":      names[model.Transport](model.TransportCount),
		"model.Stage":          names[model.Stage](model.StageCount),
		"model.Cause":          names[model.Cause](model.CauseCount),
		"model.Region":         model.Regions(),
		"delivery.Reason":      names[delivery.Reason](delivery.ReasonCount),
		"telemetry.Problem":    {"echo", "noise", "silence", "unheard", "cuts", "distorted", "delay", "ended"},
	}
	r := theRegistry(t)
	seen := 0
	for i := range r.Lists {
		l := &r.Lists[i]
		if l.Go == "" {
			continue
		}
		seen++
		members := make([]string, len(l.Members))
		for j, m := range l.Members {
			members[j] = m.Name
		}
		if !slices.Equal(members, lists[l.Go]) {
			t.Errorf("list %s is %v in the registry, %s has %v", l.Name, members, l.Go, lists[l.Go])
		}
	}
	if seen != len(lists) {
		t.Errorf("%d lists of the registry have a type, want %d", seen, len(lists))
	}
	// The answers are made of the flags.
	answers := r.ListOf("ProblemAnswer").Members
	for flag, m := range r.ListOf("ProblemFlag").Members {
		for _, yes := range []bool{false, true} {
			want := m.Name + map[bool]string{false: "-no", true: "-yes"}[yes]
			if got := answers[response.ProblemAnswer(uint8(flag), yes)].Name; got != want {
				t.Errorf("answer %d is %s, want %s", response.ProblemAnswer(uint8(flag), yes), got, want)
			}
		}
	}
	if len(answers) != response.MaxProblem+1 {
		t.Errorf("%d answers", len(answers))
	}
}

func TestRegistryScalesAreTheModels(t *testing.T) {
	scales := map[string]*model.Scale{
		"telemetry.ScaleDuration": telemetry.ScaleDuration, "model.ScaleRoundTripTime": model.ScaleRoundTripTime,
		"model.ScaleJitter": model.ScaleJitter, "model.ScaleLoss": model.ScaleLoss, "model.ScaleBurst": model.ScaleBurst,
		"model.ScaleBandwidth": model.ScaleBandwidth, "model.ScaleMOS": model.ScaleMOS,
		"model.ScaleOutcomeLoss": model.ScaleOutcomeLoss, "model.ScaleDelay": model.ScaleDelay, "model.ScaleRate": model.ScaleRate,
	}
	r := theRegistry(t)
	if len(r.Scales) != len(scales) {
		t.Errorf("%d scales in the registry, want %d", len(r.Scales), len(scales))
	}
	for i := range r.Scales {
		got := &r.Scales[i]
		want := scales[got.Go]
		if want == nil {
			t.Errorf("scale %s is nowhere: %s", got.Name, got.Go)
			continue
		}
		same := func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }
		if got.Name != want.Name || got.Unit != want.Unit || got.Lower != want.Lower || got.Upper != want.Upper ||
			!slices.EqualFunc(got.Bounds(), want.Steps, same) {
			t.Errorf("scale %s: the registry has %+v with bounds %v, %s is %+v", got.Name, *got, got.Bounds(), got.Go, *want)
		}
	}
}

func TestRegistryBoundsAreThoseOfTheCode(t *testing.T) {
	r := theRegistry(t)
	for path, want := range map[string]uint64{
		"Report.lost_reports": telemetry.MaxLostReports, "Report.lost_segments": telemetry.MaxLostSegments,
		"Report.hour": telemetry.MaxHour - 1, "Report.stars": response.Stars, "Report.rating": telemetry.MaxRating,
		"Report.situations": telemetry.MaxSegments + 1, "Report.deciders": telemetry.MaxSegments, "Report.actions": 2 * telemetry.MaxSegments,
		"Segments.explored": telemetry.MaxSegments - 1, "Pack.reports": telemetry.MaxPackSize,
	} {
		if got := r.Lookup(path).Max; got != want {
			t.Errorf("%s goes up to %d in the registry, the code says %d", path, got, want)
		}
	}
	if got := len(r.ListOf("RefusalReason").Members); got != telemetry.RefusalReasons {
		t.Errorf("%d reasons, RefusalReasons is %d", got, telemetry.RefusalReasons)
	}
	if r.Lookup("Report.stars").Epsilon != response.EpsilonStars || r.Lookup("Report.problem").Epsilon != response.EpsilonProblem {
		t.Error("the registry states another epsilon than package response keeps")
	}
}

// TestRegistryKnowsWhereFieldsAre follows the paths of the registry through the types of package model.
func TestRegistryKnowsWhereFieldsAre(t *testing.T) {
	roots := map[string]reflect.Type{
		"Context": reflect.TypeFor[model.Context](), "Action": reflect.TypeFor[model.Action](), "Segment": reflect.TypeFor[model.Segment](),
	}
	kinds := map[string][]reflect.Kind{
		"enum": {reflect.Uint8, reflect.Uint16}, "bucket": {reflect.Uint8}, "flag": {reflect.Bool}, "index": {reflect.Bool},
		"counter": {reflect.Uint8, reflect.Uint16, reflect.Uint32},
	}
	r := theRegistry(t)
	followed := 0
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Fields {
			f := &m.Fields[j]
			path := strings.Split(f.Go, ".")
			if path[0] != "model" {
				if f.Go == "" && f.NotStored == "" && m.Name != "Pack" && f.Type != "table" {
					t.Errorf("%s.%s is nowhere in the Go types", m.Name, f.Name)
				}
				continue
			}
			at := roots[path[1]]
			for _, name := range path[2:] {
				field, ok := at.FieldByName(name)
				if !ok {
					t.Fatalf("%s.%s: there is no %s", m.Name, f.Name, f.Go)
				}
				at = field.Type
			}
			if !slices.Contains(kinds[f.Type], at.Kind()) {
				t.Errorf("%s.%s is a %s, %s a %v", m.Name, f.Name, f.Type, f.Go, at)
			}
			followed++
		}
	}
	if followed < 30 {
		t.Errorf("only %d paths were followed", followed)
	}
}

// TestReadersHoldTheBoundsOfTheRegistry sends a value just outside of what the registry says each field can be: the
// report must be refused, so the public page is true of what is stored, not only of what is sent.
func TestReadersHoldTheBoundsOfTheRegistry(t *testing.T) {
	base := typicalReport(3, 3)
	whole, err := proto.Marshal(viaSchema(&base))
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]func(*reportpb.Report) protoreflect.Message{
		"Report":    func(m *reportpb.Report) protoreflect.Message { return m.ProtoReflect() },
		"Situation": func(m *reportpb.Report) protoreflect.Message { return m.Situations[1].ProtoReflect() },
		"Action":    func(m *reportpb.Report) protoreflect.Message { return m.Actions[0].ProtoReflect() },
		"Decider":   func(m *reportpb.Report) protoreflect.Message { return m.Deciders[0].ProtoReflect() },
		"Segments":  func(m *reportpb.Report) protoreflect.Message { return m.Segments.ProtoReflect() },
	}
	verdict := func(f *telemetry.Field, value uint64) error {
		var m reportpb.Report
		if err := proto.Unmarshal(whole, &m); err != nil {
			t.Fatal(err)
		}
		message := part[f.Message](&m)
		d := message.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(f.Number))
		if d == nil || string(d.Name()) != f.Name {
			t.Fatalf("the schema does not have %s.%s", f.Message, f.Name)
		}
		v := protoreflect.ValueOfUint32(uint32(value))
		if d.Kind() == protoreflect.EnumKind {
			v = protoreflect.ValueOfEnum(protoreflect.EnumNumber(value))
		}
		if d.IsList() {
			list := message.Mutable(d).List()
			if list.Len() == 0 {
				list.Append(v)
			} else {
				list.Set(0, v)
			}
		} else {
			message.Set(d, v)
		}
		encoded, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var r telemetry.Report
		if err := telemetry.Unmarshal(encoded, &r); err != nil {
			return err
		}
		return r.Validate()
	}
	checked := 0
	for _, f := range telemetry.Fields() {
		switch {
		case f.Message == "Pack" || f.Type == "table" || f.Type == "message" || f.Type == "id" || f.Type == "flag" || f.Retired != 0:
			continue // what holds no number of its own
		case f.Name == "schema":
			continue // a newer one waits: TestNewerWriters
		}
		checked++
		outside := []uint64{f.Max + 1}
		if f.Min > 0 {
			outside = append(outside, f.Min-1)
		}
		if f.Values != nil {
			outside = append(outside, f.Values[0]+1)
		}
		for _, value := range outside {
			if err := verdict(&f, value); telemetry.ReasonOf(err) == telemetry.RejectUnknown {
				t.Errorf("%s.%s = %d, outside of %d..%d, gives %v", f.Message, f.Name, value, f.Min, f.Max, err)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d fields were checked", checked)
	}
}

func TestFieldsAreTheRegistry(t *testing.T) {
	r := theRegistry(t)
	fields := telemetry.Fields()
	i := 0
	for m := range r.Messages {
		for j := range r.Messages[m].Fields {
			want, got := &r.Messages[m].Fields[j], &fields[i]
			if got.Message != r.Messages[m].Name || got.Name != want.Name || got.Purpose != want.Purpose || got.Review != want.Review.String() {
				t.Errorf("field %d is %s.%s, want %s.%s", i, got.Message, got.Name, r.Messages[m].Name, want.Name)
			}
			if (got.Scale != nil) != (want.Scale != "") {
				t.Errorf("%s.%s has scale %v, want %q", got.Message, got.Name, got.Scale, want.Scale)
			}
			i++
		}
	}
	if i != len(fields) {
		t.Errorf("%d fields, the registry has %d", len(fields), i)
	}
	fields[0].Name = "changed"
	if telemetry.Fields()[0].Name == "changed" {
		t.Error("Fields gives away its table")
	}
}
