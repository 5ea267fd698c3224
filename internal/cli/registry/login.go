package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// maxPassword is longer than any token that registries give out, in bytes.
const maxPassword = 64 << 10

func newLogin(s *command.Shell) *cobra.Command {
	var (
		r        warrenv1.SetRegistryRequest
		caFile   string
		fromPipe bool
	)
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "Remember how to speak to a registry",
		Long: `Remember how to speak to a registry: as whom, with which CA, or over plain HTTP.
The password is kept as a Warren secret. On a terminal it is asked for; it is
never an argument, which others could see.`,
		Example: `  warren registry login registry.example.com --username deploy --password-stdin < token
  warren registry login registry.example.com:5000 --ca-file ca.pem`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Usagef(cmd, "%q needs the host of one registry", cmd.CommandPath())
			}
			return spec.RegistryHost(args[0])
		},
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Host = args[0]
		if err := check(cmd, &r, caFile, fromPipe); err != nil {
			return err
		}
		if caFile != "" {
			var err error
			if r.CaCertificate, err = os.ReadFile(caFile); err != nil {
				return fmt.Errorf("read the CA certificate of %s: %w", r.Host, err)
			}
		}
		password, err := readPassword(cmd, s, &r, fromPipe)
		if err != nil {
			return err
		}
		if password != nil {
			defer password.Destroy()
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			return login(ctx, s, c, &r, password)
		})(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVarP(&r.Username, "username", "u", "", "`NAME` of who logs in")
	flags.BoolVar(&fromPipe, "password-stdin", false, "the password is what is piped in")
	flags.StringVar(&caFile, "ca-file", "", "`PATH` of the registry's own CA, in PEM")
	flags.BoolVar(&r.PlainHttp, "plain-http", false, "speak HTTP without TLS: passwords and images can be read and changed on the way")
	return cmd
}

func check(cmd *cobra.Command, r *warrenv1.SetRegistryRequest, caFile string, fromPipe bool) error {
	switch {
	case fromPipe && r.Username == "":
		return command.Usagef(cmd, "--password-stdin needs --username")
	case r.Username == "" && caFile == "" && !r.PlainHttp:
		return command.Usagef(cmd, "nothing to remember of registry %q: give --username, --ca-file or --plain-http", r.Host)
	case caFile != "" && r.PlainHttp:
		return command.Usagef(cmd, "--ca-file and --plain-http exclude one another")
	}
	return nil
}

// readPassword reads it from a pipe or asks for it; nil without a user name.
func readPassword(cmd *cobra.Command, s *command.Shell, r *warrenv1.SetRegistryRequest, fromPipe bool) (*seal.Plaintext, error) {
	if r.Username == "" {
		return nil, nil
	}
	var text []byte
	var err error
	switch {
	case fromPipe:
		text, err = io.ReadAll(io.LimitReader(s.In, maxPassword+1))
	case command.Terminal(s.In):
		text, err = s.AskSecret(fmt.Sprintf("Password of %s at %s: ", r.Username, r.Host))
	default:
		return nil, command.Usagef(cmd, "there is no terminal to ask for the password: give --password-stdin")
	}
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	password := bytes.TrimRight(text, "\r\n")
	if len(password) == 0 || len(password) > maxPassword {
		return nil, &command.Usage{
			Message: fmt.Sprintf("the password has %d bytes; it takes 1 to %d", len(password), maxPassword),
			Hint:    "pipe the password in",
		}
	}
	return seal.PlaintextFrom(password)
}

func login(ctx context.Context, s *command.Shell, c *client.Client, r *warrenv1.SetRegistryRequest, password *seal.Plaintext) error {
	var known *warrenv1.Registry
	err := s.Wait(ctx, "Remembering registry "+r.Host, func(ctx context.Context) error {
		if password != nil {
			cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
			if err != nil {
				return err
			}
			info := seal.ToClusterRegistryInfo(cluster.GetId(), r.Host)
			sealed, err := seal.SealTo(cluster.GetSealingKey(), info, password)
			if err != nil {
				return err
			}
			r.Password = &warrenv1.SealedItem{Ciphertext: sealed}
		}
		err := spec.ValidateRegistry(r)
		if err == nil {
			known, err = c.Images.SetRegistry(ctx, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "Registry %s remembered\n", known.GetHost())
	return err
}
