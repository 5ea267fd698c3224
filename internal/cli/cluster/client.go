package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

var clientRoles = map[string]warrenv1.Role{"admin": warrenv1.Role_ROLE_ADMIN, "reader": warrenv1.Role_ROLE_READER}

func newClientToken(s *command.Shell) *cobra.Command {
	var ttl time.Duration
	r := &warrenv1.CreateTokenRequest{}
	cmd := &cobra.Command{
		Use:   "client-token admin|reader NAME",
		Short: "Make a token with which a person or a program gets a certificate",
		Long: `Make a token with which one person or program gets a certificate of its own,
and show it once. A reader may look at everything but secrets' values; an admin
may do everything that a user can.`,
		Example: `  warren cluster client-token reader grafana
  warren cluster client-token admin alice --ttl 1h`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return command.Usagef(cmd, "want a role and a name")
			}
			return oneOf("role", "admin", "reader")(cmd, args[:1])
		},
		ValidArgs: []string{"admin", "reader"},
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		r.Role, r.Client, r.Ttl = clientRoles[args[0]], args[1], durationpb.New(ttl)
		return makeToken(ctx, s, c, r, args[0], *format, func(token string) string {
			return fmt.Sprintf("warren init --token %s --manager %s", token, managerAddress(ctx, c))
		})
	})
	cmd.Flags().DurationVar(&ttl, "ttl", defaultTTL, "for how long it can be used, once")
	return cmd
}

// shownClient is a client for programs.
type shownClient struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

var clients = command.Noun[shownClient]{
	Kind: "client",
	ID:   func(v shownClient) string { return v.ID },
	Name: func(v shownClient) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]shownClient, error) {
		r, err := c.Joining.ListClients(ctx, &warrenv1.Filter{Labels: labels})
		out := make([]shownClient, len(r.GetClients()))
		for i, row := range r.GetClients() {
			out[i] = shownClient{row.GetMeta().GetId(), row.GetMeta().GetName(),
				strings.ToLower(strings.TrimPrefix(row.GetRole().String(), "ROLE_")), row.GetMeta().GetCreatedAt().AsTime()}
		}
		return out, err
	},
	Columns: []command.Column[shownClient]{
		command.Text("NAME", func(v shownClient) string { return v.Name }),
		command.Text("ROLE", func(v shownClient) string { return v.Role }),
		command.Age("CREATED", func(v shownClient) time.Time { return v.CreatedAt }),
	},
}

func newClients(s *command.Shell) *cobra.Command {
	cmd := command.NewList(s, clients, command.Doc{
		Short:   "List the people and programs that have certificates",
		Example: `  warren cluster clients`,
	})
	cmd.Use, cmd.Aliases = "clients", nil
	return cmd
}

func newClientRevoke(s *command.Shell) *cobra.Command {
	cmd := command.NewAction(s, clients, command.Action{
		Doc: command.Doc{
			Short:   "Make a person's or program's certificate worth nothing, at once",
			Example: `  warren cluster client-revoke alice`,
		},
		Verb: "client-revoke", Doing: "Revoking",
		Question: func(names string) string { return fmt.Sprintf("Revoke the certificate of %s?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Joining.RevokeClient(ctx, &warrenv1.Ref{NameOrId: name})
			return fmt.Sprintf("The certificate of %s is revoked", r.GetMeta().GetName()), err
		},
	})
	return cmd
}

// oneOf wants one argument, which is one of the words.
func oneOf(what string, words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && slices.Contains(words, args[0]) {
			return nil
		}
		return command.Usagef(cmd, "the %s is one of: %s", what, strings.Join(words, ", "))
	}
}
