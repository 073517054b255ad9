package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/attune-calls/attune/cmd/attune/internal/cli"
	"github.com/attune-calls/attune/codec/wav"
)

// TestMain makes "attune" a command of this test binary, for scripts and for tests that need it as a process, and
// "nats-server", the real one with a configuration file.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"attune":      func() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"nats-server": func() { os.Exit(natsServer(os.Args[1])) },
	})
}

// natsServer does what the main function of nats-server does with -c file.
func natsServer(file string) int {
	options, err := server.ProcessConfigFile(file)
	if err == nil {
		var s *server.Server
		if s, err = server.NewServer(options); err == nil {
			s.ConfigureLogger()
			err = server.Run(s)
			s.WaitForShutdown()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats-server:", err)
		return 1
	}
	return 0
}

// TestScripts runs what people type, bad input above all: each script states the exit status and what is said.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts found: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0") // for scripts that want a port they cannot have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the scripts, which run in parallel
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		e.Setenv("TAKEN_PORT", port)
		return writeNoise(filepath.Join(e.WorkDir, "noise.wav"))
	}})
}

// writeNoise writes two seconds of noise, which are coded with every action of a catalogue sooner than speech is.
func writeNoise(path string) error {
	w, err := wav.Create(path)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, 2*48_000)
	for i := range pcm {
		pcm[i] = int16(3000 * random.NormFloat64())
	}
	return errors.Join(w.Write(pcm), w.Close())
}
