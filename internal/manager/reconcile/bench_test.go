package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/control/service"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

// BenchmarkServiceToPlacedTasks is the manager's part of starting a service:
// from its commit to the commit of the last placement, on this machine's disk.
func BenchmarkServiceToPlacedTasks(b *testing.B) {
	for _, replicas := range []uint32{1, 1000} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			s := testkit.NewStore(b)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 2)
			log := slog.New(slog.DiscardHandler)
			go func() { ended <- service.New(s, log).Run(ctx) }()
			go func() { ended <- place.New(s, log).Run(ctx) }()
			if err := s.Update(ctx, func(tx *store.Tx) error {
				for i := range 10 {
					id := fmt.Sprint("n", i)
					if err := tx.NodeStatus().Put(&warrenv1.NodeStatus{State: warrenv1.NodeState_NODE_STATE_READY}, id); err != nil {
						return err
					}
					node := &warrenv1.Node{Meta: &warrenv1.Meta{Id: id, Name: id}, Roles: []warrenv1.Role{warrenv1.Role_ROLE_WORKER}}
					if err := tx.Nodes().Create(node); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			placed := make(chan struct{})
			go func() {
				done := map[store.Key]bool{}
				ended <- reconcile.Run(ctx, s, log, func(ctx context.Context, c store.Changes) error {
					for _, key := range c.Keys(store.TableTaskStatus) {
						err := s.ViewStale(ctx, func(tx *store.ReadTx) error {
							status, err := tx.TaskStatus().Get(key.Parts()...)
							if err == nil && status.GetState() == warrenv1.TaskState_TASK_STATE_ASSIGNED && !done[key] {
								done[key] = true
								placed <- struct{}{}
							}
							return err
						})
						if err != nil {
							return err
						}
					}
					return nil
				}, store.TableTaskStatus)
			}()
			i := 0
			for b.Loop() {
				i++
				name := fmt.Sprint("svc", i)
				if err := s.Update(ctx, func(tx *store.Tx) error {
					return tx.Services().Create(&warrenv1.Service{
						Meta: &warrenv1.Meta{Id: name, Name: name, Namespace: spec.DefaultNamespace}, SpecVersion: 1,
						Spec: &warrenv1.ServiceSpec{Replicas: replicas, Container: &warrenv1.ContainerSpec{Image: "busybox"}},
					})
				}); err != nil {
					b.Fatal(err)
				}
				for range replicas {
					<-placed
				}
			}
			b.ReportMetric(float64(replicas)*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
			cancel()
			for range cap(ended) + 1 {
				if err := <-ended; err != nil {
					b.Error(err)
				}
			}
		})
	}
}
