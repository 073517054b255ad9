package loop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry/warehouse"
	"github.com/attune-calls/attune/training"
)

// capped is a filter that takes of a cell at most what the configuration says.
func capped(c config.Config, filter warehouse.Filter) warehouse.Filter {
	filter.CellCap, filter.CellGrowth, filter.CellFloor = uint64(c.Privacy.CellCap), uint64(c.Privacy.CellGrowth), uint64(c.Privacy.CellFloor)
	return filter
}

// ReadDataset reads every segment of the warehouse that a filter selects, of a cell at most what the configuration says.
func ReadDataset(ctx context.Context, c config.Config, w *warehouse.Warehouse, filter warehouse.Filter) (*training.Dataset, error) {
	dataset := training.Dataset{Origins: filter.Origins}
	err := w.EachSegment(ctx, capped(c, filter), func(batch *warehouse.SegmentBatch) error {
		for i := range batch.Rows {
			row := &batch.Rows[i]
			dataset.Add(uint32(row.Call), int(row.Day), row.Segment, row.Died)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	return &dataset, nil
}

// TrainingBase is the policy in force in the data directory; where none was published, the first one that would be.
func TrainingBase(ctx context.Context, c config.Config) (Base, error) {
	repository, err := OpenRepository(c.Data)
	if err != nil {
		return Base{}, err
	}
	base, err := repository.Base(ctx)
	if errors.Is(err, delivery.ErrNotFound) || err == nil && base.Document.Version == 0 {
		base = Base{}
		base.Document, err = First(c.Policy, c.Training.Price.Model(), c.Sites(), time.Now())
	}
	if err != nil {
		return Base{}, err
	}
	inForce, err := parse(base)
	if err != nil {
		return Base{}, err
	}
	earlier, err := repository.Earlier(ctx, base.Document.Version)
	base.Logging = append(earlier, inForce)
	return base, err
}

// TrainHere trains in this process. A panic inside gorgonia's machine ends the process: only "attune train" calls this.
func TrainHere(ctx context.Context, c config.Config, base Base, dataset *training.Dataset, out string, progress func(training.Progress)) (*training.Result, error) {
	settings := training.Config{
		Seed: c.Training.Seed, Price: c.Training.Price.Model(), Dataset: dataset,
		Base: base.Document, BaseModels: base.Models, Logging: base.Logging,
		MinRows: c.Training.MinSegments, Out: out, Progress: progress,
	}
	settings.Gate.PoisonedShare = c.Training.PoisonedShare
	settings.Exploration = explores(policy.Arm{Model: training.CandidateArm}, c.Policy.ExploreEnd).Exploration
	return training.Train(ctx, settings)
}

func parse(base Base) (*policy.Policy, error) {
	text, err := base.Document.Marshal()
	if err != nil {
		return nil, err
	}
	return policy.Parse(text, base.Models)
}

// TrainApart runs "attune train" as a process of its own and returns the run directory it printed. The configuration
// goes by a file; the address of ClickHouse, which holds a password, by the environment.
func TrainApart(ctx context.Context, c config.Config, dsn, out string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("train: %w", err)
	}
	file := filepath.Join(c.Data, "train.yaml")
	if err := c.Write(file); err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, self, "train", "--config", file, "--out", out)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	command.Env = append(os.Environ(), "ATTUNE_CLICKHOUSE="+dsn)
	var stderr strings.Builder
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("train: %w: %s", err, lastLines(stderr.String(), 5))
	}
	return filepath.Clean(strings.TrimSpace(string(stdout))), nil
}

// lastLines keeps the end of what a process said: its error comes last.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
