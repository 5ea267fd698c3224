package server_test

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// worker plays a node: it makes and removes volumes and runs and stops tasks by
// writing their statuses, at once.
type worker struct {
	id string
	// failVolumes: it cannot make volumes, for this reason.
	failVolumes string
	// failResize: it cannot raise limits, for this reason.
	failResize string
	// deaf: it hears of nothing and does nothing.
	deaf bool
	// stubborn: its tasks do not stop.
	stubborn bool
	// crash is an image whose tasks crash.
	crash string
	// badVersion is the version of a secret with which tasks crash.
	badVersion uint64

	mu      sync.Mutex
	streams func(*warrenv1.OpenStream) *fakeStream
}

// addWorker adds a node that is ready, and what plays it.
func (c *cluster) addWorker(name string, w *worker) *worker {
	c.t.Helper()
	w.id = "node-" + name
	c.update(func(tx *store.Tx) error {
		node := &warrenv1.Node{Meta: &warrenv1.Meta{Id: w.id, Name: name, Labels: map[string]string{"disk": "fast"}}, Roles: []warrenv1.Role{warrenv1.Role_ROLE_WORKER}}
		if err := tx.Nodes().Create(node); err != nil {
			return err
		}
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: w.id, State: warrenv1.NodeState_NODE_STATE_READY}, w.id)
	})
	c.workers.add(w)
	if !w.deaf {
		c.background(func(ctx context.Context) error { return w.work(ctx, c.store) })
	}
	return w
}

func (w *worker) work(ctx context.Context, s *store.Store) error {
	watch := s.Watch(store.TableVolumes, store.TableTasks)
	defer watch.Close()
	for {
		if _, err := watch.Next(ctx); err != nil {
			return err
		}
		if err := s.Update(ctx, w.report); err != nil {
			return err
		}
	}
}

func (w *worker) report(tx *store.Tx) error {
	for key, v := range tx.Volumes().List() {
		if v.GetNodeId() != w.id {
			continue
		}
		st := &warrenv1.VolumeStatus{VolumeId: key.ID(), NodeId: w.id, Phase: warrenv1.VolumePhase_VOLUME_PHASE_READY,
			MountPoint: spec.VolumePath("/volumes", key.Namespace(), v.GetMeta().GetName())}
		if w.failVolumes != "" {
			st.Phase, st.Message = warrenv1.VolumePhase_VOLUME_PHASE_FAILED, w.failVolumes
		}
		switch {
		case v.GetPurge():
			st.Phase, st.Message = warrenv1.VolumePhase_VOLUME_PHASE_GONE, ""
		case v.GetDeletedAt() != nil:
			st.Phase, st.Message = warrenv1.VolumePhase_VOLUME_PHASE_TRASHED, ""
		}
		st.LimitBytes = v.GetSpec().GetSizeBytes()
		w.mu.Lock()
		failResize := w.failResize
		w.mu.Unlock()
		if failResize != "" && st.LimitBytes > 0 {
			st.LimitBytes, st.ResizeBytes, st.ResizeMessage = 0, st.LimitBytes, failResize
		}
		if err := tx.VolumeStatus().Put(st, key.Parts()...); err != nil {
			return err
		}
	}
	for key, t := range tx.Tasks().OfNode(w.id) {
		st, err := tx.TaskStatus().Get(key.Parts()...)
		if err != nil {
			return err
		}
		was := st.GetState()
		switch stopping := t.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED; {
		case stopping && w.stubborn:
			continue
		case stopping:
			code := int32(143)
			st.State, st.ExitCode, st.ExitReason = warrenv1.TaskState_TASK_STATE_STOPPED, &code, "exited"
		case w.badVersion != 0 && len(t.GetSecrets()) > 0 && t.GetSecrets()[0].GetVersion() == w.badVersion,
			w.crash != "" && t.GetContainer().GetImage() == w.crash:
			st.State, st.Message = warrenv1.TaskState_TASK_STATE_BACKOFF, "exited with code 1"
		default:
			st.State, st.Secrets = warrenv1.TaskState_TASK_STATE_RUNNING, nil
			for _, pin := range t.GetSecrets() {
				st.Secrets = append(st.Secrets, &warrenv1.SecretInPlace{SecretId: pin.GetSecretId(), Version: pin.GetVersion()})
			}
		}
		if st.State != was {
			st.StateSince = timestamppb.Now()
		}
		if err := tx.TaskStatus().Put(st, key.Parts()...); err != nil {
			return err
		}
	}
	return nil
}

// workers is the server's way to all of them.
type workers struct {
	mu    sync.Mutex
	nodes map[string]*worker
}

func (w *workers) add(node *worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[node.id] = node
}

func (w *workers) get(id string) *worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[id]
}

func (w *workers) Open(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (server.Stream, error) {
	node := w.get(nodeID)
	if node == nil || node.deaf {
		return nil, spec.Problemf(spec.Unavailable, spec.KindNode, nodeID, "node %s is not connected", nodeID)
	}
	node.mu.Lock()
	defer node.mu.Unlock()
	if node.streams == nil {
		return nil, status.Error(codes.NotFound, "there is no such thing here")
	}
	s := node.streams(open)
	s.ctx = ctx
	return s, nil
}

func (w *worker) serve(f func(*warrenv1.OpenStream) *fakeStream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams = f
}

// fakeStream is the worker's side of a conversation.
type fakeStream struct {
	ctx context.Context
	// up is what the worker says; closed at its end.
	up chan *warrenv1.WorkerFrame
	// heard is called with what the manager says.
	heard func(*warrenv1.ManagerFrame)
	// err is what Recv returns in place of io.EOF.
	err error
}

// saying returns a stream on which the worker has said all it has to say.
func saying(frames ...*warrenv1.WorkerFrame) *fakeStream {
	s := &fakeStream{up: make(chan *warrenv1.WorkerFrame, len(frames))}
	for _, f := range frames {
		s.up <- f
	}
	close(s.up)
	return s
}

func (s *fakeStream) Send(f *warrenv1.ManagerFrame) error {
	if s.heard != nil {
		s.heard(f)
	}
	return nil
}

func (s *fakeStream) Recv() (*warrenv1.WorkerFrame, error) {
	select {
	case f, ok := <-s.up:
		if ok {
			return f, nil
		}
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (s *fakeStream) Close() error { return nil }
