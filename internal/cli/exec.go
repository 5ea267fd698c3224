package cli

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/task"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newExec(s *command.Shell) *cobra.Command {
	var (
		env   []string
		start warrenv1.ExecStart
	)
	cmd := &cobra.Command{
		Use:   "exec TASK -- COMMAND [ARG...]",
		Short: "Run a command in a running task",
		Long: `Run a command in a running task, and end with its exit code.

With -t it has a terminal, -i passes what is typed or piped in; a shell needs
both: -it.`,
		Example: `  warren exec -it postgres-task-1 -- psql -U postgres
  warren exec postgres-task-1 -- cat /run/secrets/db-password`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := command.Names(spec.KindTask, 1, 0)(cmd, args[:min(1, len(args))]); err != nil {
				return err
			}
			if len(commandOf(args)) == 0 {
				return command.Usagef(cmd, "nothing to run in task %q", args[0])
			}
			return nil
		},
		ValidArgsFunction:     command.Complete(s, task.Noun, false),
		DisableFlagsInUseLine: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if start.Tty && start.Stdin && !command.Terminal(s.In) {
			return command.Usagef(cmd, "-t and -i together need a terminal, and standard input is none")
		}
		for _, arg := range env {
			e, err := spec.ParseEnv(arg)
			if err != nil {
				return err
			}
			start.Env = append(start.Env, e)
		}
		start.Task, start.Args = &warrenv1.Ref{NameOrId: args[0]}, commandOf(args)
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			return runExec(ctx, s, c, &start)
		})(cmd, args)
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what stands behind TASK is the command's
	flags.BoolVarP(&start.Tty, "tty", "t", false, "give it a terminal")
	flags.BoolVarP(&start.Stdin, "interactive", "i", false, "pass standard input to it")
	flags.StringArrayVarP(&env, "env", "e", nil, "`NAME=VALUE`: an environment variable (repeatable)")
	flags.StringVarP(&start.User, "user", "u", "", "`USER[:GROUP]`, by name or number: who runs it")
	flags.StringVarP(&start.Workdir, "workdir", "w", "", "`DIRECTORY` where it runs")
	return cmd
}

// commandOf is what stands behind the task's name, with or without "--".
func commandOf(args []string) []string {
	rest := args[1:]
	if len(rest) > 0 && rest[0] == "--" {
		return rest[1:]
	}
	return rest
}
