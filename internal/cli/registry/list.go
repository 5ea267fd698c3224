package registry

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	return command.NewList(s, Noun, command.Doc{
		Short:   "List the registries that something is known of",
		Example: `  warren registry list`,
	})
}
