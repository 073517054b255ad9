package network

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// WriteContent writes all that a call over the profile depends on, what was recorded included: two profiles that write the
// same are the same network, whatever the files of their recordings are called. It is for hashing, and no format to be read.
func (p *Profile) WriteContent(w io.Writer) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("network profile %s: %w", p.Name, err)
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	directions := []*Direction{&p.Up, &p.Down}
	if p.Paths.Direct != nil {
		directions = append(directions, p.Paths.Direct)
	}
	for i := range p.Paths.Sites {
		directions = append(directions, &p.Paths.Sites[i].Up, &p.Paths.Sites[i].Down)
	}
	for i, d := range directions {
		if err := d.writeRecordings(w, i); err != nil {
			return err
		}
	}
	return nil
}

func (d *Direction) writeRecordings(w io.Writer, number int) error {
	begin := func(what string, n int) error {
		_, err := fmt.Fprintf(w, "\n%d %s %d\n", number, what, n)
		return err
	}
	if t := d.Capacity.Trace; t != nil {
		if err := begin(fmt.Sprintf("trace %d %v %d", t.period, t.fromStart, len(t.steps)), len(t.chances)); err != nil {
			return err
		}
		if err := binary.Write(w, binary.LittleEndian, t.chances); err != nil {
			return err
		}
		for _, s := range t.steps {
			if _, err := fmt.Fprintln(w, int64(s.end), s.bitsPerSecond); err != nil {
				return err
			}
		}
	}
	if m := d.Loss.Mask; m != nil {
		if err := begin("mask", len(m.lost)); err != nil {
			return err
		}
		if err := binary.Write(w, binary.LittleEndian, m.lost); err != nil {
			return err
		}
	}
	if s := d.Propagation.Series; s != nil {
		if err := begin(fmt.Sprintf("round trip times %v", s.lasting), len(s.millis)); err != nil {
			return err
		}
		return binary.Write(w, binary.LittleEndian, s.millis)
	}
	return nil
}
