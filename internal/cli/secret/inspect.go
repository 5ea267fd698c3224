package secret

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short: "Show secrets: their size and who uses them, never the value",
		Example: `  warren secret inspect db-password
  warren secret inspect db-password -o json`,
	})
}
