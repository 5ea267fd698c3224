package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	// freshenLimit is how long a manager may take to send new versions: for so
	// long nobody looks after the container.
	freshenLimit = 5 * time.Second
	// managerPoll is how often a task that lacks a new version looks for one.
	managerPoll = time.Second
)

// freshen gives a running container the versions that its pins name by now, and
// takes them all away when it is healthy and wants that. It returns when to try
// again, 0 when all is as it should be: a container that cannot have a new
// version goes on with the one it has.
func (t *task) freshen(ctx context.Context, want *warrenv1.Task) (again time.Duration) {
	if t.unmountDue(want) {
		if err := t.unmountSecrets(want); err != nil {
			t.log.Error("secrets that the container should have no more are still there; trying again", "error", err)
			return managerPoll
		}
	}
	if t.progress.Unmounted {
		return 0
	}
	err := t.renewSecrets(ctx, want)
	if err == nil {
		err = t.signal(ctx)
	}
	if ctx.Err() != nil {
		return 0
	}
	message := ""
	if err != nil {
		again, message = managerPoll, "it has not got the newest version of its secrets yet: "+err.Error()
		if what := waiting(""); !errors.As(err, &what) {
			t.stale++
			again = backoff(t.stale + 2)
		}
		t.log.Warn("a container keeps the secrets it has for now", "error", err, "retry_in", again)
	} else {
		t.stale = 0
	}
	t.report(func(s *warrenv1.TaskStatus) {
		s.Message = message
		t.inPlace(s)
	})
	return again
}

// renewSecrets puts versions that the container does not see yet in the place
// of those that it does, and notes the signals that are due for them.
func (t *task) renewSecrets(ctx context.Context, want *warrenv1.Task) error {
	pins := missing(want.GetSecrets(), t.progress.Secrets)
	if len(pins) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshenLimit)
	defer cancel()
	if _, err := t.a.secrets.Mount(t.id, secretSpace(want.GetSecrets())); err != nil {
		return err
	}
	before := slices.Clone(t.progress.Secrets)
	err := t.a.deliver(ctx, t.id, pins, func(pin *warrenv1.SecretPin) {
		t.a.event("task", want.GetMeta(), "secret-updated", fmt.Sprintf("version %d of secret %s is in place", pin.GetVersion(), pin.GetSecret()))
		t.progress.Secrets = inOrder(want.GetSecrets(), append(slices.Clone(t.progress.Secrets), deliveredAs(pin)))
		if s := pin.GetSignal(); s != "" && !slices.Contains(t.progress.Signals, s) {
			t.progress.Signals = append(slices.Clone(t.progress.Signals), s)
		}
	})
	if !slices.Equal(before, t.progress.Secrets) {
		// Before the signal: killed in between, it is sent again rather than
		// never.
		t.save()
	}
	return err
}

// signal tells the container's process that its secrets are others now.
func (t *task) signal(ctx context.Context) error {
	for len(t.progress.Signals) > 0 {
		name := t.progress.Signals[0]
		err := t.a.cfg.Runtime.Signal(ctx, t.id, unix.SignalNum(name))
		if err != nil && !errors.Is(err, runtime.ErrNotFound) {
			return fmt.Errorf("send %s: %w", name, err)
		}
		t.log.Info("told the container of its new secrets", "signal", name)
		t.progress.Signals = slices.Clone(t.progress.Signals[1:])
		t.save()
	}
	return nil
}

// unmountDue tells whether the container has secrets which it should have no
// more: it is healthy.
func (t *task) unmountDue(want *warrenv1.Task) bool {
	return want.GetContainer().GetUnmountSecrets() == warrenv1.UnmountSecrets_UNMOUNT_SECRETS_HEALTHY &&
		t.status.Load().GetHealth() == warrenv1.Health_HEALTH_HEALTHY && len(t.progress.Secrets) > 0
}

// unmountSecrets empties the container's directory of secrets. They are fetched
// again when it is started the next time.
func (t *task) unmountSecrets(want *warrenv1.Task) error {
	for _, d := range t.progress.Secrets {
		if err := t.a.secrets.Remove(t.id, d.Target); err != nil {
			return err
		}
	}
	t.progress.Secrets, t.progress.Signals, t.progress.Unmounted = nil, nil, true
	t.a.event("task", want.GetMeta(), "secrets-unmounted", "it is healthy, and its secrets are gone from it")
	t.report(t.inPlace)
	t.save()
	return nil
}
