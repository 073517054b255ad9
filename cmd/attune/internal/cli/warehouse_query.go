package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

func newWarehouseQuery(s *settings) *cobra.Command {
	var list, asJSON, sql bool
	origin := "call"
	cmd := &cobra.Command{
		Use:   "query NAME",
		Short: "Answer one of the example queries",
		Long: "Runs a query of docs/queries.md against ClickHouse and prints the answer. The queries read the views for people, which\n" +
			"show nothing about fewer reports than privacy.minCell. --sql prints a query instead, to copy and change.",
		Example: "  attune warehouse query --list\n" +
			"  attune warehouse query poor_networks --clickhouse clickhouse://reader:secret@db:9000/attune\n" +
			"  attune warehouse query ratings_by_network --json",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case list && len(args) > 0:
				return usageError{errors.New("--list takes no query")}
			case list:
				return s.listQueries(asJSON)
			case len(args) == 0:
				return usageError{errors.New("name a query; --list names them all")}
			}
			q, err := findQuery(args[0])
			if err != nil {
				return err
			}
			from, err := telemetry.ParseOrigin(origin)
			if err != nil {
				return usageError{fmt.Errorf("--origin: %w", err)}
			}
			q = q.Of(from)
			if sql {
				fmt.Fprintln(s.out, q.SQL)
				return nil
			}
			backends, err := loop.Open(cmd.Context(), s.config, loop.NeedWarehouse|loop.AsItIs, 0, s.log)
			if err != nil {
				return err
			}
			defer func() { _ = backends.Close() }()
			answer, err := backends.Warehouse.Ask(cmd.Context(), q)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(answerJSON(q, answer))
			}
			if from != telemetry.OriginCall {
				fmt.Fprintf(s.err, "note: of calls with the origin %v, not of real ones\n", from)
			}
			fmt.Fprintf(s.out, "%s\n\n%s", q.Title, answer)
			return nil
		},
	}
	s.warehouseFlags(cmd)
	cmd.Flags().StringVar(&origin, "origin", origin, "where the calls took place: call, simulation or import")
	cmd.Flags().BoolVar(&list, "list", false, "list the queries")
	cmd.Flags().BoolVar(&sql, "sql", false, "print the SQL of the query and do not run it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// warehouseFlags are the flags of a verb that uses ClickHouse only.
func (s *settings) warehouseFlags(cmd *cobra.Command) {
	clickhouse := cmd.Flags().String("clickhouse", "", "external ClickHouse, clickhouse://user:password@host:9000/database (default: a managed child)")
	data := s.dataFlag(cmd)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		override(cmd, "clickhouse", clickhouse, &s.config.ClickHouse)
		override(cmd, "data", data, &s.config.Data)
		return nil
	}
}

func findQuery(name string) (warehouse.Query, error) {
	var names []string
	for _, q := range warehouse.Queries() {
		if q.Name == name {
			return q, nil
		}
		names = append(names, q.Name)
	}
	return warehouse.Query{}, usageError{fmt.Errorf("no query %q, want one of %s", name, strings.Join(names, ", "))}
}

func (s *settings) listQueries(asJSON bool) error {
	if asJSON {
		type item struct {
			Name  string `json:"name"`
			Title string `json:"title"`
			About string `json:"about"`
			SQL   string `json:"sql"`
		}
		var items []item
		for _, q := range warehouse.Queries() {
			items = append(items, item(q))
		}
		return json.NewEncoder(s.out).Encode(items)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, q := range warehouse.Queries() {
		fmt.Fprintf(table, "%s\t%s\n", q.Name, q.Title)
	}
	return table.Flush()
}

// answerJSON is an answer for programs: one object per row. JSON has no NaN: what could not be calculated is null.
func answerJSON(q warehouse.Query, answer warehouse.Table) any {
	rows := make([]map[string]any, len(answer.Rows))
	for i, values := range answer.Rows {
		rows[i] = make(map[string]any, len(values))
		for j, value := range values {
			column := answer.Columns[j]
			switch v := value.(type) {
			case time.Time:
				value = column.Text(v)
			case float64:
				if math.IsNaN(v) || math.IsInf(v, 0) {
					value = nil
				}
			}
			rows[i][column.Name] = value
		}
	}
	return map[string]any{"name": q.Name, "title": q.Title, "rows": rows}
}
