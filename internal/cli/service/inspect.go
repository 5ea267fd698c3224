package service

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short: "Show services: their volumes, secrets and tasks, and why one does not run",
		Example: `  warren service inspect postgres
  warren service inspect postgres -o json`,
	})
}
