package dispatch

import (
	"maps"
	"slices"

	"github.com/cuemby/warren/internal/manager/store"
)

// news are the tasks and volumes that a session should look at again.
type news struct {
	tasks, volumes map[store.Key]struct{}
}

func newNews() news {
	return news{tasks: map[store.Key]struct{}{}, volumes: map[store.Key]struct{}{}}
}

func (n news) add(more news) {
	maps.Copy(n.tasks, more.tasks)
	maps.Copy(n.volumes, more.volumes)
}

func (n news) empty() bool { return len(n.tasks) == 0 && len(n.volumes) == 0 }

func (n news) sorted() (tasks, volumes []store.Key) {
	return slices.Sorted(maps.Keys(n.tasks)), slices.Sorted(maps.Keys(n.volumes))
}

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

func (n notes) of(node string) news {
	if _, ok := n[node]; !ok {
		n[node] = newNews()
	}
	return n[node]
}
