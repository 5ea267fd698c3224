package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
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
// while a container is restarted in place, so that this needs no manager.
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
	var there []delivered
	for _, pin := range pins {
		there = append(there, deliveredAs(pin))
	}
	if slices.Equal(there, t.progress.Secrets) {
		return nil
	}
	if err := t.a.deliver(ctx, t.id, pins); err != nil {
		return err
	}
	t.ready.delivered = there
	return nil
}

func (secretHook) undo(_ context.Context, t *task, _ *warrenv1.Task) error {
	if err := t.a.secrets.Wipe(t.id); err != nil {
		return err
	}
	t.progress.Secrets = nil
	return nil
}

func deliveredAs(pin *warrenv1.SecretPin) delivered {
	return delivered{ID: pin.GetSecretId(), Version: pin.GetVersion(), Target: pin.GetTarget()}
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

// deliver fetches the values of a task's pins, sealed to a key that is made
// for this call alone, and writes each as soon as it is opened.
func (a *Agent) deliver(ctx context.Context, taskID string, pins []*warrenv1.SecretPin) error {
	m, err := a.link.manager()
	if err != nil {
		return waiting("its secrets are not on this node, and no manager answers to send them")
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return err
	}
	defer key.Destroy()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := m.client.FetchSecrets(ctx, &warrenv1.FetchSecretsRequest{TaskId: taskID, SealingKey: key.PublicKey()})
	if err != nil {
		return fmt.Errorf("fetch secrets: %w", err)
	}
	for _, pin := range pins {
		fetched, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("fetch secrets: the manager did not send %s", pin.GetSecret())
		}
		if err != nil {
			return fmt.Errorf("fetch secret %s: %w", pin.GetSecret(), err)
		}
		if fetched.GetSecretId() != pin.GetSecretId() || fetched.GetVersion() != pin.GetVersion() {
			return fmt.Errorf("fetch secret %s: the manager sent %s, version %d, instead of version %d",
				pin.GetSecret(), fetched.GetSecretId(), fetched.GetVersion(), pin.GetVersion())
		}
		if got := itemKeys(fetched.GetItems()); !slices.Equal(got, pinnedKeys(pin)) {
			return fmt.Errorf("fetch secret %s: the manager sent the keys %q instead of %q", pin.GetSecret(), got, pinnedKeys(pin))
		}
		for _, item := range fetched.GetItems() {
			info := seal.ToTaskInfo(m.clusterID, m.nodeID, taskID, pin.GetSecretId(), pin.GetVersion(), item.GetKey())
			if err := a.deliverItem(key, info, taskID, pin, item); err != nil {
				return fmt.Errorf("secret %s: %w", pin.GetSecret(), err)
			}
		}
	}
	return nil
}

// pinnedKeys are the keys of the items that make a pin's value, sorted: one
// item without a key where the secret is a single value.
func pinnedKeys(pin *warrenv1.SecretPin) []string {
	if len(pin.GetKeys()) == 0 {
		return []string{""}
	}
	return slices.Sorted(slices.Values(pin.GetKeys()))
}

func itemKeys(items []*warrenv1.SealedItem) []string {
	var keys []string
	for _, item := range items {
		keys = append(keys, item.GetKey())
	}
	slices.Sort(keys)
	return keys
}

func (a *Agent) deliverItem(key *seal.EnvelopeKey, info []byte, taskID string, pin *warrenv1.SecretPin, item *warrenv1.SealedItem) error {
	value, err := key.Open(info, item.GetCiphertext())
	if err != nil {
		return err
	}
	defer value.Destroy()
	return a.secrets.Write(taskID, secretfs.File{Target: pin.GetTarget(), Key: item.GetKey(), Mode: secretfs.DefaultMode}, value)
}

// dropSecrets takes what is pinned no longer out of the task's directory, also
// under its running container.
func (t *task) dropSecrets(want *warrenv1.Task) error {
	for i := len(t.progress.Secrets) - 1; i >= 0; i-- {
		d := t.progress.Secrets[i]
		if slices.ContainsFunc(want.GetSecrets(), func(pin *warrenv1.SecretPin) bool { return deliveredAs(pin) == d }) {
			continue
		}
		if err := t.a.secrets.Remove(t.id, d.Target); err != nil {
			return err
		}
		t.progress.Secrets = slices.Delete(slices.Clone(t.progress.Secrets), i, i+1)
		t.log.Info("a secret was taken from the task", "secret", d.ID)
		t.save()
	}
	return nil
}
