package volume

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short: "Show volumes: where they are, how full, who uses them",
		Example: `  warren volume inspect db-data
  warren volume inspect db-data -o json`,
	})
}
