package place

import (
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Who mounts a volume with :exclusive is alone with it, whoever comes first.
func TestATaskMayWantAVolumeForItself(t *testing.T) {
	h := newHouse(t)
	h.node("n1", ready)
	for _, v := range []string{"first", "second"} {
		h.volume(v, func(*warrenv1.Volume) {})
	}
	a := h.taskLike("a", "first", true)
	b := h.taskLike("b", "first", false)
	c := h.taskLike("c", "second", false)
	d := h.taskLike("d", "second", true)
	h.react()
	for id, node := range map[string]string{a: "n1", b: "", c: "n1", d: ""} {
		if task, s := h.taskRow(id); task.GetNodeId() != node {
			t.Errorf("%s is on %q, %v", id, task.GetNodeId(), s)
		}
	}
	if _, s := h.taskRow(b); s.GetMessage() != "volume first is exclusive and held by a" {
		t.Errorf("b waits: %v", s)
	}
	if _, s := h.taskRow(d); s.GetMessage() != "volume second is wanted exclusively and held by others" {
		t.Errorf("d waits: %v", s)
	}
}

// taskLike is a task with one volume.
func (h *house) taskLike(id, volume string, exclusive bool) string {
	h.t.Helper()
	h.put(&warrenv1.Task{
		Meta: &warrenv1.Meta{Id: id, Name: id, Namespace: ns}, ServiceId: "svc",
		Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
		Volumes: []*warrenv1.VolumePin{{VolumeId: volume, Volume: volume, Path: "/data", Exclusive: exclusive}},
	})
	return id
}
