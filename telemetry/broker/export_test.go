package broker

import "errors"

// LoseJetStream does what the server does when it cannot write and finds that the disk is full.
func (s *Server) LoseJetStream() error { return s.running.Load().ShutdownJetStream() }

// LoseStream says what the server says when a stream cannot write and will not any more.
func (s *Server) LoseStream() error {
	s.running.Load().log.Errorf("Filestore [%s] Critical write error: %v", "CALLS", errors.New("no space left on device"))
	return nil
}
