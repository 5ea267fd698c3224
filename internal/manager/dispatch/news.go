package dispatch

import (
	"maps"
	"slices"

	"github.com/cuemby/warren/internal/manager/store"
)

// news are the tasks, volumes and snapshots that a session should look at again.
type news struct {
	tasks, volumes, snapshots map[store.Key]struct{}
}

func newNews() news {
	return news{tasks: map[store.Key]struct{}{}, volumes: map[store.Key]struct{}{}, snapshots: map[store.Key]struct{}{}}
}

func (n news) add(more news) {
	maps.Copy(n.tasks, more.tasks)
	maps.Copy(n.volumes, more.volumes)
	maps.Copy(n.snapshots, more.snapshots)
}

func (n news) empty() bool { return len(n.tasks)+len(n.volumes)+len(n.snapshots) == 0 }

func sorted(keys map[store.Key]struct{}) []store.Key { return slices.Sorted(maps.Keys(keys)) }

// notes are news by the node they are for.
type notes map[string]news

func (n notes) task(key store.Key, nodes ...string) {
	for _, node := range nodes {
		if node != "" {
			n.of(node).tasks[key] = struct{}{}
		}
	}
}

func (n notes) volume(key store.Key, nodes ...string) {
	for _, node := range nodes {
		if node != "" {
			n.of(node).volumes[key] = struct{}{}
		}
	}
}

func (n notes) snapshot(key store.Key, nodes ...string) {
	for _, node := range nodes {
		if node != "" {
			n.of(node).snapshots[key] = struct{}{}
		}
	}
}

func (n notes) of(node string) news {
	if _, ok := n[node]; !ok {
		n[node] = newNews()
	}
	return n[node]
}
