package service

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newCreate(s *command.Shell) *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "create NAME --image IMAGE [-- COMMAND ARG...]",
		Short: "Create a service",
		Long: `Create a service: a number of tasks, each a container of the same image.

A volume that does not exist is created; a secret has to exist. What stands
behind -- replaces the command of the image.`,
		Example: `  warren service create postgres --image postgres:15 \
    --volume db-data:/var/lib/postgresql/data \
    --secret db-password --env POSTGRES_PASSWORD_FILE=/run/secrets/db-password
  warren service create web --image nginx --replicas 3 --publish 8080:80
  warren service create cache --image redis --constraint node.labels.zone==a
  warren service create exporter --image exporter --mode global
  warren service create hello --image busybox --replicas 3 -- sleep 1000`,
		Args: func(cmd *cobra.Command, args []string) error {
			return nameAndCommand(cmd, args, "create "+firstOf(args)+" --image IMAGE")
		},
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
	}
	created := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := f.request(cmd, spec.Namespace(s.Namespace), args[0], args[1:])
		if err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var answer *warrenv1.CreateServiceResponse
			err := s.Wait(ctx, "Creating service "+r.Name, func(ctx context.Context) (err error) {
				answer, err = c.Services.CreateService(ctx, r)
				return err
			})
			if err != nil {
				return err
			}
			s.Warn(answer.GetWarnings())
			return created.Show(s, view.NewService(answer.GetService()), "created")
		})(cmd, args)
	}
	f.bind(s, cmd)
	cmd.Flags().StringVar(&f.mode, "mode", "replicated", "`MODE`: replicated (--replicas tasks) or global (one task on each node)")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{"replicated", "global"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// nameAndCommand takes one name, and anything behind "--"; verb is how it is
// typed up to there.
func nameAndCommand(cmd *cobra.Command, args []string, verb string) error {
	names := args
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		names = args[:dash]
	}
	if len(names) > 1 {
		return &command.Usage{
			Message: "the command of a service stands behind --",
			Hint:    "warren service " + verb + " -- " + command.Quote(append(names[1:], args[len(names):]...)),
		}
	}
	return command.Names(spec.KindService, 1, 1)(cmd, names)
}
