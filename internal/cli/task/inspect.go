package task

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short: "Show tasks: where they run, or why they do not",
		Example: `  warren task inspect postgres-task-1
  warren task inspect postgres-task-1 -o json`,
	})
}
