package namespace

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	return command.NewList(s, Noun, command.Doc{
		Short: "List namespaces, and what is in them",
		Example: `  warren namespace list
  warren namespace list -o json`,
	})
}

func newInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, Noun, command.Doc{
		Short:   "Show what a namespace has and may have",
		Example: `  warren namespace inspect prod`,
	})
}

func newDelete(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short:   "Delete namespaces that nothing is in",
			Example: `  warren namespace delete prod`,
		},
		Verb: "delete", Doing: "Deleting",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			_, err := c.Spaces.DeleteNamespace(ctx, &warrenv1.DeleteNamespaceRequest{Name: name})
			return "Namespace " + name + " deleted", err
		},
	})
}
