package ingest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// TestMachine runs several processes of several workers against the models of the stream and the warehouse: messages
// are delivered in any order and again at any time, inserts fail before or after they stored some or all of their rows,
// acknowledgements get lost, processes stop or are killed at every point, the stream is full or made anew. What the
// models check with every step: a message that leaves the stream is stored, counted, or published again; whoever reads
// the table finds no region with fewer than k reports; nothing is stored that was not sent; no token drops a row that
// is not there. In the end everything that was sent is stored, once.
func TestMachine(t *testing.T) {
	for name, tokens := range map[string]bool{"without tokens": false, "with tokens": true} {
		t.Run(name, func(t *testing.T) {
			var copies, dropped, redelivered int
			synctest.Test(t, func(t *testing.T) {
				rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // in a bubble nobody may ask for the deadline of t
					m := &machine{world: newWorld(rapid.IntRange(1, 4).Draw(t, "k"), tokens)}
					m.world.fail = func(format string, args ...any) { t.Fatalf(format, args...) }
					m.batch = rapid.IntRange(1, 12).Draw(t, "batch")
					for range 2 {
						m.processes = append(m.processes, m.world.newProcess(2, m.batch))
					}
					defer m.end()
					actions := rapid.StateMachineActions(m)
					for n := range 3 { // what moves things on is more frequent than what goes wrong
						actions[fmt.Sprint("Deliver", n)], actions[fmt.Sprint("Insert", n)] = m.Deliver, m.Insert
						actions[fmt.Sprint("PublishPack", n)] = m.PublishPack
					}
					for range 4 {
						t.Repeat(actions)
					}
					m.drain(t)
					copies, dropped, redelivered = copies+m.world.copies, dropped+m.world.dropped, redelivered+m.world.redelivered
				})
			})
			t.Logf("%d copies were stored, %d blocks dropped for their token, %d messages delivered again", copies, dropped, redelivered)
			if copies == 0 || redelivered == 0 || tokens && dropped == 0 {
				t.Error("some of it never happened: the test proves nothing")
			}
		})
	}
}

const machineHour = 500_000

type machine struct {
	world     *world
	processes []*process
	batch     int
	number    uint64
	anew      bool // the stream was made anew: what nobody took from the old one is gone with it
}

// Check looks at the table between the actions.
func (m *machine) Check(*rapid.T) { m.world.look() }

// newReport draws one report, or an earlier one again.
func (m *machine) newReport(t *rapid.T) *sent {
	if m.number > 0 && rapid.IntRange(0, 5).Draw(t, "again") == 0 {
		var id telemetry.ReportID
		id[0] = uint8(rapid.Uint64Range(1, m.number).Draw(t, "which"))
		if earlier := m.world.all[id]; earlier != nil {
			return earlier
		}
	}
	m.number++
	s := &sent{kind: sentKind(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 2}).Draw(t, "kind"))}
	region := func(name string) model.Region {
		return rapid.SampledFrom([]model.Region{0, 1, 1, 1, 2}).Draw(t, name)
	}
	network := func(name string) model.NetworkType {
		return rapid.SampledFrom([]model.NetworkType{1, 1, 1, 2}).Draw(t, name)
	}
	r := &s.report
	r.Schema, r.Stack, r.ID[0], r.ID[1] = telemetry.SchemaVersion, 1, uint8(m.number), uint8(m.number>>8)
	r.Hour = machineHour - uint32(rapid.SampledFrom([]int{0, 0, 0, 24 * 8}).Draw(t, "ago"))
	r.Origin = rapid.SampledFrom([]telemetry.Origin{1, 1, 1, 2}).Draw(t, "origin")
	r.Context.Region, r.Context.Network, r.Context.TimeOfDay = region("region"), network("network"), model.TimeEvening
	for range rapid.IntRange(0, 2).Draw(t, "segments") {
		g := model.Segment{Propensity: 1, Action: model.DefaultCatalogue()[0], Context: r.Context}
		if rapid.IntRange(0, 3).Draw(t, "moves") == 0 {
			g.Context.Region, g.Context.Network = region("to region"), network("to network")
		}
		r.Segments = append(r.Segments, g)
	}
	switch s.kind {
	case sentBad:
		r.Segments = append(r.Segments, model.Segment{Propensity: 1, Action: model.Action{FrameMillis: 33}})
	case sentNewer:
		r.Schema = telemetry.SchemaVersion + 1
	}
	data, err := r.AppendMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.data = data
	m.world.all[r.ID], m.world.byData[string(data)] = s, s
	return s
}

// PublishSingle sends one report.
func (m *machine) PublishSingle(t *rapid.T) {
	s := m.newReport(t)
	m.world.publish(telemetry.Subject, s.data, telemetry.MessageID(s.report.ID), []*sent{s})
}

// PublishPack sends several.
func (m *machine) PublishPack(t *rapid.T) {
	var pack []byte
	var reports []*sent
	for range rapid.IntRange(0, 6).Draw(t, "reports") {
		s := m.newReport(t)
		pack, reports = telemetry.AppendToPack(pack, s.data), append(reports, s)
	}
	m.world.publish(telemetry.PackSubject, pack, "", reports)
}

