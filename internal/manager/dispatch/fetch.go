package dispatch

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

// Vault opens what is sealed in the state and seals it to a worker's key; the
// plaintext never comes here.
type Vault interface {
	// Deliver returns the items in their order, each sealed to the recipient
	// and bound to its node and task.
	Deliver(o vault.Object, items []*storepb.SecretItem, to vault.Recipient) ([]*warrenv1.SealedItem, error)
}

// errNotAssigned is the same for a task that does not exist and for one of
// another node: a worker learns nothing by trying.
var errNotAssigned = status.Error(codes.PermissionDenied, "this task is not assigned to this node")

// FetchSecrets gives the values that a task pins, or those of them that are
// asked for, to the node that runs it.
func (d *Dispatcher) FetchSecrets(r *warrenv1.FetchSecretsRequest, stream grpc.ServerStreamingServer[warrenv1.FetchedSecret]) error {
	ctx := stream.Context()
	t, nodeID, task, err := d.assigned(ctx, r.GetTaskId())
	if err != nil {
		return err
	}
	to := vault.Recipient{NodeID: nodeID, TaskID: r.GetTaskId(), SealingKey: r.GetSealingKey()}
	out := &handful{term: t, nodeID: nodeID, task: task, stream: stream}
	for _, pin := range task.GetSecrets() {
		if len(r.GetTargets()) > 0 && !slices.Contains(r.GetTargets(), pin.GetTarget()) {
			continue
		}
		o := vault.Object{
			Kind: vault.Secret, Namespace: task.GetMeta().GetNamespace(),
			ID: pin.GetSecretId(), Name: pin.GetSecret(), Version: pin.GetVersion(),
		}
		items, err := d.deliver(ctx, o, o.Namespace, to)
		if err != nil {
			return err
		}
		if err := out.add(o, items); err != nil {
			return err
		}
	}
	return out.send()
}

// FetchRegistry tells the node how to pull its task's image. Nothing is said
// of other registries.
func (d *Dispatcher) FetchRegistry(ctx context.Context, r *warrenv1.FetchRegistryRequest) (*warrenv1.FetchRegistryResponse, error) {
	t, nodeID, task, err := d.assigned(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	host, err := spec.ImageRegistry(task.GetContainer().GetImage())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var registry *warrenv1.Registry
	err = d.Store.View(ctx, func(tx *store.ReadTx) (err error) {
		registry, err = tx.Registries().Get(host)
		return unlessNotFound(err)
	})
	if err != nil || registry.GetSecretId() == "" {
		return &warrenv1.FetchRegistryResponse{Registry: registry}, err
	}
	// A password has one version: a new one is a new secret.
	o := vault.Object{Kind: vault.Registry, ID: registry.GetSecretId(), Name: host, Version: 1}
	to := vault.Recipient{NodeID: nodeID, TaskID: r.GetTaskId(), SealingKey: r.GetSealingKey()}
	items, err := d.deliver(ctx, o, spec.SystemNamespace, to)
	if err != nil {
		return nil, err
	}
	if len(items) != 1 {
		return nil, status.Errorf(codes.DataLoss, "the password of registry %s has %d parts, not one", host, len(items))
	}
	if err := t.record(ctx, nodeID, task, o); err != nil {
		return nil, err
	}
	return &warrenv1.FetchRegistryResponse{Registry: registry, Password: items[0], PasswordVersion: o.Version}, nil
}

// assigned returns the term, the calling node and one of its tasks, as of now, not as of
// a moment ago: what was taken from a node is no longer given to it.
func (d *Dispatcher) assigned(ctx context.Context, taskID string) (t *term, nodeID string, task *warrenv1.Task, err error) {
	if nodeID, err = d.identify(ctx); err != nil {
		return nil, "", nil, err
	}
	if t, err = d.leading(); err != nil {
		return nil, "", nil, err
	}
	key, ok := t.index.taskOf(nodeID, taskID)
	if !ok {
		return nil, "", nil, errNotAssigned
	}
	err = d.Store.View(ctx, func(tx *store.ReadTx) (err error) {
		task, err = tx.Tasks().Get(key.Parts()...)
		return unlessNotFound(err)
	})
	if err != nil {
		return nil, "", nil, err
	}
	if task.GetNodeId() != nodeID || task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING {
		return nil, "", nil, errNotAssigned
	}
	return t, nodeID, task, nil
}

// deliver reads one stored value, from the namespace it is kept in, and has it
// sealed to the recipient.
func (d *Dispatcher) deliver(ctx context.Context, o vault.Object, namespace string, to vault.Recipient) ([]*warrenv1.SealedItem, error) {
	var value *storepb.SecretValue
	err := d.Store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		value, err = tx.SecretValues().Get(namespace, o.ID, store.Version(o.Version))
		if err != nil {
			return unlessNotFound(err)
		}
		if err = pinned(tx, o, namespace, value); errors.Is(err, store.ErrNotFound) {
			value, err = nil, nil // what is left of a secret that is gone
		}
		return err
	})
	if errors.Is(err, store.ErrAltered) {
		d.Log.Error("a secret is not delivered: its record was altered in the database", "kind", o.Kind, "name", o.Name, "id", o.ID)
		return nil, status.Errorf(codes.FailedPrecondition, "%s %s is not used: %v", o.Kind, o.Name, store.ErrAltered)
	} else if err != nil {
		return nil, err
	} else if value == nil {
		return nil, status.Errorf(codes.NotFound, "%s %s has no version %d any more", o.Kind, o.Name, o.Version)
	}
	items, err := d.Vault.Deliver(o, value.GetItems(), to)
	if err != nil {
		d.Log.Error("delivering a secret failed", "kind", o.Kind, "name", o.Name, "version", o.Version, "task", to.TaskID, "error", err)
		return nil, status.Errorf(codes.FailedPrecondition, "%s %s could not be delivered: %v", o.Kind, o.Name, err)
	}
	return items, nil
}

// pinned checks a value, and what a task says of it, against the secret's own
// record, which is vouched for.
func pinned(tx *store.ReadTx, o vault.Object, namespace string, value *storepb.SecretValue) error {
	secret, err := tx.Secrets().Get(namespace, o.ID)
	switch {
	case err != nil:
		return err
	case o.Kind == vault.Secret && secret.GetMeta().GetName() != o.Name:
		return store.ErrAltered
	}
	return store.Whole(secret, value)
}
