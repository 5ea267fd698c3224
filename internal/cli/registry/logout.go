package registry

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newLogout(s *command.Shell) *cobra.Command {
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short:   "Forget registries and their passwords",
			Example: `  warren registry logout registry.example.com`,
		},
		Verb: "logout", Doing: "Forgetting",
		Do: func(ctx context.Context, c *client.Client, host string) (string, error) {
			r, err := c.Images.DeleteRegistry(ctx, &warrenv1.DeleteRegistryRequest{Host: host})
			return fmt.Sprintf("Registry %s forgotten", r.GetHost()), err
		},
	})
	cmd.Use = "logout HOST..."
	return cmd
}
