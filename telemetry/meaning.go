package telemetry

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attune-calls/attune/model"
)

// The types of the registry that the view treats in their own way.
const (
	typeEnum    = "enum"
	typeFlags   = "flags"
	typeBucket  = "bucket"
	typeFlag    = "flag"
	typeIndex   = "index"
	typeID      = "id"
	typeTable   = "table"
	typeMessage = "message"
)

// lookup finds a field of a message by its number; nil when the registry has none.
func lookup(message string, number int32) *Field {
	for i := range fieldTable {
		if f := &fieldTable[i]; f.Number == number && f.Message == message {
			return f
		}
	}
	return nil
}

func (f *Field) holdsMessage() bool { return f.Type == typeTable || f.Type == typeMessage }

// text says what a value of the field means, in words or with its unit. Position is that of a repeated value.
func (f *Field) text(v uint64, position int) string {
	var text string
	switch {
	case v > f.Max && f.Type != typeID:
		return fmt.Sprintf("%d, which no %s reaches", v, f.Type)
	case f.Type == typeEnum:
		text = f.Names[v]
	case f.Type == typeFlags:
		text = flagNames(v, f.Names)
	case f.Type == typeBucket:
		text = bucketText(scaleOf(f.scale), model.Bucket(v))
	case f.Type == typeFlag:
		text = map[uint64]string{0: "no", 1: "yes"}[v]
	case f.Type == typeID:
		text = fmt.Sprintf("%016x", v)
	case f.Name == "previous" && f.Type == typeIndex:
		text = "none"
		if v > 0 {
			text = fmt.Sprintf("position %d of %s", v-1, f.Of)
		}
	case f.Type == typeIndex:
		text = fmt.Sprintf("position %d of %s", v, f.Of)
	case f.Name == "hour":
		text = time.Unix(int64(v)*3600, 0).UTC().Format("2006-01-02 15:00 UTC")
	case f.Unit == "version":
		text = fmt.Sprintf("version %d", v)
	case strings.HasPrefix(f.Unit, "number of "):
		text = fmt.Sprintf("number %d", v)
	default:
		text = fmt.Sprintf("%d %s", v, f.Unit)
	}
	if f.Each != nil {
		reason := "unknown"
		if position < len(f.Each) {
			reason = f.Each[position]
		}
		text += " (" + reason + ")"
	}
	return text
}

func flagNames(v uint64, names []string) string {
	var set []string
	for i, name := range names {
		if v>>i&1 == 1 {
			set = append(set, name)
		}
	}
	if set == nil {
		return "none"
	}
	return strings.Join(set, ", ")
}

// bucketText is the range of a bucket: "50 to 100 ms", "below 25 ms", "1200 ms or more".
func bucketText(s *model.Scale, b model.Bucket) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	switch {
	case b == 0:
		return "not measured"
	case b == 1:
		return "below " + number(s.Steps[0]) + " " + s.Unit
	case int(b) == s.Buckets():
		return number(s.Steps[b-2]) + " " + s.Unit + " or more"
	default:
		return number(s.Steps[b-2]) + " to " + number(s.Steps[b-1]) + " " + s.Unit
	}
}
