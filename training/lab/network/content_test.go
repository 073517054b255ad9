package network_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/attune-calls/attune/training/lab/network"
)

// TestContentTellsRecordingsApart: files of the same name with other figures make other networks.
func TestContentTellsRecordingsApart(t *testing.T) {
	base, err := network.Load("wifi")
	if err != nil {
		t.Fatal(err)
	}
	of := func(change func(p *network.Profile)) string {
		p := *base
		change(&p)
		var b bytes.Buffer
		if err := p.WriteContent(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	trace := func(text string) func(p *network.Profile) {
		return func(p *network.Profile) {
			parsed, err := network.ParseTrace(strings.NewReader(text), "same")
			if err != nil {
				t.Fatal(err)
			}
			p.Down.Capacity = network.Capacity{Trace: parsed}
		}
	}
	mask := func(text string) func(p *network.Profile) {
		return func(p *network.Profile) {
			if p.Up.Loss.Mask, err = network.ParseMask(strings.NewReader(text), "same"); err != nil {
				t.Fatal(err)
			}
		}
	}
	series := func(text string) func(p *network.Profile) {
		return func(p *network.Profile) {
			if p.Up.Propagation.Series, err = network.ParseSeries(strings.NewReader(text), "same"); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[string]int{}
	for i, change := range []func(p *network.Profile){
		func(*network.Profile) {}, func(p *network.Profile) { p.Up.Queue.Bytes++ },
		trace("5\n9\n17\n"), trace("5\n9\n18\n"), trace("5\n5\n9\n17\n"), trace("0 1\n5 2\n"), trace("0 1\n5 3\n"), trace("0 1\n6 2\n"),
		mask("0\n0\n1\n"), mask("0\n1\n0\n"), series("40.5\n41.5\n"), series("40.5\n41.6\n"),
	} {
		content := of(change)
		if before, same := seen[content]; same {
			t.Errorf("networks %d and %d write the same", before, i)
		}
		seen[content] = i
		if content != of(change) {
			t.Errorf("network %d writes something else the second time", i)
		}
	}
}
