package cli

import "github.com/spf13/cobra"

func newCtr(ctr func(args []string) error) *cobra.Command {
	return &cobra.Command{
		Use:   "ctr ARG...",
		Short: "Run containerd's own client against this machine's containers",
		Example: `  sudo warren ctr containers list
  sudo warren ctr tasks exec -t --exec-id debug TASK-ID sh
  sudo warren ctr --run-dir /run/other containers list`,
		// All flags are ctr's.
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return ctr(args) },
	}
}
