// Package config is the one strict configuration file of every verb, attune.yaml. Each setting has a default that
// works on one machine; an unknown key, a value out of range or a file that cannot be read is an error that names the
// file, the line and the key.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/ingest"
)

// FileName is where a verb looks for its configuration when --config is not given.
const FileName = "attune.yaml"

// Config is attune.yaml. Environment variables override the file, and flags override both; see Variables.
type Config struct {
	// Data is the directory for everything a process keeps: NATS streams, ClickHouse, keys, runs.
	Data string `yaml:"data"`
	// NATS is the URL of an external server; empty runs one inside the process.
	NATS string `yaml:"nats"`
	// ClickHouse is the DSN of an external server; empty runs a managed child process.
	ClickHouse string `yaml:"clickhouse"`
	// Metrics is the address where "up", "ingest" and "edge" serve Prometheus; empty serves nothing.
	Metrics string `yaml:"metrics"`
	// Keys is the directory of the signing keys; empty is "keys" inside Data.
	Keys string `yaml:"keys"`

	Stream   Stream   `yaml:"stream"`
	Ingest   Ingest   `yaml:"ingest"`
	Privacy  Privacy  `yaml:"privacy"`
	Training Training `yaml:"training"`
	Rollout  Rollout  `yaml:"rollout"`
	Policy   Policy   `yaml:"policy"`
}

// Stream sets what the stream of reports is made with. One that exists is its operator's and keeps what it has.
type Stream struct {
	Replicas int           `yaml:"replicas"` // copies in a cluster
	MaxBytes int64         `yaml:"maxBytes"` // on disk; when it is full, reports wait at their clients
	MaxAge   time.Duration `yaml:"maxAge"`   // after which a report that nobody took is deleted; 0 is Privacy.Retention
}

// StreamAge is Stream.MaxAge or what stands for it.
func (c *Config) StreamAge() time.Duration { return cmp.Or(c.Stream.MaxAge, c.Privacy.Retention) }

// Ingest sets how reports move into ClickHouse.
type Ingest struct {
	Workers int           `yaml:"workers"` // batches in hand at once
	Batch   int           `yaml:"batch"`   // reports in one insert
	MaxWait time.Duration `yaml:"maxWait"` // how long a report may wait for its batch to fill
	AckWait time.Duration `yaml:"ackWait"` // after this long without a sign of life a batch goes to another worker
}

// Privacy sets what is withheld, and for how long anything is kept.
type Privacy struct {
	// MinCell is k: of a cell (region, network type) with fewer reports on a day the region is not stored, and groups
	// of fewer are not shown to people.
	MinCell int `yaml:"minCell"`
	// Retention is the age at which a report is deleted, counted from the day of its call.
	Retention time.Duration `yaml:"retention"`
	// CellCap bounds how many reports of one cell and day anything is learned from.
	CellCap int `yaml:"cellCap"`
	// CellGrowth and CellFloor bound it further by what is usual for the cell: to CellGrowth times the median of its last
	// 28 days, but not below CellFloor.
	CellGrowth int `yaml:"cellGrowth"`
	CellFloor  int `yaml:"cellFloor"`
}

// Training sets when and how a candidate is learned.
type Training struct {
	Origins       Origins       `yaml:"origins"`       // where the calls that are learned from took place
	MinSegments   int           `yaml:"minSegments"`   // fewer usable segments are refused
	Every         time.Duration `yaml:"every"`         // pause between two trainings of "attune up"
	Seed          uint64        `yaml:"seed"`          // of initial values, batches and bootstrap heads
	PoisonedShare float64       `yaml:"poisonedShare"` // of the reports, assumed false by the gate
	Price         Price         `yaml:"price"`
}

// Price is model.Price in the file's spelling.
type Price struct {
	MOSPerKbps    float64 `yaml:"mosPerKbps"`
	MeteredFactor float64 `yaml:"meteredFactor"`
}

// Model is the price as the learner takes it.
func (p Price) Model() model.Price {
	return model.Price{MOSPerKbps: p.MOSPerKbps, MeteredFactor: p.MeteredFactor}
}

