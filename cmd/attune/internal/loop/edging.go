package loop

import (
	"context"

	"github.com/attune-calls/attune/telemetry/edge"
)

// Edging is reports on their way into packs, in the background.
type Edging struct {
	*edge.Edge
	cancel context.CancelFunc
	ended  chan error
}

// StartEdge packs reports until Stop, or until ctx ends.
func StartEdge(ctx context.Context, c edge.Config) (*Edging, error) {
	packer, err := edge.New(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &Edging{Edge: packer, cancel: cancel, ended: make(chan error, 1)}
	go func() { e.ended <- packer.Run(ctx) }()
	return e, nil
}

// Ended has the fault of an edge that cannot take reports. A nil Edging never ends.
func (e *Edging) Ended() <-chan error {
	if e == nil {
		return nil
	}
	return e.ended
}

// Stop publishes and answers what is in hand, and waits. Call it once, and not after Ended has told of a fault. Of a nil
// Edging it does nothing.
func (e *Edging) Stop() error {
	if e == nil {
		return nil
	}
	e.cancel()
	return <-e.ended
}
