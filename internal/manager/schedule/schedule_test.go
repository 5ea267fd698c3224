package schedule

import (
	"fmt"
	"strconv"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	exclusive = warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE
	perNode   = warrenv1.AccessMode_ACCESS_MODE_NODE
	shared    = warrenv1.AccessMode_ACCESS_MODE_SHARED
)

func TestWaitingTasksSayWhy(t *testing.T) {
	one, two, three := Node{ID: "n1", Name: "worker-1"}, Node{ID: "n2", Name: "worker-2"}, Node{ID: "n3", Name: "worker-3"}
	ready := func(n Node) Node { n.Ready = true; return n }
	needs := func(ids ...string) Task {
		t := Task{ID: "t", Name: "pg-task-1", ServiceID: "s"}
		for _, id := range ids {
			t.Volumes = append(t.Volumes, VolumeRef{ID: id, Name: id})
		}
		return t
	}
	alone := func(id string) Task {
		t := needs(id)
		t.Volumes[0].Exclusive = true
		return t
	}
	reserves := func(cpu, memory uint64) Task {
		t := needs()
		t.Reserve = Resources{cpu, memory}
		return t
	}
	big := Node{ID: "n4", Name: "worker-4", Ready: true, Capacity: Resources{4000, 8e9}, Reserved: Resources{3500, 1e9}}
	for name, c := range map[string]struct {
		nodes   []Node
		volumes []Volume
		task    Task
		want    string
	}{
		"no workers":     {nil, nil, needs(), "the cluster has no worker"},
		"the only one":   {[]Node{one}, nil, needs(), "0 of 1 node fits: 1 not ready"},
		"all down":       {[]Node{one, two}, nil, needs(), "0 of 2 nodes fit: 2 not ready"},
		"its own down":   {[]Node{ready(two), one, ready(three)}, []Volume{{ID: "v", Name: "data", Local: true, NodeID: "n1"}}, needs("v"), "0 of 3 nodes fit: 1 not ready, 2 without volume data, which is on worker-1"},
		"volumes apart":  {[]Node{ready(one), ready(two)}, []Volume{{ID: "v", Name: "v", Local: true, NodeID: "n1"}, {ID: "w", Name: "w", Local: true, NodeID: "n2"}}, needs("v", "w"), "0 of 2 nodes fit: 1 without volume w, which is on worker-2, 1 without volume v, which is on worker-1"},
		"node is gone":   {[]Node{ready(one)}, []Volume{{ID: "v", Name: "v", Local: true, NodeID: "n9"}}, needs("v"), "0 of 1 node fits: 1 without volume v, which is on n9"},
		"volume gone":    {[]Node{ready(one)}, nil, needs("v"), "volume v no longer exists"},
		"being deleted":  {[]Node{ready(one)}, []Volume{{ID: "v", Name: "data", Deleting: true}}, needs("v"), "volume data is being deleted"},
		"alone":          {[]Node{ready(one)}, []Volume{{ID: "v", Name: "data", Access: perNode, HeldOn: "n1"}}, alone("v"), "volume data is wanted exclusively and held by others"},
		"held":           {[]Node{ready(one)}, []Volume{{ID: "v", Name: "data", Access: exclusive, Holder: "old-task-1"}}, needs("v"), "volume data is exclusive and held by old-task-1"},
		"held elsewhere": {[]Node{ready(one), two}, []Volume{{ID: "v", Name: "data", Access: perNode, HeldOn: "n2"}}, needs("v"), "0 of 2 nodes fit: 1 not ready, 1 without volume data, which is on worker-2"},
		"no CPU":         {[]Node{big, one}, nil, reserves(1000, 0), "0 of 2 nodes fit: 1 not ready, 1 without 1 CPU left to reserve"},
		"no memory":      {[]Node{big}, nil, reserves(500, 7_000_000_001), "0 of 1 node fits: 1 without 0.5 CPUs and 7GB of memory left to reserve"},
		"never told":     {[]Node{ready(one)}, nil, reserves(0, 1), "0 of 1 node fits: 1 without 1B of memory left to reserve"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(Snapshot{Nodes: c.nodes, Volumes: c.volumes, Tasks: []Task{c.task}})
			if len(d.Tasks) != 0 || len(d.WaitingTasks) != 1 {
				t.Fatalf("placed %v, waiting %v", d.Tasks, d.WaitingTasks)
			}
			if got := d.WaitingTasks[0].Reason; got != c.want {
				t.Errorf("reason is %q\nwant      %q", got, c.want)
			}
		})
	}
}

