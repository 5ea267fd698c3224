package schedule

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// drawSnapshot makes any small cluster, with volumes anywhere (also on nodes
// that are down or gone), held or not, and tasks that want any of them.
func drawSnapshot(t *rapid.T) Snapshot {
	var s Snapshot
	for i := range rapid.IntRange(0, 5).Draw(t, "nodes") {
		s.Nodes = append(s.Nodes, Node{
			ID: fmt.Sprint("n", i), Name: fmt.Sprint("worker-", i),
			Ready: rapid.Bool().Draw(t, "ready"), Tasks: rapid.IntRange(0, 4).Draw(t, "load"),
			Volumes:  rapid.IntRange(0, 4).Draw(t, "volumes"),
			Capacity: drawResources(t, 4), Reserved: drawResources(t, 2),
			Drained: rapid.IntRange(0, 4).Draw(t, "drained") == 0,
			Labels:  map[string]string{"zone": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone")},
		})
	}
	nodeID := rapid.SampledFrom([]string{"", "", "n0", "n1", "n2", "n3", "n9"})
	for i := range rapid.IntRange(0, 5).Draw(t, "volumeCount") {
		v := Volume{ID: fmt.Sprint("v", i), Name: fmt.Sprint("data-", i), Deleting: rapid.IntRange(0, 9).Draw(t, "deleting") == 0}
		v.Local = rapid.Bool().Draw(t, "local")
		v.Access = rapid.SampledFrom([]warrenv1.AccessMode{exclusive, perNode, shared}).Draw(t, "access")
		if v.Local {
			v.NodeID = nodeID.Draw(t, "place")
		} else {
			v.HeldOn = nodeID.Draw(t, "heldOn")
		}
		if v.Access == exclusive && v.HeldOn != "" {
			v.Holder = "someone"
		}
		s.Volumes = append(s.Volumes, v)
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "tasks") {
		task := Task{ID: fmt.Sprint("t", i), Name: fmt.Sprint("task-", i), ServiceID: rapid.SampledFrom([]string{"s0", "s1", "s2"}).Draw(t, "service")}
		task.Reserve = drawResources(t, 2)
		if rapid.IntRange(0, 3).Draw(t, "global") == 0 {
			task.Only = nodeID.Draw(t, "only")
		}
		if rapid.IntRange(0, 2).Draw(t, "constrained") == 0 {
			task.Constraints = []spec.Constraint{{Key: "zone", Label: true, Value: "a", Not: rapid.Bool().Draw(t, "not")}}
		}
		for _, v := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID).Draw(t, "needs") {
			task.Volumes = append(task.Volumes, VolumeRef{ID: fmt.Sprint("v", v), Name: fmt.Sprint("data-", v)})
		}
		s.Tasks = append(s.Tasks, task)
	}
	return s
}

func drawResources(t *rapid.T, most uint64) Resources {
	amount := rapid.Uint64Range(0, most)
	return Resources{CPUMillis: amount.Draw(t, "CPU"), Memory: amount.Draw(t, "memory")}
}

// after is the snapshot that holds once the decisions are committed.
func after(s Snapshot, d Decisions) Snapshot {
	next := Snapshot{Nodes: slices.Clone(s.Nodes), Volumes: append([]Volume(nil), s.Volumes...)}
	volume := map[string]*Volume{}
	for i := range next.Volumes {
		volume[next.Volumes[i].ID] = &next.Volumes[i]
	}
	for _, p := range d.Volumes {
		volume[p.ID].NodeID = p.NodeID
	}
	placed := map[string]string{}
	for _, p := range d.Tasks {
		placed[p.ID] = p.NodeID
	}
	for _, t := range s.Tasks {
		node, ok := placed[t.ID]
		if !ok {
			next.Tasks = append(next.Tasks, t)
			continue
		}
		for i := range next.Nodes {
			if n := &next.Nodes[i]; n.ID == node {
				n.Reserved = n.Reserved.Plus(t.Reserve)
			}
		}
		for _, ref := range t.Volumes {
			volume[ref.ID].HeldOn = node
			if volume[ref.ID].Access == exclusive {
				volume[ref.ID].Holder = t.Name
			}
		}
	}
	return next
}

func TestEveryDecisionKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		d := Decide(s)
		end := after(s, d)
		node, before, volume, task := map[string]*Node{}, map[string]Volume{}, map[string]Volume{}, map[string]Task{}
		for _, n := range s.Nodes {
			node[n.ID] = &n
		}
		for _, v := range s.Volumes {
			before[v.ID] = v
		}
		for _, v := range end.Volumes {
			volume[v.ID] = v
		}
		for _, x := range s.Tasks {
			task[x.ID] = x
		}
		for _, p := range d.Volumes {
			if before[p.ID].NodeID != "" || !before[p.ID].Local || !node[p.NodeID].usable() {
				t.Fatalf("volume %+v was moved to %+v", before[p.ID], p)
			}
		}
		takers := map[string]int{}
		for _, p := range d.Tasks {
			if before := task[p.ID]; !node[p.NodeID].usable() || before.Only != "" && before.Only != p.NodeID {
				t.Fatalf("%s runs on %q, which may not have it", p.ID, p.NodeID)
			}
			for _, c := range task[p.ID].Constraints {
				if !c.Holds(p.NodeID, "", node[p.NodeID].Labels) {
					t.Fatalf("%s runs on %q, against its constraints", p.ID, p.NodeID)
				}
			}
			for _, ref := range task[p.ID].Volumes {
				v, ok := volume[ref.ID]
				takers[v.ID]++
				switch was := before[ref.ID]; {
				case !ok, v.Deleting:
					t.Fatalf("%s mounts %s, which is gone", p.ID, ref.ID)
				case v.Local && v.NodeID != p.NodeID:
					t.Fatalf("%s runs on %s, its local volume is on %s", p.ID, p.NodeID, v.NodeID)
				case v.Access == exclusive && (was.Holder != "" || takers[v.ID] > 1):
					t.Fatalf("exclusive volume %s has two holders", v.ID)
				case v.Access == perNode && was.HeldOn != "" && was.HeldOn != p.NodeID:
					t.Fatalf("volume %s is held on two nodes", v.ID)
				}
			}
		}
		for i, n := range end.Nodes {
			// Nobody is promised what was promised already, whatever that was.
			more := Resources{n.Reserved.CPUMillis - s.Nodes[i].Reserved.CPUMillis, n.Reserved.Memory - s.Nodes[i].Reserved.Memory}
			if more.CPUMillis > 0 && n.Reserved.CPUMillis > n.Capacity.CPUMillis || more.Memory > 0 && n.Reserved.Memory > n.Capacity.Memory {
				t.Fatalf("%s is promised %+v of %+v", n.ID, n.Reserved, n.Capacity)
			}
		}
		if len(d.Tasks)+len(d.WaitingTasks) != len(s.Tasks) {
			t.Fatalf("%d of %d tasks were decided", len(d.Tasks)+len(d.WaitingTasks), len(s.Tasks))
		}
		if again := Decide(s); !reflect.DeepEqual(again, d) {
			t.Fatalf("decided %+v, then %+v", d, again)
		}
	})
}

// fits is the rules again, as plainly as they can be said.
func fits(s Snapshot, task Task, n Node) bool {
	for _, ref := range task.Volumes {
		found := false
		for _, v := range s.Volumes {
			if v.ID != ref.ID {
				continue
			}
			found = !v.Deleting &&
				!(v.Local && v.NodeID != "" && v.NodeID != n.ID) &&
				!(v.Access == exclusive && v.Holder != "") &&
				!(!v.Local && v.Access == perNode && v.HeldOn != "" && v.HeldOn != n.ID)
		}
		if !found {
			return false
		}
	}
	for _, c := range task.Constraints {
		if (n.Labels["zone"] == c.Value) == c.Not {
			return false
		}
	}
	cpu, memory := task.Reserve.CPUMillis, task.Reserve.Memory
	return n.Ready && !n.Drained && (task.Only == "" || task.Only == n.ID) && (cpu == 0 || cpu+n.Reserved.CPUMillis <= n.Capacity.CPUMillis) &&
		(memory == 0 || memory+n.Reserved.Memory <= n.Capacity.Memory)
}

func TestWhateverCanBePlacedIsPlaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		d := Decide(s)
		end := after(s, d)
		for _, task := range end.Tasks {
			for _, n := range end.Nodes {
				if fits(end, task, n) {
					t.Fatalf("%+v waits, though %s would do: %+v", task, n.ID, d.WaitingTasks)
				}
			}
		}
		for _, w := range d.WaitingTasks {
			if w.Reason == "" {
				t.Fatalf("%s waits without a reason", w.ID)
			}
		}
		anyReady := false
		for _, n := range s.Nodes {
			anyReady = anyReady || n.Ready && !n.Drained
		}
		for _, v := range end.Volumes {
			if v.Local && v.NodeID == "" && !v.Deleting && anyReady {
				t.Fatalf("volume %s was given no node", v.ID)
			}
		}
	})
}

func TestServicesAreSpreadEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Snapshot
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			s.Nodes = append(s.Nodes, Node{ID: fmt.Sprint("n", i), Ready: true, Tasks: rapid.IntRange(0, 5).Draw(t, "load")})
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "tasks") {
			service := rapid.SampledFrom([]string{"s0", "s1"}).Draw(t, "service")
			s.Tasks = append(s.Tasks, Task{ID: fmt.Sprint("t", i), ServiceID: service})
		}
		count := map[string]map[string]int{"s0": {}, "s1": {}}
		for i, p := range Decide(s).Tasks {
			count[s.Tasks[i].ServiceID][p.NodeID]++
		}
		for service, on := range count {
			least, most := len(s.Tasks), 0
			for _, n := range s.Nodes {
				least, most = min(least, on[n.ID]), max(most, on[n.ID])
			}
			if most-least > 1 {
				t.Fatalf("%s is spread as %v", service, on)
			}
		}
	})
}
