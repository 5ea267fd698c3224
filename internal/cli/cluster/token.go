package cluster

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

const defaultTTL = 24 * time.Hour

var nodeRoles = map[string]warrenv1.Role{"manager": warrenv1.Role_ROLE_MANAGER, "worker": warrenv1.Role_ROLE_WORKER}

// shownToken is a new token for programs.
type shownToken struct {
	Token     string    `json:"token"`
	ID        string    `json:"id"`
	Role      string    `json:"role"`
	Client    string    `json:"client,omitempty"`
	SingleUse bool      `json:"single_use"`
	ExpiresAt time.Time `json:"expires_at"`
	Command   string    `json:"command"`
}

func newJoinToken(s *command.Shell) *cobra.Command {
	var ttl time.Duration
	r := &warrenv1.CreateTokenRequest{}
	cmd := &cobra.Command{
		Use:   "join-token manager|worker",
		Short: "Make a token with which machines join",
		Long: `Make a token with which machines join the cluster, and show it once. The
cluster keeps a hash of it only.

The token names the cluster's certificate authority, so a machine that joins
says the token's secret to a manager of this cluster and to nobody else.`,
		Example: `  warren cluster join-token worker
  warren cluster join-token manager --ttl 1h --single-use
  warren cluster join-token worker --rotate`,
		Args:      oneOf("role", "manager", "worker"),
		ValidArgs: []string{"manager", "worker"},
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		r.Role, r.Ttl = nodeRoles[args[0]], durationpb.New(ttl)
		verb := map[string]string{"manager": "manager join", "worker": "worker start"}[args[0]]
		return makeToken(ctx, s, c, r, args[0], *format, func(token string) string {
			return fmt.Sprintf("sudo warren %s --token %s --manager %s", verb, token, managerAddress(ctx, c))
		})
	})
	flags := cmd.Flags()
	flags.DurationVar(&ttl, "ttl", defaultTTL, "for how long it can be used")
	flags.BoolVar(&r.SingleUse, "single-use", false, "it admits one machine")
	flags.BoolVar(&r.Rotate, "rotate", false, "end all earlier tokens for the same role")
	return cmd
}

// makeToken has a token noted and shows it with the command that uses it.
func makeToken(ctx context.Context, s *command.Shell, c *client.Client, r *warrenv1.CreateTokenRequest,
	role string, format command.Format, use func(token string) string) error {
	var shown shownToken
	err := s.Wait(ctx, "Making a token", func(ctx context.Context) error {
		token, row, err := c.NewToken(ctx, r)
		if err != nil {
			return err
		}
		shown = shownToken{
			Token: token.Reveal(), ID: token.ID, Role: role, Client: row.GetClient(),
			SingleUse: row.GetSingleUse(), ExpiresAt: row.GetExpiresAt().AsTime(),
		}
		shown.Command = use(shown.Token)
		return nil
	})
	if err != nil {
		return err
	}
	if format != command.Table && format != command.Wide {
		return format.Encode(s.Out, shown)
	}
	fmt.Fprintf(s.Out, "%s\n", shown.Token)
	fmt.Fprintf(s.Err, "\nIt can be used until %s. To use it:\n\n  %s\n", shown.ExpiresAt.In(s.Zone).Format("2006-01-02 15:04:05"), shown.Command)
	return nil
}

// managerAddress is where other machines reach a manager, as far as it is
// known.
func managerAddress(ctx context.Context, c *client.Client) string {
	nodes, err := c.Nodes.ListNodes(ctx, &warrenv1.Filter{})
	if err == nil {
		for _, n := range nodes.GetNodes() {
			if n.GetAddress() != "" {
				return n.GetAddress()
			}
		}
	}
	return "HOST:PORT"
}
