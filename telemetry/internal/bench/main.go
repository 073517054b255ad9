// Command bench measures what telemetry costs and carries: the sink, the way from a client to a query, a client's own
// part, and the memory of ingest. It prints a table and writes JSON. Rivals are measured in the same run, in turns where
// that is possible, because a shared machine is never as fast twice. Timings are no tests: a missed goal is told, with by
// how much and where the processor time went, and is no failure. A report lost or stored without an acknowledgement is.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

// options are the flags.
type options struct {
	out, parts, profile, dir, role string
	backlog                        uint64
	lasting                        time.Duration
}

func run() int {
	var o options
	flag.StringVar(&o.out, "out", "", "file for the figures as JSON; empty writes none")
	flag.StringVar(&o.parts, "parts", "sink,client,end,backlog", "what to measure")
	flag.Uint64Var(&o.backlog, "backlog", 5_000_000, "reports in the backlog; 5 million take about 8 GB of disk and some minutes")
	flag.DurationVar(&o.lasting, "seconds", 15*time.Second, "how long each load lasts")
	flag.StringVar(&o.profile, "profile", "", "directory for processor profiles of the servers; empty takes none")
	flag.StringVar(&o.dir, "dir", "", "directory for a temporary one with everything the servers keep (default: the system's)")
	flag.StringVar(&o.role, "role", "", "for the program's own use")
	flag.Parse()
	if o.role != "" {
		if err := runChild(o.role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", o.role+":", err)
			return 1
		}
		return 0
	}
	if flag.NArg() > 0 || o.lasting <= 0 || o.backlog == 0 {
		fmt.Fprintln(os.Stderr, "bench: no arguments, and flags above 0, are wanted")
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func measure(ctx context.Context, o *options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "attune-bench-")
	if err != nil {
		return err
	}
	defer func() { err = closing(err, func() error { return os.RemoveAll(dir) }) }()
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
	}
	fleet, err := newFleet(1)
	if err != nil {
		return err
	}
	r := &report{When: time.Now().UTC().Truncate(time.Second), Machine: map[string]string{
		"processors": fmt.Sprint(runtime.NumCPU()), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH,
	}}
	for part := range strings.SplitSeq(o.parts, ",") {
		fmt.Fprintf(os.Stderr, "bench: %s ...\n", part)
		own := filepath.Join(dir, part)
		switch part {
		case "sink":
			err = benchSink(ctx, own, r)
		case "client":
			err = benchClient(r)
		case "end":
			err = benchEndToEnd(ctx, &endToEnd{dir: own, fleet: fleet, lasting: o.lasting, profile: o.profile}, r)
		case "backlog":
			err = benchBacklog(ctx, own, fleet, o.backlog, o.profile, r)
		default:
			err = fmt.Errorf("no part is called %q: want some of sink, client, end, backlog", part)
		}
		if err == nil {
			err = os.RemoveAll(own)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return r.write(o.out)
}
