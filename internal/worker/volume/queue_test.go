package volume

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A node that runs for years has had many volumes.
func TestQueuesForgetVolumes(t *testing.T) {
	q := newQueues()
	release, err := q.take(t.Context(), "vol", "mount")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.take(ctx, "vol", "delete"); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "mount") {
		t.Errorf("a second turn: %v; want ErrBusy that names the first call", err)
	}
	release()
	if len(q.turns) != 0 {
		t.Errorf("%d turns are remembered", len(q.turns))
	}
}
