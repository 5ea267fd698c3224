package server

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// WatchService sends a service as it is, and again whenever that, its update
// or one of its tasks changes.
func (s *services) WatchService(ref *warrenv1.Ref, out grpc.ServerStreamingServer[warrenv1.Service]) error {
	ctx := out.Context()
	w := s.store.Watch(store.TableServices, store.TableServiceUpdates, store.TableTasks, store.TableTaskStatus)
	defer w.Close()
	var last *warrenv1.Service
	for view := s.store.View; ; view = s.store.ViewStale {
		// The first look comes at once: see Store.Watch.
		if _, err := w.Next(ctx); err != nil {
			return err
		}
		var service *warrenv1.Service
		err := view(ctx, func(tx *store.ReadTx) (err error) {
			if service, err = find(tx.Services(), spec.KindService, ref); err != nil {
				return err
			}
			return fillService(tx, service)
		})
		if err != nil {
			return err
		}
		// What it is called may mean another one by now.
		ref = &warrenv1.Ref{Namespace: service.GetMeta().GetNamespace(), NameOrId: service.GetMeta().GetId()}
		if proto.Equal(last, service) {
			continue
		}
		if err := out.Send(service); err != nil {
			return err
		}
		last = service
	}
}
