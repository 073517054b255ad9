package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/broker"
)

// operatorsStream is one that its operator has set up with everything there is to choose.
func operatorsStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: telemetry.Stream, Description: "ours", Subjects: []string{telemetry.Subjects},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxBytes: 1 << 20, MaxMsgs: 1000, MaxAge: 40 * 24 * time.Hour, MaxMsgSize: 1 << 19, MaxConsumers: 3,
		MaxMsgsPerSubject: 900, DiscardNewPerSubject: true, Duplicates: 10 * time.Minute, Replicas: 1,
		Compression: jetstream.S2Compression, DenyDelete: true, DenyPurge: true, AllowDirect: true, FirstSeq: 7,
		Metadata: map[string]string{"owner": "the operator"},
	}
}

func ensured(t *testing.T, js jetstream.JetStream, cfg broker.StreamConfig) jetstream.StreamConfig {
	t.Helper()
	if _, err := broker.EnsureStreamWith(t.Context(), js, cfg); err != nil {
		t.Fatal(err)
	}
	return current(t, js)
}

func current(t *testing.T, js jetstream.JetStream) jetstream.StreamConfig {
	t.Helper()
	stream, err := js.Stream(t.Context(), telemetry.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

func TestStreamIsMadeAsConfigured(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{}).OperatorURL())
	got := ensured(t, js, broker.StreamConfig{MaxBytes: 1 << 20, MaxAge: time.Hour})
	if got.MaxBytes != 1<<20 || got.MaxAge != time.Hour || got.Replicas != 1 {
		t.Errorf("made with %d bytes, %v, %d replicas", got.MaxBytes, got.MaxAge, got.Replicas)
	}
	if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	if got := ensured(t, js, broker.StreamConfig{}); got.MaxAge != 90*24*time.Hour || got.MaxBytes != 4<<30 {
		t.Errorf("by default made with %d bytes, %v", got.MaxBytes, got.MaxAge)
	}
}

// A program that starts must not undo what an operator has set.
func TestOperatorsStreamIsLeftAlone(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{}).OperatorURL())
	if _, err := js.CreateStream(t.Context(), operatorsStream()); err != nil {
		t.Fatal(err)
	}
	before := current(t, js)
	var log bytes.Buffer
	after := ensured(t, js, broker.StreamConfig{MaxBytes: 1 << 19, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the stream was changed (-before +after):\n%s", diff)
	}
	if !strings.Contains(log.String(), "nats stream edit CALLS --max-age 2160h") {
		t.Errorf("nothing warns of reports that are deleted too early: %s", log.String())
	}
}

// What would lose reports is corrected, and nothing else with it.
func TestStreamThatWouldLoseReportsIsCorrected(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*jetstream.StreamConfig)
		want  func(*jetstream.StreamConfig)
	}{
		"discards old": {
			func(c *jetstream.StreamConfig) {
				c.Discard, c.DiscardNewPerSubject, c.MaxMsgsPerSubject = jetstream.DiscardOld, false, -1
			},
			func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew },
		},
		"discards old of a subject": {
			func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = false },
			func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true },
		},
		"other subjects": {
			func(c *jetstream.StreamConfig) { c.Subjects = []string{"retired.>"} },
			func(c *jetstream.StreamConfig) { c.Subjects = []string{telemetry.Subjects} },
		},
		"renames": {
			func(c *jetstream.StreamConfig) {
				c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: ">", Destination: "x.>"}
			},
			func(c *jetstream.StreamConfig) { c.SubjectTransform = nil },
		},
		"acknowledges nothing": {
			func(c *jetstream.StreamConfig) { c.NoAck = true },
			func(c *jetstream.StreamConfig) { c.NoAck = false },
		},
		"roll-up": {
			func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false },
			func(c *jetstream.StreamConfig) { c.AllowRollup = false },
		},
		"small messages": {
			func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 },
			func(c *jetstream.StreamConfig) { c.MaxMsgSize = telemetry.MaxReportSize + 1024 },
		},
		"forgets ids": {
			func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
			func(c *jetstream.StreamConfig) { c.Duplicates = broker.DuplicateWindow },
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, js := connect(t, start(t, broker.Config{}).OperatorURL())
			cfg := operatorsStream()
			c.spoil(&cfg)
			if _, err := js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			want := current(t, js)
			c.want(&want)
			if diff := cmp.Diff(want, ensured(t, js, broker.StreamConfig{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestStreamThatCannotBeCorrectedIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*jetstream.StreamConfig){
		"retention is not by work queue":            func(c *jetstream.StreamConfig) { c.Retention = jetstream.LimitsPolicy },
		"in memory":                                 func(c *jetstream.StreamConfig) { c.Storage, c.Compression = jetstream.MemoryStorage, 0 },
		"written to disk after the acknowledgement": func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
	} {
		t.Run(want, func(t *testing.T) {
			_, js := connect(t, start(t, broker.Config{}).OperatorURL())
			cfg := operatorsStream()
			spoil(&cfg)
			if _, err := js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			_, err := broker.EnsureStream(t.Context(), js)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "empty and delete it first") {
				t.Errorf("error %v, want one that says what is wrong and what to do", err)
			}
		})
	}
}

func TestReplicasWithoutAClusterSayWhatToDo(t *testing.T) {
	_, js := connect(t, start(t, broker.Config{}).OperatorURL())
	_, err := broker.EnsureStreamWith(t.Context(), js, broker.StreamConfig{Replicas: 3})
	if err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("three copies on one server: %v", err)
	}
}

// startCluster runs three servers on loopback and returns the URL of one.
func startCluster(t *testing.T) string {
	t.Helper()
	var routes []*url.URL
	var listeners []net.Listener
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, listener)
		routes = append(routes, &url.URL{Scheme: "nats", Host: listener.Addr().String()})
	}
	var client string
	for i, listener := range listeners {
		port := listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes, NoSigs: true, NoLog: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		go s.Start()
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("a server of the cluster does not start")
		}
		client = s.ClientURL()
	}
	return client
}

// Replicas and placement of a stream in a cluster are its operator's, too.
func TestClusteredStreamIsLeftAlone(t *testing.T) {
	_, js := connect(t, startCluster(t))
	cfg := operatorsStream()
	cfg.Replicas, cfg.Placement = 3, &jetstream.Placement{Cluster: "c"}
	createClustered(t, js, cfg)
	before := current(t, js)
	after := ensured(t, js, broker.StreamConfig{})
	if diff := cmp.Diff(before, after); diff != "" || after.Replicas != 3 {
		t.Errorf("%d replicas; -before +after:\n%s", after.Replicas, diff)
	}
	if err := js.DeleteStream(t.Context(), telemetry.Stream); err != nil {
		t.Fatal(err)
	}
	if made := ensured(t, js, broker.StreamConfig{Replicas: 3, MaxBytes: 1 << 20}); made.Replicas != 3 {
		t.Errorf("made with %d replicas, want 3", made.Replicas)
	}
}

// createClustered waits until the cluster has a leader.
func createClustered(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := js.CreateStream(ctx, cfg)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
