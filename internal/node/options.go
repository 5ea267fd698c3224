package node

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/cuemby/warren/internal/spec"

	"github.com/cuemby/warren/internal/worker/network"
)

// Options is what a person decides when a node is started. Empty fields mean:
// as it was set before, else the default.
type Options struct {
	DataDir, RunDir                        string
	ListenAddr, AdvertiseAddr, MetricsAddr string
	// Containerd is the address of an existing containerd; empty runs our own.
	Containerd string
	// NetworkSubnet is the tasks': IPv4, such as 172.29.0.0/16; empty has one
	// chosen that this machine does not use.
	NetworkSubnet string
	NodeName      string
	// LogLevel is debug, info, warn or error; LogFormat is text or json.
	LogLevel, LogFormat string
	// Managers are where a worker asks first, host:port.
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

// Defaults of a node.
const (
	DefaultDataDir     = "/var/lib/warren"
	DefaultRunDir      = "/run/warren"
	DefaultListenAddr  = "0.0.0.0:8080"
	DefaultMetricsAddr = "127.0.0.1:9180"
)

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// settings merges what was typed now, what was settled at init, and defaults.
func (o Options) settings(before Settings) (Settings, error) {
	host, err := os.Hostname()
	if err != nil {
		return Settings{}, fmt.Errorf("read the host's name: %w", err)
	}
	s := before
	s.RunDir = first(o.RunDir, before.RunDir, DefaultRunDir)
	s.ListenAddr = first(o.ListenAddr, before.ListenAddr, DefaultListenAddr)
	s.MetricsAddr = first(o.MetricsAddr, before.MetricsAddr, DefaultMetricsAddr)
	s.Containerd = first(o.Containerd, before.Containerd)
	s.NetworkSubnet = first(o.NetworkSubnet, before.NetworkSubnet)
	if _, err := parseSubnet(s.NetworkSubnet); err != nil {
		return Settings{}, err
	}
	s.NodeName = first(before.NodeName, o.NodeName, host)
	if before.NodeName != "" && o.NodeName != "" && o.NodeName != before.NodeName {
		return Settings{}, fmt.Errorf("this node is named %q; a node keeps its name", before.NodeName)
	}
	if err := spec.ValidName("node", s.NodeName); err != nil {
		return Settings{}, fmt.Errorf("%w; give this node another name with --node-name", err)
	}
	for flag, address := range map[string]string{"--listen-addr": s.ListenAddr, "--metrics-addr": s.MetricsAddr} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Settings{}, fmt.Errorf("%s %q: want HOST:PORT, such as 0.0.0.0:8080", flag, address)
		}
	}
	if len(o.Managers) > 0 {
		s.Managers = o.Managers
	}
	s.AdvertiseAddr = first(o.AdvertiseAddr, before.AdvertiseAddr, advertised(s.ListenAddr, s.Managers))
	return s, nil
}

// advertised is where others reach what listens at listenAddr: there, or where
// it listens everywhere, at the address from which this machine speaks to a
// manager, or to the world. Nothing is sent to find it out.
func advertised(listenAddr string, managers []string) string {
	host, port, err := net.SplitHostPort(listenAddr)
	if ip := net.ParseIP(host); err != nil || (host != "" && (ip == nil || !ip.IsUnspecified())) {
		return listenAddr
	}
	for _, towards := range append(slices.Clone(managers), "192.0.2.1:9") {
		if c, err := net.Dial("udp", towards); err == nil {
			defer c.Close()
			return net.JoinHostPort(c.LocalAddr().(*net.UDPAddr).IP.String(), port)
		}
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// parseSubnet reads the tasks' subnet; empty gives the zero one.
func parseSubnet(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	subnet, err := netip.ParsePrefix(text)
	if err == nil {
		_, err = network.NewPlan("", subnet)
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("--network-subnet %q: want an IPv4 network with room for 6 addresses, such as 172.29.0.0/16", text)
	}
	return subnet, nil
}

// Layout names the places of one node on its disk.
type Layout struct {
	// Data outlives everything; Run does not outlive a reboot.
	Data, Run string
}

func newLayout(dataDir, runDir string) (Layout, error) {
	data, err := filepath.Abs(first(dataDir, DefaultDataDir))
	if err != nil {
		return Layout{}, err
	}
	run, err := filepath.Abs(first(runDir, DefaultRunDir))
	return Layout{Data: data, Run: run}, err
}

func (l Layout) state() string     { return filepath.Join(l.Data, "data") }
func (l Layout) keys() string      { return filepath.Join(l.Data, "keys") }
func (l Layout) unlockKey() string { return filepath.Join(l.keys(), "unlock.key") }
func (l Layout) identity() string  { return filepath.Join(l.Data, "identity") }
func (l Layout) volumes() string   { return filepath.Join(l.Data, "volumes") }
func (l Layout) settings() string  { return filepath.Join(l.Data, "node.json") }
func (l Layout) unfinished() string {
	return filepath.Join(l.Data, "initialising")
}

// joining holds the key of a node until it has a certificate, so that a join
// that was cut off goes on as the same node.
func (l Layout) joining() string { return filepath.Join(l.Data, "joining.key") }

func (l Layout) lock() string    { return filepath.Join(l.Data, "lock") }
func (l Layout) socket() string  { return filepath.Join(l.Run, "warren.sock") }
func (l Layout) secrets() string { return filepath.Join(l.Run, "secrets") }

func newLogger(o Options) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(first(o.LogLevel, "info"))); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", o.LogLevel)
	}
	handlerOptions := &slog.HandlerOptions{Level: level}
	switch first(o.LogFormat, "text") {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, handlerOptions)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, handlerOptions)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", o.LogFormat)
}
