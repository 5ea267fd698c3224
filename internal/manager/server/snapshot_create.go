package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// CreateSnapshot commits snapshots of a volume, or of all volumes of a service,
// and waits until their nodes have taken them. When one fails none of them
// stays.
func (s *snapshots) CreateSnapshot(ctx context.Context, r *warrenv1.CreateSnapshotRequest) (*warrenv1.CreateSnapshotResponse, error) {
	if err := spec.ValidateSnapshot(r); err != nil {
		return nil, err
	}
	taken, err := s.snapshot(ctx, wanted{
		volume: r.GetVolume(), service: r.GetService(), name: r.GetName(), labels: r.GetLabels(), pre: r.GetPre(), post: r.GetPost(),
	})
	return &warrenv1.CreateSnapshotResponse{Snapshots: taken}, err
}

// wanted is what is to be taken: a volume, or all of a service.
type wanted struct {
	volume, service *warrenv1.Ref
	name            string
	origin          warrenv1.SnapshotOrigin
	labels          map[string]string
	pre, post       string
}

// snapshot takes what is wanted, and waits for it.
func (s *Server) snapshot(ctx context.Context, w wanted) ([]*warrenv1.Snapshot, error) {
	namespace := spec.Namespace(w.volume.GetNamespace())
	if w.service != nil {
		namespace = spec.Namespace(w.service.GetNamespace())
	}
	var ids []string
	first, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		volumes, err := volumesToTake(tx, w)
		if err != nil {
			return "", err
		}
		ids, err = s.orderSnapshots(tx, w, volumes)
		if err != nil {
			return "", err
		}
		return ids[0], nil
	})
	if err != nil {
		return nil, err
	}
	if ids == nil { // the request was done before
		if ids, err = s.takenWith(ctx, namespace, first); err != nil {
			return nil, err
		}
	}
	if err := s.awaitTaken(ctx, namespace, ids); err != nil {
		return nil, s.giveUpSnapshots(ctx, namespace, ids, err)
	}
	var taken []*warrenv1.Snapshot
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		for _, id := range ids {
			snapshot, err := tx.Snapshots().Get(namespace, id)
			if err != nil {
				return err
			}
			if err := fillSnapshot(tx, snapshot); err != nil {
				return err
			}
			taken = append(taken, snapshot)
		}
		return nil
	})
	return taken, err
}

// volumesToTake returns the volume, or those of the service, each once.
func volumesToTake(tx *store.Tx, w wanted) ([]*warrenv1.Volume, error) {
	if w.service == nil {
		volume, err := find(tx.Volumes(), spec.KindVolume, w.volume)
		return []*warrenv1.Volume{volume}, err
	}
	service, err := find(tx.Services(), spec.KindService, w.service)
	if err != nil {
		return nil, err
	}
	volumes, err := volumesOfService(tx, service)
	if err == nil && len(volumes) == 0 {
		name := service.GetMeta().GetName()
		err = spec.Problemf(spec.Refused, spec.KindService, name, "service %q has no volumes", name).
			WithHint("warren service inspect %s", name)
	}
	return volumes, err
}

// volumesOfService lists the volumes that a service's spec names and those that
// its tasks hold, by name.
func volumesOfService(tx *store.Tx, service *warrenv1.Service) ([]*warrenv1.Volume, error) {
	m := service.GetMeta()
	found := map[string]*warrenv1.Volume{}
	for _, mount := range service.GetSpec().GetContainer().GetVolumes() {
		volume, err := optional(tx.Volumes().ByName(m.GetNamespace(), mount.GetVolume()))
		if err != nil {
			return nil, err
		}
		if volume != nil && volume.GetDeletedAt() == nil {
			found[volume.GetMeta().GetId()] = volume
		}
	}
	for key := range tx.Tasks().OfService(m.GetNamespace(), m.GetId()) {
		for held := range tx.Attachments().OfTask(key.Namespace(), key.ID()) {
			volume, err := optional(tx.Volumes().Get(held.Namespace(), held.Parts()[1]))
			if err != nil {
				return nil, err
			}
			if volume != nil {
				found[volume.GetMeta().GetId()] = volume
			}
		}
	}
	var out []*warrenv1.Volume
	for _, volume := range found {
		out = append(out, volume)
	}
	slices.SortFunc(out, func(a, b *warrenv1.Volume) int {
		return strings.Compare(a.GetMeta().GetName(), b.GetMeta().GetName())
	})
	return out, nil
}

