package agent

import (
	"context"
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/secretfs"
)

// secretsPath is where a container finds its secrets.
const secretsPath = "/run/secrets"

// delivered is one version of a secret that lies in a task's directory.
type delivered struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
	Target  string `json:"target"`
}

// secretHook has the values of the task's pins in memory. They stay there
// while a container is restarted in place, so that this needs no manager;
// unless the container lost them once it was healthy.
type secretHook struct{}

func (secretHook) prepare(ctx context.Context, t *task, want *warrenv1.Task) error {
	pins := want.GetSecrets()
	t.ready.secrets, t.ready.delivered = nil, t.progress.Secrets
	if len(pins) == 0 {
		return nil
	}
	dir, err := t.a.secrets.Mount(t.id, secretSpace(pins))
	if err != nil {
		return err
	}
	t.ready.secrets = &runtime.Mount{Source: dir, Target: secretsPath, ReadOnly: true}
	there := slices.Clone(t.progress.Secrets)
	err = t.a.deliver(ctx, t.id, missing(pins, there), func(pin *warrenv1.SecretPin) { there = append(there, deliveredAs(pin)) })
	t.ready.delivered = inOrder(pins, there)
	if errors.Is(err, noManager) && t.progress.Unmounted {
		return waiting("its secrets were unmounted once it was healthy, and no manager answers to send them again")
	}
	return err
}

func (secretHook) undo(_ context.Context, t *task, _ *warrenv1.Task) error {
	if err := t.a.secrets.Wipe(t.id); err != nil {
		return err
	}
	t.progress.Secrets, t.progress.Unmounted = nil, false
	return nil
}

func deliveredAs(pin *warrenv1.SecretPin) delivered {
	return delivered{ID: pin.GetSecretId(), Version: pin.GetVersion(), Target: pin.GetTarget()}
}

// inOrder keeps of what was delivered the last of each target, in the order of
// the pins.
func inOrder(pins []*warrenv1.SecretPin, all []delivered) (out []delivered) {
	for _, pin := range pins {
		for _, d := range slices.Backward(all) {
			if d.Target == pin.GetTarget() {
				out = append(out, d)
				break
			}
		}
	}
	return out
}

// missing are the pins whose version is not there.
func missing(pins []*warrenv1.SecretPin, there []delivered) (out []*warrenv1.SecretPin) {
	for _, pin := range pins {
		if !slices.Contains(there, deliveredAs(pin)) {
			out = append(out, pin)
		}
	}
	return out
}

// secretSpace is how many bytes of memory the values of pins need. A pin knows
// the size of all its keys together only, and each of them takes whole pages.
func secretSpace(pins []*warrenv1.SecretPin) uint64 {
	var sizes []uint64
	for _, pin := range pins {
		sizes = append(sizes, pin.GetSize())
		for range pin.GetKeys() {
			sizes = append(sizes, 1)
		}
	}
	return secretfs.Capacity(sizes...)
}

// inPlace tells the manager what the container sees.
func (t *task) inPlace(s *warrenv1.TaskStatus) {
	s.Secrets = nil
	for _, d := range t.progress.Secrets {
		s.Secrets = append(s.Secrets, &warrenv1.SecretInPlace{SecretId: d.ID, Version: d.Version})
	}
}

// dropSecrets takes what is pinned no longer out of the task's directory, also
// under its running container. Another version of the same secret takes its
// place instead: see freshen.
func (t *task) dropSecrets(want *warrenv1.Task) error {
	for i := len(t.progress.Secrets) - 1; i >= 0; i-- {
		d := t.progress.Secrets[i]
		if slices.ContainsFunc(want.GetSecrets(), func(pin *warrenv1.SecretPin) bool {
			return pin.GetSecretId() == d.ID && pin.GetTarget() == d.Target
		}) {
			continue
		}
		if err := t.a.secrets.Remove(t.id, d.Target); err != nil {
			return err
		}
		t.progress.Secrets = slices.Delete(slices.Clone(t.progress.Secrets), i, i+1)
		t.log.Info("a secret was taken from the task", "secret", d.ID)
		if t.progress.Running {
			t.report(t.inPlace)
		}
		t.save()
	}
	return nil
}
