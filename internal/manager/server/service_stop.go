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

var taskTables = []store.Table{store.TableServices, store.TableTasks, store.TableTaskStatus, store.TableAttachments}

// StopService stops a service's tasks and keeps the service. It returns once
// they have stopped; of one that does not, the answer warns.
func (s *services) StopService(ctx context.Context, r *warrenv1.StopServiceRequest) (*warrenv1.Service, error) {
	reason := "stopped by " + callerName(ctx)
	service, err := s.change(ctx, r.GetRef(), func(tx *store.Tx, service *warrenv1.Service) error {
		if service.GetStopped() {
			return nil
		}
		return s.stop(tx, service, reason)
	})
	if err != nil {
		return nil, err
	}
	err = s.await(ctx, s.config.Patience+stopTime(service), allStopped(service), taskTables...)
	if err != nil && !errors.Is(err, errStalled) {
		return nil, err
	}
	return s.read(ctx, &warrenv1.Ref{Namespace: service.GetMeta().GetNamespace(), NameOrId: service.GetMeta().GetId()})
}

// allStopped looks whether all tasks of a service are over and hold nothing.
// It is done also when the service was started or deleted meanwhile.
func allStopped(service *warrenv1.Service) look {
	m := service.GetMeta()
	return func(tx *store.ReadTx) (string, bool, error) {
		now, err := optional(tx.Services().Get(m.GetNamespace(), m.GetId()))
		if err != nil || !now.GetStopped() {
			return "", true, err
		}
		progress, running, err := unfinished(tx, m)
		return progress, !running, err
	}
}

// unfinished tells whether a service has tasks that are not over or still hold
// a volume, and describes how far they are.
func unfinished(tx *store.ReadTx, service *warrenv1.Meta) (progress string, some bool, err error) {
	for key := range tx.Tasks().OfService(service.GetNamespace(), service.GetId()) {
		status, err := optional(tx.TaskStatus().Peek(key.Parts()...))
		if err != nil {
			return "", false, err
		}
		held := 0
		for range tx.Attachments().OfTask(key.Namespace(), key.ID()) {
			held++
		}
		if held > 0 || !spec.Terminal(status.GetState()) {
			some = true
			progress += fmt.Sprint(key.ID(), status.GetState(), held, " ")
		}
	}
	return progress, some, nil
}

// StartService starts a stopped service again. It is refused when a volume
// that the service names is no more.
func (s *services) StartService(ctx context.Context, r *warrenv1.StartServiceRequest) (*warrenv1.Service, error) {
	return s.change(ctx, r.GetRef(), func(tx *store.Tx, service *warrenv1.Service) error {
		if !service.GetStopped() {
			return nil
		}
		if err := bindVolumes(tx, service, nil); err != nil {
			return err
		}
		if err := bindSecrets(tx, service); err != nil {
			return err
		}
		service.Stopped, service.StoppedReason = false, ""
		return tx.Events().Append(s.event(service.GetMeta(), spec.KindService, "started", "by "+callerName(ctx)))
	})
}

// DeleteService asks for a service's end, and unless detached returns once its
// tasks have stopped, what they held is released, and it is gone.
func (s *services) DeleteService(ctx context.Context, r *warrenv1.DeleteServiceRequest) (*warrenv1.Service, error) {
	var service *warrenv1.Service
	now := s.now()
	id, err := s.commit(ctx, func(tx *store.Tx) (_ string, err error) {
		if service, err = find(tx.Services(), spec.KindService, r.GetRef()); err != nil {
			return "", err
		}
		tx.Reclaim()
		if service.GetDeletedAt() == nil {
			service.DeletedAt = now
		}
		return service.GetMeta().GetId(), tx.Services().Put(service)
	})
	if err != nil {
		return nil, err
	}
	if service == nil { // the request was done before
		service = &warrenv1.Service{Meta: &warrenv1.Meta{
			Id: id, Name: r.GetRef().GetNameOrId(), Namespace: spec.Namespace(r.GetRef().GetNamespace())}}
	}
	if r.GetDetach() {
		return service, nil
	}
	return service, s.awaitGone(ctx, serviceGoingAway(service))
}

// serviceGoingAway lets a call wait for a service that is being deleted.
func serviceGoingAway(service *warrenv1.Service) *goingAway {
	m := service.GetMeta()
	return &goingAway{
		kind: spec.KindService, name: m.GetName(), tables: taskTables, slack: stopTime(service),
		gone: func(tx *store.ReadTx) (string, bool, error) {
			row, err := optional(tx.Services().Get(m.GetNamespace(), m.GetId()))
			if err != nil || row == nil {
				return "", row == nil, err
			}
			progress, _, err := unfinished(tx, m)
			return progress, false, err
		},
		holdup: func(tx *store.ReadTx) (string, error) { return tasksNotOver(tx, m) },
	}
}

// tasksNotOver names the tasks that keep a deleted service from going.
func tasksNotOver(tx *store.ReadTx, service *warrenv1.Meta) (why string, err error) {
	for _, task := range tx.Tasks().OfService(service.GetNamespace(), service.GetId()) {
		if err := fillTask(tx, task); err != nil {
			return "", err
		}
		if state := task.GetStatus().GetState(); !spec.Terminal(state) {
			why += fmt.Sprintf("; task %s on node %s is %s", task.GetMeta().GetName(), task.GetNodeName(), spec.TaskStateName(state))
		}
	}
	return why, nil
}

// stopTime is how long a service's tasks may take to stop.
func stopTime(s *warrenv1.Service) time.Duration {
	return s.GetSpec().GetContainer().GetStopTimeout().AsDuration()
}
