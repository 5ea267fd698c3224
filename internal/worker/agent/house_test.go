package agent

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/local"
)

const (
	preparing = warrenv1.TaskState_TASK_STATE_PREPARING
	running   = warrenv1.TaskState_TASK_STATE_RUNNING
	backingUp = warrenv1.TaskState_TASK_STATE_BACKOFF
	stopping  = warrenv1.TaskState_TASK_STATE_STOPPING
	stopped   = warrenv1.TaskState_TASK_STATE_STOPPED
)

// node is one worker machine with its manager, in the test's own time.
type node struct {
	*testing.T
	*boss
	*journal
	machine *machine
	wires   *wires
	drawer  *drawer
	dataDir string
	bootID  string
	agent   *Agent
	stop    func()
	// diskFree is of 100 GiB.
	diskFree atomic.Uint64
}

// onNode runs a test in virtual time on a node whose agent is running and has
// a session.
func onNode(t *testing.T, test func(n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		n := &node{
			T: t, boss: newBoss(t), journal: m.journal, machine: m, bootID: "boot-1",
			wires:  &wires{journal: m.journal},
			drawer: &drawer{journal: m.journal, dir: t.TempDir()}, dataDir: t.TempDir(),
		}
		n.diskFree.Store(50 << 30)
		n.begin()
		defer func() { n.stop() }()
		test(n)
	})
}

// begin starts an agent, as after a start of the program.
func (n *node) begin() {
	n.Helper()
	log := slog.New(slog.DiscardHandler)
	driver, err := local.Open(n.volumeRoot(), log)
	if err != nil {
		n.Fatal(err)
	}
	n.agent, err = New(Config{
		Disk:    func() (total, free uint64, err error) { return 100 << 30, n.diskFree.Load(), nil },
		DataDir: n.dataDir, Hostname: "host-1", Version: "test", BootID: n.bootID, Log: log,
		Dial: n.dial, Runtime: n.machine, Network: n.wires, OpenSecrets: n.drawer.open,
		Volumes: volume.NewManager(map[string]volume.Driver{"local": driver}, log),
	})
	if err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.agent.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			n.Errorf("Run: %v", err)
		}
		n.boss.change(func() { n.boss.out = nil })
		n.stop = func() {}
	}
}

// restart is an end and a start of the program, with something done between.
func (n *node) restart(between func()) {
	n.Helper()
	n.stop()
	between()
	n.begin()
}

// soon waits for something that nobody is told of.
func (n *node) soon(what string, condition func() bool) {
	n.Helper()
	for limit := time.Now().Add(10 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			n.Fatal("waited in vain for: " + what)
		}
	}
}

// pass lets time pass, which costs none.
func (n *node) pass(d time.Duration) { time.Sleep(d) }

func (n *node) volumeRoot() string { return filepath.Join(n.dataDir, "volumes") }

// full assigns exactly these tasks, with the volumes that they pin.
func (n *node) full(tasks ...*warrenv1.Task) {
	n.Helper()
	a := &warrenv1.Assignments{Full: true, Tasks: tasks}
	seen := map[string]bool{}
	for _, t := range tasks {
		for _, pin := range t.GetVolumes() {
			if !seen[pin.GetVolumeId()] {
				a.Volumes = append(a.Volumes, aVolume(pin.GetVolume()))
				seen[pin.GetVolumeId()] = true
			}
		}
	}
	n.boss.assign(n.T, a)
}

func (n *node) is(taskID string, state warrenv1.TaskState) *warrenv1.TaskStatus {
	n.Helper()
	return n.boss.state(n.T, taskID, state)
}

func aTask(id string) *warrenv1.Task {
	return &warrenv1.Task{
		Meta:    &warrenv1.Meta{Id: id, Name: "app-task-1", Namespace: "default"},
		Service: "app", Slot: 1, NodeId: "node-1",
		Desired:   warrenv1.DesiredState_DESIRED_STATE_RUNNING,
		Container: &warrenv1.ContainerSpec{Image: "app:1"},
	}
}

func withVolume(t *warrenv1.Task, name string) *warrenv1.Task {
	t.Volumes = append(t.Volumes, &warrenv1.VolumePin{VolumeId: "vol-" + name, Volume: name, Path: "/data"})
	return t
}

func withSecret(t *warrenv1.Task, name string) *warrenv1.Task {
	t.Secrets = append(t.Secrets, &warrenv1.SecretPin{SecretId: "secret-" + name, Secret: name, Version: 1, Target: name, Size: 10})
	return t
}

func unwanted(t *warrenv1.Task) *warrenv1.Task {
	t.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
	return t
}

func aVolume(name string) *warrenv1.Volume {
	return &warrenv1.Volume{
		Meta:   &warrenv1.Meta{Id: "vol-" + name, Name: name, Namespace: "default"},
		Spec:   &warrenv1.VolumeSpec{Driver: "local"},
		NodeId: "node-1",
	}
}

func deleted(v *warrenv1.Volume) *warrenv1.Volume {
	v.DeletedAt = timestamppb.Now()
	return v
}

func purged(v *warrenv1.Volume) *warrenv1.Volume {
	v = deleted(v)
	v.Purge = true
	return v
}