// Rollout sets how a candidate reaches people.
type Rollout struct {
	Alpha          float64       `yaml:"alpha"`          // error probability of all statements of one rollout together
	MinCallsPerArm int           `yaml:"minCallsPerArm"` // at each step; nothing is decided on fewer
	Ramp           []int         `yaml:"ramp"`           // share of calls on the candidate at each step, in percent
	Every          time.Duration `yaml:"every"`          // pause between two looks at the data
}

// Policy sets what is published.
type Policy struct {
	Interval   time.Duration `yaml:"interval"`   // between two decisions of a call
	Explore    float64       `yaml:"explore"`    // share of exploring decisions while learning
	ExploreEnd float64       `yaml:"exploreEnd"` // share after learning
	ValidFor   time.Duration `yaml:"validFor"`   // until a published policy expires
	Relays     []Relay       `yaml:"relays"`     // sites that calls may go through; none leaves the direct path
}

// Relay is a relay site as clients are told of it; credentials come from the call service.
type Relay struct {
	ID   uint8    `yaml:"id"`   // 1..255
	Name string   `yaml:"name"` // for people
	URLs []string `yaml:"urls"` // turn:host:port?transport=udp|tcp, turns:host:port?transport=tcp
}

// Sites are the relay sites as a policy document lists them.
func (c *Config) Sites() []policy.Site {
	var sites []policy.Site
	for _, r := range c.Policy.Relays {
		sites = append(sites, policy.Site{ID: model.Site(r.ID), Name: r.Name, URLs: r.URLs})
	}
	return sites
}

// Default is the configuration of an empty file.
func Default() Config {
	price := model.DefaultPrice()
	return Config{
		Data:    "attune-data",
		Stream:  Stream{Replicas: 1, MaxBytes: 4 << 30},
		Ingest:  Ingest{Workers: ingest.DefaultWorkers, Batch: ingest.DefaultBatch, MaxWait: ingest.DefaultMaxWait, AckWait: ingest.DefaultAckWait},
		Privacy: Privacy{MinCell: 50, Retention: 90 * 24 * time.Hour, CellCap: 100_000, CellGrowth: 5, CellFloor: 250},
		Training: Training{
			Origins: Origins{telemetry.OriginCall}, MinSegments: 500, Every: time.Hour, Seed: 1, PoisonedShare: 0.001,
			Price: Price{MOSPerKbps: price.MOSPerKbps, MeteredFactor: price.MeteredFactor},
		},
		Rollout: Rollout{Alpha: 0.05, MinCallsPerArm: 500, Ramp: []int{1, 5, 25, 50, 100}, Every: 30 * time.Second},
		Policy:  Policy{Interval: 4 * time.Second, Explore: 0.10, ExploreEnd: 0.02, ValidFor: 30 * 24 * time.Hour},
	}
}

// Load reads path over the defaults and applies the environment. An empty path reads FileName where it exists.
func Load(path string, environ func(string) (string, bool)) (Config, error) {
	c := Default()
	name := path
	if name == "" {
		name = FileName
	}
	d := &decoder{name: name, places: make(map[string]string)}
	text, err := os.ReadFile(name)
	switch {
	case err == nil:
		if err := d.file(text, &c); err != nil {
			return Config{}, err
		}
	case path == "" && errors.Is(err, fs.ErrNotExist):
	default:
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	if err := d.environment(environ, &c); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, d.located(err)
	}
	return c, nil
}

