//go:build e2e

package containerd

import (
	"bufio"
	"bytes"
	"strings"
	"sync"
	"testing"

	"fmt"
	"golang.org/x/sys/unix"
	"os"
	"os/exec"
)

// watched is output that can be waited for.
type watched struct {
	mu   sync.Mutex
	more *sync.Cond
	b    bytes.Buffer
}

func newWatched() *watched {
	w := &watched{}
	w.more = sync.NewCond(&w.mu)
	return w
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.more.Broadcast()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *watched) contains(s string) bool { return strings.Contains(w.String(), s) }

func (w *watched) wait(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !strings.Contains(w.b.String(), s) {
		w.more.Wait()
	}
}

// emptyNetwork is the path of a network namespace with nothing but loopback.
func emptyNetwork(t *testing.T) string {
	t.Helper()
	holder := exec.Command("sh", "-c", "ip link set lo up && echo up && exec sleep 1000")
	holder.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Signal(os.Kill)
		_ = holder.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("no loopback in a new network: %q, %v; try `apt-get install iproute2`", line, err)
	}
	return fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
}