// orderSnapshots commits a snapshot of each volume; those on one node are taken
// in the same instant.
func (s *Server) orderSnapshots(tx *store.Tx, w wanted, volumes []*warrenv1.Volume) (ids []string, err error) {
	var all []*warrenv1.Snapshot
	onNode := map[string][]string{}
	for _, volume := range volumes {
		if err := canSnapshot(tx, volume); err != nil {
			return nil, err
		}
		name := w.name
		switch {
		case name == "":
			name = spec.SnapshotName(volume.GetMeta().GetName(), s.config.Clock())
		case w.service != nil:
			name += "-" + volume.GetMeta().GetName()
		}
		snapshot, err := s.newSnapshot(tx, volume, name, w.origin)
		if err != nil {
			return nil, err
		}
		snapshot.Meta.Labels, snapshot.Pre, snapshot.Post = w.labels, w.pre, w.post
		all, ids = append(all, snapshot), append(ids, snapshot.GetMeta().GetId())
		onNode[snapshot.GetNodeId()] = append(onNode[snapshot.GetNodeId()], snapshot.GetMeta().GetId())
	}
	for _, snapshot := range all {
		if together := onNode[snapshot.GetNodeId()]; len(together) > 1 {
			snapshot.Together = together
		}
		if err := tx.Snapshots().Create(snapshot); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// newSnapshot is one of a volume with that name, which must be free.
func (s *Server) newSnapshot(tx *store.Tx, volume *warrenv1.Volume, name string, origin warrenv1.SnapshotOrigin) (*warrenv1.Snapshot, error) {
	m := volume.GetMeta()
	if err := spec.ValidName(spec.KindSnapshot, name); err != nil {
		return nil, err
	}
	id := spec.SnapshotID(name, s.config.Rand())
	if holder, err := free(tx.Snapshots(), spec.KindSnapshot, m.GetNamespace(), name, id); err != nil {
		var p *spec.Problem
		if errors.As(err, &p) {
			err = p.WithHint("choose another name, or: warren volume snapshot delete %s", name)
		}
		if holder.GetDeletedAt() != nil {
			err = snapshotGoingAway(holder)
		}
		return nil, err
	}
	return &warrenv1.Snapshot{
		Meta:     &warrenv1.Meta{Id: id, Name: name, Namespace: m.GetNamespace(), CreatedAt: s.now(), UpdatedAt: s.now()},
		VolumeId: m.GetId(), Volume: m.GetName(), Driver: volume.GetSpec().GetDriver(), NodeId: volume.GetNodeId(),
		VolumeSizeBytes: volume.GetSpec().GetSizeBytes(), Origin: origin,
	}, nil
}

// canSnapshot refuses a volume that is not there, or whose node does not answer.
func canSnapshot(tx *store.Tx, volume *warrenv1.Volume) error {
	m := volume.GetMeta()
	refuse := func(code spec.Code, format string, args ...any) *spec.Problem {
		return spec.Problemf(code, spec.KindVolume, m.GetName(), "volume %q %s", m.GetName(), fmt.Sprintf(format, args...))
	}
	status, err := optional(tx.VolumeStatus().Peek(m.GetNamespace(), m.GetId()))
	if err != nil {
		return err
	}
	switch {
	case volume.GetDeletedAt() != nil:
		return refuse(spec.Refused, "is in the trash").WithHint("warren volume undelete %s", m.GetName())
	case volume.GetRestore() != nil:
		return refuse(spec.Unavailable, "is being restored").WithHint("try again when that is over: warren volume inspect %s", m.GetName())
	case status.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_READY:
		return refuse(spec.Unavailable, "is not ready").WithHint("warren volume inspect %s -o wide", m.GetName())
	}
	return nodeAnswers(&tx.ReadTx, volume)
}

// nodeAnswers refuses what waits for a volume's node when that is down.
func nodeAnswers(tx *store.ReadTx, volume *warrenv1.Volume) error {
	node, err := nodeName(tx, volume.GetNodeId())
	if err != nil {
		return err
	}
	status, err := optional(tx.NodeStatus().Peek(volume.GetNodeId()))
	if err == nil && status.GetState() != warrenv1.NodeState_NODE_STATE_READY {
		name := volume.GetMeta().GetName()
		err = spec.Problemf(spec.Unavailable, spec.KindVolume, name, "node %s, which has volume %q, does not answer", node, name).
			WithHint("warren node list")
	}
	return err
}

func (s *Server) takenWith(ctx context.Context, namespace, id string) (ids []string, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		snapshot, err := tx.Snapshots().Get(namespace, id)
		if ids = snapshot.GetTogether(); err == nil && len(ids) == 0 {
			ids = []string{id}
		}
		return err
	})
	return ids, err
}

