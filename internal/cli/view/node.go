package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Node is a machine of the cluster.
type Node struct {
	Meta
	Roles  []string `json:"roles"`
	Leader bool     `json:"leader"`
	// Manager is how it takes part as one: leader, ready, down or joining; empty
	// for workers.
	Manager      string    `json:"manager"`
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
		Manager:      managerState(n),
		State:        nodeState(n),
		Availability: availability(n),
		Message:      cmp.Or(status.GetMessage(), n.GetManager().GetMessage()),
		StateSince:   moment(since(n)),
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

// managerState is how the node takes part in the cluster's decisions.
func managerState(n *warrenv1.Node) string {
	switch {
	case !slices.Contains(n.GetRoles(), warrenv1.Role_ROLE_MANAGER):
		return ""
	case n.GetLeader():
		return "leader"
	default:
		return spec.ManagerStateName(n.GetManager().GetState())
	}
}

// nodeState is that of the node's worker, and without one the manager's.
func nodeState(n *warrenv1.Node) string {
	switch {
	case slices.Contains(n.GetRoles(), warrenv1.Role_ROLE_WORKER):
		return spec.NodeStateName(n.GetStatus().GetState())
	case n.GetLeader():
		return "ready"
	default:
		return spec.ManagerStateName(n.GetManager().GetState())
	}
}

func availability(n *warrenv1.Node) string {
	if n.GetAvailability() == warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED {
		return "drained"
	}
	return "active"
}

// since is when the node got into its state.
func since(n *warrenv1.Node) *timestamppb.Timestamp {
	if at := n.GetStatus().GetStateSince(); at != nil {
		return at
	}
	return n.GetManager().GetStateSince()
}
