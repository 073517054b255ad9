package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Warehouse is where reports go. *warehouse.Warehouse is one.
type Warehouse interface {
	// InsertBlock stores all reports of the block, or returns an error after which they may be stored or not. A report
	// stored twice counts once, and of two copies the one that shows its region counts. The reports of one day appear
	// together or not at all.
	InsertBlock(ctx context.Context, block warehouse.Block) error
	// CountRejects stores refused reports under the same promise.
	CountRejects(ctx context.Context, rejects []warehouse.Reject) error
	// DropExpired deletes the weeks that began more than retention before now.
	DropExpired(ctx context.Context, now time.Time, retention time.Duration) (warehouse.Dropped, error)
	// Now is the time by the warehouse's clock.
	Now(ctx context.Context) (time.Time, error)
	// Deduplicates tells whether the server recognises a block that it has stored by its token.
	Deduplicates() bool
}

// Config is what an Ingest needs. JetStream and Warehouse are required, all else has a default.
type Config struct {
	JetStream jetstream.JetStream // a connection of its own, or shared
	Warehouse Warehouse           // with migrated tables
	Durable   string              // name of the consumer that all workers share. Default "ingest"
	Workers   int                 // batches in hand at once. Default 2: one is decoded while another is inserted
	Batch     int                 // most reports in one block, unless one pack alone holds more. Default 20,000
	MaxWait   time.Duration       // longest wait for a batch to fill, at most a quarter of AckWait. Default 500 ms
	AckWait   time.Duration       // after this long without a sign of life a batch goes to another worker. Default 1 min
	NewerWait time.Duration       // how long a report of a newer schema rests before it is looked at again. Default 5 min
	StopWait  time.Duration       // longest time to finish the batches in hand after Run's context ends. Default 20 s
	MinCell   int                 // k: reports that a day, origin, region and network need before the region is stored. 1 = always. Default 50
	Retention time.Duration       // age at which reports are deleted, and refused. Default 90 days
	Now       func() time.Time    // this machine's clock. Default time.Now; tests move it
	Logger    *slog.Logger        // told of faults that are being waited out. Default: none
	Metrics   prometheus.Registerer
}

// The defaults that a configuration of operators has too.
const (
	DefaultWorkers = 2
	DefaultBatch   = 20_000
	DefaultMaxWait = 500 * time.Millisecond
	DefaultAckWait = time.Minute
)

// The greatest values of Config.
const (
	MaxWorkers = 64
	MaxBatch   = 100_000
)

const (
	defaultDurable   = "ingest"
	defaultNewerWait = 5 * time.Minute
	defaultStopWait  = 20 * time.Second
	defaultMinCell   = 50
	defaultRetention = 90 * 24 * time.Hour
	maxMinCell       = 10_000
	leastRetention   = 14 * 24 * time.Hour // a week is deleted as a whole
)

func (c *Config) setDefaults() {
	c.Durable = cmp.Or(c.Durable, defaultDurable)
	c.Workers = cmp.Or(c.Workers, DefaultWorkers)
	c.Batch = cmp.Or(c.Batch, DefaultBatch)
	c.MaxWait = cmp.Or(c.MaxWait, DefaultMaxWait)
	c.AckWait = cmp.Or(c.AckWait, DefaultAckWait)
	c.NewerWait = cmp.Or(c.NewerWait, defaultNewerWait)
	c.StopWait = cmp.Or(c.StopWait, defaultStopWait)
	c.MinCell = cmp.Or(c.MinCell, defaultMinCell)
	c.Retention = cmp.Or(c.Retention, defaultRetention)
	c.MaxWait = min(c.MaxWait, c.AckWait/4)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports every fault with its field. A zero field is no fault where there is a default.
func (c *Config) Validate() error {
	var faults []error
	if c.JetStream == nil {
		faults = append(faults, errors.New("JetStream is missing"))
	}
	if c.Warehouse == nil {
		faults = append(faults, errors.New("Warehouse is missing"))
	}
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"Workers", c.Workers, MaxWorkers},
		{"Batch", c.Batch, MaxBatch},
		{"MinCell", c.MinCell, maxMinCell},
	} {
		if n.value < 0 || n.value > n.most {
			faults = append(faults, fmt.Errorf("%s %d is outside 0..%d", n.name, n.value, n.most))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"MaxWait", c.MaxWait, time.Millisecond},
		{"AckWait", c.AckWait, time.Second},
		{"NewerWait", c.NewerWait, time.Millisecond},
		{"StopWait", c.StopWait, time.Millisecond},
		{"Retention", c.Retention, leastRetention},
	} {
		if d.value != 0 && d.value < d.least {
			faults = append(faults, fmt.Errorf("%s %v is below %v", d.name, d.value, d.least))
		}
	}
	return errors.Join(faults...)
}
