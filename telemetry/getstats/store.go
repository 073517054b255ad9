package getstats

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Bounds of what is in memory at once.
const (
	maxObjects = 16_384 // objects of all open connections
	maxID      = 512    // bytes of the id of an object or connection
)

// maxNumbers bounds the times and values of all open connections: 48 MiB. Tests lower it.
var maxNumbers = 6 << 20

// store holds the connections of a dump that have not ended yet. Everything is charged to it before it is in memory.
type store struct {
	connections map[string]*connection
	order       []string // of the connections
	numbers     int
	objects     int
}

func newStore() *store { return &store{connections: make(map[string]*connection)} }

// connection is one RTCPeerConnection: its objects by id.
type connection struct {
	id      string
	objects map[string]*object
	order   []string  // of the objects
	beats   []float64 // when statistics were taken, where the dump says it
	charged int       // numbers of the store
}

// object is one object of statistics, as far as it is on the allow-list.
type object struct {
	id     string
	kind   kind
	series map[string]*series
	texts  map[string]string // words, flags and references: the latest
	turns  []turn            // of the one reference that matters over time: which pair of candidates is in use
}

// series is a number over time, in the order of time.
type series struct {
	times  []float64 // seconds since 1970-01-01 UTC
	values []float64
}

// turn is a reference from some time on.
type turn struct {
	at float64
	id string
}

// connection finds or makes a connection, which counts as an object.
func (s *store) connection(id string) (*connection, error) {
	c := s.connections[id]
	if c == nil {
		if err := s.count(); err != nil {
			return nil, err
		}
		c = &connection{id: id, objects: make(map[string]*object)}
		s.connections[id] = c
		s.order = append(s.order, id)
	}
	return c, nil
}

func (s *store) count() error {
	if s.objects++; s.objects > maxObjects {
		return fmt.Errorf("%w: more than %d objects in the open connections; split the dump by connection", errLimit, maxObjects)
	}
	return nil
}

// charge makes room for numbers of a connection.
func (s *store) charge(c *connection, numbers int) error {
	if s.numbers+numbers > maxNumbers {
		return fmt.Errorf("%w: more than %d numbers in the open connections; split the dump by connection", errLimit, maxNumbers)
	}
	s.numbers += numbers
	c.charged += numbers
	return nil
}

// refund takes back numbers of a connection that are not in memory any more.
func (s *store) refund(c *connection, numbers int) {
	s.numbers -= numbers
	c.charged -= numbers
}

// object finds or makes an object of a connection.
func (s *store) object(c *connection, id string, k kind) (*object, error) {
	o := c.objects[id]
	if o != nil {
		return o, nil
	}
	if err := s.count(); err != nil {
		return nil, err
	}
	o = &object{id: id, kind: k, series: make(map[string]*series), texts: make(map[string]string)}
	c.objects[id] = o
	c.order = append(c.order, id)
	return o, nil
}

// add appends a sample. What is not a finite number, goes back in time, or is of a video, is left out.
func (s *store) add(c *connection, o *object, metric string, t, v float64) error {
	if !orderly(t, v) || o.texts["kind"] == "video" {
		return nil
	}
	line := o.series[metric]
	if line == nil {
		line = &series{}
		o.series[metric] = line
	}
	if n := len(line.times); n > 0 && t <= line.times[n-1] {
		return nil
	}
	if err := s.charge(c, 2); err != nil {
		return err
	}
	line.times, line.values = append(line.times, t), append(line.values, v)
	return nil
}

// turn notes a reference at a time.
func (s *store) turn(c *connection, o *object, t float64, id string) error {
	if n := len(o.turns); n > 0 && (o.turns[n-1].id == id || t < o.turns[n-1].at) || id == "" {
		return nil
	}
	if err := s.charge(c, 4+len(id)/8); err != nil {
		return err
	}
	o.turns = append(o.turns, turn{at: t, id: id})
	return nil
}

func orderly(t, v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && t > 0 && !math.IsInf(t, 0)
}

// beat notes when statistics were taken: a counter that they leave out has not changed, and is known to be the same.
func (s *store) beat(c *connection, t float64) error {
	if n := len(c.beats); !orderly(t, 0) || n > 0 && t <= c.beats[n-1] {
		return nil
	}
	if err := s.charge(c, 1); err != nil {
		return err
	}
	c.beats = append(c.beats, t)
	return nil
}

// drop forgets a connection.
func (s *store) drop(id string) {
	c := s.connections[id]
	if c == nil {
		return
	}
	s.numbers -= c.charged
	s.objects -= 1 + len(c.objects)
	delete(s.connections, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
}

// before is the place of the latest sample at or before t, -1 when there is none.
func before(times []float64, t float64) int {
	return sort.Search(len(times), func(i int) bool { return times[i] > t }) - 1
}

// at is the latest value at or before t, NaN when there is none.
func (s *series) at(t float64) float64 {
	if s == nil {
		return nan
	}
	if i := before(s.times, t); i >= 0 {
		return s.values[i]
	}
	return nan
}

// grown is by how much a counter rose over a stretch; NaN when it is unknown or was reset. A counter that first shows
// within the stretch began at zero.
func (o *object) grown(metric string, from, to float64) float64 {
	s := o.series[metric]
	was, is := s.at(from), s.at(to)
	if math.IsNaN(was) {
		was = 0
	}
	if is < was {
		return nan
	}
	return is - was
}
