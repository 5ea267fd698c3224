package service

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secret"
	"github.com/cuemby/warren/internal/cli/volume"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// serviceFlags are what a person says of a new service.
type serviceFlags struct {
	image       string
	replicas    uint32
	volumes     []string
	secrets     []string
	env         []string
	labels      []string
	user        string
	stopTimeout time.Duration
	network     string
}

func (f *serviceFlags) bind(s *command.Shell, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.image, "image", "", "`IMAGE` to run, as Docker writes it: postgres:15 (required)")
	flags.Uint32Var(&f.replicas, "replicas", 1, "`NUMBER` of tasks")
	flags.StringArrayVar(&f.volumes, "volume", nil, "`NAME:/PATH[:ro][:nocopy]`: a volume at a path of the container (repeatable)")
	flags.StringArrayVar(&f.secrets, "secret", nil, "`NAME`, or source=NAME,target=PATH: a secret below /run/secrets (repeatable)")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "`NAME=VALUE`: an environment variable; for what is secret use --secret (repeatable)")
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "label: `KEY=VALUE` (repeatable)")
	flags.StringVarP(&f.user, "user", "u", "", "`USER[:GROUP]`, by name or number: who runs it (default: as the image says)")
	flags.DurationVar(&f.stopTimeout, "stop-timeout", spec.DefaultStopTimeout, "`TIME` from SIGTERM to SIGKILL")
	flags.StringVar(&f.network, "network", "bridge", "`MODE`: bridge, host or none")
	for flag, words := range map[string]command.Completion{
		"volume":  command.Complete(s, volume.Noun, true),
		"secret":  command.Complete(s, secret.Noun, true),
		"network": cobra.FixedCompletions([]string{"bridge", "host", "none"}, cobra.ShellCompDirectiveNoFileComp),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, words)
	}
}

// request makes the call's argument; what can be said without a manager is
// said here.
func (f *serviceFlags) request(cmd *cobra.Command, name string, args []string) (*warrenv1.CreateServiceRequest, error) {
	if f.image == "" {
		return nil, command.Usagef(cmd, "service %q names no image: --image is required", name)
	}
	labels, err := spec.ParseLabels(f.labels)
	if err != nil {
		return nil, err
	}
	network, err := spec.ParseNetwork(f.network)
	if err != nil {
		return nil, err
	}
	container := &warrenv1.ContainerSpec{
		Image:       f.image,
		Args:        args,
		User:        f.user,
		StopTimeout: durationpb.New(f.stopTimeout),
		Network:     network,
	}
	if container.Volumes, err = parseAll(f.volumes, spec.ParseVolumeMount); err != nil {
		return nil, err
	}
	if container.Secrets, err = parseAll(f.secrets, spec.ParseSecretMount); err != nil {
		return nil, err
	}
	if container.Env, err = parseAll(f.env, spec.ParseEnv); err != nil {
		return nil, err
	}
	r := &warrenv1.CreateServiceRequest{
		Name:   name,
		Labels: labels,
		Spec:   &warrenv1.ServiceSpec{Container: container, Replicas: f.replicas},
	}
	spec.DefaultService(r)
	return r, spec.ValidateService(r)
}

func parseAll[T any](args []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, arg := range args {
		one, err := parse(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
