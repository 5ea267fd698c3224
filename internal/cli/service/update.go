package service

import (
	"context"
	"fmt"
	"maps"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
)

func newUpdate(s *command.Shell) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:   "update NAME [-- COMMAND ARG...]",
		Short: "Change a service; its tasks are replaced some at a time",
		Long: `Change a service. What is not named stays as it is: --env, --label, --volume,
--secret, --publish and --constraint add to what there is, or take the place of what has the
same name, path or port; the flags that end in -rm take away. What stands behind
-- replaces the command; with nothing behind it the image's own is used again.

When the change concerns the container or the constraints, the tasks are replaced some at a time,
and the command shows how far that is. Ctrl-C leaves it to go on by itself, as
--detach does. Where two tasks would write to the same volume, the old one is
stopped first; otherwise the new one has to be up first. When a new task fails,
the update is paused: repeat it to go on, or go back with service rollback.`,
		Example: `  warren service update web --image web:2
  warren service update web --replicas 5 --env LEVEL=debug --env-rm OLD
  warren service update web --update-parallelism 2 --update-failure-action rollback
  warren service update web --constraint node.labels.disk==ssd
  warren service update postgres --force-recreate`,
		ValidArgsFunction:     command.Complete(s, Noun, false),
		DisableFlagsInUseLine: true,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		return nameAndCommand(cmd, args, "update "+firstOf(args))
	}
	out := newOutcome(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			before, err := c.Services.GetService(ctx, &warrenv1.Ref{NameOrId: args[0]})
			if err != nil {
				return err
			}
			r, err := f.request(cmd, before, args[1:])
			if err != nil {
				return err
			}
			return out.follow(ctx, s, c, "Updating", before, func(ctx context.Context) (*warrenv1.UpdateServiceResponse, error) {
				return c.Services.UpdateService(ctx, r)
			})
		})(cmd, args)
	}
	f.bind(s, cmd)
	return cmd
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return "NAME"
	}
	return args[0]
}

// changeFlags are what a person changes of a service.
type changeFlags struct {
	serviceFlags
	recreate bool
	more     []*addition
	fewer    []*removal
}

// addition is a flag that says what another one says too.
type addition struct {
	flag string
	args []string
}

// removal is a flag whose words name what is to go.
type removal struct {
	flag, what string
	args       []string
	// from takes it out of a spec or its labels; false when it is not there.
	from func(*warrenv1.ServiceSpec, map[string]string, string) bool
}

func (f *changeFlags) bind(s *command.Shell, cmd *cobra.Command) {
	f.serviceFlags.bind(s, cmd)
	flags := cmd.Flags()
	withoutDefaults(flags)
	flags.BoolVar(&f.recreate, "force-recreate", false, "replace the tasks even if nothing changes, with the newest versions of their secrets")
	for _, flag := range []string{"constraint", "env", "label", "volume", "secret", "publish"} {
		a := &addition{flag: flag}
		f.more = append(f.more, a)
		flags.StringArrayVar(&a.args, a.flag+"-add", nil, "`VALUE`: the same as --"+a.flag)
	}
	f.fewer = removals()
	for _, r := range f.fewer {
		flags.StringArrayVar(&r.args, r.flag, nil, r.what+" to take away (repeatable)")
	}
}

// request makes the call's argument of a service as it is and what was said.
func (f *changeFlags) request(cmd *cobra.Command, before *warrenv1.Service, args []string) (*warrenv1.UpdateServiceRequest, error) {
	r := &warrenv1.UpdateServiceRequest{
		Ref:      &warrenv1.Ref{NameOrId: before.GetMeta().GetId()},
		Revision: max(before.GetRevision(), 1), ForceRecreate: f.recreate,
		Spec: proto.CloneOf(before.GetSpec()), Labels: maps.Clone(before.GetMeta().GetLabels()),
	}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	for _, gone := range f.fewer {
		for _, word := range gone.args {
			if !gone.from(r.Spec, r.Labels, word) {
				return nil, &command.Usage{
					Message: fmt.Sprintf("--%s %s: service %q has none", gone.flag, word, before.GetMeta().GetName()),
					Hint:    "warren service inspect " + before.GetMeta().GetName(),
				}
			}
		}
	}
	for _, a := range f.more {
		for _, arg := range a.args {
			if err := cmd.Flags().Set(a.flag, arg); err != nil {
				return nil, err
			}
		}
	}
	if cmd.ArgsLenAtDash() >= 0 {
		r.Spec.Container.Args = slices.Clone(args)
	}
	return r, f.apply(cmd.Flags(), r.Spec, r.Labels)
}

// outcome is how a verb that replaces tasks shows what came of it.
type outcome struct {
	*command.Created[view.Service]
	detach bool
}

func newOutcome(cmd *cobra.Command) *outcome {
	o := &outcome{Created: command.NewCreated(cmd, Noun)}
	cmd.Flags().BoolVarP(&o.detach, "detach", "d", false, "do not wait until the tasks are replaced")
	return o
}

// follow makes the change and shows how the tasks follow it.
func (o *outcome) follow(ctx context.Context, s *command.Shell, c *client.Client, doing string, before *warrenv1.Service,
	change func(context.Context) (*warrenv1.UpdateServiceResponse, error)) error {
	name := before.GetMeta().GetName()
	var answer *warrenv1.UpdateServiceResponse
	err := s.Wait(ctx, doing+" service "+name, func(ctx context.Context) (err error) {
		answer, err = change(ctx)
		return err
	})
	if err != nil {
		return err
	}
	after := answer.GetService()
	s.Warn(answer.GetWarnings())
	switch {
	case after.GetRevision() == before.GetRevision() && after.GetRollout() == before.GetRollout():
		return o.Show(s, view.NewService(after), "is as it was: nothing changes")
	case after.GetRollout() == before.GetRollout():
		return o.Show(s, view.NewService(after), fmt.Sprintf("updated: revision %d", after.GetRevision()))
	case o.detach:
		return o.Show(s, view.NewService(after), fmt.Sprintf("is being updated to revision %d", after.GetRevision()))
	}
	after, err = followUpdate(ctx, s, c, doing, after, o.ForPeople())
	if err != nil {
		return err
	}
	return o.Show(s, view.NewService(after), fmt.Sprintf("updated: revision %d", after.GetRevision()))
}
