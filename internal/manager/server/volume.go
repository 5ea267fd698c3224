package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type volumes struct {
	warrenv1.UnimplementedVolumesServer
	*Server
}

var volumeTables = []store.Table{store.TableVolumes, store.TableVolumeStatus}

// CreateVolume commits the volume and waits until its node has made it. When
// that fails nothing of it stays.
func (v *volumes) CreateVolume(ctx context.Context, r *warrenv1.CreateVolumeRequest) (*warrenv1.Volume, error) {
	spec.DefaultVolume(r)
	if err := spec.ValidateVolume(r); err != nil {
		return nil, err
	}
	volume := newVolume(r, spec.VolumeID(r.GetName(), v.config.Rand()))
	volume.Meta.CreatedAt, volume.Meta.UpdatedAt = v.now(), v.now()
	id, err := v.commit(ctx, func(tx *store.Tx) (string, error) {
		if r.GetNode() != "" {
			if err := onNode(tx, volume, r.GetNode()); err != nil {
				return "", err
			}
		}
		return volume.GetMeta().GetId(), createVolume(tx, volume, "by "+callerName(ctx))
	})
	if err != nil {
		return nil, err
	}
	if err := v.awaitReady(ctx, r.GetNamespace(), id); err != nil {
		return nil, v.giveUp(ctx, r, id, err)
	}
	return v.read(ctx, &warrenv1.Ref{Namespace: r.GetNamespace(), NameOrId: id})
}

// onNode puts a new volume on the node that a person chose, for good.
func onNode(tx *store.Tx, volume *warrenv1.Volume, name string) error {
	node, err := find(tx.Nodes(), spec.KindNode, &warrenv1.Ref{NameOrId: name})
	if err != nil {
		return err
	}
	m := volume.GetMeta()
	if volume.GetSpec().GetDriver() != spec.DriverLocal {
		return spec.Problemf(spec.Invalid, spec.KindVolume, m.GetName(), "a volume of driver %s is on no node", volume.GetSpec().GetDriver()).
			WithHint("leave --node out")
	}
	if !slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_WORKER) {
		return spec.Problemf(spec.Refused, spec.KindVolume, m.GetName(), "node %q runs no containers, so no volume can be there", node.GetMeta().GetName()).
			WithHint("warren node list shows which are workers")
	}
	volume.NodeId, volume.Pinned = node.GetMeta().GetId(), true
	return nil
}

func newVolume(r *warrenv1.CreateVolumeRequest, id string) *warrenv1.Volume {
	return &warrenv1.Volume{
		Meta: &warrenv1.Meta{Id: id, Name: r.GetName(), Namespace: r.GetNamespace(), Labels: r.GetLabels()},
		Spec: r.GetSpec(),
	}
}

// createVolume commits a new volume; why is for who reads of it later.
func createVolume(tx *store.Tx, volume *warrenv1.Volume, why string) error {
	m := volume.GetMeta()
	holder, err := free(tx.Volumes(), spec.KindVolume, m.GetNamespace(), m.GetName(), m.GetId())
	if holder.GetDeletedAt() != nil {
		return volumeGoingAway(holder)
	}
	if err != nil {
		return err
	}
	if err := tx.Volumes().Create(volume); err != nil {
		return err
	}
	return errors.Join(settle(tx, m.GetNamespace()), tx.Events().Append(&warrenv1.Event{
		Time: m.GetCreatedAt(), Kind: spec.KindVolume, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(), Reason: "created", Message: why,
	}))
}

// awaitReady returns once the volume's node has made it.
func (s *Server) awaitReady(ctx context.Context, namespace, id string) error {
	return s.await(ctx, s.config.Patience, func(tx *store.ReadTx) (string, bool, error) {
		volume, err := tx.Volumes().Get(namespace, id)
		if err != nil {
			return "", false, err
		}
		status, err := optional(tx.VolumeStatus().Get(namespace, id))
		if err != nil {
			return "", false, err
		}
		if status.GetPhase() == warrenv1.VolumePhase_VOLUME_PHASE_FAILED {
			return "", false, errors.New(status.GetMessage())
		}
		ready := status.GetPhase() == warrenv1.VolumePhase_VOLUME_PHASE_READY && status.GetNodeId() == volume.GetNodeId()
		return fmt.Sprint(volume.GetNodeId(), status.GetPhase()), ready, nil
	}, volumeTables...)
}

// giveUp takes back a volume that did not become ready and says why it did
// not. A volume that a service has begun to use meanwhile, or that is on its
// way when only the caller went away, stays.
func (v *volumes) giveUp(ctx context.Context, r *warrenv1.CreateVolumeRequest, id string, cause error) error {
	request := requestID(ctx)
	ctx, cancel := context.WithTimeout(apart(context.WithoutCancel(ctx)), v.config.Patience)
	defer cancel()
	problem := spec.Problemf(spec.Unavailable, spec.KindVolume, r.GetName(), "volume %q was not created: %v", r.GetName(), cause)
	if errors.Is(cause, store.ErrNotFound) {
		return problem.WithHint("it was deleted before it was ready")
	}
	err := v.store.Update(ctx, func(tx *store.Tx) error {
		volume, err := tx.Volumes().Get(r.GetNamespace(), id)
		if err != nil {
			return err
		}
		if errors.Is(cause, errStalled) {
			problem = whyNotReady(&tx.ReadTx, volume)
		}
		left := errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)
		if left && volume.GetNodeId() != "" {
			return nil
		}
		services, err := users(&tx.ReadTx, r.GetNamespace(), id)
		if err != nil || len(services) > 0 {
			return err
		}
		if request != "" {
			// Whoever tries again under the same request wants a new attempt.
			if err := tx.Requests().Delete(request); err != nil {
				return err
			}
		}
		return v.remove(tx, volume, true)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return problem
}

// whyNotReady says what a volume waited for in vain.
func whyNotReady(tx *store.ReadTx, volume *warrenv1.Volume) *spec.Problem {
	name := volume.GetMeta().GetName()
	p := func(format string, args ...any) *spec.Problem {
		return spec.Problemf(spec.Unavailable, spec.KindVolume, name,
			"volume %q was not created: %s", name, fmt.Sprintf(format, args...)).WithHint("warren node list")
	}
	m := volume.GetMeta()
	status, err := tx.VolumeStatus().Peek(m.GetNamespace(), m.GetId())
	if err == nil && status.GetMessage() != "" {
		return p("%s", status.GetMessage())
	}
	if volume.GetNodeId() == "" {
		return p("no node took it")
	}
	node, err := nodeName(tx, volume.GetNodeId())
	if err != nil {
		node = volume.GetNodeId()
	}
	return p("node %s did not make it in time", node)
}

// remove asks for a volume's end: nothing may attach to it from now on. Its node
// moves the data to the trash, which frees the volume's name, or removes it, with
// which the rows go.
func (v *volumes) remove(tx *store.Tx, volume *warrenv1.Volume, purge bool) error {
	tx.Reclaim()
	settings, err := settings(&tx.ReadTx)
	if err != nil {
		return err
	}
	wait := spec.TrashTime(settings)
	if volume.GetDeletedAt() == nil {
		volume.DeletedAt = v.now()
		volume.PurgeAt = timestamppb.New(volume.DeletedAt.AsTime().Add(wait))
	}
	volume.Purge = volume.GetPurge() || purge || wait == 0
	return tx.Volumes().Put(volume)
}
