package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

// errUnfit says that a stream cannot be made to keep what it acknowledges.
var errUnfit = errors.New("it would lose reports")

// need is something without which a stream loses reports it has acknowledged, or takes none.
type need struct {
	what string // is wrong
	bad  func(*jetstream.StreamConfig) bool
	mend func(*jetstream.StreamConfig) // nil: the server lets nobody change it
}

// needs is all that matters of a stream that exists. How large it is, how long it keeps a report, how many copies of it
// there are and where, what it is called and what else is written down about it is nobody's business but its operator's.
var needs = []need{
	{"retention is not by work queue", func(c *jetstream.StreamConfig) bool { return c.Retention != jetstream.WorkQueuePolicy }, nil},
	{"it is in memory, not in files", func(c *jetstream.StreamConfig) bool { return c.Storage != jetstream.FileStorage }, nil},
	{"it is written to disk after the acknowledgement", func(c *jetstream.StreamConfig) bool { return c.PersistMode == jetstream.AsyncPersistMode }, nil},
	{"it is sealed", func(c *jetstream.StreamConfig) bool { return c.Sealed }, nil},
	{"it is a mirror", func(c *jetstream.StreamConfig) bool { return c.Mirror != nil }, nil},
	{
		"when it is full it discards old reports, not new ones",
		func(c *jetstream.StreamConfig) bool { return c.Discard != jetstream.DiscardNew },
		func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew },
	},
	{
		"when a subject is full it discards old reports, not new ones",
		func(c *jetstream.StreamConfig) bool { return c.MaxMsgsPerSubject > 0 && !c.DiscardNewPerSubject },
		func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true },
	},
	{
		"its subjects are not " + telemetry.Subjects,
		func(c *jetstream.StreamConfig) bool { return !slices.Equal(c.Subjects, []string{telemetry.Subjects}) },
		func(c *jetstream.StreamConfig) { c.Subjects = []string{telemetry.Subjects} },
	},
	{
		"it renames the subjects of messages",
		func(c *jetstream.StreamConfig) bool { return c.SubjectTransform != nil },
		func(c *jetstream.StreamConfig) { c.SubjectTransform = nil },
	},
	{
		"it acknowledges nothing",
		func(c *jetstream.StreamConfig) bool { return c.NoAck },
		func(c *jetstream.StreamConfig) { c.NoAck = false },
	},
	{
		"a message may replace all others (roll-up)",
		func(c *jetstream.StreamConfig) bool { return c.AllowRollup },
		func(c *jetstream.StreamConfig) { c.AllowRollup = false },
	},
	{
		fmt.Sprintf("it takes no message of %d bytes", maxMessage),
		func(c *jetstream.StreamConfig) bool { return c.MaxMsgSize > 0 && c.MaxMsgSize < maxMessage },
		func(c *jetstream.StreamConfig) { c.MaxMsgSize = maxMessage },
	},
	{
		fmt.Sprintf("it forgets message ids within %v", DuplicateWindow),
		func(c *jetstream.StreamConfig) bool { return c.Duplicates < window(c) },
		func(c *jetstream.StreamConfig) { c.Duplicates = window(c) },
	},
}

// correct brings a stream that exists to what is needed, and leaves alone one that has it.
func correct(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, made StreamConfig) (jetstream.Stream, error) {
	cfg := stream.CachedInfo().Config
	var wrong, unfit []string
	for _, n := range needs {
		switch {
		case !n.bad(&cfg):
		case n.mend == nil:
			unfit = append(unfit, n.what)
		default:
			n.mend(&cfg)
			wrong = append(wrong, n.what)
		}
	}
	if len(unfit) > 0 {
		return nil, fmt.Errorf("%w: %s", errUnfit, strings.Join(unfit, ", "))
	}
	if cfg.MaxAge > 0 && cfg.MaxAge < made.MaxAge {
		made.Logger.Warn("the stream deletes reports before they are too old to be stored; unless that is meant, have somebody who "+
			"may change it say: nats stream edit "+telemetry.Stream+" --max-age "+fmt.Sprint(made.MaxAge),
			"stream", telemetry.Stream, "maxAge", cfg.MaxAge, "wanted", made.MaxAge)
	}
	if len(wrong) == 0 {
		return stream, nil
	}
	made.Logger.Warn("corrected the stream", "stream", telemetry.Stream, "wrong", strings.Join(wrong, ", "))
	return js.UpdateStream(ctx, cfg)
}
