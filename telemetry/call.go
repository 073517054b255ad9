package telemetry

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/attune-calls/attune/model"
)

// Call collects one leg of one call. It satisfies policy.Recorder. Its methods never block and may be called from any
// goroutine; after End they do nothing.
type Call struct {
	session *session // nil when reporting is switched off

	mu       sync.Mutex
	report   Report
	recorded int       // segments seen
	media    time.Time // when media began; zero before
	ended    bool
}

// Call begins the report of a call that starts now. Of context only the static fields are used.
func (r *Reporter) Call(context model.Context, origin Origin) *Call {
	s := r.session.Load()
	if s == nil || !s.begin() {
		return &Call{}
	}
	return &Call{session: s, report: Report{
		Schema: SchemaVersion, Stack: StackVersion,
		Hour: HourOf(time.Now()), Origin: origin, Context: staticContext(context),
	}}
}

// deaf tells whether nothing may be recorded: reporting is off, the call is over, or the user has withdrawn consent since it
// began, which also ends the memory of what was recorded.
func (c *Call) deaf() bool {
	if c.session == nil || c.ended {
		return true
	}
	if c.session.withdrawn.Load() {
		c.ended, c.report = true, Report{}
	}
	return c.ended
}

// Record adds a closed segment. Of a call with more than MaxSegments of them the report keeps the last one and a uniform
// sample of those before it, in their order, and counts the rest.
func (c *Call) Record(s model.Segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf() {
		return
	}
	c.recorded++
	if len(c.report.Segments) < MaxSegments {
		c.report.Segments = append(c.report.Segments, s)
		return
	}
	// Algorithm R (Vitter, ACM TOMS 11(1) 1985, section 2) over all segments but the last: the one that was last until
	// now takes a random place of the sample, or none. How a call ended shows in its last segment, so that one stays.
	kept := c.report.Segments
	if i := mathrand.IntN(c.recorded - 1); i < MaxSegments-1 {
		copy(kept[i:], kept[i+1:])
	}
	kept[MaxSegments-1] = s
	c.report.LostSegments = min(c.report.LostSegments+1, MaxLostSegments)
}

// Stage says how far the call has come. It never goes back.
func (c *Call) Stage(stage model.Stage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf() || stage <= c.report.Stage || !stage.Valid() {
		return
	}
	c.report.Stage = stage
	if stage >= model.StageMedia && c.media.IsZero() {
		c.media = time.Now()
	}
}

// Rate adds what the user said about the call: 1..MaxRating stars and the Problem flags. It randomizes both at once
// (package response) and forgets what was said, so neither the spool nor the network ever holds it. Rating again replaces
// the answer; 0 stars take it back, flags included; more than MaxRating stars are ignored.
func (c *Call) Rate(rating uint8, problems uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf() || rating > MaxRating {
		return
	}
	c.report.Stars, c.report.Problem = randomized(rating, problems)
}

// End closes the report and queues it. Dropped says that the call ended although nobody hung up. A call that had media
// and was not dropped has reached model.StageEnded. A second End does nothing.
func (c *Call) End(dropped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf() {
		return
	}
	c.ended = true
	report := &c.report
	report.Dropped = dropped
	if report.Stage == model.StageMedia && !dropped {
		report.Stage = model.StageEnded
	}
	if !c.media.IsZero() {
		report.Duration = ScaleDuration.Bucket(time.Since(c.media).Seconds())
	}
	if refusals := c.session.cfg.Refusals; refusals != nil {
		report.Refusals = refusals()
	}
	rand.Read(report.ID[:])
	c.session.queue(report)
	report.Segments = nil
}
