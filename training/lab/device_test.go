package lab_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
	"github.com/attune-calls/attune/training/lab"
)

// backend is a real NATS server, the stream of reports, and a signed repository of policies.
type backend struct {
	t         *testing.T
	dir       string
	port      int
	server    *broker.Server
	publisher *delivery.Publisher
	root      []byte
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{t: t, dir: t.TempDir()}
	b.start()
	t.Cleanup(b.stop)
	keys, err := delivery.GenerateKeys(filepath.Join(b.dir, "keys"))
	if err == nil {
		b.publisher, err = delivery.NewPublisher(delivery.PublisherConfig{Repository: b.repository(), Keys: keys})
	}
	if err == nil {
		err = b.publisher.Init(t.Context())
	}
	if err == nil {
		b.root, err = b.publisher.TrustedRoot(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *backend) repository() string { return filepath.Join(b.dir, "repository") }

// start runs the server, after a stop on the port and with the files it had.
func (b *backend) start() {
	b.t.Helper()
	var err error
	b.server, err = broker.Start(broker.Config{Dir: filepath.Join(b.dir, "nats"), Port: b.port, NoSyncAlways: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.use(func(js jetstream.JetStream) error {
		_, err := broker.EnsureStream(b.t.Context(), js)
		return err
	})
}

func (b *backend) stop() {
	if b.server == nil {
		return
	}
	address, err := url.Parse(b.server.ClientURL())
	if err == nil {
		b.port, err = strconv.Atoi(address.Port())
	}
	if err = errors.Join(err, b.server.Close()); err != nil {
		b.t.Error(err)
	}
	b.server = nil
}

// use lends a connection of the operator's.
func (b *backend) use(do func(jetstream.JetStream) error) {
	b.t.Helper()
	conn, err := broker.ConnectWithin(b.t.Context(), 10*time.Second, b.server.OperatorURL(), "attune-test", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	js, err := telemetry.NewPublisher(conn)
	if err == nil {
		err = do(js)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *backend) publish(d policy.Document) {
	b.t.Helper()
	text, err := d.Marshal()
	if err == nil {
		err = b.publisher.Publish(b.t.Context(), text, nil)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.use(func(js jetstream.JetStream) error {
		return delivery.Push(b.t.Context(), b.repository(), delivery.NewNATSStore(js))
	})
}

// reports takes n reports out of the stream, and fails if there are more.
func (b *backend) reports(n int) []telemetry.Report {
	b.t.Helper()
	reports := make([]telemetry.Report, 0, n)
	b.use(func(js jetstream.JetStream) error {
		stream, err := broker.EnsureStream(b.t.Context(), js)
		if err != nil {
			return err
		}
		consumer, err := stream.CreateOrUpdateConsumer(b.t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			return err
		}
		for range n {
			message, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
			if err != nil {
				return err
			}
			var r telemetry.Report
			if err := telemetry.Unmarshal(message.Data(), &r); err != nil {
				return err
			}
			reports = append(reports, r)
			if err := message.DoubleAck(b.t.Context()); err != nil {
				return err
			}
		}
		if info, err := stream.Info(b.t.Context()); err != nil || info.State.Msgs != 0 {
			b.t.Errorf("%d reports more than %d (%v)", info.State.Msgs, n, err)
		}
		return nil
	})
	return reports
}

// device is a device that starts; retire it.
func (b *backend) device(server, dir string) *lab.Device {
	b.t.Helper()
	d, err := lab.NewDevice(b.t.Context(), lab.Servers{NATS: server, Root: b.root}, dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func retire(t *testing.T, d *lab.Device) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Error(err)
	}
}

// report makes a report of a call that was not set up.
func report(d *lab.Device) {
	call := d.Reporter.Call(model.Context{Network: model.Network3G}, telemetry.OriginCall)
	call.Stage(model.StageICE)
	call.End(true)
}

// TestDevicesFetchCallAndReport is a whole call in real time: two devices, policies from a server, reports to it, and a
// new policy that comes during the call.
func TestDevicesFetchCallAndReport(t *testing.T) {
	t.Parallel() // it waits most of the time
	b := newBackend(t)
	b.publish(document(1, direct))
	dir := t.TempDir()
	var devices []*lab.Device
	p := plan(t, "ethernet", 5*time.Second, nil)
	p.Parties = func(ctx context.Context) (caller, callee lab.Party, release func(), err error) {
		var parties []lab.Party
		for _, name := range []string{"one", "two"} {
			d, err := lab.NewDevice(ctx, lab.Servers{NATS: b.server.ClientURL(), Root: b.root}, filepath.Join(dir, name))
			if err != nil {
				return lab.Party{}, lab.Party{}, nil, err
			}
			devices = append(devices, d)
			parties = append(parties, lab.Party{Policy: d.Policy, Reporter: d.Reporter})
		}
		return parties[0], parties[1], func() { retire(t, devices[0]); retire(t, devices[1]) }, nil
	}
	called := make(chan lab.Result, 1)
	go func() { called <- lab.Call(t.Context(), p) }()
	time.Sleep(2500 * time.Millisecond)
	b.publish(document(2, direct60))
	if r := <-called; r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, d := range devices {
		if c := d.Reporter.Counts(); c.Created != 1 || c.Acknowledged != 1 || c.Pending != 0 {
			t.Errorf("counts %+v", c)
		}
	}
	for _, r := range b.reports(2) {
		if r.Stage != model.StageEnded || r.Dropped || r.Origin != telemetry.OriginCall || r.Context.Network != model.NetworkEthernet {
			t.Errorf("report of %v, stage %v, dropped %v, on %v", r.Origin, r.Stage, r.Dropped, r.Context.Network)
		}
		if len(r.Segments) < 2 {
			t.Fatalf("%d segments", len(r.Segments))
		}
		first, last := r.Segments[0], r.Segments[len(r.Segments)-1]
		if first.Policy != 1 || first.Action != catalogue()[direct] || last.Policy != 2 || last.Action != catalogue()[direct60] {
			t.Errorf("first segment by policy %d: %v; last by policy %d: %v", first.Policy, first.Action, last.Policy, last.Action)
		}
	}
}

func TestDeviceKeepsReportsWhileTheServerIsAway(t *testing.T) {
	t.Parallel() // it waits most of the time
	b := newBackend(t)
	b.publish(document(1, direct))
	address, dir := b.server.ClientURL(), t.TempDir()
	d := b.device(address, dir)
	b.stop()
	report(d)
	retire(t, d)
	if c := d.Reporter.Counts(); c.Pending != 1 || c.Acknowledged != 0 {
		t.Errorf("counts without a server: %+v", c)
	}

	// Without the server a device goes on with the policy it has; a new one does not.
	d = b.device(address, dir)
	if v := d.Policy.Current().Version(); v != 1 {
		t.Errorf("policy %d from the cache", v)
	}
	report(d)
	retire(t, d)
	if d, err := lab.NewDevice(t.Context(), lab.Servers{NATS: address, Root: b.root}, t.TempDir()); err == nil {
		t.Error("a new device without a server")
		retire(t, d)
	}

	b.start()
	b.publish(document(2, direct60))
	d = b.device(address, dir)
	if v := d.Policy.Current().Version(); v != 2 {
		t.Errorf("policy %d when the server is back", v)
	}
	retire(t, d)
	if c := d.Reporter.Counts(); c.Recovered != 2 || c.Acknowledged != 2 || c.Pending != 0 {
		t.Errorf("counts when the server is back: %+v", c)
	}
	for _, r := range b.reports(2) {
		if r.Stage != model.StageICE || !r.Dropped || r.Context.Network != model.Network3G {
			t.Errorf("report %+v", r)
		}
	}
}

func TestDeviceRefusesWhatItDoesNotTrust(t *testing.T) {
	t.Parallel() // it waits most of the time
	b, other := newBackend(t), newBackend(t)
	b.publish(document(1, direct))
	other.publish(document(9, direct))
	ctx, dir := t.Context(), t.TempDir()
	if d, err := lab.NewDevice(ctx, lab.Servers{NATS: b.server.ClientURL(), Root: other.root}, dir); err == nil {
		t.Errorf("a new device took policy %d of somebody else", d.Policy.Current().Version())
		retire(t, d)
	}

	// A device that has a good policy keeps it, and its next report counts the refusal.
	retire(t, b.device(b.server.ClientURL(), dir))
	d := b.device(other.server.ClientURL(), dir)
	if v := d.Policy.Current().Version(); v != 1 {
		t.Errorf("policy %d of somebody else in force", v)
	}
	report(d)
	retire(t, d)
	refused := 0
	for _, n := range other.reports(1)[0].Refusals {
		refused += int(n)
	}
	if refused == 0 {
		t.Error("the report counts no refusal")
	}
}

func TestBadDevices(t *testing.T) {
	b := newBackend(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(b.repository(), "file")
	for name, c := range map[string]struct {
		ctx     context.Context
		servers lab.Servers
		dir     string
	}{
		"no policy published": {t.Context(), lab.Servers{NATS: b.server.ClientURL(), Root: b.root}, t.TempDir()},
		"canceled":            {canceled, lab.Servers{NATS: b.server.ClientURL(), Root: b.root}, t.TempDir()},
		"no root":             {t.Context(), lab.Servers{NATS: b.server.ClientURL()}, t.TempDir()},
		"no directory":        {t.Context(), lab.Servers{NATS: b.server.ClientURL(), Root: b.root}, filepath.Join(file, "\x00")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := lab.NewDevice(c.ctx, c.servers, c.dir); err == nil {
				t.Error("no error")
			} else if c.ctx == canceled && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
