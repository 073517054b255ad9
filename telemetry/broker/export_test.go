package broker

// LoseJetStream does what the server does when it cannot write.
func (s *Server) LoseJetStream() error { return s.running.Load().ShutdownJetStream() }
