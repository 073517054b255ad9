package conservation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/attune-calls/attune/telemetry"
)

// addClients makes callers and publishers; nothing runs yet.
func (s *system) addClients(t *testing.T, callers, publishers int) error {
	for i := range callers {
		name := fmt.Sprintf("caller%d", i+1)
		cfg := telemetry.ReporterConfig{Spool: filepath.Join(s.dir, name, "spool")}
		way := s.fromClients
		switch i {
		case 0:
			cfg.Spool, way = filepath.Join(s.spoolDisk.dir, "spool"), s.toSpooler
		case 1:
			cfg.Queue, cfg.Window = 1, 2 // drops reports
		case 2, 3:
			cfg.Subject = telemetry.EdgeSubject
		}
		c, err := newCaller(t.Context(), s.oracle, name, way, cfg, s.log.With("client", name))
		if err != nil {
			return err
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := c.close(ctx); err != nil {
				t.Error(err)
			}
		})
		s.callers = append(s.callers, c)
	}
	if callers > 0 {
		s.spooler = s.callers[0]
	}
	for i := range publishers {
		rng := rand.New(rand.NewPCG(s.oracle.seed, uint64(1_000_000+i)))
		subject := []string{telemetry.Subject, telemetry.EdgeSubject}[i%2]
		p, err := newPublisher(t.Context(), s.oracle, fmt.Sprintf("publisher%d", i+1), s.fromClients, subject, rng)
		if err != nil {
			return err
		}
		t.Cleanup(p.conn.Close)
		s.publishers = append(s.publishers, p)
	}
	return nil
}
