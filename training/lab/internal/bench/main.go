// Command bench measures the simulation of calls: one-minute calls a second by network and over all of the built-in
// suite, on every core, and the most memory that a comparison of many calls takes. It writes a JSON file that says how
// each figure came about. Nothing is asserted.
//
//	go run ./training/lab/internal/bench -out out/bench/lab.json
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "out/bench/lab.json", "file for the result")
	each := flag.Duration("each", 3*time.Second, "how long each network is measured")
	calls := flag.Int("calls", 100_000, "calls of the comparison whose memory is measured")
	flag.Parse()
	if flag.NArg() > 0 || *each <= 0 || *calls < 1 {
		return errors.New("want no arguments, and -each and -calls above 0")
	}
	result, err := measure(ctx, *each, *calls)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(*out, append(text, '\n'), 0o644); err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(text, '\n'))
	return err
}
