package spec

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Verdict is how a service does, for whoever waits for it.
type Verdict int

const (
	// Underway is a service that may yet work.
	Underway Verdict = iota
	// Works is one of which all tasks are up, and no update goes on.
	Works
	// Failed is one that does not get there by itself, or hardly.
	Failed
)

// fewRestarts are what a task may need until what it depends on is there.
const fewRestarts = 3

// ServiceVerdict judges a service that was read with its tasks, and says what
// it lacks.
func ServiceVerdict(s *warrenv1.Service) (Verdict, string) {
	switch u := s.GetUpdate(); {
	case s.GetDeletedAt() != nil:
		return Failed, "it is being deleted"
	case s.GetStopped():
		return Failed, "it is stopped: " + s.GetStoppedReason()
	case u.GetState() == warrenv1.UpdateState_UPDATE_STATE_PAUSED, u.GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED:
		return Failed, "its update is paused: " + u.GetMessage()
	}
	var up uint32
	lacks := ""
	for _, t := range s.GetTasks() {
		if t.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING || t.GetSpecVersion() != s.GetSpecVersion() {
			continue
		}
		if why := hopeless(t.GetStatus()); why != "" {
			return Failed, t.GetMeta().GetName() + ": " + why
		}
		if Up(t.GetStatus()) || Accomplished(t.GetStatus()) {
			up++
			continue
		}
		state := TaskStateName(t.GetStatus().GetState())
		if health := HealthName(t.GetStatus().GetHealth()); health != "" {
			state += ", " + health
		}
		lacks = fmt.Sprintf("; %s is %s", t.GetMeta().GetName(), state)
		if message := t.GetStatus().GetMessage(); message != "" {
			lacks += ": " + message
		}
	}
	lacks = fmt.Sprintf("%d of %d tasks run%s", up, WantedTasks(s), lacks)
	switch s.GetUpdate().GetState() {
	case warrenv1.UpdateState_UPDATE_STATE_UPDATING, warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK:
		return Underway, "the update goes on; " + lacks
	}
	if up < WantedTasks(s) {
		return Underway, lacks
	}
	return Works, lacks
}

// hopeless says why a task does not run and hardly will.
func hopeless(s *warrenv1.TaskStatus) string {
	if s.GetState() == warrenv1.TaskState_TASK_STATE_FINISHED && !Accomplished(s) {
		return s.GetMessage()
	}
	if s.GetState() == warrenv1.TaskState_TASK_STATE_BACKOFF && (s.GetStartedAt() == nil || s.GetRestarts() >= fewRestarts) {
		return s.GetMessage()
	}
	return ""
}
