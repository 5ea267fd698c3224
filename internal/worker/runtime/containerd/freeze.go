package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/cgroups/v3"
)

// freezer is how this machine's kernel freezes a cgroup.
type freezer struct {
	root, file     string
	freeze, thaw   string
	state, isStill string
}

func newFreezer() freezer {
	if cgroups.Mode() == cgroups.Unified {
		return freezer{"/sys/fs/cgroup", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"}
	}
	return freezer{"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"}
}

func (f freezer) switchOf(id string) string { return path.Join(f.root, cgroupParent, id, f.file) }

// stillWait is how long the kernel may take to freeze, and stillLook how often
// it is asked.
const (
	stillWait = 2 * time.Second
	stillLook = time.Millisecond
)

// Freeze writes to the cgroups itself: through a shim, each container would
// cost the pause some 30 ms. A program of its own stands by, which thaws them
// when this one is killed.
func (r *Runtime) Freeze(ctx context.Context, ids []string, limit time.Duration) ([]string, func() error, error) {
	f := newFreezer()
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, err := os.Stat(f.switchOf(id))
		return err != nil // it does not run
	})
	if len(ids) == 0 {
		return nil, func() error { return nil }, nil
	}
	guard, err := f.guard(ids)
	if err != nil {
		return nil, nil, fmt.Errorf("freeze containers: %w", err)
	}
	thaw := sync.OnceValue(func() error { return errors.Join(f.thawAll(ids), guard()) })
	alarm := time.AfterFunc(limit, func() {
		r.log.Error("containers were frozen for too long and go on", "containers", ids, "limit", limit)
		_ = thaw()
	})
	release := func() error {
		if !alarm.Stop() {
			return errors.Join(thaw(), fmt.Errorf("the containers were frozen for longer than %v, and went on before it was over", limit))
		}
		return thaw()
	}
	for _, id := range ids {
		// All at first, then wait: they shall stop at one instant.
		if err := write(f.switchOf(id), f.freeze); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("freeze container %s: %w", id, err), release())
		}
	}
	for _, id := range ids {
		if err := f.still(ctx, id); err != nil {
			return nil, nil, errors.Join(err, release())
		}
	}
	return ids, release, nil
}

// still waits until all processes of the container have stopped.
func (f freezer) still(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stillWait)
	defer cancel()
	for {
		is, err := os.ReadFile(path.Join(f.root, cgroupParent, id, f.state))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			return nil // it has ended
		}
		if err != nil {
			return fmt.Errorf("freeze container %s: %w", id, err)
		}
		if slices.Contains(strings.Split(strings.TrimSpace(string(is)), "\n"), f.isStill) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("freeze container %s: its processes do not stop: %w", id, ctx.Err())
		case <-time.After(stillLook):
		}
	}
}

func (f freezer) thawAll(ids []string) error {
	var errs []error
	for _, id := range ids {
		err := write(f.switchOf(id), f.thaw)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			errs = append(errs, fmt.Errorf("thaw container %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// guard starts a shell that thaws the containers when its input ends, which it
// does when this program does. The returned function ends it.
func (f freezer) guard(ids []string) (end func() error, err error) {
	args := []string{"-c", `cat >/dev/null; to=$1; shift; for f; do echo "$to" 2>/dev/null >"$f"; done; exit 0`, "warren-thaw", f.thaw}
	for _, id := range ids {
		args = append(args, f.switchOf(id))
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a person's Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(in.Close(), cmd.Wait()) }, nil
}

// Thaw lets containers go on that an earlier process has frozen.
func (r *Runtime) Thaw(_ context.Context, ids []string) error { return newFreezer().thawAll(ids) }

func write(file, text string) error {
	w, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString(text)
	return errors.Join(err, w.Close())
}
