package getstats

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Bounds of what is in memory at once.
const (
	maxSamples = 4 << 20 // numbers of all open connections: 64 MiB
	maxObjects = 16_384  // objects of all open connections
	maxID      = 512     // bytes of an object's id
)

// store holds the connections of a dump that have not ended yet.
type store struct {
	connections map[string]*connection
	order       []string // of the connections
	samples     int
	objects     int
}

func newStore() *store { return &store{connections: make(map[string]*connection)} }

// connection is one RTCPeerConnection: its objects by id.
type connection struct {
	objects map[string]*object
	order   []string  // of the objects
	beats   []float64 // when statistics were taken, where the dump says it
}

// object is one object of statistics, as far as it is on the allow-list.
type object struct {
	kind   kind
	series map[string]*series
	texts  map[string]string // words, flags and references: the latest
}

// series is a number over time, in the order of time.
type series struct {
	times  []float64 // seconds since 1970-01-01 UTC
	values []float64
}

// connection finds or makes a connection, which counts as an object.
func (s *store) connection(id string) (*connection, error) {
	c := s.connections[id]
	if c == nil {
		if err := s.count(); err != nil {
			return nil, err
		}
		c = &connection{objects: make(map[string]*object)}
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

// sample makes room for one number.
func (s *store) sample() error {
	if s.samples++; s.samples > maxSamples {
		return fmt.Errorf("%w: more than %d numbers in the open connections; split the dump by connection", errLimit, maxSamples)
	}
	return nil
}

// object finds or makes an object of a connection.
func (s *store) object(c *connection, id string, k kind) (*object, error) {
	o := c.objects[id]
	if o != nil {
		return o, nil
	}
	if len(id) > maxID {
		return nil, fmt.Errorf("%w: an object's id has %d bytes, at most %d are taken", errLimit, len(id), maxID)
	}
	if err := s.count(); err != nil {
		return nil, err
	}
	o = &object{kind: k, series: make(map[string]*series), texts: make(map[string]string)}
	c.objects[id] = o
	c.order = append(c.order, id)
	return o, nil
}

// add appends a sample. What is not a finite number, or goes back in time, is left out.
func (s *store) add(o *object, metric string, t, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) || math.IsNaN(t) || t <= 0 {
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
	if err := s.sample(); err != nil {
		return err
	}
	line.times, line.values = append(line.times, t), append(line.values, v)
	return nil
}

// beat notes when statistics were taken: a counter that they leave out has not changed, and is known to be the same.
func (s *store) beat(c *connection, t float64) error {
	if n := len(c.beats); n > 0 && t <= c.beats[n-1] {
		return nil
	}
	if err := s.sample(); err != nil {
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
	for _, o := range c.objects {
		for _, line := range o.series {
			s.samples -= len(line.times)
		}
	}
	s.samples -= len(c.beats)
	s.objects -= 1 + len(c.objects)
	delete(s.connections, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
}

// at is the latest value at or before t, NaN when there is none.
func (s *series) at(t float64) float64 {
	if s == nil {
		return math.NaN()
	}
	n := sort.Search(len(s.times), func(i int) bool { return s.times[i] > t })
	if n == 0 {
		return math.NaN()
	}
	return s.values[n-1]
}

// grown is by how much a counter rose over a stretch; NaN when it is unknown or was reset. A counter that first shows
// within the stretch began at zero.
func (o *object) grown(metric string, from, to float64) float64 {
	s := o.series[metric]
	before, after := s.at(from), s.at(to)
	if math.IsNaN(before) {
		before = 0
	}
	if after < before {
		return math.NaN()
	}
	return after - before
}
