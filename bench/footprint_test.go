//go:build bench

package bench

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	mega        = 1e6
	memoryAim   = 80
	binaryAim   = 60
	settleTime  = 10 * time.Second
	settleLimit = 60 * time.Second
)

// TestFootprint looks at a node that was just started and has nothing to do.
func TestFootprint(t *testing.T) {
	n, r := startNode(t), result
	info, err := os.Stat(n.binary)
	if err != nil {
		t.Fatal(err)
	}
	rss := n.settled(t)
	r.atMost("binary", float64(info.Size())/mega, binaryAim, "MB")
	r.atMost("idle node, resident (VmRSS)", rss, memoryAim, "MB")
	pss, err := n.memory("smaps_rollup", "Pss:")
	if err != nil {
		t.Fatal(err)
	}
	r.note("idle node: Pss %.1f MB", pss)
}

// settled waits until the resident memory stays the same for a while.
func (n *node) settled(t *testing.T) float64 {
	t.Helper()
	before := math.Inf(1)
	look := time.NewTicker(settleTime)
	defer look.Stop()
	for deadline := time.Now().Add(settleLimit); ; <-look.C {
		rss, err := n.memory("status", "VmRSS:")
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(rss-before) < 0.01*rss || time.Now().After(deadline) {
			return rss
		}
		before = rss
	}
}

// footprintAfter notes what the work has left in memory.
func (n *node) footprintAfter(r *report) {
	if rss, err := n.memory("status", "VmRSS:"); err == nil {
		r.note("the node right after that: VmRSS %.1f MB", rss)
	}
}

// memory reads a line of the process's in MB.
func (n *node) memory(file, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", n.Process.Pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field); ok {
			var kib float64
			_, err := fmt.Sscan(value, &kib)
			return kib * 1024 / mega, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", field, file)
}
