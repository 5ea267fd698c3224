package node

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short:   "Show nodes: what they are and have",
		Example: `  warren node inspect worker-1`,
	})
}
