package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what the services of this process count, and the page where Prometheus reads it. A nil Metrics counts
// nothing.
type Metrics struct {
	registry *prometheus.Registry
	server   *http.Server
	ended    chan struct{}
	// Address is where the page is served: /metrics.
	Address string
}

// ServeMetrics serves the page at an address until Close. An empty address serves nothing: the Metrics is nil.
func ServeMetrics(address string, log *slog.Logger) (*Metrics, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w; choose another address with the key \"metrics\" or --metrics", err)
	}
	m := &Metrics{registry: prometheus.NewRegistry(), ended: make(chan struct{}), Address: listener.Addr().String()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	m.server = &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 1 << 14,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it names the addresses of clients
	}
	go func() {
		defer close(m.ended)
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "err", err)
		}
	}()
	return m, nil
}

// Registerer takes the metrics of a part; nil of a nil Metrics.
func (m *Metrics) Registerer() prometheus.Registerer {
	if m == nil {
		return nil
	}
	return m.registry
}

// Close ends the page.
func (m *Metrics) Close() error {
	if m == nil {
		return nil
	}
	err := m.server.Close()
	<-m.ended
	return err
}
