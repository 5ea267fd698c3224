// Package nodeflags has the flags of the verbs that run a node. What they say
// is handed to whoever runs one; the command line itself cannot.
package nodeflags

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Options is what a person decides when a node is started. An empty field
// means: as it was set before, else the default that help names.
type Options struct {
	// DataDir and RunDir are absolute.
	DataDir, RunDir string
	// ListenAddr, AdvertiseAddr and MetricsAddr are host:port.
	ListenAddr, AdvertiseAddr, MetricsAddr string
	// Containerd is the path of an existing containerd's socket.
	Containerd string
	// NetworkSubnet is the tasks': IPv4, such as 172.29.0.0/16.
	NetworkSubnet string
	NodeName      string
	// LogLevel is debug, info, warn or error; LogFormat is text or json.
	LogLevel, LogFormat string
	// Managers are where a node that joins, or a worker, asks first.
	Managers []string
	// ManagerOnly makes a node that runs no containers.
	ManagerOnly bool
	// Rejoin has a manager take over the others' state in the place of its own.
	Rejoin bool
	// Autolock makes a cluster whose unlock key no manager keeps.
	Autolock bool
	// UnlockKeyFile is where `cluster init` writes the unlock key, if anywhere.
	UnlockKeyFile string
	// BootID stands in for the kernel's, so that a reboot can be rehearsed.
	BootID string
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

// Run makes a verb of what runs a node.
func Run(cmd *cobra.Command, run func(context.Context, Options) error) { runNode(cmd, run) }

func runNode(cmd *cobra.Command, run func(context.Context, Options) error) {
	var o Options
	o.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(cmd); err != nil {
			return err
		}
		if os.Geteuid() != 0 {
			return needRoot(cmd)
		}
		// The node's files are its own, whoever's umask started it.
		unix.Umask(0o022)
		return run(cmd.Context(), o)
	}
}

func (o *Options) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.DataDir, "data-dir", "", "`PATH` of what must outlive everything: state, keys, volumes (default /var/lib/warren)")
	flags.StringVar(&o.RunDir, "run-dir", "", "`PATH` of what need not outlive a reboot: sockets, secrets in memory (default /run/warren)")
	flags.StringVar(&o.ListenAddr, "listen-addr", "", "`HOST:PORT` where the API is served (default 0.0.0.0:8080)")
	flags.StringVar(&o.AdvertiseAddr, "advertise-addr", "", "`HOST:PORT` where others reach it (default: this machine's address)")
	flags.StringVar(&o.MetricsAddr, "metrics-addr", "", "`HOST:PORT` of /health, /ready and /metrics (default 127.0.0.1:9180)")
	flags.StringVar(&o.Containerd, "containerd", "", "`ADDRESS` of a containerd to use instead of the one inside")
	flags.StringVar(&o.NetworkSubnet, "network-subnet", "", "`SUBNET` of this node's tasks, IPv4 (default: one that this machine does not use, such as 172.29.0.0/16)")
	flags.StringVar(&o.NodeName, "node-name", "", "`NAME` of this node (default: the host's name)")
	flags.StringVar(&o.LogLevel, "log-level", "", "least `LEVEL` that is logged: "+strings.Join(logLevels, ", ")+" (default info)")
	flags.StringVar(&o.LogFormat, "log-format", "", "`FORMAT` of the log: "+strings.Join(logFormats, ", ")+" (default text)")
	flags.StringVar(&o.BootID, "boot-id", "", "`ID` of this boot of the machine, to rehearse a reboot")
	_ = flags.MarkHidden("boot-id")
	for flag, words := range map[string][]string{"log-level": logLevels, "log-format": logFormats} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// needRoot says how to become who may run containers.
func needRoot(cmd *cobra.Command) error {
	words := append([]string{"sudo", "warren"}, os.Args[1:]...)
	return &client.Error{
		Code:    client.Denied,
		Message: fmt.Sprintf("%q runs containers, which takes root", cmd.CommandPath()),
		Hint:    command.Quote(words),
	}
}

func (o *Options) check(cmd *cobra.Command) error {
	for flag, addr := range map[string]string{
		"listen-addr": o.ListenAddr, "advertise-addr": o.AdvertiseAddr, "metrics-addr": o.MetricsAddr,
	} {
		if err := hostPort(addr); addr != "" && err != nil {
			return command.Usagef(cmd, "--%s %q is not HOST:PORT: %v", flag, addr, err)
		}
	}
	if subnet, err := netip.ParsePrefix(o.NetworkSubnet); o.NetworkSubnet != "" && (err != nil || !subnet.Addr().Is4() || subnet.Bits() > 29) {
		return command.Usagef(cmd, "--network-subnet %q is not an IPv4 network with room for 6 addresses, such as 172.29.0.0/16", o.NetworkSubnet)
	}
	if o.LogLevel != "" && !slices.Contains(logLevels, o.LogLevel) {
		return command.Usagef(cmd, "--log-level %q is not one of %s", o.LogLevel, strings.Join(logLevels, ", "))
	}
	if o.LogFormat != "" && !slices.Contains(logFormats, o.LogFormat) {
		return command.Usagef(cmd, "--log-format %q is not one of %s", o.LogFormat, strings.Join(logFormats, ", "))
	}
	for _, dir := range []*string{&o.DataDir, &o.RunDir} {
		if *dir == "" {
			continue
		}
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("find %s: %w", *dir, err)
		}
		*dir = absolute
	}
	return nil
}

func hostPort(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	_, err = net.LookupPort("tcp", port)
	return err
}

// BindLeaving makes a verb of what ends a node's membership: it is told where
// the node's data is, and nothing else of how the node runs.
func BindLeaving(cmd *cobra.Command, run func(context.Context, Options) error) {
	o := Options{LogLevel: "warn"}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "`PATH` of the node's data (default /var/lib/warren)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if os.Geteuid() != 0 {
			return needRoot(cmd)
		}
		return run(cmd.Context(), o)
	}
}
