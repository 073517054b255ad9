package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

func newWarehouseStatus(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the version of the tables, what they hold, and what the server can do",
		Long: "Looks at the tables and changes nothing. The exit status is 1 when they were made by a newer program, or when\n" +
			"there is something to migrate.",
		Example: "  attune warehouse status --data out/demo\n" +
			"  attune warehouse status --clickhouse clickhouse://reader:secret@db:9000/attune --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			backends, err := loop.Open(cmd.Context(), s.config, loop.NeedWarehouse|loop.AsItIs, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			status, err := backends.Warehouse.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(s.out).Encode(status)
			} else {
				err = printWarehouseStatus(s.out, &status)
			}
			if err == nil && status.Found < status.Known {
				err = fmt.Errorf("the tables have version %d, this program wants %d; run: attune warehouse migrate", status.Found, status.Known)
			}
			return err
		},
	}
	s.warehouseFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printWarehouseStatus(out io.Writer, s *warehouse.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "database\t%s\n", s.Database)
	fmt.Fprintf(w, "server\tClickHouse %s\n", s.Server)
	if s.Cluster != "" {
		fmt.Fprintf(w, "cluster\t%s\n", s.Cluster)
	}
	fmt.Fprintf(w, "version of the tables\t%d (newest: %d)\n", s.Found, s.Known)
	if s.MinCell > 0 {
		fmt.Fprintf(w, "views show groups of\t%d reports or more\n", s.MinCell)
		fmt.Fprintf(w, "reports are kept for\t%d days\n", s.RetentionSeconds/(24*3600))
	}
	for _, t := range s.Tables {
		oldest := "empty"
		if !t.Oldest.IsZero() {
			oldest = "oldest " + t.Oldest.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "table %s\t%d rows, %s, %s\n", t.Name, t.Rows, oldest, t.Engine)
	}
	for _, f := range s.Features {
		has := "yes"
		if !f.Has {
			has = "no: needs ClickHouse " + f.Since
		}
		fmt.Fprintf(w, "%s\t%s\n", f.Name, has)
	}
	return w.Flush()
}

func newWarehouseMigrate(s *settings) *cobra.Command {
	var asJSON, loosen bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring tables and views up to this program and its settings",
		Long: "Makes what is missing and moves the rows of an older version. It may be interrupted and run again, and run by several\n" +
			"programs at once. \"attune up\" and \"attune ingest\" do the same when they start, and nobody else does. A smaller\n" +
			"privacy.minCell or a longer privacy.retention than the tables have breaks a promise to the people whose calls are in\n" +
			"them, so that takes --loosen. The tables of a cluster are made from what \"attune warehouse ddl --cluster\" prints\n" +
			"instead.",
		Example: "  attune warehouse migrate --config attune.yaml --clickhouse clickhouse://owner:secret@db:9000/attune",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			backends, err := loop.Open(ctx, s.config, loop.NeedWarehouse|loop.AsItIs, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			before, err := backends.Warehouse.SchemaVersion(ctx)
			if err != nil {
				return err
			}
			migrate := backends.Warehouse.MigrateWith
			if loosen {
				migrate = backends.Warehouse.Loosen
			}
			stop := s.watch(lasting("migrating"))
			err = migrate(ctx, loop.WarehouseSettings(s.config))
			stop()
			if err != nil {
				return err
			}
			after, err := backends.Warehouse.SchemaVersion(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(map[string]uint32{"before": before, "after": after})
			}
			if before == after {
				fmt.Fprintf(s.out, "the tables have version %d\n", after)
			} else {
				fmt.Fprintf(s.out, "the tables have version %d, before: %d\n", after, before)
			}
			return nil
		},
	}
	s.warehouseFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&loosen, "loosen", false, "allow a smaller k or a longer retention than the tables have")
	return cmd
}

func newWarehouseDDL(s *settings) *cobra.Command {
	var cluster, server string
	cmd := &cobra.Command{
		Use:   "ddl",
		Short: "Print the statements that make tables and views",
		Long: "Prints SQL for an empty database and connects to nothing. With --cluster it is the form for several servers:\n" +
			"replicated tables, and distributed ones over them; it may be applied again after an upgrade of this program or with\n" +
			"other settings.",
		Example: "  attune warehouse ddl --server 18.16\n" +
			"  attune warehouse ddl --cluster calls | clickhouse-client --database attune --multiquery",
		RunE: func(*cobra.Command, []string) error {
			list, err := warehouse.DDL(server, cluster, loop.WarehouseSettings(s.config))
			if err != nil {
				return usageError{err}
			}
			fmt.Fprint(s.out, strings.Join(list, ";\n\n")+";\n")
			return nil
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "name of a cluster of ClickHouse servers")
	cmd.Flags().StringVar(&server, "server", warehouse.CurrentServer, "version of the server")
	return cmd
}
