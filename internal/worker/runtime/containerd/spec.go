package containerd

import (
	"context"
	"fmt"
	"path"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	cgroupParent = "/warren"
	// Docker's limits today: software that walks all its file numbers is not
	// slowed down, and software that needs many may ask for them.
	softFiles = 1024
	hardFiles = 524288
)

// specOptions describe the container to runc, with Docker's defaults: its
// capabilities, seccomp profile and hidden paths, and no new privileges.
func specOptions(image client.Image, c runtime.Container) []oci.SpecOpts {
	options := []oci.SpecOpts{
		oci.WithDefaultUnixDevices,
		// Images have directories in /run that a tmpfs would hide.
		oci.WithoutRunMount,
		withCapabilities(c),
		withImage(image, c),
		oci.WithHostname(c.Hostname),
		oci.WithEnv(append([]string{"HOSTNAME=" + c.Hostname}, c.Env...)),
		oci.WithCgroup(path.Join(cgroupParent, c.ID)),
		withNetwork(c.NetNS),
		withFileLimit,
		withMounts(c.Mounts),
		seccomp.WithDefaultProfile(),
		withNativeSeccomp,
	}
	options = append(options, withLimits(c.Limits)...)
	if c.ReadOnlyRoot {
		options = append(options, oci.WithRootFSReadonly())
	}
	if cgroups.Mode() == cgroups.Unified {
		options = append(options, oci.WithNamespacedCgroup(), withCgroupMount)
	}
	return options
}

// withImage applies what the image says of its process, as Docker does: the
// arguments replace the image's command and keep its entrypoint.
func withImage(image client.Image, c runtime.Container) oci.SpecOpts {
	return func(ctx context.Context, cl oci.Client, record *containers.Container, s *oci.Spec) error {
		described, err := image.Spec(ctx)
		if err != nil {
			return fmt.Errorf("read the configuration of image %s: %w", image.Name(), err)
		}
		config := described.Config
		command := config.Cmd
		if c.Args != nil {
			command = c.Args
		}
		s.Process.Args = slices.Concat(config.Entrypoint, command)
		if len(s.Process.Args) == 0 {
			return fmt.Errorf("image %s has no command; give one after `--`", image.Name())
		}
		s.Process.Cwd = path.Join("/", config.WorkingDir)
		if err := oci.WithDefaultPathEnv(ctx, cl, record, s); err != nil {
			return err
		}
		if err := oci.WithEnv(config.Env)(ctx, cl, record, s); err != nil {
			return err
		}
		user := c.User
		if user == "" {
			user = config.User
		}
		return withUser(user)(ctx, cl, record, s)
	}
}

// withUser sets the process's user, by the names in the container's own files,
// with the groups it is a member of there.
func withUser(user string) oci.SpecOpts {
	if user == "" {
		user = "0"
	}
	return func(ctx context.Context, cl oci.Client, record *containers.Container, s *oci.Spec) error {
		if err := oci.WithUser(user)(ctx, cl, record, s); err != nil {
			return fmt.Errorf("user %q: %w", user, err)
		}
		if !strings.Contains(user, ":") {
			id := strconv.FormatUint(uint64(s.Process.User.UID), 10)
			if err := oci.WithAdditionalGIDs(id)(ctx, cl, record, s); err != nil {
				return fmt.Errorf("groups of user %q: %w", user, err)
			}
		}
		if s.Process.User.UID != 0 && s.Process.Capabilities != nil {
			s.Process.Capabilities.Effective = nil
			s.Process.Capabilities.Permitted = nil
		}
		return nil
	}
}

func withNetwork(netns string) oci.SpecOpts {
	if netns == "" {
		return oci.WithHostNamespace(specs.NetworkNamespace)
	}
	return func(ctx context.Context, cl oci.Client, record *containers.Container, s *oci.Spec) error {
		// As Docker: within its own network, no port or ping needs root.
		s.Linux.Sysctl = map[string]string{
			"net.ipv4.ip_unprivileged_port_start": "0",
			"net.ipv4.ping_group_range":           "0 2147483647",
		}
		return oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: netns})(ctx, cl, record, s)
	}
}

// withFileLimit stays below this process's own limit, which it may not exceed.
func withFileLimit(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	hard := uint64(hardFiles)
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err == nil {
		hard = min(hard, own.Max)
	}
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: min(softFiles, hard), Hard: hard}}
	return nil
}

// withNativeSeccomp keeps the native architecture only: compiling the profile
// for the others takes a third of a container's start.
func withNativeSeccomp(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	if s.Linux.Seccomp == nil {
		return nil
	}
	native := map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64}[goruntime.GOARCH]
	if native != "" {
		s.Linux.Seccomp.Architectures = []specs.Arch{native}
	}
	return nil
}

// withCgroupMount lets the container see its own limits.
func withCgroupMount(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Mounts = append(s.Mounts, specs.Mount{
		Type: "cgroup", Source: "cgroup", Destination: "/sys/fs/cgroup",
		Options: []string{"ro", "nosuid", "noexec", "nodev"},
	})
	return nil
}
