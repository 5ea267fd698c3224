package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/worker/secretfs"
)

// noManager is why secrets do not come; what is there already stays.
const noManager = waiting("its secrets are not on this node, and no manager answers to send them")

// deliver fetches the values of some of a task's pins, sealed to a key that is
// made for this call alone, puts each secret in its place as soon as all of it
// is opened, and calls done for it.
func (a *Agent) deliver(ctx context.Context, taskID string, pins []*warrenv1.SecretPin, done func(*warrenv1.SecretPin)) error {
	if len(pins) == 0 {
		return nil
	}
	m, err := a.link.manager()
	if err != nil {
		return noManager
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return err
	}
	defer key.Destroy()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &warrenv1.FetchSecretsRequest{TaskId: taskID, SealingKey: key.PublicKey()}
	for _, pin := range pins {
		r.Targets = append(r.Targets, pin.GetTarget())
	}
	stream, err := m.client.FetchSecrets(ctx, r)
	if err != nil {
		return fmt.Errorf("fetch secrets: %w", err)
	}
	for _, pin := range pins {
		fetched, err := fetchedFor(pin, stream)
		if err != nil {
			return err
		}
		if err := a.place(m, key, taskID, pin, fetched.GetItems()); err != nil {
			return fmt.Errorf("secret %s: %w", pin.GetSecret(), err)
		}
		done(pin)
	}
	return nil
}

// fetchedFor receives what is to be a pin's value.
func fetchedFor(pin *warrenv1.SecretPin, stream grpc.ServerStreamingClient[warrenv1.FetchedSecret]) (*warrenv1.FetchedSecret, error) {
	fetched, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("fetch secrets: the manager did not send %s", pin.GetSecret())
	}
	if err != nil {
		return nil, fmt.Errorf("fetch secret %s: %w", pin.GetSecret(), err)
	}
	if fetched.GetSecretId() == pin.GetSecretId() && fetched.GetVersion() > pin.GetVersion() {
		// The task was given a newer one meanwhile, and will be told.
		return nil, waiting(fmt.Sprintf("version %d of secret %s is on its way", fetched.GetVersion(), pin.GetSecret()))
	}
	if fetched.GetSecretId() != pin.GetSecretId() || fetched.GetVersion() != pin.GetVersion() {
		return nil, fmt.Errorf("fetch secret %s: the manager sent %s, version %d, instead of version %d",
			pin.GetSecret(), fetched.GetSecretId(), fetched.GetVersion(), pin.GetVersion())
	}
	if got := itemKeys(fetched.GetItems()); !slices.Equal(got, pinnedKeys(pin)) {
		return nil, fmt.Errorf("fetch secret %s: the manager sent the keys %q instead of %q", pin.GetSecret(), got, pinnedKeys(pin))
	}
	return fetched, nil
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

// place opens a secret and puts it where the container sees it.
func (a *Agent) place(m *manager, key *seal.EnvelopeKey, taskID string, pin *warrenv1.SecretPin, items []*warrenv1.SealedItem) error {
	values := make([]secretfs.Value, 0, len(items))
	defer func() {
		for _, v := range values {
			v.Destroy()
		}
	}()
	for _, item := range items {
		info := seal.ToTaskInfo(m.clusterID, m.nodeID, taskID, pin.GetSecretId(), pin.GetVersion(), item.GetKey())
		value, err := key.Open(info, item.GetCiphertext())
		if err != nil {
			return err
		}
		values = append(values, secretfs.Value{Key: item.GetKey(), Plaintext: value})
	}
	return a.secrets.Write(taskID, fileOf(pin), values...)
}

func fileOf(pin *warrenv1.SecretPin) secretfs.File {
	file := secretfs.File{Target: pin.GetTarget(), Mode: secretfs.DefaultMode, UID: int(pin.GetUid()), GID: int(pin.GetGid())}
	if pin.Mode != nil {
		file.Mode = fs.FileMode(pin.GetMode()).Perm()
	}
	return file
}
