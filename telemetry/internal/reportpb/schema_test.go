package reportpb_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/attune-calls/attune/telemetry/internal/reportpb"
)

var (
	blockLine = regexp.MustCompile(`^(message|enum) ([A-Za-z]+) \{$`)
	fieldLine = regexp.MustCompile(`^  (repeated )?([A-Za-z0-9]+) ([a-z0-9_]+) = (\d+)( \[packed = true\])?;$`)
	valueLine = regexp.MustCompile(`^  ([A-Z0-9_]+) = (\d+);( // .*)?$`)
	otherLine = regexp.MustCompile(`^(|\}| *//.*|syntax = "proto3";|package attune\.telemetry\.v1;|option go_package = ".*";)$`)
)

// written reads report.proto, in the one form that the registry writes it: declarations by the name of their block.
func written(t *testing.T) (declared []string) {
	t.Helper()
	file, err := os.Open("../../schema/report.proto")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	block := ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if m := blockLine.FindStringSubmatch(line); m != nil {
			block = m[2]
			declared = append(declared, m[1]+" "+block)
		} else if m := fieldLine.FindStringSubmatch(line); m != nil {
			declared = append(declared, fmt.Sprintf("%s: %s%s %s = %s packed %t", block, m[1], m[2], m[3], m[4], m[5] != ""))
		} else if m := valueLine.FindStringSubmatch(line); m != nil {
			declared = append(declared, fmt.Sprintf("%s: %s = %s", block, m[1], m[2]))
		} else if !otherLine.MatchString(line) {
			t.Fatalf("report.proto has a line of no known form: %q", line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(declared)
	return declared
}

// compiled says the same of the descriptor inside report.pb.go.
func compiled() (declared []string) {
	file := reportpb.File_report_proto
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		declared = append(declared, "message "+string(m.Name()))
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			kind := f.Kind().String()
			switch f.Kind() {
			case protoreflect.MessageKind:
				kind = string(f.Message().Name())
			case protoreflect.EnumKind:
				kind = string(f.Enum().Name())
			}
			if f.Cardinality() == protoreflect.Repeated {
				kind = "repeated " + kind
			}
			declared = append(declared, fmt.Sprintf("%s: %s %s = %d packed %t", m.Name(), kind, f.Name(), f.Number(), f.IsPacked()))
		}
	}
	for i := range file.Enums().Len() {
		e := file.Enums().Get(i)
		declared = append(declared, "enum "+string(e.Name()))
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			declared = append(declared, fmt.Sprintf("%s: %s = %d", e.Name(), v.Name(), v.Number()))
		}
	}
	slices.Sort(declared)
	return declared
}

// TestCompiledSchemaIsCurrent fails when the registry changed and protoc did not run: report.pb.go is what the tests hold
// the hand-written encoding to. It needs no protoc.
func TestCompiledSchemaIsCurrent(t *testing.T) {
	want := written(t)
	if len(want) < 120 || !slices.Contains(want, "Report: repeated uint32 refusals = 12 packed true") || !slices.Contains(want, "Stage: STAGE_ICE = 2") {
		t.Fatalf("report.proto is not read: %s", strings.Join(want, "\n"))
	}
	if diff := cmp.Diff(want, compiled()); diff != "" {
		t.Errorf("report.pb.go is not what protoc makes of report.proto; run \"make gen\" (-report.proto +report.pb.go):\n%s", diff)
	}
	if file := reportpb.File_report_proto; file.Package() != "attune.telemetry.v1" || file.Extensions().Len() != 0 || file.Services().Len() != 0 {
		t.Errorf("package %s with extensions or services", file.Package())
	}
}
