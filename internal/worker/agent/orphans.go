package agent

import (
	"context"
	"os"
	"path/filepath"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// removeOrphans stops and removes the containers that nobody assigned, and
// the logs without a task. It is called after a full set only: before one, it
// is not known what this node should have.
func (a *Agent) removeOrphans(ctx context.Context) {
	ids, err := a.cfg.Runtime.ContainerIDs(ctx)
	if err != nil {
		a.log.Error("containers cannot be listed", "error", err)
	}
	for _, id := range ids {
		// A task that is wanted by nobody knows how to stop.
		a.mu.Lock()
		if a.tasks[id] == nil && ctx.Err() == nil {
			a.assignTask(&warrenv1.Task{
				Meta:    &warrenv1.Meta{Id: id, Name: id},
				Desired: warrenv1.DesiredState_DESIRED_STATE_STOPPED,
			})
			a.tasks[id].remove()
			a.log.Warn("a container that nobody assigned is stopped and removed", "id", id)
		}
		a.mu.Unlock()
	}
	a.removeOldLogs()
}

func (a *Agent) assigned(taskID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tasks[taskID] != nil
}

func (a *Agent) removeOldLogs() {
	entries, err := os.ReadDir(filepath.Join(a.cfg.DataDir, "logs"))
	if err != nil && !os.IsNotExist(err) {
		a.log.Error("logs cannot be listed", "error", err)
	}
	for _, e := range entries {
		if a.assigned(e.Name()) {
			continue
		}
		if err := os.RemoveAll(a.logDir(e.Name())); err != nil {
			a.log.Error("logs without a task were not removed", "error", err)
		}
	}
}
