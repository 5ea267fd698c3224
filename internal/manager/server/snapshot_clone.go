package server

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// CloneVolume makes a volume of a snapshot. Of a volume as it is now, it takes
// one first, which goes again once the copy is made.
func (s *snapshots) CloneVolume(ctx context.Context, r *warrenv1.CloneVolumeRequest) (*warrenv1.Volume, error) {
	if err := spec.ValidName(spec.KindVolume, r.GetName()); err != nil {
		return nil, err
	}
	if err := spec.Labels(r.GetLabels()); err != nil {
		return nil, err
	}
	namespace := spec.Namespace(r.GetVolume().GetNamespace())
	from := r.GetFrom()
	if from == "" {
		if err := s.nameForClone(ctx, namespace, r.GetName()); err != nil {
			return nil, err
		}
		name := spec.SnapshotName("clone-"+r.GetName(), s.config.Clock())
		taken, err := s.snapshot(s.step(ctx, "snapshot"), wanted{volume: r.GetVolume(), name: name, origin: warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_CLONE})
		if err != nil {
			return nil, err
		}
		from = taken[0].GetMeta().GetId()
		defer s.dropAfterwards(ctx, namespace, from)
	}
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) { return s.orderClone(ctx, tx, r, from) })
	if err != nil {
		return nil, err
	}
	v := &volumes{Server: s.Server}
	if err := s.awaitReady(ctx, namespace, id); err != nil {
		if errors.Is(err, errStalled) {
			err = s.stillCloning(ctx, namespace, id)
		}
		if err != nil {
			return nil, v.giveUp(ctx, &warrenv1.CreateVolumeRequest{Namespace: namespace, Name: r.GetName()}, id, err)
		}
	}
	return v.read(ctx, &warrenv1.Ref{Namespace: namespace, NameOrId: id})
}

// nameForClone refuses a name that is taken before anything is copied.
func (s *Server) nameForClone(ctx context.Context, namespace, name string) error {
	return s.store.View(ctx, func(tx *store.ReadTx) error {
		_, err := free(tx.Volumes(), spec.KindVolume, namespace, name, name)
		return err
	})
}

// orderClone commits a volume that is made of the snapshot, on its node.
func (s *Server) orderClone(ctx context.Context, tx *store.Tx, r *warrenv1.CloneVolumeRequest, from string) (string, error) {
	namespace := spec.Namespace(r.GetVolume().GetNamespace())
	snapshot, err := findSnapshot(tx.Snapshots(), &warrenv1.Ref{Namespace: namespace, NameOrId: from})
	if err != nil {
		return "", err
	}
	origin, err := optional(tx.Volumes().Get(namespace, snapshot.GetVolumeId()))
	if err != nil {
		return "", err
	}
	if r.GetVolume().GetNameOrId() != "" {
		volume, err := find(tx.Volumes(), spec.KindVolume, r.GetVolume())
		if err != nil {
			return "", err
		}
		if _, err := snapshotOf(tx, volume, from); err != nil {
			return "", err
		}
	}
	if err := usable(tx, snapshot); err != nil {
		return "", err
	}
	made := &warrenv1.VolumeSpec{Driver: snapshot.GetDriver(), Access: warrenv1.AccessMode_ACCESS_MODE_NODE}
	if origin != nil {
		made = proto.CloneOf(origin.GetSpec())
	}
	made.SizeBytes = snapshot.GetVolumeSizeBytes()
	volume := &warrenv1.Volume{
		Meta: &warrenv1.Meta{
			Id: spec.VolumeID(r.GetName(), s.config.Rand()), Name: r.GetName(), Namespace: namespace, Labels: r.GetLabels(),
			CreatedAt: s.now(), UpdatedAt: s.now(),
		},
		Spec: made, NodeId: snapshot.GetNodeId(), Pinned: true, FromSnapshotId: snapshot.GetMeta().GetId(),
	}
	if err := nodeAnswers(&tx.ReadTx, volume); err != nil {
		return "", err
	}
	return volume.GetMeta().GetId(), createVolume(tx, volume, "as a copy of volume "+snapshot.GetVolume()+", by "+callerName(ctx))
}

// stillCloning waits on for a copy that takes long, while its node answers.
func (s *Server) stillCloning(ctx context.Context, namespace, id string) error {
	for {
		err := s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
			volume, err := tx.Volumes().Get(namespace, id)
			if err != nil {
				return err
			}
			return nodeAnswers(tx, volume)
		})
		if err != nil {
			return err
		}
		if err = s.awaitReady(ctx, namespace, id); !errors.Is(err, errStalled) {
			return err
		}
	}
}

// dropAfterwards removes the snapshot that a clone was made of.
func (s *Server) dropAfterwards(ctx context.Context, namespace, id string) {
	ctx, cancel := context.WithTimeout(apart(context.WithoutCancel(ctx)), s.config.Patience)
	defer cancel()
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		snapshot, err := optional(tx.Snapshots().Get(namespace, id))
		if err != nil || snapshot == nil {
			return err
		}
		return s.dropSnapshot(tx, snapshot)
	})
	if err != nil {
		s.log.Error("the snapshot that a clone was made of stays", "snapshot", id, "error", err)
	}
}

// step is the context of one of several transactions of a request.
func (s *Server) step(ctx context.Context, name string) context.Context {
	request := requestID(ctx)
	if request == "" {
		return ctx
	}
	request += "." + name
	return context.WithValue(store.WithRequest(ctx, request), requestKey{}, request)
}
