package containerd

import (
	"errors"
	"sync"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// withMounts binds what the caller gives. What is mounted below a source later
// appears in the container, and what is unmounted there is let go by it.
func withMounts(mounts []runtime.Mount) oci.SpecOpts {
	var binds []specs.Mount
	for _, m := range mounts {
		bind := specs.Mount{Type: "bind", Source: m.Source, Destination: m.Target, Options: []string{"rbind", "rslave"}}
		if m.ReadOnly {
			bind.Options = append(bind.Options, readOnly())
		}
		binds = append(binds, bind)
	}
	return oci.WithMounts(binds)
}

// readOnly is the mount option that makes a bind mount read-only, with what is
// mounted below it where the kernel (5.12 and later) can do that.
var readOnly = sync.OnceValue(func() string {
	err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.ENOSYS) {
		return "ro"
	}
	return "rro"
})
