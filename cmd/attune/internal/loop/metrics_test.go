package loop_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
)

func TestMetricsAreServed(t *testing.T) {
	m, err := loop.ServeMetrics("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "attune_test_total", Help: "Tests."})
	m.Registerer().MustRegister(counter)
	counter.Add(3)
	response, err := http.Get("http://" + m.Address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", response.StatusCode, err)
	}
	for _, want := range []string{"attune_test_total 3", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not on the page", want)
		}
	}
	if _, err := loop.ServeMetrics(m.Address, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("an address that is taken: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if response, err := http.Get("http://" + m.Address + "/metrics"); err == nil {
		_ = response.Body.Close()
		t.Error("still served after Close")
	}
}

// Without an address there is no page, and nothing to check for.
func TestNoMetrics(t *testing.T) {
	m, err := loop.ServeMetrics("", slog.New(slog.DiscardHandler))
	if err != nil || m != nil || m.Registerer() != nil || m.Close() != nil {
		t.Errorf("%v, %v", m, err)
	}
}
