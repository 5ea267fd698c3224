package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Consumption is what something used over an interval that just ended.
type Consumption struct {
	// CPU is in processors: 0.5 is half of one.
	CPU    float64 `json:"cpu"`
	Memory uint64  `json:"memory_bytes"`
	// Reads and writes of block devices.
	Read  uint64 `json:"read_bytes_per_second"`
	Write uint64 `json:"write_bytes_per_second"`
}

func newConsumption(c *warrenv1.Consumption) Consumption {
	return Consumption{
		CPU: float64(c.GetCpuMillis()) / 1000, Memory: c.GetMemoryBytes(), Read: c.GetReadRate(), Write: c.GetWriteRate(),
	}
}

// NodeUsage is what a machine used, and what its tasks did.
type NodeUsage struct {
	Node   string    `json:"node"`
	NodeID string    `json:"node_id"`
	Time   time.Time `json:"time"`
	Consumption
	CPUs        uint32 `json:"cpus"`
	MemoryTotal uint64 `json:"memory_total_bytes"`
	// The disk that has the volumes.
	DiskUsed  uint64      `json:"disk_used_bytes"`
	DiskTotal uint64      `json:"disk_total_bytes"`
	Tasks     []TaskUsage `json:"tasks"`
	// Error is why the node was not measured.
	Error string `json:"error,omitempty"`
}

// NewNodeUsage shows what a node and its tasks use.
func NewNodeUsage(u *warrenv1.NodeUsage) NodeUsage {
	return NodeUsage{
		Node: u.GetNode(), NodeID: u.GetNodeId(), Time: moment(u.GetTime()), Consumption: newConsumption(u.GetUsed()),
		CPUs: u.GetCpus(), MemoryTotal: u.GetMemoryBytes(), DiskUsed: u.GetDiskUsedBytes(), DiskTotal: u.GetDiskBytes(),
		Tasks: All(u.GetTasks(), func(t *warrenv1.TaskUsage) TaskUsage { return newTaskUsage(u.GetNode(), t) }),
		Error: u.GetError(),
	}
}

// TaskUsage is what one task used.
type TaskUsage struct {
	Task      string `json:"task"`
	TaskID    string `json:"task_id"`
	Namespace string `json:"namespace"`
	Node      string `json:"node"`
	Consumption
	// Limits; 0 is none.
	CPULimit    float64 `json:"cpu_limit"`
	MemoryLimit uint64  `json:"memory_limit_bytes"`
	Processes   uint32  `json:"processes"`
	// Volumes is what its volumes hold, as last measured.
	Volumes uint64 `json:"volume_bytes"`
}

func newTaskUsage(node string, t *warrenv1.TaskUsage) TaskUsage {
	return TaskUsage{
		Task: t.GetTask(), TaskID: t.GetTaskId(), Namespace: t.GetNamespace(), Node: node, Consumption: newConsumption(t.GetUsed()),
		CPULimit: float64(t.GetCpuLimitMillis()) / 1000, MemoryLimit: t.GetMemoryLimitBytes(),
		Processes: t.GetProcesses(), Volumes: t.GetVolumeBytes(),
	}
}
