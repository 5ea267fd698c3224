package spec

import (
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// AllCapabilities stands for every one.
const AllCapabilities = "ALL"

// Capabilities are Linux's, as capabilities(7) names them.
var Capabilities = []string{
	"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
	"CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
	"CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
	"CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
	"CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
}

// defaultCapabilities brings names into the form that the kernel's
// documentation has, each once.
func defaultCapabilities(c *warrenv1.ContainerSpec) {
	for _, names := range []*[]string{&c.CapAdd, &c.CapDrop} {
		var out []string
		for _, name := range *names {
			if name = capability(name); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
		*names = out
	}
}

// capability writes net_admin as CAP_NET_ADMIN.
func capability(name string) string {
	name = strings.ToUpper(name)
	if name == AllCapabilities || strings.HasPrefix(name, "CAP_") {
		return name
	}
	return "CAP_" + name
}

func validateCapabilities(service string, c *warrenv1.ContainerSpec) error {
	for _, name := range slices.Concat(c.GetCapAdd(), c.GetCapDrop()) {
		if name == AllCapabilities || slices.Contains(Capabilities, name) {
			continue
		}
		p := invalid(KindService, service, "capability %q is not known", name)
		if nearest, ok := Nearest(name, Capabilities); ok {
			return p.WithHint("did you mean %s?", strings.TrimPrefix(nearest, "CAP_"))
		}
		return p.WithHint("man 7 capabilities has them")
	}
	for _, name := range c.GetCapAdd() {
		if slices.Contains(c.GetCapDrop(), name) {
			return invalid(KindService, service, "capability %s is both added and dropped", strings.TrimPrefix(name, "CAP_"))
		}
	}
	return nil
}
