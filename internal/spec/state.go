package spec

import (
	"cmp"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Terminal tells whether a task in that state is over: nothing runs, and
// nothing that it held is held any more.
func Terminal(state warrenv1.TaskState) bool {
	return state >= warrenv1.TaskState_TASK_STATE_STOPPED
}

// MayFollow tells whether a task may go from one state to the other. States
// only ever grow, except that a task which its node makes ready, starts, runs
// and waits with may go round among those.
func MayFollow(from, to warrenv1.TaskState) bool {
	return to >= from || onNode(from) && onNode(to)
}

func onNode(s warrenv1.TaskState) bool {
	return warrenv1.TaskState_TASK_STATE_PREPARING <= s && s <= warrenv1.TaskState_TASK_STATE_BACKOFF
}

// Up tells whether a task does its work: it runs, and its health check, if it
// has one, says so too.
func Up(s *warrenv1.TaskStatus) bool {
	return s.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING &&
		(s.GetHealth() == warrenv1.Health_HEALTH_UNSPECIFIED || s.GetHealth() == warrenv1.Health_HEALTH_HEALTHY)
}

// Accomplished tells whether a task has done its work and ended, as its restart
// policy lets it.
func Accomplished(s *warrenv1.TaskStatus) bool {
	return s.GetState() == warrenv1.TaskState_TASK_STATE_FINISHED && s.ExitCode != nil && s.GetExitCode() == 0
}

// Trouble says why a task does not do its work although it was started, or was
// to be; "" if nothing is known against it.
func Trouble(s *warrenv1.TaskStatus) string {
	why := ""
	switch {
	case s.GetState() == warrenv1.TaskState_TASK_STATE_BACKOFF, s.GetState() == warrenv1.TaskState_TASK_STATE_FINISHED && !Accomplished(s):
		why = cmp.Or(s.GetMessage(), s.GetExitReason())
	case s.GetHealth() == warrenv1.Health_HEALTH_UNHEALTHY:
		why = "unhealthy: " + s.GetHealthMessage()
	case s.GetRestarts() > 0:
		why = s.GetExitReason() + "; it was restarted"
	default:
		return ""
	}
	return cmp.Or(why, "it ended")
}

// UpFor is for how long a task has been up; 0 when it is not. Its node's clock
// may be ahead of now: what seems to come is as far from now as what was, so
// that nobody waits for a wrong clock for ever.
func UpFor(s *warrenv1.TaskStatus, now time.Time) time.Duration {
	if !Up(s) {
		return 0
	}
	return now.Sub(s.GetStateSince().AsTime()).Abs()
}

// TaskStateName prints a state as users read it: running.
func TaskStateName(s warrenv1.TaskState) string {
	return enumWord(s.String(), "TASK_STATE_")
}

// HealthName prints a health as users read it: healthy. It is empty when there
// is nothing to say.
func HealthName(h warrenv1.Health) string {
	if h == warrenv1.Health_HEALTH_UNSPECIFIED {
		return ""
	}
	return enumWord(h.String(), "HEALTH_")
}

// ManagerStateName prints how a manager takes part: ready.
func ManagerStateName(s warrenv1.ManagerState) string {
	return enumWord(s.String(), "MANAGER_STATE_")
}

// NodeStateName prints a state as users read it: ready.
func NodeStateName(s warrenv1.NodeState) string {
	return enumWord(s.String(), "NODE_STATE_")
}

// VolumePhaseName prints a phase as users read it: ready.
func VolumePhaseName(p warrenv1.VolumePhase) string {
	return enumWord(p.String(), "VOLUME_PHASE_")
}

// AccessModeName prints an access mode as users read it: node.
func AccessModeName(m warrenv1.AccessMode) string {
	return enumWord(m.String(), "ACCESS_MODE_")
}

// NetworkModeName prints a network mode as users read it: bridge.
func NetworkModeName(m warrenv1.NetworkMode) string {
	return enumWord(m.String(), "NETWORK_MODE_")
}

func enumWord(name, prefix string) string {
	word := strings.ToLower(strings.TrimPrefix(name, prefix))
	if word == "unspecified" {
		return "unknown"
	}
	return word
}

func dashed(word string) string { return strings.ReplaceAll(word, "_", "-") }
