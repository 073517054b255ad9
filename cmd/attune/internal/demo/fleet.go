package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training/lab"
)

// fleet gives every leg of every call a client of its own: a connection, a policy fetched and verified, a reporter. It
// adds up what the reporters did.
type fleet struct {
	servers lab.Servers
	dir     string

	mu     sync.Mutex
	made   int
	counts telemetry.Counts
	faults []error
}

// flushTimeout is how long a client may take to deliver its last reports.
const flushTimeout = time.Minute

// parties makes the two sides of a call.
func (f *fleet) parties(ctx context.Context) (caller, callee lab.Party, release func(), err error) {
	first, err := f.device(ctx)
	if err != nil {
		return lab.Party{}, lab.Party{}, nil, err
	}
	second, err := f.device(ctx)
	if err != nil {
		f.retire(first)
		return lab.Party{}, lab.Party{}, nil, err
	}
	release = func() {
		var both sync.WaitGroup
		both.Go(func() { f.retire(first) })
		both.Go(func() { f.retire(second) })
		both.Wait()
	}
	return party(first), party(second), release, nil
}

func party(d *lab.Device) lab.Party { return lab.Party{Policy: d.Policy, Reporter: d.Reporter} }

func (f *fleet) device(ctx context.Context) (*lab.Device, error) {
	f.mu.Lock()
	f.made++
	dir := filepath.Join(f.dir, fmt.Sprintf("client-%04d", f.made))
	f.mu.Unlock()
	return lab.NewDevice(ctx, f.servers, dir)
}

// retire delivers what a client has left to report, also after Ctrl-C, and counts it.
func (f *fleet) retire(d *lab.Device) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	err := d.Close(ctx)
	c := d.Reporter.Counts()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Created += c.Created
	f.counts.Acknowledged += c.Acknowledged
	f.counts.Duplicates += c.Duplicates
	f.counts.Dropped += c.Dropped
	f.counts.Pending += c.Pending
	f.faults = append(f.faults, err)
}

// total is what all clients retired so far have sent.
func (f *fleet) total() (telemetry.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts, errors.Join(f.faults...)
}
