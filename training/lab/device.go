package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
)

// Servers is what a client is shipped with: where policies come from and reports go to, and whom to trust.
type Servers struct {
	NATS string // URL
	Root []byte // the trusted root.json
	// NoReports is the user's no to reporting: nothing is collected or sent, what an earlier Device left unsent is
	// deleted, and policies work as ever.
	NoReports bool
	// Preview, when set, is given the exact bytes of each report before it is stored or sent; see telemetry.ReporterConfig.
	Preview func(report []byte)
	// Edge sends reports to an edge, which packs them, and not to the stream itself. Some edge must be running.
	Edge bool
}

// Device is one installation of a call client.
type Device struct {
	Policy   *delivery.Client
	Reporter *telemetry.Reporter

	conn    *nats.Conn
	unwatch context.CancelFunc
	ended   chan error // what watching for policies came to
}

// NewDevice connects, fetches the policy, verifies it, and goes on watching for newer ones. It keeps its state in dir,
// which no other Device may use at the same time. A device whose cache holds a policy from an earlier time starts
// without the servers too; a new one does not, as it could only be a wrong address. ctx bounds the start only.
func NewDevice(ctx context.Context, servers Servers, dir string) (*Device, error) {
	d, err := newDevice(ctx, servers, dir)
	if err != nil {
		return nil, fmt.Errorf("new device: %w", err)
	}
	return d, nil
}

func newDevice(ctx context.Context, servers Servers, dir string) (d *Device, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	conn, err := telemetry.Connect(ctx, servers.NATS, "attune-client", nil)
	if err != nil {
		return nil, err
	}
	d = &Device{conn: conn, ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	stream, err := telemetry.NewPublisher(conn)
	if err != nil {
		return nil, err
	}
	d.Policy, err = delivery.NewClient(delivery.ClientConfig{
		Root: servers.Root, Cache: filepath.Join(dir, "policy"), Endpoints: []delivery.Endpoint{delivery.NewNATSStore(stream)},
	})
	if err != nil {
		return nil, err
	}
	if err := d.fetch(ctx); err != nil {
		return nil, errors.Join(err, d.Policy.Close())
	}
	subject := telemetry.Subject
	if servers.Edge {
		subject = telemetry.EdgeSubject
	}
	d.Reporter, err = telemetry.NewReporter(telemetry.ReporterConfig{
		Enabled: !servers.NoReports, Publisher: stream, Subject: subject, Spool: filepath.Join(dir, "spool"), Refusals: d.refusals,
		Preview: servers.Preview,
	})
	if err != nil {
		return nil, errors.Join(err, d.Policy.Close())
	}
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	d.unwatch = unwatch
	go func() { d.ended <- d.Policy.Run(watching) }()
	return d, nil
}

// connectTimeout is how long a new device waits for its servers.
const connectTimeout = 5 * time.Second

// fetch brings the newest policy, or is content with a cached one.
func (d *Device) fetch(ctx context.Context) error {
	cached := d.Policy.Current().Version() > 0
	if !cached {
		if err := d.await(ctx); err != nil {
			return err
		}
	}
	if !d.conn.IsConnected() {
		return nil
	}
	if err := d.Policy.Refresh(ctx); err != nil && !cached {
		return err
	}
	return ctx.Err()
}

// await waits until the connection is there.
func (d *Device) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	changed := d.conn.StatusChanged(nats.CONNECTED)
	defer d.conn.RemoveStatusListener(changed)
	for !d.conn.IsConnected() {
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("NATS does not answer, and there is no policy from an earlier time: %w", ctx.Err())
		}
	}
	return nil
}

// refusals hands the policies this device refused to its next report, which counts them by the same reasons.
func (d *Device) refusals() [telemetry.RefusalReasons]uint8 {
	return [telemetry.RefusalReasons]uint8(d.Policy.Refusals())
}

// Close delivers what is left to report, within ctx, and disconnects. What could not be delivered waits in the device's
// directory for the next Device there. Call it once, after the device's calls.
func (d *Device) Close(ctx context.Context) error {
	d.unwatch()
	err := errors.Join(d.Reporter.Close(ctx), <-d.ended, d.Policy.Close())
	d.conn.Close()
	return err
}
