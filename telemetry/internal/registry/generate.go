package registry

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"strings"
)

// Generate writes everything that is made from the registry: file contents by path, relative to the module's root.
func (r *Registry) Generate() (map[string][]byte, error) {
	files := map[string][]byte{
		"telemetry/schema/report.proto": r.proto(),
		"docs/what-we-collect.md":       r.page(),
	}
	for file, source := range map[string][]byte{
		"telemetry/fields_gen.go": r.fieldsSource(),
		"telemetry/report_gen.go": r.reportSource(),

		"telemetry/warehouse/columns_gen.go": r.columnsSource(),
	} {
		formatted, err := format.Source(source)
		if err != nil {
			return nil, fmt.Errorf("generate %s: %w", path.Base(file), err)
		}
		files[file] = formatted
	}
	return files, nil
}

const generatedHeader = "// Code generated from telemetry/schema/registry.yaml by telemetry/schema/generate; DO NOT EDIT.\n\n"

// source is a file in the making.
type source struct{ bytes.Buffer }

func (s *source) line(format string, args ...any) {
	fmt.Fprintf(s, format, args...)
	s.WriteByte('\n')
}

// comment writes text as comment lines of at most width columns, each with the prefix.
func (s *source) comment(prefix, text string, width int) {
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != prefix {
			s.line("%s", line)
			line = prefix
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	s.line("%s", line)
}

// initialisms keep their case in Go names.
var initialisms = map[string]string{"id": "ID", "mos": "MOS", "red": "RED", "dtx": "DTX"}

// camel makes a Go name of a field's: round_trip_time becomes RoundTripTime.
func camel(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if upper, ok := initialisms[word]; ok {
			b.WriteString(upper)
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// screaming makes a protobuf constant's name: NetworkType becomes NETWORK_TYPE, opus+red OPUS_RED.
func screaming(name string) string {
	var b strings.Builder
	for i, c := range name {
		switch {
		case c >= 'A' && c <= 'Z' && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z':
			b.WriteByte('_')
			b.WriteRune(c)
		case c == '-' || c == '+' || c == ' ':
			b.WriteByte('_')
		default:
			b.WriteRune(c)
		}
	}
	return strings.ToUpper(b.String())
}
