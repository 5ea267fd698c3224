package service

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func newGlobalPlay(order warrenv1.UpdateOrder, nodes ...node) *play {
	w := newPlay(0, order)
	w.service.Spec.Mode = warrenv1.ServiceMode_SERVICE_MODE_GLOBAL
	w.nodes = nodes
	return w
}

// onNodes counts the live, wanted tasks of each node.
func (w *play) onNodes() map[string]int {
	on := map[string]int{}
	for _, t := range w.tasks {
		if !t.over() && t.wanted() {
			on[t.node]++
		}
	}
	return on
}

// Whatever joins, goes down, is drained or comes back, and whatever is updated
// meanwhile: in the end each node that is up has one task, of the newest spec,
// and no other node has one that can be stopped.
func TestAGlobalServiceFollowsItsNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newGlobalPlay(rapid.SampledFrom([]warrenv1.UpdateOrder{startFirst, stopFirst}).Draw(t, "order"))
		draw := func(t *rapid.T) string { return fmt.Sprint("n", rapid.IntRange(1, 4).Draw(t, "node")) }
		find := func(id string) int { return slices.IndexFunc(w.nodes, func(n node) bool { return n.id == id }) }
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				if id := draw(t); find(id) < 0 {
					w.nodes = append(w.nodes, node{id: id})
				}
			},
			"drain": func(t *rapid.T) {
				if i := find(draw(t)); i >= 0 && !w.nodes[i].down {
					w.nodes = slices.Delete(w.nodes, i, i+1)
				}
			},
			"flip": func(t *rapid.T) {
				if i := find(draw(t)); i >= 0 {
					w.nodes[i].down = !w.nodes[i].down
				}
			},
			"update": func(t *rapid.T) { w.change() },
			"step": func(t *rapid.T) {
				w.plan()
				for i := range w.tasks {
					w.report(&w.tasks[i])
				}
			},
			"": func(t *rapid.T) {
				for node, count := range w.onNodes() {
					if count > 2 || w.order == stopFirst && count > 1 {
						t.Fatalf("%s has %d tasks: %+v", node, count, w.tasks)
					}
				}
			},
		})
		for i := range w.nodes {
			w.nodes[i].down = false
		}
		w.change()
		w.settle(t, func() {})
		on := w.onNodes()
		for _, n := range w.nodes {
			if on[n.id] != 1 {
				t.Fatalf("%s has %d tasks: %+v", n.id, on[n.id], w.tasks)
			}
			delete(on, n.id)
		}
		if len(on) > 0 {
			t.Fatalf("tasks on nodes that are none of the service's: %v", on)
		}
		if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_COMPLETED {
			t.Fatalf("the update is %v", w.update)
		}
	})
}

func TestAGlobalServiceWaitsForNoNodeThatIsDown(t *testing.T) {
	w := newGlobalPlay(stopFirst, node{id: "a"}, node{id: "b"})
	w.settle(t, func() {})
	w.nodes[1].down = true
	w.nodes = append(w.nodes, node{id: "c", down: true})
	w.change()
	w.settle(t, func() {})
	if got, want := fmt.Sprint(w.onNodes(), w.update.GetState()), "map[a:1 b:1] UPDATE_STATE_COMPLETED"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.nodes[1].down, w.nodes[2].down = false, false
	w.settle(t, func() {})
	for _, x := range w.tasks {
		if !x.over() && x.specVersion != w.service.SpecVersion {
			t.Errorf("%+v is of an older spec", x)
		}
	}
	if got, want := fmt.Sprint(w.onNodes()), "map[a:1 b:1 c:1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