// Deliver gives some messages to a worker that has none.
func (m *machine) Deliver(t *rapid.T) {
	list := m.world.available()
	p := m.processes[rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")]
	n := rapid.IntRange(0, len(p.tasks)-1).Draw(t, "worker")
	if len(list) == 0 || p.tasks[n] != nil {
		t.Skip("nothing to deliver, or nobody to take it")
	}
	list = list[rapid.IntRange(0, len(list)-1).Draw(t, "from"):]
	p.take(n, list[:rapid.IntRange(1, len(list)).Draw(t, "messages")])
}

// take starts a worker on messages.
func (p *process) take(n int, list []*stored) {
	w := p.workers[n]
	b := &w.batch
	b.messages = b.messages[:0]
	b.consumer, b.made, b.stream = &consumer{world: p.world}, p.world.made, p.world.made
	for _, m := range list {
		m.delivered = true
		b.messages = append(b.messages, receive(&delivery{stored: m, world: p.world, process: p, made: p.world.made}, m.received))
	}
	order(b.messages)
	t := new(task)
	p.tasks[n] = t
	t.next, t.stop = iter.Pull(func(yield func(warehouse.Block) bool) {
		t.yield = yield
		_ = w.finish(context.WithValue(p.ctx, taskKey{}, t))
	})
	p.goOn(n)
}

// goOn lets a worker run to its next insert, or to the end of its batch.
func (p *process) goOn(n int) {
	if _, more := p.tasks[n].next(); !more {
		p.tasks[n] = nil
	}
}

// Insert ends the insert that a worker waits for, well or not.
func (m *machine) Insert(t *rapid.T) {
	p := m.processes[rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")]
	n := rapid.IntRange(0, len(p.tasks)-1).Draw(t, "worker")
	if p.tasks[n] == nil {
		t.Skip("no insert to end")
	}
	outcomes := []outcome{{weeks: 99}, {weeks: 99}, {weeks: 99}, {0, errInsert}, {1, errInsert}, {99, errInsert}}
	o := outcomes[rapid.IntRange(0, len(outcomes)-1).Draw(t, "outcome")]
	p.mute = rapid.IntRange(0, 3).Draw(t, "mute") == 0
	m.world.full = rapid.IntRange(0, 3).Draw(t, "full") == 0
	p.tasks[n].outcome = o
	p.goOn(n)
}

var errInsert = errors.New("the connection broke")

// Redeliver lets the stream give up waiting for some messages.
func (m *machine) Redeliver(t *rapid.T) {
	for _, s := range m.world.messages {
		if s.delivered {
			m.world.redelivered++
			s.delivered = false
		}
	}
}

// Forget lets the stream forget the ids of messages.
func (m *machine) Forget(*rapid.T) { clear(m.world.window) }

// Kill ends a process between two instructions. What it had inserted, or was about to, is in the table or not.
func (m *machine) Kill(t *rapid.T) {
	n := rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")
	p := m.processes[n]
	p.dead = true
	for _, task := range p.tasks {
		if task != nil && rapid.Bool().Draw(t, "after the insert") {
			task.outcome = outcome{99, errInsert}
			_, _ = task.next()
		}
	}
	p.end()
	m.processes[n] = m.world.newProcess(2, m.batch)
}

// Die ends a process between an insert and its acknowledgement.
func (m *machine) Die(t *rapid.T) {
	n := rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")
	p := m.processes[n]
	p.ingest.afterInsert = func() error { return errInsert }
	for n, task := range p.tasks {
		if task != nil {
			task.outcome = outcome{weeks: 99}
			p.goOn(n)
		}
	}
	p.dead = true
	p.end()
	m.processes[n] = m.world.newProcess(2, m.batch)
}

// Stop ends a process in good order, while it cannot insert.
func (m *machine) Stop(t *rapid.T) {
	n := rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")
	m.processes[n].end()
	m.processes[n] = m.world.newProcess(2, m.batch)
}

func (p *process) end() {
	p.cancel()
	synctest.Wait()
	for _, task := range p.tasks {
		if task != nil {
			task.stop()
		}
	}
}

// MakeStreamAnew deletes the stream under the feet of the workers.
func (m *machine) MakeStreamAnew(t *rapid.T) {
	if rapid.IntRange(0, 7).Draw(t, "really") != 0 {
		t.Skip("not now")
	}
	m.anew = true
	m.world.makeStream()
}

func (m *machine) end() {
	for _, p := range m.processes {
		p.end()
	}
}

// drain lets all faults end. Then everything but reports of a newer schema must leave the stream.
func (m *machine) drain(t *rapid.T) {
	m.world.full = false
	for range 3 {
		for _, p := range m.processes {
			p.mute = false
			for n := range p.tasks {
				for p.tasks[n] != nil {
					p.tasks[n].outcome = outcome{weeks: 99}
					p.goOn(n)
				}
			}
		}
		m.Redeliver(t)
		if list := m.world.available(); len(list) > 0 {
			m.processes[0].take(0, list)
		}
	}
	for _, s := range m.world.messages {
		for _, r := range s.reports {
			if r.kind != sentNewer || s.subject != telemetry.Subject {
				t.Fatalf("message %d is still in the stream", s.sequence)
			}
		}
	}
	times := make(map[telemetry.ReportID]int)
	for key := range m.world.rows {
		times[key.id]++
	}
	for id, s := range m.world.all {
		switch n := times[id]; {
		case s.kind != sentValid && n != 0, n > 1:
			t.Fatalf("report %v counts %d times", id, n)
		case s.kind == sentValid && n == 0 && !m.anew:
			t.Fatalf("report %v is lost", id)
		}
	}
	for _, p := range m.processes {
		s := p.ingest.Stats()
		rejected := uint64(0)
		for _, n := range s.Rejected {
			rejected += n
		}
		if known := s.Stored + rejected + s.Duplicates + s.Returned + p.waited; s.Received < known || s.Received != known && !m.anew {
			t.Fatalf("%+v does not add up, %d deliveries waited", s, p.waited)
		}
	}
}
