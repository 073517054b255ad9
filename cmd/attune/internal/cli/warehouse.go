package cli

import "github.com/spf13/cobra"

func newWarehouse(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "warehouse",
		GroupID: groupData,
		Short:   "Query and export the calls in ClickHouse",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWarehouseQuery(s), newWarehouseExport(s))
	return cmd
}
