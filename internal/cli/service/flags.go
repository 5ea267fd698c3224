package service

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secret"
	"github.com/cuemby/warren/internal/cli/volume"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"
)

// serviceFlags are what a person says of a service, new or not.
type serviceFlags struct {
	image       string
	replicas    uint32
	volumes     []string
	secrets     []string
	unmount     string
	env         []string
	labels      []string
	user        string
	stopTimeout time.Duration
	network     string
	publish     []string
	history     uint32
	constraints []string
	mode        string
	update      updateFlags
	health      healthFlags
	limits      limitFlags
}

func (f *serviceFlags) bind(s *command.Shell, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "`IMAGE` to run, as Docker writes it: postgres:15")
	flags.Uint32Var(&f.replicas, "replicas", 1, "`NUMBER` of tasks")
	flags.StringArrayVar(&f.constraints, "constraint", nil, "`CONDITION` on the node: node.labels.KEY==VALUE, !=, node.name or node.id (repeatable)")
	flags.StringArrayVar(&f.volumes, "volume", nil, "`NAME:/PATH[:ro][:nocopy][:exclusive]`: a volume at a path of the container, where {{.Slot}} in the name is the task's slot; or type=bind,source=/PATH,target=/PATH[,readonly]: a path of the node (repeatable)")
	flags.StringArrayVar(&f.secrets, "secret", nil, "`NAME`, or source=NAME,target=PATH,uid=N,gid=N,mode=0400,on-change=ACTION: a secret below /run/secrets. Its new versions: none (tasks keep theirs until they are replaced), update (the file is replaced), signal:HUP (that, and a signal), restart (the tasks are replaced, and come back to the old version when one fails) (repeatable)")
	flags.StringVar(&f.unmount, "unmount-secrets-on", "never", "`WHEN`: healthy takes a container's secrets away once its health check has succeeded; or never")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "`NAME=VALUE`: an environment variable; for what is secret use --secret (repeatable)")
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "label: `KEY=VALUE` (repeatable)")
	flags.StringVarP(&f.user, "user", "u", "", "`USER[:GROUP]`, by name or number: who runs it (default: as the image says)")
	flags.DurationVar(&f.stopTimeout, "stop-timeout", spec.DefaultStopTimeout, "`TIME` from SIGTERM to SIGKILL")
	flags.StringVar(&f.network, "network", "bridge", "`MODE`: bridge, host or none")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "`[[ADDRESS:]HOST_PORT:]PORT[/udp]`: a port of the node that leads to one of the container; without HOST_PORT one is chosen (repeatable)")
	flags.Uint32Var(&f.history, "history", spec.DefaultHistory, "`NUMBER` of earlier specs to keep for a rollback")
	f.update.bind(cmd)
	f.health.bind(cmd)
	f.limits.bind(cmd)
	for flag, words := range map[string]command.Completion{
		"volume":             command.Complete(s, volume.Noun, true),
		"secret":             command.Complete(s, secret.Noun, true),
		"unmount-secrets-on": cobra.FixedCompletions([]string{"healthy", "never"}, cobra.ShellCompDirectiveNoFileComp),
		"network":            cobra.FixedCompletions([]string{"bridge", "host", "none"}, cobra.ShellCompDirectiveNoFileComp),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, words)
	}
}

// request makes the argument of a call that creates a service; what can be
// said without a manager is said here.
func (f *serviceFlags) request(cmd *cobra.Command, namespace, name string, args []string) (*warrenv1.CreateServiceRequest, error) {
	if f.image == "" {
		return nil, command.Usagef(cmd, "service %q names no image: --image is required", name)
	}
	r := &warrenv1.CreateServiceRequest{
		Name:   name,
		Labels: map[string]string{},
		Spec:   &warrenv1.ServiceSpec{Replicas: f.replicas, Container: &warrenv1.ContainerSpec{Args: args}},
	}
	mode, err := spec.ParseMode(f.mode)
	if err != nil {
		return nil, err
	}
	r.Spec.Mode = mode
	if spec.IsGlobal(r.Spec) && !cmd.Flags().Changed("replicas") {
		r.Spec.Replicas = 0
	}
	if err := f.apply(cmd.Flags(), r.Spec, r.Labels); err != nil {
		return nil, err
	}
	spec.DefaultService(r)
	r.Namespace = namespace
	return r, spec.ValidateService(r)
}

// apply writes what was said into a spec and its labels; what was not said
// stays as it is. Of lists, elements are added, in place of those with the same
// name, or path.
func (f *serviceFlags) apply(flags *pflag.FlagSet, s *warrenv1.ServiceSpec, labels map[string]string) error {
	c := s.Container
	set := map[string]func() error{
		"image":        func() error { c.Image = f.image; return nil },
		"replicas":     func() error { s.Replicas = f.replicas; return nil },
		"user":         func() error { c.User = f.user; return nil },
		"stop-timeout": func() error { c.StopTimeout = durationpb.New(f.stopTimeout); return nil },
		"network":      func() (err error) { c.Network, err = spec.ParseNetwork(f.network); return err },
		"constraint":   func() error { return addAll(&s.Constraints, f.constraints, asTyped, asIs) },
		"history":      func() error { s.History = &f.history; return nil },
		"env":          func() error { return addAll(&c.Env, f.env, spec.ParseEnv, (*warrenv1.EnvVar).GetName) },
		"volume": func() error {
			return addAll(&c.Volumes, f.volumes, spec.ParseVolumeMount, (*warrenv1.VolumeMount).GetPath)
		},
		"unmount-secrets-on": func() (err error) {
			c.UnmountSecrets, err = spec.ParseUnmount(f.unmount)
			return err
		},
		"secret": func() error { return addAll(&c.Secrets, f.secrets, spec.ParseSecretMount, spec.SecretTarget) },
		"publish": func() error {
			return addAll(&c.Ports, f.publish, spec.ParsePublished, func(p *warrenv1.PublishedPort) string {
				return fmt.Sprint(p.GetContainerPort(), p.GetProtocol())
			})
		},
		"label": func() error { return addLabels(labels, f.labels) },
	}
	var failed error
	flags.Visit(func(flag *pflag.Flag) {
		if set := set[flag.Name]; set != nil && failed == nil {
			failed = set()
		}
	})
	if failed != nil {
		return failed
	}
	if err := f.health.apply(flags, c); err != nil {
		return err
	}
	if err := f.limits.apply(flags, c); err != nil {
		return err
	}
	return f.update.apply(flags, s)
}

// addAll adds what the arguments say to a list. An element of before with the
// same key gives its place to the new one; two of the arguments may be alike,
// for the rules of the spec to judge.
func addAll[T any](list *[]T, args []string, parse func(string) (T, error), key func(T) string) error {
	before := len(*list)
	for _, arg := range args {
		one, err := parse(arg)
		if err != nil {
			return err
		}
		at := -1
		for i, old := range (*list)[:before] {
			if key(old) == key(one) {
				at = i
			}
		}
		if at < 0 {
			*list = append(*list, one)
		} else {
			(*list)[at] = one
		}
	}
	return nil
}

func asTyped(text string) (string, error) { return text, nil }

func asIs(text string) string { return text }

func addLabels(labels map[string]string, args []string) error {
	more, err := spec.ParseLabels(args)
	for key, value := range more {
		labels[key] = value
	}
	return err
}
