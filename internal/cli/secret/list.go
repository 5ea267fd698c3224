package secret

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	return command.NewList(s, Noun, command.Doc{
		Short: "List secrets",
		Long:  "List secrets. Their values are never shown.",
		Example: `  warren secret list
  warren secret list --label app=postgres`,
	})
}
