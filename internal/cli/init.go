package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

func newInit(s *command.Shell) *cobra.Command {
	var token nodeflags.Token
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Get yourself a certificate of a cluster",
		Long: `Get yourself a certificate of a cluster, with a token that an administrator
made for you. Your key is made here and stays here; both lie in ~/.warren.`,
		Example: `  warren init --token WRNT-1-... --manager 10.0.0.1:8080
  warren init --token-file token --manager 10.0.0.1:8080`,
		Args: command.Names("", 0, 0),
	}
	token.Bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text, err := token.Read(cmd, s.In)
		switch {
		case err != nil:
			return err
		case text == "":
			return command.Usagef(cmd, "--token or --token-file is needed; an administrator makes one with: warren cluster client-token reader NAME")
		case s.Manager == "":
			return command.Usagef(cmd, "--manager is needed: where a manager of the cluster is")
		}
		t, err := pki.ParseToken(text)
		if err != nil {
			return spec.Problemf(spec.Invalid, spec.KindToken, "", "%v", err).WithHint("copy the whole token")
		}
		home, err := pki.UserHome()
		if err != nil {
			return err
		}
		key, err := pki.NewKey()
		if err != nil {
			return err
		}
		a, err := client.Join(cmd.Context(), client.JoinOptions{Manager: s.Manager, Token: t, Key: key})
		if err != nil {
			return err
		}
		defer a.Bundle.Key.Destroy()
		if err := home.Write(a.Bundle); err != nil {
			return err
		}
		role := strings.ToLower(strings.TrimPrefix(a.Role.String(), "ROLE_"))
		fmt.Fprintf(s.Out, "You are %s, %s of cluster %s. Your certificate is in %s\n", a.Name, role, a.ClusterID, home.Dir())
		return nil
	}
	return cmd
}
