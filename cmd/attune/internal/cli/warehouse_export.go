package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// exportOptions are the flags of "attune warehouse export".
type exportOptions struct {
	view, format, out string
	since, until      string
	origins           []string
	json              bool
}

func newWarehouseExport(s *settings) *cobra.Command {
	var o exportOptions
	views := strings.Join(warehouse.ViewNames(), ", ")
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a view as Parquet or CSV",
		Long: "Writes one of the views for people (" + views + ").\n" +
			"What the views do not show, such as groups of fewer reports than privacy.minCell, is not exported either. A file appears\n" +
			"under its name when it is complete. However large the answer, a bounded part of it is in memory.",
		Example: "  attune warehouse export --view segments --since 2026-11-01 --out segments.parquet\n" +
			"  attune warehouse export --view cells_daily --format csv | head",
		RunE: func(cmd *cobra.Command, _ []string) error {
			export, err := o.export()
			if err != nil {
				return err
			}
			if o.out == "" && export.Format == warehouse.FormatParquet && terminal(s.out) {
				return usageError{errors.New("Parquet is not for a terminal: give --out FILE, or --format csv")} //nolint:staticcheck // a name
			}
			backends, err := loop.Open(cmd.Context(), s.config, loop.NeedWarehouse|loop.AsItIs, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			var rows uint64
			var written atomic.Int64
			write := func(out io.Writer) (err error) {
				defer s.watch(func() string { return fmt.Sprintf("%d KiB written", written.Load()>>10) })()
				rows, err = backends.Warehouse.Export(cmd.Context(), export, countedWriter{out, &written})
				return err
			}
			if o.out == "" {
				return write(s.out)
			}
			size, err := writeWhole(o.out, write)
			if err != nil {
				return err
			}
			if o.json {
				return json.NewEncoder(s.out).Encode(map[string]any{"view": o.view, "file": o.out, "format": export.Format, "rows": rows, "bytes": size})
			}
			fmt.Fprintf(s.out, "%d rows of %s in %s (%d bytes)\n", rows, o.view, o.out, size)
			return nil
		},
	}
	s.warehouseFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.view, "view", "", "the view to write")
	flags.StringVar(&o.format, "format", "", "parquet or csv (default: by the name of the file, else parquet)")
	flags.StringVar(&o.out, "out", "", "the file to write (default: standard output)")
	flags.StringVar(&o.since, "since", "", "first day, as 2026-11-23 (default: all there are)")
	flags.StringVar(&o.until, "until", "", "first day left out")
	originFlag(cmd, &o.origins, []string{"call"}, "call")
	flags.BoolVar(&o.json, "json", false, "tell what was written as JSON; needs --out")
	return cmd
}

// countedWriter counts what is written.
type countedWriter struct {
	out   io.Writer
	bytes *atomic.Int64
}

func (c countedWriter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// export turns the flags into what is to be written; every error is one of usage.
func (o *exportOptions) export() (warehouse.Export, error) {
	e := warehouse.Export{View: o.view, Format: warehouse.Format(o.format)}
	views := warehouse.ViewNames()
	if !slices.Contains(views, o.view) {
		return e, usageError{fmt.Errorf("--view %q, want one of %s", o.view, strings.Join(views, ", "))}
	}
	if o.format == "" {
		e.Format = warehouse.FormatParquet
		if strings.EqualFold(filepath.Ext(o.out), ".csv") {
			e.Format = warehouse.FormatCSV
		}
	}
	if e.Format != warehouse.FormatParquet && e.Format != warehouse.FormatCSV {
		return e, usageError{fmt.Errorf("--format %q, want parquet or csv", o.format)}
	}
	if o.json && o.out == "" {
		return e, usageError{errors.New("--json needs --out: the export itself goes to standard output")}
	}
	var err error
	if e.Origins, err = parseOrigins(o.origins); err != nil {
		return e, err
	}
	for _, bound := range []struct {
		flag, text string
		day        *time.Time
	}{{"since", o.since, &e.Since}, {"until", o.until, &e.Until}} {
		if bound.text == "" {
			continue
		}
		if *bound.day, err = time.Parse(time.DateOnly, bound.text); err != nil {
			return e, usageError{fmt.Errorf("--%s: %q is not a day, such as 2026-11-23", bound.flag, bound.text)}
		}
	}
	if !e.Since.IsZero() && !e.Until.IsZero() && !e.Since.Before(e.Until) {
		return e, usageError{fmt.Errorf("--since %s is not before --until %s", o.since, o.until)}
	}
	if err := e.Validate(); err != nil {
		return e, usageError{err}
	}
	return e, nil
}

// writeWhole writes a file that appears under its name only when it is complete and on the disk, and returns its size.
func writeWhole(path string, write func(io.Writer) error) (size int64, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if err := write(file); err != nil {
		return 0, err
	}
	if size, err = file.Seek(0, io.SeekEnd); err == nil {
		err = errors.Join(file.Chmod(0o644), file.Sync(), file.Close())
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	return size, nil
}
