package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

func (n *node) uses(taskID string, u runtime.Usage) {
	n.machine.mu.Lock()
	defer n.machine.mu.Unlock()
	n.machine.usage[taskID] = u
}

func TestUsageIsARateOverAnInterval(t *testing.T) {
	onNode(t, func(n *node) {
		task := aTask("t1")
		task.Container.Resources = &warrenv1.Resources{MemoryLimitBytes: 64e6, CpuLimitMillis: 1500}
		n.full(task)
		n.is("t1", running)
		n.uses("t1", runtime.Usage{CPU: time.Minute, Read: 1000, Written: 2000, Memory: 5e6, Processes: 3})
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Usage{
			Usage: &warrenv1.OpenUsage{Interval: durationpb.New(2 * time.Second), Follow: true},
		}}
		var said []*warrenv1.NodeUsage
		n.converse(t, open, func(s talk) error {
			// Half of a CPU; then it is started anew and has used a whole one.
			for _, next := range []runtime.Usage{
				{CPU: time.Minute + time.Second, Read: 5000, Written: 2000, Memory: 6e6, Processes: 4},
				{CPU: 2 * time.Second, Written: 8000, Memory: 1e6, Processes: 1},
			} {
				<-time.After(time.Second) // of virtual time
				n.uses("t1", next)
				f, err := s.Recv()
				if err != nil {
					return err
				}
				said = append(said, f.GetUsage())
			}
			return nil
		})
		if len(said) != 2 || len(said[0].GetTasks()) != 1 || len(said[1].GetTasks()) != 1 {
			t.Fatalf("said %v", said)
		}
		first, second := said[0].GetTasks()[0], said[1].GetTasks()[0]
		if u := first.GetUsed(); u.GetCpuMillis() != 500 || u.GetReadRate() != 2000 || u.GetWriteRate() != 0 || u.GetMemoryBytes() != 6e6 {
			t.Errorf("first %v", first)
		}
		if first.GetTask() != "app-task-1" || first.GetMemoryLimitBytes() != 64e6 || first.GetCpuLimitMillis() != 1500 || first.GetProcesses() != 4 {
			t.Errorf("first %v", first)
		}
		if u := second.GetUsed(); u.GetCpuMillis() != 1000 || u.GetReadRate() != 0 || u.GetWriteRate() != 4000 {
			t.Errorf("second %v", second)
		}
		if u := said[0]; u.GetMemoryBytes() == 0 || u.GetUsed().GetMemoryBytes() == 0 || u.GetCpus() == 0 || u.GetDiskBytes() == 0 {
			t.Errorf("the machine: %v", u)
		}
	})
}

func TestTheMachineIsReadAsTheKernelWritesIt(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if busy, err := processorTime(file("stat", "cpu  100 20 30 5000 600 7 8 9 0 0\ncpu0 1 1 1 1\n")); err != nil || busy != 1740*time.Millisecond {
		t.Errorf("busy for %v, %v", busy, err)
	}
	if total, available, err := memory(file("meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\nodd\n")); err != nil || total != 1000<<10 || available != 400<<10 {
		t.Errorf("%d of %d, %v", available, total, err)
	}
	file("block/vda/device", "")
	stats := file("diskstats", "254 0 vda 10 0 100 5 20 0 300 5 0 0 0\n254 1 vda1 10 0 100 5 20 0 300 5 0 0 0\n7 0 loop0 1 0 1 1 1 0 1 1 0 0 0\n\n")
	if read, written, err := diskBytes(stats, filepath.Join(dir, "block")); err != nil || read != 51200 || written != 153600 {
		t.Errorf("read %d, wrote %d, %v", read, written, err)
	}
	for name, content := range map[string]string{"empty": "", "other": "intr 1 2 3 4 5 6 7 8\n", "words": "cpu a b c d e f g h\n"} {
		if _, err := processorTime(file(name, content)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := memory(file("bad", "MemTotal: many kB\n")); err == nil {
		t.Error("no error")
	}
}
