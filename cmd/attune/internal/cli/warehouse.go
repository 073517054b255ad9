package cli

import "github.com/spf13/cobra"

func newWarehouse(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "warehouse",
		GroupID: groupData,
		Short:   "Query, export and look after the calls in ClickHouse",
		Example: "  attune warehouse status --data out/demo\n" +
			"  attune warehouse query poor_networks\n" +
			"  attune warehouse export --view segments --since 2026-11-01 --out segments.parquet",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWarehouseQuery(s), newWarehouseExport(s), newWarehouseStatus(s), newWarehouseMigrate(s), newWarehouseDDL(s))
	return cmd
}
