package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/policy/rollout"
	"github.com/attune-calls/attune/telemetry/edge"
	"github.com/attune-calls/attune/training"
)

// Service is the whole loop on one machine: it ingests, trains when there is enough to learn from, rolls a candidate
// out that passes the gate, and keeps the policy fresh.
type Service struct {
	Backends *Backends
	Releases *Releases

	config  config.Config
	log     *slog.Logger
	say     func(format string, args ...any)
	metrics *Metrics
	seen    uint64 // segments at the last training
}

// refreshEvery is how often a new timestamp is signed; it is good for a day.
const refreshEvery = 4 * time.Hour

// OpenService starts or reaches the servers and publishes policy 1 where nothing is published. say is told what people
// should know.
func OpenService(ctx context.Context, c config.Config, port int, log *slog.Logger, say func(string, ...any)) (*Service, error) {
	backends, err := Open(ctx, c, NeedNATS|NeedWarehouse|MakeTables|Patient|Sole, port, log)
	if err != nil {
		return nil, err
	}
	s := &Service{Backends: backends, config: c, log: log, say: say}
	if s.metrics, err = ServeMetrics(c.Metrics, log); err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) prepare(ctx context.Context) (err error) {
	if err := EnsureKeys(s.config.KeysDir()); err != nil {
		return err
	}
	store := delivery.NewNATSStore(s.Backends.JetStream)
	if s.Releases, err = OpenReleases(ctx, s.config.Data, s.config.KeysDir(), store); err != nil {
		return err
	}
	inForce, err := s.Releases.InForce(ctx)
	if err != nil {
		return err
	}
	if inForce.Version > 0 {
		return s.Releases.Refresh(ctx)
	}
	first, err := First(s.config.Policy, s.config.Training.Price.Model(), s.config.Sites(), time.Now())
	if err != nil {
		return err
	}
	return s.Releases.Publish(ctx, first, nil)
}

// Run serves until ctx ends. A step that fails is told and tried again at its next turn; only ingest, which waits out
// every fault by itself, can end it.
func (s *Service) Run(ctx context.Context) error {
	ingesting, err := StartIngest(ctx, s.Backends, s.config, s.log, s.metrics.Registerer())
	if err != nil {
		return err
	}
	edging, err := s.startEdge(ctx)
	if err != nil {
		return errors.Join(err, ingesting.Stop())
	}
	train, look, refresh := time.NewTicker(s.config.Training.Every), time.NewTicker(s.config.Rollout.Every), time.NewTicker(refreshEvery)
	defer train.Stop()
	defer look.Stop()
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(edging.Stop(), ingesting.Stop())
		case fault := <-edging.Ended():
			return errors.Join(fault, ingesting.Stop())
		case <-train.C:
			s.try("train", s.train(ctx))
		case <-look.C:
			s.try("look at the experiment", s.look(ctx))
		case <-refresh.C:
			s.try("refresh the timestamp", s.Releases.Refresh(ctx))
		}
	}
}

// startEdge packs the reports of clients that send them to the edge's subject, which costs the stream less. A NATS of its
// own has edges of its own ("attune edge").
func (s *Service) startEdge(ctx context.Context) (*Edging, error) {
	gate, err := s.Backends.Gate(ctx, s.log)
	if gate == nil || err != nil {
		return nil, err
	}
	back, err := s.Backends.Connect(ctx, "attune-edge")
	if err != nil {
		return nil, err
	}
	return StartEdge(ctx, edge.Config{Front: gate, Back: back, Logger: s.log, Metrics: s.metrics.Registerer()})
}

func (s *Service) try(what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		s.say("%s: %v; trying again at the next turn", what, err)
	}
}

// Close stops the servers.
func (s *Service) Close() error { return errors.Join(s.metrics.Close(), s.Backends.Close()) }

// train learns a candidate when no experiment is under way and there is enough new to learn from, and starts its
// rollout if the gate lets it pass.
func (s *Service) train(ctx context.Context) error {
	if running, err := s.experiment(); err != nil || running != nil {
		if running != nil {
			err = running.Close()
		}
		return err
	}
	counts, err := s.Backends.Warehouse.Counts(ctx)
	if err != nil {
		return err
	}
	var segments uint64 // that may be learned from
	for _, origin := range s.config.Training.Origins {
		segments += counts.SegmentsOf[origin]
	}
	if segments < s.seen+uint64(s.config.Training.MinSegments) {
		return nil
	}
	dir, err := TrainApart(ctx, s.config, s.Backends.DSN, "")
	if err != nil {
		return err
	}
	s.seen = segments
	candidate, err := training.ReadRun(dir)
	if err != nil {
		return err
	}
	if !candidate.Metrics.Verdict.Promote {
		s.say("candidate %s was held back: %s", dir, strings.Join(candidate.Metrics.Verdict.Failed(), "; "))
		return nil
	}
	started, err := StartExperiment(ctx, s.config, s.Releases, candidate)
	if err != nil {
		return err
	}
	s.say("candidate %s passed the gate: experiment %d has begun at %d %%", dir, started.Number(), started.Status().Share)
	return started.Close()
}

// experiment is the experiment that is ramping, or nil.
func (s *Service) experiment() (*Experiment, error) {
	e, err := ResumeExperiment(s.config, s.Releases)
	if errors.Is(err, ErrNoExperiment) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if e.Status().State != rollout.StateRamping {
		return nil, e.Close()
	}
	return e, nil
}

func (s *Service) look(ctx context.Context) error {
	e, err := s.experiment()
	if err != nil || e == nil {
		return err
	}
	_, decision, err := e.Look(ctx, s.Backends.Warehouse)
	if err == nil && decision.Changed {
		s.say("experiment %d: %v, %d %% of calls: %v", e.Number(), decision.State, decision.Share, decision.Reasons)
	}
	if fault := e.Close(); fault != nil {
		err = errors.Join(err, fmt.Errorf("decision log: %w", fault))
	}
	return err
}
