package dispatch

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// Vault opens what is sealed in the state and seals it to a worker's key; the
// plaintext never comes here.
type Vault interface {
	// DeliverTo seals the items of one stored version to an HPKE public key
	// that the node made for this call. Cluster, node, task, secret, version
	// and item are bound to each (seal.ToTaskInfo).
	DeliverTo(publicKey []byte, nodeID, taskID string, secret *warrenv1.Secret, value *storepb.SecretValue) ([]*warrenv1.SealedItem, error)
}

// errNotAssigned is the same for a task that does not exist and for one of
// another node: a worker learns nothing by trying.
var errNotAssigned = status.Error(codes.PermissionDenied, "this task is not assigned to this node")

// FetchSecrets gives the values that a task pins to the node that runs it.
func (d *Dispatcher) FetchSecrets(r *warrenv1.FetchSecretsRequest, stream grpc.ServerStreamingServer[warrenv1.FetchedSecret]) error {
	nodeID, task, err := d.assigned(stream.Context(), r.GetTaskId())
	if err != nil {
		return err
	}
	for _, pin := range task.GetSecrets() {
		items, err := d.deliver(stream.Context(), r.GetSealingKey(), nodeID, task, pin)
		if err != nil {
			return err
		}
		fetched := &warrenv1.FetchedSecret{SecretId: pin.GetSecretId(), Version: pin.GetVersion(), Items: items}
		if err := stream.Send(fetched); err != nil {
			return err
		}
	}
	return nil
}

// FetchRegistry tells the node how to pull its task's image.
func (d *Dispatcher) FetchRegistry(ctx context.Context, r *warrenv1.FetchRegistryRequest) (*warrenv1.FetchRegistryResponse, error) {
	nodeID, task, err := d.assigned(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	host, err := spec.ImageRegistry(task.GetContainer().GetImage())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var registry *warrenv1.Registry
	var password *warrenv1.SecretPin
	err = d.Store.View(ctx, func(tx *store.ReadTx) error {
		var err error
		if registry, err = tx.Registries().Get(host); err != nil || registry.GetSecretId() == "" {
			return unlessNotFound(err)
		}
		secret, err := tx.Secrets().Get(spec.SystemNamespace, registry.GetSecretId())
		if err != nil || len(secret.GetVersions()) == 0 {
			return unlessNotFound(err)
		}
		newest := secret.GetVersions()[len(secret.GetVersions())-1]
		password = &warrenv1.SecretPin{SecretId: secret.GetMeta().GetId(), Secret: secret.GetMeta().GetName(), Version: newest.GetNumber()}
		return nil
	})
	if err != nil || password == nil {
		return &warrenv1.FetchRegistryResponse{Registry: registry}, err
	}
	keeper := &warrenv1.Task{Meta: &warrenv1.Meta{Id: task.GetMeta().GetId(), Namespace: spec.SystemNamespace}}
	items, err := d.deliver(ctx, r.GetSealingKey(), nodeID, keeper, password)
	if err != nil || len(items) != 1 {
		return nil, err
	}
	return &warrenv1.FetchRegistryResponse{Registry: registry, Password: items[0], PasswordVersion: password.GetVersion()}, nil
}

// assigned returns the calling node and one of its tasks, as of now, not as of
// a moment ago: what was taken from a node is no longer given to it.
func (d *Dispatcher) assigned(ctx context.Context, taskID string) (nodeID string, task *warrenv1.Task, err error) {
	if nodeID, err = d.identify(ctx); err != nil {
		return "", nil, err
	}
	t, err := d.leading()
	if err != nil {
		return "", nil, err
	}
	key, ok := t.index.taskOf(nodeID, taskID)
	if !ok {
		return "", nil, errNotAssigned
	}
	err = d.Store.View(ctx, func(tx *store.ReadTx) error {
		task, err = tx.Tasks().Get(key.Parts()...)
		return unlessNotFound(err)
	})
	if err != nil {
		return "", nil, err
	}
	if task.GetNodeId() != nodeID || task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING {
		return "", nil, errNotAssigned
	}
	return nodeID, task, nil
}

func (d *Dispatcher) deliver(ctx context.Context, publicKey []byte, nodeID string, task *warrenv1.Task, pin *warrenv1.SecretPin) ([]*warrenv1.SealedItem, error) {
	var secret *warrenv1.Secret
	var value *storepb.SecretValue
	ns := task.GetMeta().GetNamespace()
	err := d.Store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		if secret, err = tx.Secrets().Get(ns, pin.GetSecretId()); err != nil {
			return err
		}
		value, err = tx.SecretValues().Get(ns, pin.GetSecretId(), store.Version(pin.GetVersion()))
		return err
	})
	if unlessNotFound(err) != nil {
		return nil, err
	} else if err != nil {
		return nil, status.Errorf(codes.NotFound, "secret %s has no version %d any more", pin.GetSecret(), pin.GetVersion())
	}
	items, err := d.Vault.DeliverTo(publicKey, nodeID, task.GetMeta().GetId(), secret, value)
	if err != nil {
		d.Log.Error("delivering a secret failed", "secret", pin.GetSecret(), "task", task.GetMeta().GetId(), "error", err)
		return nil, status.Errorf(codes.FailedPrecondition, "secret %s could not be opened or sealed: %v", pin.GetSecret(), err)
	}
	return items, nil
}
