package telemetry_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/response"
)

// tray takes every report at once, without a connection, so that time can be simulated.
type tray struct{ reports []telemetry.Report }

type taken struct{ ok chan *jetstream.PubAck }

func (f taken) Ok() <-chan *jetstream.PubAck { return f.ok }
func (f taken) Err() <-chan error            { return nil }
func (f taken) Msg() *nats.Msg               { return nil }

func (p *tray) Conn() *nats.Conn { return nil }

func (p *tray) PublishMsgAsync(m *nats.Msg, _ ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	var r telemetry.Report
	if err := telemetry.Unmarshal(m.Data, &r); err != nil {
		return nil, err
	}
	p.reports = append(p.reports, r)
	f := taken{make(chan *jetstream.PubAck, 1)}
	f.ok <- &jetstream.PubAck{Stream: telemetry.Stream, Sequence: uint64(len(p.reports))}
	return f, nil
}

// reportOf makes one call in simulated time and gives its report.
func reportOf(t *testing.T, talk func(*telemetry.Call)) (report telemetry.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour) // the bubble begins in 2000, before any call of this system
		p := &tray{}
		r := reporter(t, telemetry.ReporterConfig{Publisher: p})
		c := r.Call(model.Context{Network: model.Network5G, Bandwidth: 3}, telemetry.OriginCall)
		talk(c)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(p.reports) != 1 {
			t.Fatalf("%d reports of one call", len(p.reports))
		}
		report = p.reports[0]
		if err := report.Validate(); err != nil {
			t.Error(err)
		}
	})
	return report
}

func TestCallToItsEnd(t *testing.T) {
	r := reportOf(t, func(c *telemetry.Call) {
		c.Stage(model.StageOffer)
		time.Sleep(10 * time.Second)
		c.Stage(model.StageMedia)
		time.Sleep(90 * time.Second)
		c.Stage(model.StageICE) // an ICE restart: the call does not go back
		time.Sleep(15 * time.Second)
		c.Rate(4, telemetry.ProblemEcho|1<<15)
		c.Rate(9, telemetry.ProblemCuts)
		c.End(false)
		c.End(true)
		c.Stage(model.StageOffer)
		c.Rate(1, telemetry.ProblemNoise)
		c.Record(typicalReport(1, 1).Segments[0])
	})
	if want := telemetry.ScaleDuration.Bucket(105); r.Duration != want {
		t.Errorf("duration bucket %d, want %d: from media on", r.Duration, want)
	}
	if r.Stage != model.StageEnded || r.Dropped {
		t.Errorf("stage %v dropped %v, want ended", r.Stage, r.Dropped)
	}
	if r.Stars == 0 || r.Problem == 0 {
		t.Errorf("stars %d problem %d of a rated call", r.Stars, r.Problem)
	}
	if r.Rating != 0 || r.Problems != 0 {
		t.Errorf("rating %d problems %b left the device as they were said", r.Rating, r.Problems)
	}
	if len(r.Segments) != 0 {
		t.Error("a segment was recorded after the end")
	}
	if want := telemetry.HourOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(27 * 365 * 24 * time.Hour)); r.Hour != want {
		t.Errorf("hour %d, want %d", r.Hour, want)
	}
	if r.Context != (model.Context{Network: model.Network5G}) {
		t.Errorf("context %+v, want its static fields", r.Context)
	}
}

func TestRatingIsTakenBack(t *testing.T) {
	r := reportOf(t, func(c *telemetry.Call) {
		c.Rate(4, telemetry.ProblemEcho)
		c.Rate(0, telemetry.ProblemEcho)
		c.Rate(telemetry.MaxRating+1, telemetry.ProblemEcho)
		c.End(false)
	})
	if r.Stars != 0 || r.Problem != 0 {
		t.Errorf("stars %d problem %d after the rating was taken back", r.Stars, r.Problem)
	}
}

