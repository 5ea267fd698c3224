package dispatch

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// about is an event of an object.
func about(kind string, m *warrenv1.Meta, at *timestamppb.Timestamp, reason, message string) *warrenv1.Event {
	return &warrenv1.Event{
		Time: at, Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(), Reason: reason, Message: message,
	}
}

// taskEvent says what a new status of a task means to a person; nil when
// nothing. How a container ended, its node tells by itself.
func taskEvent(task *warrenv1.Task, was, is *warrenv1.TaskStatus) *warrenv1.Event {
	entered := func(s warrenv1.TaskState) bool { return is.GetState() == s && was.GetState() != s }
	event := func(reason, format string, args ...any) *warrenv1.Event {
		return about(spec.KindTask, task.GetMeta(), is.GetStateSince(), reason, fmt.Sprintf(format, args...))
	}
	switch {
	case entered(warrenv1.TaskState_TASK_STATE_RUNNING) && is.GetAddress() != "":
		return event("started", "it runs at %s", is.GetAddress())
	case entered(warrenv1.TaskState_TASK_STATE_RUNNING):
		return event("started", "it runs")
	case entered(warrenv1.TaskState_TASK_STATE_STOPPED):
		return event("stopped", "%s", is.GetMessage())
	case is.GetState() == warrenv1.TaskState_TASK_STATE_BACKOFF && is.GetMessage() != was.GetMessage() &&
		proto.Equal(is.GetFinishedAt(), was.GetFinishedAt()):
		return event("failed", "%s", is.GetMessage()) // no container ended: it did not get that far
	case is.GetHealth() == warrenv1.Health_HEALTH_HEALTHY && was.GetHealth() != is.GetHealth():
		return event("healthy", "")
	}
	return nil
}

// volumeEvent says what a new status of a volume means to a person; nil when
// nothing.
func volumeEvent(volume *warrenv1.Volume, was, is *warrenv1.VolumeStatus) *warrenv1.Event {
	if is.GetNearlyFull() && !was.GetNearlyFull() {
		return about(spec.KindVolume, volume.GetMeta(), timestamppb.Now(), "nearly-full", fmt.Sprintf("%s of %s are used",
			spec.FormatSize(is.GetUsedBytes()), spec.FormatSize(is.GetCapacityBytes())))
	}
	failed := is.GetPhase() == warrenv1.VolumePhase_VOLUME_PHASE_FAILED
	if !failed || was.GetPhase() == is.GetPhase() && was.GetMessage() == is.GetMessage() {
		return nil
	}
	return about(spec.KindVolume, volume.GetMeta(), timestamppb.Now(), "failed", is.GetMessage())
}

// nodeEvent records that a node came or went.
func nodeEvent(tx *store.Tx, nodeID, reason, message string) error {
	node, err := tx.Nodes().Peek(nodeID)
	if err != nil {
		return unlessNotFound(err)
	}
	return tx.Events().Append(about(spec.KindNode, node.GetMeta(), timestamppb.Now(), reason, message))
}

// appendEvent records an event that a worker tells of. Of itself it need not
// tell the name.
func appendEvent(tx *store.Tx, nodeID string, e *warrenv1.Event) error {
	if e.GetKind() == spec.KindNode {
		return nodeEvent(tx, nodeID, e.GetReason(), e.GetMessage())
	}
	if e.GetTime() == nil {
		e = proto.CloneOf(e)
		e.Time = timestamppb.Now()
	}
	return tx.Events().Append(e)
}
