package view

import (
	"cmp"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Node is a machine of the cluster.
type Node struct {
	Meta
	Roles        []string  `json:"roles"`
	Leader       bool      `json:"leader"`
	State        string    `json:"state"`
	Availability string    `json:"availability"`
	Message      string    `json:"message,omitempty"`
	StateSince   time.Time `json:"state_since,omitzero"`
	Hostname     string    `json:"hostname"`
	Address      string    `json:"address"`
	Kernel       string    `json:"kernel"`
	Architecture string    `json:"architecture"`
	Version      string    `json:"warren_version"`
	CPUs         uint32    `json:"cpus"`
	Memory       uint64    `json:"memory_bytes"`
	Disk         uint64    `json:"disk_bytes"`
	DiskFree     uint64    `json:"disk_free_bytes"`
}

// NewNode shows a node.
func NewNode(n *warrenv1.Node) Node {
	status := n.GetStatus()
	d := status.GetDescription()
	return Node{
		Meta: newMeta(n.GetMeta()),
		Roles: All(n.GetRoles(), func(r warrenv1.Role) string {
			return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
		}),
		Leader:       n.GetLeader(),
		State:        spec.NodeStateName(status.GetState()),
		Availability: availability(n),
		Message:      status.GetMessage(),
		StateSince:   moment(status.GetStateSince()),
		Hostname:     d.GetHostname(),
		Address:      cmp.Or(n.GetAddress(), d.GetAddress()),
		Kernel:       d.GetKernel(),
		Architecture: d.GetArchitecture(),
		Version:      d.GetWarrenVersion(),
		CPUs:         d.GetCpus(),
		Memory:       d.GetMemoryBytes(),
		Disk:         d.GetDiskBytes(),
		DiskFree:     d.GetDiskFreeBytes(),
	}
}

func availability(n *warrenv1.Node) string {
	if n.GetAvailability() == warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED {
		return "drained"
	}
	return "active"
}
