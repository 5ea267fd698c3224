package volume

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	return command.NewList(s, Noun, command.Doc{
		Short: "List volumes",
		Long:  "List volumes. SIZE is what is used, as it was last measured.",
		Example: `  warren volume list
  warren volume list --label env=production -o wide`,
	})
}
