package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	line := `{"Action":{"codec":"pcmu","bitrateKbps":64,"bandwidth":"narrowband","frameMillis":20,"transport":"direct"},"BurstRatio":1}`
	if err := run(strings.NewReader(line+"\n"+line), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(out.String())
	if len(lines) != 2 || lines[0] != lines[1] || !strings.HasPrefix(lines[0], `{"emodel":3.2`) {
		t.Errorf("got %s, want one answer twice, an e-model MOS of 3.2", out.String())
	}
	if err := run(strings.NewReader("{"), &out); err == nil {
		t.Error("half a line: no error")
	}
}
