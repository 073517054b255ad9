package getstats

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A table has a line for each sample: t_s,object,metric,value, where t_s counts seconds from the beginning of the recording and
// an object is its W3C type and a number, such as inbound-rtp-0. It is one connection. It says neither when that was nor, mostly,
// over which codec and path: see Config.
const tableHeader = "t_s,object,metric,value"

const maxLine = 1 << 10 // bytes of a line of a table

// table reads the lines after the header.
func (r *reader) table() error {
	r.summary.Format = formatTable
	const name = "table"
	c, err := r.store.connection(name)
	if err != nil {
		return err
	}
	for number := 2; ; number++ {
		line, err := r.json.in.ReadSlice('\n')
		r.json.at += int64(len(line))
		ended := errors.Is(err, io.EOF)
		switch {
		case ended && len(strings.TrimSpace(string(line))) == 0:
			return r.close(name)
		case err != nil && !ended, len(line) > maxLine:
			return fmt.Errorf("%w: line %d of the table has more than %d bytes", errLimit, number, maxLine)
		case r.json.at > maxBytes:
			return fmt.Errorf("%w: more than %d GiB", errLimit, int64(maxBytes)>>30)
		}
		fields := strings.Split(strings.TrimSpace(string(line)), ",")
		if ended && len(fields) < 4 {
			return r.json.ended(io.ErrUnexpectedEOF)
		}
		if err := r.sample(c, fields); err != nil {
			return err
		}
	}
}

// sample takes a line; one that is not of the form is passed over and counted.
func (r *reader) sample(c *connection, fields []string) error {
	if len(fields) != 4 || len(fields[1]) > maxID {
		r.summary.Odd++
		return nil
	}
	offset, isTime := parseNumber(strings.TrimSpace(fields[0]))
	id, metric, text := strings.TrimSpace(fields[1]), strings.TrimSpace(fields[2]), strings.TrimSpace(fields[3])
	cut := strings.LastIndexByte(id, '-')
	if !isTime || cut < 0 {
		r.summary.Odd++
		return nil
	}
	k := kinds[id[:cut]]
	class, ok := allowed[k][metric]
	if !ok {
		return nil
	}
	o, err := r.store.object(c, id, k)
	if err != nil {
		return err
	}
	at := float64(r.began.Unix()) + offset
	switch class {
	case number:
		v, isNumber := parseNumber(text)
		if !isNumber || !orderly(at, v) {
			r.summary.Odd++
			return nil
		}
		return r.store.add(c, o, metric, at, v)
	case turns:
		return r.store.turn(c, o, at, reduce(class, text))
	}
	o.texts[metric] = reduce(class, text)
	return nil
}

func parseNumber(text string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}
