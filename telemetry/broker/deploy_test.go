package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

const shipped = "../../deploy/nats/"

// The embedded and the shipped server give the same rights.
func TestShippedAccountsAreTheEmbeddedOnes(t *testing.T) {
	embedded, err := os.ReadFile("accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(shipped + "accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(embedded, other) {
		t.Error("deploy/nats/accounts.conf differs: copy telemetry/broker/accounts.conf there")
	}
}

// shippedServer is nats-server as its main function makes it from a file of deploy/nats.
type shippedServer struct {
	*server.Server
	options *server.Options
	store   string
}

func setEnvironment(t *testing.T, store string) {
	t.Helper()
	for _, role := range []string{"OPERATOR", "INGEST", "EDGE", "PUBLISHER"} {
		t.Setenv("ATTUNE_NATS_"+role, "secret-of-"+strings.ToLower(role))
	}
	t.Setenv("ATTUNE_NATS_STORE", store)
	t.Setenv("ATTUNE_NATS_LISTEN", "127.0.0.1:-1")
	t.Setenv("ATTUNE_NATS_WEBSOCKET", "127.0.0.1:-1")
}

func startShipped(t *testing.T, file string, change func(*server.Options)) *shippedServer {
	t.Helper()
	s := &shippedServer{store: filepath.Join(t.TempDir(), "store")}
	setEnvironment(t, s.store)
	options, err := server.ProcessConfigFile(shipped + file)
	if err != nil {
		t.Fatal(err)
	}
	s.options = options
	options.NoSigs = true
	if change != nil {
		change(options)
	}
	if s.Server, err = server.NewServer(options); err != nil {
		t.Fatal(err)
	}
	s.ConfigureLogger()
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the shipped configuration does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func (s *shippedServer) as(role string) string {
	return strings.Replace(s.ClientURL(), "://", "://"+role+":secret-of-"+role+"@", 1)
}

func TestShippedConfigurationKeepsItsPromises(t *testing.T) {
	s := startShipped(t, "attune.conf", nil)
	o := s.options
	if !o.SyncAlways {
		t.Error("what is acknowledged is not on disk")
	}
	if o.HTTPPort != 0 || o.HTTPSPort != 0 || o.ProfPort != 0 || s.MonitorAddr() != nil {
		t.Error("monitoring is open")
	}
	if o.LogFile != os.DevNull || o.Syslog || o.RemoteSyslog != "" || o.Debug || o.Trace || o.TraceVerbose {
		t.Errorf("a log is kept: %q", o.LogFile)
	}
	if o.MaxClosedClients != 1 {
		t.Errorf("%d addresses of clients that have gone are remembered", o.MaxClosedClients)
	}
	if o.LeafNode.Port != 0 || o.Gateway.Port != 0 || o.Cluster.Port != 0 || o.MQTT.Port != 0 || o.Websocket.Port != 0 {
		t.Error("more ports are open than that of clients")
	}
	if o.MaxPayload < 1<<20 || o.MaxPayload > 1<<20 {
		t.Errorf("largest message %d, the embedded server takes 1 MiB", o.MaxPayload)
	}
	d := s.deployed(t)
	d.readAndWatch()
	d.hearNothing()
	d.changeNothing()
	d.answers()
}

func (s *shippedServer) deployed(t *testing.T) *deployment {
	t.Helper()
	_, operator := connect(t, s.as("operator"))
	return deploy(t, s.ClientURL(), operator)
}

// TestShippedConfigurationKeepsNothingOfClients gives the server a log that keeps all it would say, to see that there
// would be something to hide, and then looks at the files it really writes.
func TestShippedConfigurationKeepsNothingOfClients(t *testing.T) {
	s := startShipped(t, "attune.conf", nil)
	d := s.deployed(t)
	d.from(clientAddress)
	s.Shutdown()
	s.WaitForShutdown()
	if files := searchFiles(t, s.store, []string{clientAddress, clientName, clientUser, "berta"}); files < 5 {
		t.Errorf("only %d files searched", files)
	}

	log := filepath.Join(t.TempDir(), "log")
	loud := startShipped(t, "attune.conf", func(o *server.Options) { o.LogFile = log })
	loud.deployed(t).from(clientAddress)
	loud.Shutdown()
	loud.WaitForShutdown()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{clientAddress, clientName, clientUser, clientSubject} {
		if !strings.Contains(string(text), secret) {
			t.Errorf("a log would not contain %q: is there a reason left for not keeping one?", secret)
		}
	}
}

func TestShippedConfigurationNeedsItsPasswords(t *testing.T) {
	setEnvironment(t, t.TempDir())
	if err := os.Unsetenv("ATTUNE_NATS_EDGE"); err != nil { // t.Setenv brings it back
		t.Fatal(err)
	}
	if _, err := server.ProcessConfigFile(shipped + "attune.conf"); err == nil || !strings.Contains(err.Error(), "ATTUNE_NATS_EDGE") {
		t.Errorf("without a password: %v", err)
	}
}

// TestRolesCanDoTheirWorkAndNoMore has each role do its part over the network, and what it may not do.
func TestRolesCanDoTheirWorkAndNoMore(t *testing.T) {
	s := startShipped(t, "attune.conf", nil)
	role := func(name string) (*nats.Conn, jetstream.JetStream, *faults) {
		refused := new(faults)
		conn, js := connect(t, s.as(name), nats.ErrorHandler(refused.add))
		return conn, js, refused
	}
	refuse := func(conn *nats.Conn, refused *faults, subjects ...string) {
		t.Helper()
		for _, subject := range subjects {
			if answer, err := conn.Request(subject, nil, 30*time.Millisecond); err == nil {
				t.Errorf("%s was answered: %s", subject, answer.Data)
			}
			if seen := refused.take(); len(seen) != 1 || !errors.Is(seen[0], nats.ErrPermissionViolation) {
				t.Errorf("%s: refused with %v", subject, seen)
			}
		}
	}
	ctx := t.Context()

	publisherConn, publisher, publisherRefused := role("publisher")
	store := delivery.NewNATSStore(publisher)
	for _, content := range []string{"first", "second"} { // the second replaces objects and keys
		for _, name := range []string{"timestamp.json", "targets/0123.model"} {
			if err := store.Put(ctx, name, []byte(content)); err != nil {
				t.Fatal(err)
			}
			if got, err := store.Get(ctx, name, 100); err != nil || string(got) != content {
				t.Errorf("get %s: %q, %v", name, got, err)
			}
		}
	}
	if seen := publisherRefused.now(); len(seen) != 0 {
		t.Errorf("a publisher is refused %v", seen)
	}

	ingestConn, ingest, ingestRefused := role("ingest")
	stream, err := broker.EnsureStream(ctx, ingest)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := ingest.CreateOrUpdateConsumer(ctx, telemetry.Stream, jetstream.ConsumerConfig{Durable: "ingest", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}

	// An edge has a side in each account: the gate takes reports from clients and answers them.
	edgeConn, edge, edgeRefused := role("edge")
	gateRefused := new(faults)
	gateConn, _ := connect(t, broker.GateURL(s.as("edge")), nats.ErrorHandler(gateRefused.add))
	if _, err := gateConn.QueueSubscribe(telemetry.EdgeSubject, "edge", func(m *nats.Msg) {
		ack, err := edge.Publish(context.WithoutCancel(ctx), telemetry.PackSubject, m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		if err := m.Respond([]byte(ack.Stream)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := gateConn.Flush(); err != nil {
		t.Fatal(err)
	}
	client, _ := connect(t, s.ClientURL())
	for range 3 {
		if answer, err := client.Request(telemetry.EdgeSubject, []byte("report"), 5*time.Second); err != nil || string(answer.Data) != telemetry.Stream {
			t.Fatalf("an edge answers %v, %v", answer, err)
		}
	}
	if seen := append(edgeRefused.now(), gateRefused.now()...); len(seen) != 0 {
		t.Errorf("an edge is refused %v", seen)
	}

	batch, err := consumer.Fetch(3, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for m := range batch.Messages() {
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
		taken++
	}
	if info, err := stream.Info(ctx); err != nil || taken != 3 || info.State.Msgs != 0 {
		t.Errorf("%d taken: %+v, %v", taken, info, err)
	}
	// A report of a newer schema that came in a pack goes back to the stream by itself.
	if _, err := ingest.Publish(ctx, telemetry.Subject, []byte("newer")); err != nil {
		t.Error(err)
	}
	if seen := ingestRefused.now(); len(seen) != 0 {
		t.Errorf("ingest is refused %v", seen)
	}

	refuse(publisherConn, publisherRefused, telemetry.Subject, "$JS.API.STREAM.INFO.CALLS", "$JS.API.STREAM.DELETE.CALLS",
		"$JS.API.STREAM.DELETE.KV_ATTUNE_POLICY", "$JS.API.CONSUMER.CREATE.CALLS.x", "$SYS.REQ.ACCOUNT.ATTUNE.CONNZ")
	refuse(ingestConn, ingestRefused, telemetry.PackSubject, "$JS.API.STREAM.DELETE.CALLS", "$JS.API.STREAM.PURGE.CALLS",
		"$JS.API.STREAM.MSG.GET.CALLS", "$KV.ATTUNE_POLICY.timestamp.json", "$JS.API.STREAM.CREATE.SPY", "$SYS.REQ.ACCOUNT.ATTUNE.CONNZ")
	refuse(edgeConn, edgeRefused, "$JS.API.STREAM.INFO.CALLS", "$JS.API.STREAM.DELETE.CALLS", "$JS.API.CONSUMER.CREATE.CALLS.x",
		"$KV.ATTUNE_POLICY.timestamp.json", "_INBOX.somebody", "$SYS.REQ.ACCOUNT.ATTUNE.CONNZ")
	for _, subject := range []string{
		telemetry.Subject, telemetry.EdgeSubject, telemetry.PackSubject, "$JS.API.STREAM.INFO.CALLS", "policy.info", "$SYS.REQ.ACCOUNT.CLIENTS.CONNZ",
	} {
		if err := errors.Join(gateConn.Publish(subject, nil), gateConn.Flush()); err != nil {
			t.Fatal(err)
		}
		if seen := gateRefused.take(); len(seen) != 1 || !errors.Is(seen[0], nats.ErrPermissionViolation) {
			t.Errorf("a gate publishes on %s: refused with %v", subject, seen)
		}
	}
	operatorConn, _, operatorRefused := role("operator")
	refuse(operatorConn, operatorRefused, "$SYS.REQ.ACCOUNT.ATTUNE.CONNZ", "$SYS.REQ.SERVER.PING.CONNZ")
	for _, subject := range []string{"$JS.EVENT.>", "$SYS.>"} {
		if _, err := operatorConn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if seen := operatorRefused.take(); len(seen) != 1 || !errors.Is(seen[0], nats.ErrPermissionViolation) {
			t.Errorf("the operator listening to %s: refused with %v", subject, seen)
		}
	}
}

// The configuration for the Internet speaks TLS only, on both ports.
func TestPublicConfiguration(t *testing.T) {
	cert, key, pool := certificate(t)
	t.Setenv("ATTUNE_NATS_CERT", cert)
	t.Setenv("ATTUNE_NATS_KEY", key)
	s := startShipped(t, "public.conf", nil)
	secure := nats.Secure(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	_, operator := connect(t, s.as("operator"), secure)
	if _, err := broker.EnsureStream(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{s.ClientURL(), s.WebsocketURL()} {
		_, js := connect(t, url, secure)
		if _, err := js.Publish(t.Context(), telemetry.Subject, []byte("report")); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if conn, err := nats.Connect(s.ClientURL()); err == nil {
		conn.Close()
		t.Error("connected without trust in the certificate")
	}
	if strings.HasPrefix(s.WebsocketURL(), "ws://") {
		t.Error("WebSocket without TLS")
	}
}

// certificate makes a key and a certificate for 127.0.0.1 and returns their files.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(
		os.WriteFile(certFile, certPEM, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}
