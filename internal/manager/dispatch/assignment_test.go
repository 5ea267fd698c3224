package dispatch

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestSplitLosesNothingAndKeepsTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(100, 400).Draw(t, "limit")
		size := rapid.IntRange(0, 120)
		want := &warrenv1.Assignments{}
		for i := range rapid.IntRange(0, 10).Draw(t, "volumes") {
			id := fmt.Sprint("v", i) + strings.Repeat("x", size.Draw(t, "size"))
			want.Volumes = append(want.Volumes, &warrenv1.Volume{Meta: &warrenv1.Meta{Id: id}})
		}
		for i := range rapid.IntRange(0, 10).Draw(t, "tasks") {
			id := fmt.Sprint("t", i) + strings.Repeat("x", size.Draw(t, "size"))
			want.Tasks = append(want.Tasks, &warrenv1.Task{Meta: &warrenv1.Meta{Id: id}})
		}
		for i := range rapid.IntRange(0, 10).Draw(t, "removed") {
			want.RemovedTasks = append(want.RemovedTasks, fmt.Sprint("t", i))
			want.RemovedVolumes = append(want.RemovedVolumes, fmt.Sprint("v", i))
		}
		parts := split(want, limit)
		got := &warrenv1.Assignments{}
		for i, p := range parts {
			if p.More != (i < len(parts)-1) {
				t.Fatalf("part %d of %d says more: %v", i+1, len(parts), p.More)
			}
			objects := len(p.Volumes) + len(p.Tasks) + len(p.RemovedTasks) + len(p.RemovedVolumes)
			if n := proto.Size(p); n > limit+2 && objects > 1 {
				t.Fatalf("part %d has %d bytes, the limit is %d", i+1, n, limit)
			}
			proto.Merge(got, p)
		}
		got.More = false
		if !proto.Equal(got, want) {
			t.Fatalf("%v became %v", want, got)
		}
	})
}

func TestALargeSetComesInSeveralMessages(t *testing.T) {
	h := newHouse(t)
	for i := range 6 {
		h.putTask(fmt.Sprint("t", i), "n1", func(task *warrenv1.Task) {
			task.Container = &warrenv1.ContainerSpec{Args: []string{strings.Repeat("x", 200<<10)}}
		})
	}
	h.lead()
	if w := h.connect("n1"); len(w.tasks) != 6 {
		t.Errorf("%d tasks came", len(w.tasks))
	}
}
