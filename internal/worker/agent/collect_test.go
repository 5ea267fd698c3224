package agent

import (
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/runtime"
)

func TestOldUnusedImagesGoFirst(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	image := func(name string, age time.Duration) runtime.Image {
		return runtime.Image{Name: name, CreatedAt: now.Add(-age)}
	}
	list := []runtime.Image{image("new", time.Minute), image("old", time.Hour), image("used", 2*time.Hour), image("oldest", 3*time.Hour)}
	got := collectable(list, map[string]bool{"used": true}, now)
	if len(got) != 2 || got[0].Name != "oldest" || got[1].Name != "old" {
		t.Errorf("may go: %v", got)
	}
}

func TestCollectedImageIsAnEventAndUsedOnesStay(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.load(t, "docker.io/library/unused:1", nil)
		n.agent.collectImages(t.Context())
		n.boss.await(t, "the event", func() bool { return len(n.boss.events) == 1 })
		if e := n.boss.events[0]; e.GetReason() != "image-collected" || e.GetName() != "docker.io/library/unused:1" {
			t.Errorf("event %v", e)
		}
		if n.count("remove image docker.io/library/app:1") != 0 {
			t.Error("an image in use was removed")
		}
	})
}

func TestBackoffDoublesToItsLimit(t *testing.T) {
	last := time.Duration(0)
	for failures := range 100 {
		wait := backoff(failures)
		if wait < last || wait < backoffFirst || wait > backoffMost {
			t.Errorf("%v after %d failures", wait, failures)
		}
		last = wait
	}
	if last != backoffMost {
		t.Errorf("ends at %v", last)
	}
}

func TestEndReasonsNameTheSignal(t *testing.T) {
	for code, want := range map[int]string{
		0: "exited", 1: "exited with code 1", 128: "exited with code 128", 137: "killed by SIGKILL",
		143: "killed by SIGTERM", 139: "killed by SIGSEGV", 255: "exited with code 255", -1: "exited with code -1",
	} {
		if got := endReason(runtime.Exit{Code: code}, aTask("t1")); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}
