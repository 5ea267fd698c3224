// Package cli is the command line of Warren: the nouns and verbs, each verb in
// a file of its own. What they have in common is in command; what they show is
// in view.
package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cuemby/warren/internal/cli/cluster"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/image"
	"github.com/cuemby/warren/internal/cli/manager"
	"github.com/cuemby/warren/internal/cli/namespace"
	"github.com/cuemby/warren/internal/cli/node"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/cuemby/warren/internal/cli/registry"
	"github.com/cuemby/warren/internal/cli/secret"
	"github.com/cuemby/warren/internal/cli/service"
	"github.com/cuemby/warren/internal/cli/task"
	"github.com/cuemby/warren/internal/cli/volume"
	"github.com/cuemby/warren/internal/cli/worker"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// NodeOptions is what the flags of the verbs that run a node say.
type NodeOptions = nodeflags.Options

// Restore is what `cluster restore` asks for.
type Restore = cluster.Restore

// Standing is what a stopped manager has, for whoever recovers it.
type Standing = cluster.Standing

// Hooks are what the command line cannot do through a manager.
type Hooks struct {
	// Init creates a cluster and runs its first node until ctx ends.
	Init func(ctx context.Context, o NodeOptions) error
	// Start runs a node that was set up before until ctx ends.
	Start func(ctx context.Context, o NodeOptions) error
	// JoinManager runs a manager until ctx ends, which joins first.
	JoinManager nodeflags.Join
	// Worker runs a worker until ctx ends; the token lets it join first.
	Worker nodeflags.Join
	// Leave takes this machine's node out of its cluster.
	Leave func(ctx context.Context, o NodeOptions, force bool) (Departure, error)
	// Restore makes a manager of a backup, and says what to do next.
	Restore cluster.RunRestore
	// Recover makes a stopped manager the only one of its cluster.
	Recover cluster.RunRecover
	// Ctr runs containerd's own client, with these arguments, against the
	// containerd of this machine's node; there is no such verb when nil.
	Ctr func(args []string) error
}

// Main runs the command line that this process was started with and returns
// its exit code. The first SIGINT or SIGTERM ends it in order, the second at
// once.
func Main(h Hooks) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return command.Exit(os.Stderr, New(h).ExecuteContext(ctx))
}

// New makes the command `warren`.
func New(h Hooks) *cobra.Command {
	s := command.NewShell()
	root := command.Group("warren", "Run containers whose storage can be trusted",
		volume.New(s),
		secret.New(s),
		service.New(s),
		task.New(s),
		node.New(s),
		image.New(s),
		registry.New(s),
		namespace.New(s),
		cluster.New(s, h.Init, h.Restore, h.Recover),
		manager.New(s, h.Start, h.JoinManager),
		worker.New(s, h.Worker),
		newInit(s),
		newLeave(s, h.Leave),
		newExec(s),
		newEvents(s),
		newAudit(s),
		newTop(s),
		newVersion(s),
		newCompletion(s),
	)
	if h.Ctr != nil {
		root.AddCommand(newCtr(h.Ctr))
	}
	root.Long = `Warren runs containers on a few Linux machines, with volumes that stay where
their data is and secrets that are never on a disk in the clear.`
	root.Example = `  sudo warren cluster init
  warren volume create db-data
  echo -n "mySecurePassword" | warren secret create db-password --from-stdin
  warren service create postgres --image postgres:15 \
    --volume db-data:/var/lib/postgresql/data \
    --secret db-password --env POSTGRES_PASSWORD_FILE=/run/secrets/db-password`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(command.FlagError)
	root.PersistentFlags().StringVar(&s.Manager, "manager", os.Getenv(client.AddressVariable),
		"`ADDRESS` of the manager to ask, or of several, with commas: HOST:PORT or unix:///PATH (default: $"+client.AddressVariable+", then "+client.DefaultSocket+", then "+client.DefaultAddress+")")
	root.PersistentFlags().BoolVar(&s.Stale, "stale", false, "let the asked manager answer from what it has, which may be behind; works without a leader")
	root.PersistentFlags().StringVarP(&s.Namespace, "namespace", "n", os.Getenv(client.NamespaceVariable),
		"`NAME` of the namespace that is meant (default: $"+client.NamespaceVariable+", then default)")
	root.PersistentFlags().Lookup("namespace").DefValue = ""
	root.PersistentFlags().Lookup("manager").DefValue = "" // the text says it better
	return root
}

// usageTemplate is cobra's, shortened: a group has no line of its own.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .Aliases}}

Also:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Everywhere:
{{.InheritedFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

More: {{.CommandPath}} COMMAND --help{{end}}
`
