package ingest

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/telemetry"
)

func TestNewerID(t *testing.T) {
	r := typicalCall(rand.New(rand.NewPCG(3, 4)), telemetry.HourOf(time.Now()))
	r.Schema = telemetry.SchemaVersion + 1
	known, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	schema := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 99)
	half := protowire.AppendFixed64(protowire.AppendTag(schema, 2, protowire.Fixed64Type), 7)
	text := protowire.AppendString(protowire.AppendTag(half, 3, protowire.BytesType), "no number any more")
	m := &message{sequence: 17, received: time.Unix(5, 0)}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"the id":                {known, telemetry.MessageID(r.ID)},
		"the id, and then more": {protowire.AppendString(protowire.AppendTag(known, 77, protowire.BytesType), "new"), telemetry.MessageID(r.ID)},
		"no id":                 {schema, "newer-5000000000-17-3"},
		"half an id":            {half, "newer-5000000000-17-3"},
		"another type":          {text, "newer-5000000000-17-3"},
	} {
		if got := newerID(test.data, m, 3); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// Whatever a newer report looks like, it gets an id, always the same, that NATS takes in a header.
func FuzzNewerID(f *testing.F) {
	r := typicalCall(rand.New(rand.NewPCG(3, 4)), 500_000)
	data, err := r.AppendMarshal(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:9])
	f.Add([]byte{})
	f.Add([]byte{0x11, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &message{sequence: 17}
		id := newerID(data, m, 3)
		if id == "" || len(id) > 64 || strings.ContainsAny(id, "\r\n :") || id != newerID(data, m, 3) {
			t.Errorf("id %q", id)
		}
		var r telemetry.Report
		if telemetry.Unmarshal(data, &r) == nil && r.ID != (telemetry.ReportID{}) && id != telemetry.MessageID(r.ID) &&
			!strings.HasPrefix(id, "newer-") {
			t.Errorf("id %s of report %v", id, r.ID)
		}
	})
}