// awaitTaken returns once all of them are ready. As long as their nodes are at
// it, it waits.
func (s *Server) awaitTaken(ctx context.Context, namespace string, ids []string) error {
	for {
		err := s.await(ctx, s.config.Patience, func(tx *store.ReadTx) (progress string, done bool, err error) {
			done = true
			for _, id := range ids {
				status, err := optional(tx.SnapshotStatus().Get(namespace, id))
				if err != nil {
					return "", false, err
				}
				if status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED {
					return "", false, errors.New(status.GetMessage())
				}
				done = done && status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY
				progress += fmt.Sprint(status.GetPhase())
			}
			return progress, done, nil
		}, snapshotTables...)
		if !errors.Is(err, errStalled) {
			return err
		}
		if at, err := s.atIt(ctx, namespace, ids); err != nil || !at {
			return errors.Join(errStalled, err)
		}
	}
}

// atIt tells whether the nodes still take the snapshots.
func (s *Server) atIt(ctx context.Context, namespace string, ids []string) (at bool, err error) {
	err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, id := range ids {
			status, err := optional(tx.SnapshotStatus().Get(namespace, id))
			if err != nil {
				return err
			}
			node, err := optional(tx.NodeStatus().Peek(status.GetNodeId()))
			if err != nil {
				return err
			}
			at = at || status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_TAKING && node.GetState() == warrenv1.NodeState_NODE_STATE_READY
		}
		return nil
	})
	return at, err
}

// giveUpSnapshots drops snapshots that were not taken and says why.
func (s *Server) giveUpSnapshots(ctx context.Context, namespace string, ids []string, cause error) error {
	request := requestID(ctx)
	ctx, cancel := context.WithTimeout(apart(context.WithoutCancel(ctx)), s.config.Patience)
	defer cancel()
	name, why := "", cause.Error()
	if errors.Is(cause, errStalled) {
		why = "its node has not answered in time"
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			snapshot, err := optional(tx.Snapshots().Get(namespace, id))
			if err != nil || snapshot == nil {
				return err
			}
			if name == "" {
				name = snapshot.GetMeta().GetName()
			}
			if err := s.dropSnapshot(tx, snapshot); err != nil {
				return err
			}
		}
		if request != "" {
			return tx.Requests().Delete(request)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return spec.Problemf(spec.Unavailable, spec.KindSnapshot, name, "snapshot %q was not taken: %s", name, why).
		WithHint("the volume is as it was; try again")
}
