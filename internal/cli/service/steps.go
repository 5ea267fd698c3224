package service

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// steps tells what is new in a service from one look to the next.
type steps struct {
	begun bool
	// tasks and replaced are what was told last.
	tasks    map[string]string
	replaced uint32
	state    warrenv1.UpdateState
}

func newSteps() *steps { return &steps{tasks: map[string]string{}} }

// of returns a line for each thing that changed.
func (s *steps) of(service *warrenv1.Service) (lines []string) {
	if u := service.GetUpdate(); u.GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK && s.state != u.GetState() {
		lines = append(lines, "rolling back: "+u.GetMessage())
	}
	var replaced uint32
	for _, t := range service.GetTasks() {
		id, text := t.GetMeta().GetId(), describe(service, t)
		fresh := t.GetSpecVersion() == service.GetSpecVersion()
		if fresh && spec.Up(t.GetStatus()) {
			replaced++
		}
		if s.tasks[id] == text {
			continue
		}
		s.tasks[id] = text
		// What was there before it began is no step.
		if s.begun || fresh && !spec.Terminal(t.GetStatus().GetState()) {
			lines = append(lines, text)
		}
	}
	if replaced != s.replaced {
		lines = append(lines, fmt.Sprintf("%d of %d tasks run revision %d", replaced, spec.WantedTasks(service), service.GetSpecVersion()))
	}
	s.begun, s.replaced, s.state = true, replaced, service.GetUpdate().GetState()
	return lines
}

// describe tells how a task does: web-task-1 (new): running.
func describe(service *warrenv1.Service, t *warrenv1.Task) string {
	age := "old"
	if t.GetSpecVersion() == service.GetSpecVersion() {
		age = "new"
	}
	text := fmt.Sprintf("%s (%s): %s", t.GetMeta().GetName(), age, spec.TaskStateName(t.GetStatus().GetState()))
	if health := spec.HealthName(t.GetStatus().GetHealth()); health != "" {
		text += ", " + health
	}
	if message := t.GetStatus().GetMessage(); message != "" {
		text += ": " + message
	}
	return text
}
