package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
)

// StreamConfig is what the stream of reports is made with. It says nothing about a stream that exists: its bounds, copies
// and place are its operator's. The zero StreamConfig means the defaults.
type StreamConfig struct {
	MaxBytes int64         // on disk; when it is full, new reports are refused and wait at their clients. Default 4 GiB
	MaxAge   time.Duration // reports that nobody took by then are deleted. Default 90 days, when they would be refused anyway
	Replicas int           // copies in a cluster. Default 1
	Logger   *slog.Logger  // told what was wrong with a stream that exists. Default: none
}

// DuplicateWindow is how long the stream remembers the ids of reports, so that one sent twice is stored once.
const DuplicateWindow = 2 * time.Minute

// window is the least that the stream must remember ids: a server takes none longer than its messages live.
func window(c *jetstream.StreamConfig) time.Duration {
	if c.MaxAge > 0 {
		return min(DuplicateWindow, c.MaxAge)
	}
	return DuplicateWindow
}

const (
	defaultMaxBytes = 4 << 30
	defaultMaxAge   = 90 * 24 * time.Hour
)

// EnsureStream is EnsureStreamWith for the defaults.
func EnsureStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	return EnsureStreamWith(ctx, js, StreamConfig{})
}

// EnsureStreamWith creates the stream of reports. Of one that exists it corrects what would lose reports, as far as that
// can be changed, and is an error where it cannot; everything else stays as it is. A report leaves the stream once it
// has been acknowledged by its consumer.
func EnsureStreamWith(ctx context.Context, js jetstream.JetStream, cfg StreamConfig) (jetstream.Stream, error) {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, defaultMaxBytes)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, defaultMaxAge)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer notPermitted(js.Conn(), cancel)()
	stream, err := createOrCorrect(ctx, js, cfg)
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("set up stream %s: %w%s", telemetry.Stream, err, hint(err))
	}
	return stream, nil
}

// create is the stream as it is made. Its numbers are such as no earlier stream of the name had: they begin with the
// microseconds since 1970, which messages would have to overtake at a million a second. An acknowledgement names a
// message by its number alone, so one that is late, for a stream that has been deleted, could otherwise take a message of
// its successor that nobody has stored; and refused reports are counted by their numbers.
func (c *StreamConfig) create() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        telemetry.Stream,
		Description: "anonymous call reports on their way to the warehouse",
		Subjects:    []string{telemetry.Subjects},
		Retention:   jetstream.WorkQueuePolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    c.MaxBytes,
		MaxAge:      c.MaxAge,
		MaxMsgSize:  maxMessage,
		Duplicates:  min(DuplicateWindow, c.MaxAge),
		Replicas:    max(c.Replicas, 1),
		FirstSeq:    uint64(time.Now().UnixMicro()),
	}
}

func createOrCorrect(ctx context.Context, js jetstream.JetStream, cfg StreamConfig) (jetstream.Stream, error) {
	pause := 20 * time.Millisecond
	for {
		existing, err := js.Stream(ctx, telemetry.Stream)
		switch {
		case err == nil:
			return correct(ctx, js, existing, cfg)
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, err
		}
		stream, err := js.CreateStream(ctx, cfg.create())
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			// Another program was faster.
		case storeFailed(err) && pause < maxStorePause:
			pause *= 2
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(pause):
			}
		default:
			return stream, err
		}
	}
}

// maxStorePause ends the attempts to make a stream's files, after about five seconds.
const maxStorePause = 2 * time.Second

// storeFailed says that the server could not make a stream's files. For a moment that is normal: when an account's last
// stream is deleted, nats-server removes the account's empty folders in the background, and may take those of a new
// stream with them.
func storeFailed(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStreamCreate && strings.Contains(api.Description, "error creating store")
}

// notPermitted cancels when the server refuses a request, which it does not answer, until the returned function is
// called.
func notPermitted(conn *nats.Conn, cancel context.CancelCauseFunc) (stop func()) {
	before := conn.LastError()
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				//nolint:errorlint // the same refusal once more is news
				if err := conn.LastError(); err != before && errors.Is(err, nats.ErrPermissionViolation) {
					cancel(errNotPermitted)
					return
				}
			}
		}
	}()
	return func() { close(done) }
}

// errNotPermitted leaves out what the server says, which quotes the subject.
var errNotPermitted = fmt.Errorf("%w: the server takes this connection for a call client", nats.ErrPermissionViolation)

// hint says what to do about the faults an operator meets.
func hint(err error) string {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		return "; give a URL with credentials, nats://user:password@host:4222: that of `attune up` is in its data directory, nats/" +
			OperatorFile + ", and found by itself with the same --data"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "; start the server with JetStream (nats-server --jetstream)"
	case errors.As(err, &api) && api.ErrorCode == codeStorageExceeded:
		return "; give the server more disk space for streams, or the stream a smaller MaxBytes"
	case storeFailed(err):
		return "; the server cannot write its files: look at its log, its disk and who owns its store_dir"
	case errors.As(err, &api) && api.ErrorCode == codeReplicas:
		return "; one server keeps one copy: more of them take a cluster"
	case errors.Is(err, errUnfit), errors.As(err, &api) && api.ErrorCode == codeStreamInvalidUpdate:
		return "; it exists with settings that cannot be changed: empty and delete it first"
	}
	return ""
}

// Error codes of JetStream that nats.go has no name for.
const (
	codeStorageExceeded     jetstream.ErrorCode = 10047
	codeStreamCreate        jetstream.ErrorCode = 10049
	codeStreamInvalidUpdate jetstream.ErrorCode = 10052
	codeReplicas            jetstream.ErrorCode = 10074
)
