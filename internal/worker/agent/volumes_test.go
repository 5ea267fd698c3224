package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	ready  = warrenv1.VolumePhase_VOLUME_PHASE_READY
	failed = warrenv1.VolumePhase_VOLUME_PHASE_FAILED
	gone   = warrenv1.VolumePhase_VOLUME_PHASE_GONE

	trashed = warrenv1.VolumePhase_VOLUME_PHASE_TRASHED
)

func (n *node) phase(name string, phase warrenv1.VolumePhase) *warrenv1.VolumeStatus {
	n.Helper()
	n.boss.await(n.T, name+" to be "+phase.String(), func() bool { return n.boss.volumes["vol-"+name].GetPhase() == phase })
	n.boss.mu.Lock()
	defer n.boss.mu.Unlock()
	return n.boss.volumes["vol-"+name]
}

func (n *node) volumes(volumes ...*warrenv1.Volume) {
	n.Helper()
	n.boss.assign(n.T, &warrenv1.Assignments{Volumes: volumes})
}

func TestVolumeIsMadeMeasuredAndDeleted(t *testing.T) {
	onNode(t, func(n *node) {
		n.volumes(aVolume("db-data"))
		path := n.phase("db-data", ready).GetMountPoint()
		if err := os.WriteFile(filepath.Join(path, "row"), make([]byte, 8192), 0o600); err != nil {
			t.Fatal(err)
		}
		n.boss.await(t, "its size", func() bool { return n.boss.volumes["vol-db-data"].GetUsedBytes() >= 8192 })
		n.volumes(purged(aVolume("db-data")))
		n.phase("db-data", gone)
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("still there: %v", err)
		}
		n.boss.assign(t, &warrenv1.Assignments{RemovedVolumes: []string{"vol-db-data"}})
		n.soon("it is forgotten", func() bool { return len(n.agent.measurable()) == 0 })
	})
}

func TestVolumeThatVanishedIsNotMadeAgain(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		path := filepath.Join(n.volumeRoot(), "db-data")
		n.restart(func() {
			n.machine.end("t1", 1)
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		})
		if s := n.phase("db-data", failed); s.GetMessage() == "" {
			t.Error("nobody says why")
		}
		n.pass(time.Hour)
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("an empty one was made up: %v", err)
		}
		if n.machine.running("t1") {
			t.Error("the task runs without its data")
		}
		// Once it is back, everything goes on by itself.
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		n.phase("db-data", ready)
		n.is("t1", running)
	})
}

func TestVolumeIsDeletedOnlyWhenNoTaskHoldsIt(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.deaf = true
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		n.boss.assign(t, &warrenv1.Assignments{
			Tasks:   []*warrenv1.Task{unwanted(withVolume(aTask("t1"), "db-data"))},
			Volumes: []*warrenv1.Volume{deleted(aVolume("db-data"))},
		})
		n.is("t1", stopping)
		// Not by an agent that was started meanwhile either.
		n.restart(n.boss.leave)
		n.pass(5 * time.Second)
		if _, err := os.Stat(filepath.Join(n.volumeRoot(), "db-data")); err != nil {
			t.Fatalf("deleted under a running task: %v", err)
		}
		n.boss.comeBack()
		n.is("t1", stopped)
		n.phase("db-data", trashed)
	})
}

func TestVolumeIsKeptWhileATaskHoldsIt(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		n.boss.assign(t, &warrenv1.Assignments{RemovedVolumes: []string{"vol-db-data"}})
		n.pass(time.Minute)
		if len(n.agent.measurable()) != 1 {
			t.Error("forgotten while a container has it mounted")
		}
		n.boss.assign(t, &warrenv1.Assignments{Tasks: []*warrenv1.Task{unwanted(withVolume(aTask("t1"), "db-data"))}})
		n.is("t1", stopped)
		n.soon("it is forgotten", func() bool { return len(n.agent.measurable()) == 0 })
	})
}

func TestRemovedVolumeKeepsItsData(t *testing.T) {
	onNode(t, func(n *node) {
		n.volumes(aVolume("db-data"))
		path := n.phase("db-data", ready).GetMountPoint()
		n.full() // as from a manager that was restored to an earlier state
		n.soon("it is forgotten", func() bool { return len(n.agent.measurable()) == 0 })
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		// It may come back.
		n.volumes(aVolume("db-data"))
		n.phase("db-data", ready)
	})
}

func TestVolumeThatCannotBeMadeSaysWhyAndIsTriedAgain(t *testing.T) {
	onNode(t, func(n *node) {
		path := filepath.Join(n.volumeRoot(), "db-data")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		n.full(withVolume(aTask("t1"), "db-data"), withVolume(aTask("t2"), "other"))
		why := n.phase("db-data", failed).GetMessage()
		if !strings.Contains(why, path) {
			t.Errorf("the volume says %q", why)
		}
		n.is("t2", running) // one bad volume blocks no other
		theTaskSays := func(why string) {
			n.boss.await(t, "the task to say "+why, func() bool {
				return n.boss.tasks["t1"].GetState() == preparing && n.boss.tasks["t1"].GetMessage() == why
			})
		}
		theTaskSays(why)
		if err := errors.Join(os.Remove(path), os.Symlink("/", path)); err != nil {
			t.Fatal(err)
		}
		n.boss.await(t, "another reason", func() bool { return n.boss.volumes["vol-db-data"].GetMessage() != why })
		theTaskSays(n.phase("db-data", failed).GetMessage())
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		n.is("t1", running)
	})
}

func TestNewVolumeTakesOverTheImagesContentOnce(t *testing.T) {
	onNode(t, func(n *node) {
		if err := os.MkdirAll(filepath.Join(n.machine.imageRoot, "data"), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.machine.imageRoot, "data", "seed"), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		seed := filepath.Join(n.volumeRoot(), "db-data", "seed")
		if err := os.Remove(seed); err != nil {
			t.Fatal(err)
		}
		if n.count("view image") != 1 {
			t.Error("the image was not looked at once")
		}
		n.machine.end("t1", 1)
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		if _, err := os.Stat(seed); !os.IsNotExist(err) || n.count("view image") != 1 {
			t.Error("the image's content came again")
		}
	})
}

func TestNoCopyLeavesAVolumeEmpty(t *testing.T) {
	onNode(t, func(n *node) {
		task := withVolume(aTask("t1"), "db-data")
		task.Volumes[0].NoCopy = true
		n.full(task)
		n.is("t1", running)
		if n.count("view image") != 0 {
			t.Error("the image was looked at")
		}
	})
}