// TestRatingIsRandomized rates the same call often: what leaves the device says something else each time, and what was
// said more often than any other number of stars.
func TestRatingIsRandomized(t *testing.T) {
	const calls = 400
	var said [response.Stars + 1]int
	for range calls {
		said[reportOf(t, func(c *telemetry.Call) {
			c.Rate(2, telemetry.ProblemEcho)
			c.End(false)
		}).Stars]++
	}
	// 2 stars are said with a chance of 0.65: 260 times of 400, with a standard deviation of 9.5; each other number 35
	// times, with one of 5.7. The bounds are six of these away.
	for stars, n := range said {
		switch {
		case stars == 0 && n != 0, stars == 2 && (n < 203 || n > 317), stars != 0 && stars != 2 && (n < 1 || n > 69):
			t.Errorf("%d stars are said %d times of %d", stars, n, calls)
		}
	}
}

func TestCallThatNeverConnected(t *testing.T) {
	r := reportOf(t, func(c *telemetry.Call) {
		c.Stage(model.StageICE)
		time.Sleep(time.Minute)
		c.End(true)
	})
	if r.Stage != model.StageICE || !r.Dropped || r.Duration != 0 {
		t.Errorf("stage %v dropped %v duration %d, want ICE, dropped, not measured", r.Stage, r.Dropped, r.Duration)
	}
}

func TestDroppedCall(t *testing.T) {
	r := reportOf(t, func(c *telemetry.Call) {
		c.Stage(model.StageMedia)
		time.Sleep(time.Second)
		c.End(true)
	})
	if r.Stage != model.StageMedia || !r.Dropped || r.Duration != 1 {
		t.Errorf("stage %v dropped %v duration %d, want media, dropped, the first bucket", r.Stage, r.Dropped, r.Duration)
	}
}

func TestLongCallIsSampledEvenly(t *testing.T) {
	const segments, calls = 1024, 40
	var kept [segments]int
	for range calls {
		r := reportOf(t, func(c *telemetry.Call) {
			s := typicalReport(1, 1).Segments[0]
			for i := range segments {
				s.Policy = uint32(i)
				c.Record(s)
			}
			c.End(false)
		})
		if len(r.Segments) != telemetry.MaxSegments || r.LostSegments != segments-telemetry.MaxSegments {
			t.Fatalf("%d segments kept, %d lost, of %d", len(r.Segments), r.LostSegments, segments)
		}
		if !slices.IsSortedFunc(r.Segments, func(a, b model.Segment) int { return int(a.Policy) - int(b.Policy) }) {
			t.Fatal("segments are out of order")
		}
		for _, s := range r.Segments {
			kept[s.Policy]++
		}
	}
	if kept[segments-1] != calls {
		t.Errorf("the last segment was kept in %d of %d calls, want all", kept[segments-1], calls)
	}
	// Each quarter of the calls should have about a quarter of the sample: 40 calls x 255 / 4 = 2550 segments, with a
	// standard deviation below sqrt(10200 x 1/4 x 3/4) = 44. Six of these are 264.
	for quarter := range 4 {
		sum := 0
		for _, n := range kept[quarter*segments/4 : (quarter+1)*segments/4] {
			sum += n
		}
		if sum < 2550-264 || sum > 2550+264+calls {
			t.Errorf("quarter %d of the calls has %d segments in the sample, want about 2550", quarter, sum)
		}
	}
}

func TestIDsAreRandom(t *testing.T) {
	first := reportOf(t, func(c *telemetry.Call) { c.End(false) })
	second := reportOf(t, func(c *telemetry.Call) { c.End(false) })
	if first.ID == second.ID || first.ID == (telemetry.ReportID{}) {
		t.Errorf("ids %v and %v", first.ID, second.ID)
	}
	if id := telemetry.MessageID(first.ID); len(id) != 32 {
		t.Errorf("message id %q", id)
	}
}

func BenchmarkRecord(b *testing.B) {
	r, err := telemetry.NewReporter(telemetry.ReporterConfig{Enabled: true, Publisher: &tray{}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close(b.Context()) }()
	c := r.Call(model.Context{}, telemetry.OriginCall)
	s := typicalReport(1, 1).Segments[0]
	b.ReportAllocs()
	for b.Loop() {
		c.Record(s)
	}
}
