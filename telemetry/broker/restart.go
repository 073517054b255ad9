package broker

import (
	"log/slog"
	"net"
	"time"
)

const (
	watchEvery   = time.Second
	firstRestart = time.Second      // pause before another start
	lastRestart  = 30 * time.Second // doubled up to this
)

// watch starts the server again when it has given up JetStream or a stream, until Close. nats-server does that for good when
// it cannot write, and goes on taking connections to which it answers nothing, or refuses everything for that stream though
// there is room again. What it has acknowledged is on disk and comes back; clients connect again by themselves.
func (s *Server) watch() {
	defer close(s.ended)
	log := s.cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pause, began := firstRestart, time.Now()
	for seen := false; s.sleep(watchEvery); {
		old := s.running.Load()
		if old.writes() {
			seen = false
			continue
		}
		if !seen { // it may be in the middle of giving up
			seen = true
			continue
		}
		if time.Since(began) > time.Minute {
			pause = firstRestart
		}
		log.Error("NATS has given up its streams, most likely because the disk is full; starting it again", "dir", s.cfg.Dir)
		shutdown(old.Server)
		for s.sleep(pause) {
			pause = min(2*pause, lastRestart)
			next, err := start(&s.cfg, s.password)
			if err == nil {
				s.running.Store(next)
				log.Info("NATS has its streams again", "dir", s.cfg.Dir)
				break
			}
			log.Error("NATS does not start again, trying on; make room on its disk", "dir", s.cfg.Dir, "err", err)
		}
		seen, began = false, time.Now()
	}
}

// sleep returns false when the server is to be closed.
func (s *Server) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.stop:
		return false
	}
}

// current gives connections inside the process to whichever server runs.
type current struct{ *Server }

// InProcessConn is a connection without the network.
func (c current) InProcessConn() (net.Conn, error) { return c.running.Load().InProcessConn() }
