package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// sendUsage measures what this machine and its tasks use and says it, once or
// until ctx ends. Nothing is measured unless somebody asks.
func (a *Agent) sendUsage(ctx context.Context, c *conversation, o *warrenv1.OpenUsage) error {
	interval := max(o.GetInterval().AsDuration(), 10*time.Millisecond)
	before, err := a.sample(ctx)
	if err != nil {
		return err
	}
	for sleep(ctx, interval) {
		now, err := a.sample(ctx)
		if err != nil {
			return err
		}
		if err := c.send(&warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Usage{Usage: a.usageBetween(before, now)}}); err != nil {
			return err
		}
		if !o.GetFollow() {
			return nil
		}
		before = now
	}
	return ctx.Err()
}

// sample is what was used up to a moment.
type sample struct {
	at      time.Time
	machine machineUsage
	tasks   map[string]runtime.Usage
}

func (a *Agent) sample(ctx context.Context) (sample, error) {
	machine, err := measureMachine()
	if err != nil {
		return sample{}, fmt.Errorf("measure this machine: %w", err)
	}
	s := sample{at: time.Now(), machine: machine, tasks: map[string]runtime.Usage{}}
	for _, t := range a.runningTasks() {
		// One that ended just now uses nothing.
		if u, err := a.cfg.Runtime.Usage(ctx, t.id); err == nil {
			s.tasks[t.id] = u
		}
	}
	return s, nil
}

func (a *Agent) runningTasks() []*task {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*task
	for _, t := range a.tasks {
		if t.status.Load().GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
			out = append(out, t)
		}
	}
	return out
}

func (a *Agent) usageBetween(before, now sample) *warrenv1.NodeUsage {
	took := now.at.Sub(before.at)
	d := a.describe()
	u := &warrenv1.NodeUsage{
		Time: timestamppb.New(now.at), Used: consumption(before.machine.Usage, now.machine.Usage, took),
		Cpus: d.GetCpus(), MemoryBytes: now.machine.memory,
		DiskBytes: d.GetDiskBytes(), DiskUsedBytes: d.GetDiskBytes() - min(d.GetDiskBytes(), d.GetDiskFreeBytes()),
	}
	for _, t := range a.runningTasks() {
		first, known := before.tasks[t.id]
		last, still := now.tasks[t.id]
		if !known || !still {
			continue // in the next interval
		}
		want, _ := t.current()
		r := want.GetContainer().GetResources()
		u.Tasks = append(u.Tasks, &warrenv1.TaskUsage{
			TaskId: t.id, Task: want.GetMeta().GetName(), Namespace: want.GetMeta().GetNamespace(),
			Used:             consumption(first, last, took),
			MemoryLimitBytes: r.GetMemoryLimitBytes(), CpuLimitMillis: r.GetCpuLimitMillis(),
			Processes: last.Processes, VolumeBytes: a.volumeBytes(want),
		})
	}
	return u
}

// consumption is a rate from two counts. A container that was started anew
// between them counts from 0 again.
func consumption(before, now runtime.Usage, took time.Duration) *warrenv1.Consumption {
	if now.CPU < before.CPU {
		before = runtime.Usage{}
	}
	per := func(amount uint64) uint64 { return uint64(float64(amount) / took.Seconds()) }
	return &warrenv1.Consumption{
		CpuMillis:   uint64(1000 * (now.CPU - before.CPU).Seconds() / took.Seconds()),
		MemoryBytes: now.Memory,
		ReadRate:    per(now.Read - min(now.Read, before.Read)),
		WriteRate:   per(now.Written - min(now.Written, before.Written)),
	}
}

// volumeBytes is what a task's volumes hold, each counted once.
func (a *Agent) volumeBytes(want *warrenv1.Task) (sum uint64) {
	seen := map[string]bool{}
	for _, pin := range want.GetVolumes() {
		a.mu.Lock()
		k := a.volumes[pin.GetVolumeId()]
		a.mu.Unlock()
		if k != nil && !seen[pin.GetVolumeId()] {
			seen[pin.GetVolumeId()] = true
			sum += k.status.Load().GetUsedBytes()
		}
	}
	return sum
}
