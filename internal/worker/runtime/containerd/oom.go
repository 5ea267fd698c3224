package containerd

import (
	"bufio"
	"bytes"
	"os"
	"path"

	"github.com/containerd/cgroups/v3"
)

// killed is the exit code of a process that SIGKILL ended.
const killed = 128 + 9

// ranOutOfMemory tells whether the kernel killed a container's process over
// its memory limit. A container that only lost a child to the limit, and went
// on, ended for another reason. It must be asked before the container is
// deleted, since its cgroup goes with it.
func ranOutOfMemory(id string, code int) bool {
	if code != killed {
		return false
	}
	file := path.Join("/sys/fs/cgroup/memory", cgroupParent, id, "memory.oom_control")
	if cgroups.Mode() == cgroups.Unified {
		file = path.Join("/sys/fs/cgroup", cgroupParent, id, "memory.events")
	}
	content, err := os.ReadFile(file)
	return err == nil && countsKills(content)
}

// countsKills looks for a line "oom_kill N" with another N than 0.
func countsKills(content []byte) bool {
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if n, found := bytes.CutPrefix(lines.Bytes(), []byte("oom_kill ")); found {
			return !bytes.Equal(bytes.TrimSpace(n), []byte("0"))
		}
	}
	return false
}
