package agent

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// assembly puts the pieces of a full set together. It lives as long as a
// session, so that a set that was cut off is never taken for whole.
type assembly struct{ full *warrenv1.Assignments }

// add returns what there is to apply now; nil when more belongs to it.
func (s *assembly) add(piece *warrenv1.Assignments) *warrenv1.Assignments {
	if !piece.GetFull() {
		return piece
	}
	if s.full == nil {
		s.full = &warrenv1.Assignments{Full: true}
	}
	s.full.Tasks = append(s.full.Tasks, piece.GetTasks()...)
	s.full.Volumes = append(s.full.Volumes, piece.GetVolumes()...)
	s.full.Snapshots = append(s.full.Snapshots, piece.GetSnapshots()...)
	if piece.GetMore() {
		return nil
	}
	whole := s.full
	s.full = nil
	return whole
}

// apply makes a change of the set known to the tasks and volumes it concerns,
// and then writes it down: the work need not wait for the disk, because what
// was begun and not written is still known to the manager.
func (a *Agent) apply(change *warrenv1.Assignments) {
	a.mu.Lock()
	tasks, volumes := a.differing(change)
	a.assign(tasks, volumes)
	a.assignSnapshots(change)
	for _, id := range a.unassigned(change) {
		a.tasks[id].remove()
	}
	for _, id := range a.unassignedVolumes(change) {
		a.volumes[id].remove()
	}
	if len(volumes) > 0 {
		a.wakeAll() // a task may have waited for its volume
	}
	a.mu.Unlock()

	if err := a.state.assign(tasks, volumes); err != nil {
		a.log.Error("assignments were not written down; they hold, but not through a restart", "error", err)
	}
	if change.GetFull() {
		a.running.Go(func() { a.removeOrphans(a.ctx) })
	}
}

// differing returns what is not assigned like that already. A full set is
// mostly what is known.
func (a *Agent) differing(change *warrenv1.Assignments) (tasks []*warrenv1.Task, volumes []*warrenv1.Volume) {
	for _, t := range change.GetTasks() {
		if known := a.tasks[t.GetMeta().GetId()]; known == nil || !known.wants(t) {
			tasks = append(tasks, t)
		}
	}
	for _, v := range change.GetVolumes() {
		if known := a.volumes[v.GetMeta().GetId()]; known == nil || !known.wants(v) {
			volumes = append(volumes, v)
		}
	}
	return tasks, volumes
}

func (a *Agent) unassigned(change *warrenv1.Assignments) []string {
	var gone []string
	if !change.GetFull() {
		for _, id := range change.GetRemovedTasks() {
			if a.tasks[id] != nil {
				gone = append(gone, id)
			}
		}
		return gone
	}
	keep := map[string]bool{}
	for _, t := range change.GetTasks() {
		keep[t.GetMeta().GetId()] = true
	}
	for id := range a.tasks {
		if !keep[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

func (a *Agent) unassignedVolumes(change *warrenv1.Assignments) []string {
	var gone []string
	if !change.GetFull() {
		for _, id := range change.GetRemovedVolumes() {
			if a.volumes[id] != nil {
				gone = append(gone, id)
			}
		}
		return gone
	}
	keep := map[string]bool{}
	for _, v := range change.GetVolumes() {
		keep[v.GetMeta().GetId()] = true
	}
	for id := range a.volumes {
		if !keep[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// assign makes known what is wanted now. Tasks come first, for no volume may be
// deleted before it is known who holds it. Needs a.mu, which lets none of the
// goroutines look for a volume before all are there.
func (a *Agent) assign(tasks []*warrenv1.Task, volumes []*warrenv1.Volume) {
	for _, t := range tasks {
		a.assignTask(t)
	}
	for _, v := range volumes {
		a.assignVolume(v)
	}
}

// assignTask begins a task or tells it what is wanted now. Needs a.mu.
func (a *Agent) assignTask(want *warrenv1.Task) {
	id := want.GetMeta().GetId()
	if t := a.tasks[id]; t != nil {
		t.update(want)
		return
	}
	t := newTask(a, want)
	a.tasks[id] = t
	a.running.Go(func() { t.run(a.ctx) })
}

// assignVolume begins a volume or tells it what is wanted now. Needs a.mu.
func (a *Agent) assignVolume(want *warrenv1.Volume) {
	id := want.GetMeta().GetId()
	if k := a.volumes[id]; k != nil {
		k.update(want)
		return
	}
	k := newKeeper(a, want)
	a.volumes[id] = k
	a.running.Go(func() { k.run(a.ctx) })
}

// wakeAll lets every task look again at what it waits for. Needs a.mu.
func (a *Agent) wakeAll() {
	for _, t := range a.tasks {
		t.poke()
	}
}