func TestSpreadsAServiceBeforeItFillsUp(t *testing.T) {
	// n1 is nearly empty but has the service already.
	s := Snapshot{
		Nodes:  []Node{{ID: "n1", Ready: true, Tasks: 1}, {ID: "n2", Ready: true, Tasks: 7}, {ID: "n3", Ready: true, Tasks: 9}},
		Spread: map[string]map[string]int{"s": {"n1": 1}},
		Tasks:  []Task{{ID: "a", ServiceID: "s"}, {ID: "b", ServiceID: "s"}, {ID: "c", ServiceID: "s"}},
	}
	got := fmt.Sprint(Decide(s).Tasks)
	if want := "[{a n2} {b n3} {c n1}]"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
}

func TestReservationsAreKept(t *testing.T) {
	s := Snapshot{
		Nodes: []Node{{ID: "n1", Ready: true, Capacity: Resources{2000, 4e9}}, {ID: "n2", Ready: true, Tasks: 9, Capacity: Resources{4000, 4e9}}},
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		s.Tasks = append(s.Tasks, Task{ID: id, ServiceID: id, Reserve: Resources{1500, 1e9}})
	}
	d := Decide(s)
	if got, want := fmt.Sprint(d.Tasks, d.WaitingTasks), "[{a n1} {b n2} {c n2}] [{d 0 of 2 nodes fit: 2 without 1.5 CPUs and 1GB of memory left to reserve}]"; got != want {
		t.Errorf("decided %s, want %s", got, want)
	}
}

func TestAVolumeGoesWhereItsTaskGoes(t *testing.T) {
	s := Snapshot{
		Nodes:   []Node{{ID: "n1", Ready: true, Tasks: 5}, {ID: "n2", Ready: true, Volumes: 5}},
		Volumes: []Volume{{ID: "v", Local: true}, {ID: "alone", Local: true}},
		Tasks:   []Task{{ID: "a", ServiceID: "s", Volumes: []VolumeRef{{ID: "v", Name: "v"}}}},
	}
	d := Decide(s)
	if got, want := fmt.Sprint(d.Tasks, d.Volumes), "[{a n2}] [{v n2} {alone n1}]"; got != want {
		t.Errorf("decided %s, want %s", got, want)
	}
}

// Nodes that had nothing to spare, and more kinds of demands than are
// remembered: the tasks lie evenly all the same.
func TestManyKindsOfDemandsAreSpread(t *testing.T) {
	s := Snapshot{Nodes: []Node{
		{ID: "full", Ready: true, Capacity: Resources{Memory: 1}},
		{ID: "n1", Ready: true, Capacity: Resources{Memory: 1 << 30}}, {ID: "n2", Ready: true, Capacity: Resources{Memory: 1 << 30}},
	}}
	const kinds = 2 * maxFields
	for i := range 2 * kinds {
		s.Tasks = append(s.Tasks, Task{ID: fmt.Sprint(i), ServiceID: fmt.Sprint("s", i%kinds), Reserve: Resources{Memory: uint64(2 + i%kinds)}})
	}
	on := map[string]map[string]int{}
	for _, p := range Decide(s).Tasks {
		if on[p.NodeID] == nil {
			on[p.NodeID] = map[string]int{}
		}
		i, _ := strconv.Atoi(p.ID)
		on[p.NodeID][s.Tasks[i].ServiceID]++
	}
	for _, node := range []string{"n1", "n2"} {
		if len(on[node]) != kinds {
			t.Errorf("%s has tasks of %d services of %d", node, len(on[node]), kinds)
		}
	}
	if on["full"] != nil {
		t.Errorf("the full one was given %v", on["full"])
	}
}

// BenchmarkDecide is the scale that later issues aim at: each task brings its
// own unplaced volume.
func BenchmarkDecide(b *testing.B) {
	const nodes, tasks = 5000, 50000
	s := Snapshot{}
	for i := range nodes {
		s.Nodes = append(s.Nodes, Node{ID: fmt.Sprintf("n%05d", i), Ready: true})
	}
	for i := range tasks {
		v := fmt.Sprintf("v%d", i)
		s.Volumes = append(s.Volumes, Volume{ID: v, Name: v, Local: true})
		s.Tasks = append(s.Tasks, Task{ID: fmt.Sprintf("t%d", i), ServiceID: fmt.Sprintf("s%d", i%500), Volumes: []VolumeRef{{ID: v, Name: v}}})
	}
	for b.Loop() {
		if d := Decide(s); len(d.Tasks) != tasks {
			b.Fatal("not all placed")
		}
	}
	b.ReportMetric(float64(tasks)*float64(b.N)/b.Elapsed().Seconds(), "placements/s")
}
