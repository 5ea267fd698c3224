package node

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	return command.NewList(s, Noun, command.Doc{
		Short:   "List nodes",
		Example: `  warren node list -o wide`,
	})
}
