package server

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		return volume.GetMeta().GetId(), createVolume(tx, volume)
	})
	if err != nil {
		return nil, err
	}
	if err := v.awaitReady(ctx, r.GetNamespace(), id); err != nil {
		return nil, v.giveUp(ctx, r, id, err)
	}
	return v.read(ctx, &warrenv1.Ref{Namespace: r.GetNamespace(), NameOrId: id})
}

func newVolume(r *warrenv1.CreateVolumeRequest, id string) *warrenv1.Volume {
	return &warrenv1.Volume{
		Meta: &warrenv1.Meta{Id: id, Name: r.GetName(), Namespace: r.GetNamespace(), Labels: r.GetLabels()},
		Spec: r.GetSpec(),
	}
}

func createVolume(tx *store.Tx, volume *warrenv1.Volume) error {
	m := volume.GetMeta()
	holder, err := free(tx.Volumes(), spec.KindVolume, m.GetNamespace(), m.GetName(), m.GetId())
	if holder.GetDeletedAt() != nil {
		return volumeGoingAway(holder)
	}
	if err != nil {
		return err
	}
	return tx.Volumes().Create(volume)
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
		return v.remove(tx, volume)
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

// remove asks for a volume's end: nothing may attach to it from now on, its
// node removes the data, and with the node's confirmation the rows go.
func (v *volumes) remove(tx *store.Tx, volume *warrenv1.Volume) error {
	tx.Reclaim()
	volume.DeletedAt = v.now()
	return tx.Volumes().Put(volume)
}

// GetVolume returns one volume with what its node says of it and its users.
func (v *volumes) GetVolume(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.Volume, error) {
	return v.read(ctx, ref)
}

func (v *volumes) read(ctx context.Context, ref *warrenv1.Ref) (volume *warrenv1.Volume, err error) {
	err = v.store.View(ctx, func(tx *store.ReadTx) error {
		if volume, err = find(tx.Volumes(), spec.KindVolume, ref); err != nil {
			return err
		}
		return fillVolume(tx, volume)
	})
	return volume, err
}

// ListVolumes lists the volumes of a namespace.
func (v *volumes) ListVolumes(ctx context.Context, f *warrenv1.Filter) (*warrenv1.ListVolumesResponse, error) {
	namespace, err := checkFilter(f)
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListVolumesResponse{}
	err = v.store.View(ctx, func(tx *store.ReadTx) error {
		for _, volume := range tx.Volumes().List(namespace) {
			if !spec.MatchLabels(volume.GetMeta().GetLabels(), f.GetLabels()) {
				continue
			}
			if err := fillVolume(tx, volume); err != nil {
				return err
			}
			out.Volumes = append(out.Volumes, volume)
		}
		return nil
	})
	return out, err
}

// fillVolume adds what is stored elsewhere.
func fillVolume(tx *store.ReadTx, volume *warrenv1.Volume) (err error) {
	m := volume.GetMeta()
	if volume.Status, err = optional(tx.VolumeStatus().Peek(m.GetNamespace(), m.GetId())); err != nil {
		return err
	}
	if volume.NodeName, err = nodeName(tx, volume.GetNodeId()); err != nil {
		return err
	}
	volume.UsedBy, err = volumeUsages(tx, volume)
	return err
}

// volumeUsages names the services whose specs name the volume, then the tasks
// that hold it.
func volumeUsages(tx *store.ReadTx, volume *warrenv1.Volume) ([]*warrenv1.Usage, error) {
	m := volume.GetMeta()
	services, err := users(tx, m.GetNamespace(), m.GetId())
	if err != nil {
		return nil, err
	}
	out := serviceUsages(services)
	for key := range tx.Attachments().OfVolume(m.GetNamespace(), m.GetId()) {
		task, err := optional(tx.Tasks().Peek(m.GetNamespace(), key.ID()))
		if err != nil {
			return nil, err
		}
		usage := &warrenv1.Usage{Kind: spec.KindTask, Name: key.ID(), Id: key.ID()}
		if task != nil {
			usage.Name = task.GetMeta().GetName()
		}
		out = append(out, usage)
	}
	return out, nil
}

// volumeGoingAway lets a call wait for a volume that is being deleted.
func volumeGoingAway(volume *warrenv1.Volume) *goingAway {
	m := volume.GetMeta()
	return &goingAway{
		kind: spec.KindVolume, name: m.GetName(), tables: volumeTables,
		gone: func(tx *store.ReadTx) (string, bool, error) {
			row, err := optional(tx.Volumes().Get(m.GetNamespace(), m.GetId()))
			if err != nil || row == nil {
				return "", row == nil, err
			}
			status, err := optional(tx.VolumeStatus().Get(m.GetNamespace(), m.GetId()))
			return fmt.Sprint(status.GetPhase(), status.GetMessage()), false, err
		},
	}
}

// stillThere says that something was to go and did not in time.
func stillThere(g *goingAway) *spec.Problem {
	return spec.Problemf(spec.Unavailable, g.kind, g.name, "%s %q is being deleted, and that has not ended yet", g.kind, g.name).
		WithHint("warren %s inspect %s shows what it waits for", g.kind, g.name)
}

// stopTime is how long a service's tasks may take to stop.
func stopTime(s *warrenv1.Service) time.Duration {
	return s.GetSpec().GetContainer().GetStopTimeout().AsDuration()
}