// Validate reports every value out of range: a KeyError each, joined.
func (c *Config) Validate() error {
	var faults []error
	check := func(ok bool, key string, value any, want string) {
		if !ok {
			faults = append(faults, &KeyError{Key: key, Err: fmt.Errorf("%v, want %s", value, want)})
		}
	}
	check(c.Data != "", "data", `""`, "a directory")
	check(c.Metrics == "" || isAddress(c.Metrics), "metrics", c.Metrics, "an address to listen on, 127.0.0.1:9464")
	check(c.Stream.Replicas >= 1 && c.Stream.Replicas <= 5, "stream.replicas", c.Stream.Replicas, "1..5")
	check(c.Stream.MaxBytes >= 1<<20, "stream.maxBytes", c.Stream.MaxBytes, "at least 1048576")
	check(c.Stream.MaxAge == 0 || c.Stream.MaxAge >= time.Hour, "stream.maxAge", c.Stream.MaxAge, "at least 1h, or 0 for privacy.retention")
	check(c.Ingest.Workers >= 1 && c.Ingest.Workers <= ingest.MaxWorkers, "ingest.workers", c.Ingest.Workers, fmt.Sprint("1..", ingest.MaxWorkers))
	check(c.Ingest.Batch >= 1 && c.Ingest.Batch <= ingest.MaxBatch, "ingest.batch", c.Ingest.Batch, fmt.Sprint("1..", ingest.MaxBatch))
	check(c.Ingest.MaxWait > 0 && c.Ingest.MaxWait <= time.Minute, "ingest.maxWait", c.Ingest.MaxWait, "above 0 and at most 1m")
	check(c.Ingest.AckWait >= time.Second && c.Ingest.AckWait <= time.Hour, "ingest.ackWait", c.Ingest.AckWait, "1s..1h")
	check(c.Privacy.MinCell >= 1 && c.Privacy.MinCell <= 10_000, "privacy.minCell", c.Privacy.MinCell, "1..10000")
	check(c.Privacy.Retention >= 14*24*time.Hour && c.Privacy.Retention <= 10*365*24*time.Hour, "privacy.retention", c.Privacy.Retention, "336h (14 days) to 10 years")
	check(c.Privacy.CellCap >= 1000, "privacy.cellCap", c.Privacy.CellCap, "at least 1000")
	check(c.Privacy.CellGrowth >= 2 && c.Privacy.CellGrowth <= 1000, "privacy.cellGrowth", c.Privacy.CellGrowth, "2..1000")
	check(c.Privacy.CellFloor >= 50 && c.Privacy.CellFloor <= c.Privacy.CellCap, "privacy.cellFloor", c.Privacy.CellFloor, "50 to privacy.cellCap")
	check(len(c.Training.Origins) > 0, "training.origins", c.Training.Origins, "one or more of call, simulation, import")
	check(c.Training.MinSegments >= 100, "training.minSegments", c.Training.MinSegments, "at least 100")
	check(c.Training.Every >= time.Second, "training.every", c.Training.Every, "at least 1s")
	check(c.Training.PoisonedShare >= 0 && c.Training.PoisonedShare < 0.5, "training.poisonedShare", c.Training.PoisonedShare, "0..0.5")
	check(c.Rollout.Alpha > 0 && c.Rollout.Alpha < 0.5, "rollout.alpha", c.Rollout.Alpha, "between 0 and 0.5")
	check(c.Rollout.MinCallsPerArm >= 10, "rollout.minCallsPerArm", c.Rollout.MinCallsPerArm, "at least 10")
	check(rises(c.Rollout.Ramp), "rollout.ramp", c.Rollout.Ramp, "1 to 20 rising percentages of 1..100, the first below 100")
	check(c.Rollout.Every >= time.Second, "rollout.every", c.Rollout.Every, "at least 1s")
	check(c.Policy.Interval >= 2*time.Second && c.Policy.Interval <= time.Minute, "policy.interval", c.Policy.Interval, "2s..1m")
	check(c.Policy.Explore >= 0 && c.Policy.Explore <= 1, "policy.explore", c.Policy.Explore, "0..1")
	check(c.Policy.ExploreEnd >= 0 && c.Policy.ExploreEnd <= 1, "policy.exploreEnd", c.Policy.ExploreEnd, "0..1")
	check(c.Policy.ValidFor >= time.Hour, "policy.validFor", c.Policy.ValidFor, "at least 1h")
	if err := c.Training.Price.Model().Validate(); err != nil {
		faults = append(faults, &KeyError{Key: "training.price", Err: err})
	}
	return errors.Join(faults...)
}

// rises reports whether these are the shares of a ramp, in percent.
func rises(ramp []int) bool {
	for i, share := range ramp {
		if share < 1 || share > 100 || i > 0 && share <= ramp[i-1] {
			return false
		}
	}
	return len(ramp) > 0 && len(ramp) <= 20 && ramp[0] < 100
}

func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// Write stores the configuration as a file that Load reads. The addresses of servers are left out: they may hold a
// password.
func (c Config) Write(path string) error {
	c.ClickHouse, c.NATS = "", ""
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// KeysDir is the directory of the signing keys.
func (c *Config) KeysDir() string {
	if c.Keys != "" {
		return c.Keys
	}
	return filepath.Join(c.Data, "keys")
}
