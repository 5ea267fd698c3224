package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// Plan is what a node's network is to be. It is worked out from its arguments
// alone; package bridge makes it true.
type Plan struct {
	// Bridge names the bridge, and the table of packet rules with it.
	Bridge string
	// Subnet is IPv4; its first address is the Gateway, the bridge's own.
	Subnet  netip.Prefix
	Gateway netip.Addr
}

// TaskPlan is what one task's connection is to be.
type TaskPlan struct {
	// HostLink names the end of the task's cable that is plugged into the
	// bridge; at most 15 characters, as the kernel wants it.
	HostLink string
	Address  netip.Prefix
	MAC      net.HardwareAddr
}

// TaskLink names the other end, in the task's namespace.
const TaskLink = "eth0"

// NewPlan checks a subnet and plans a node's network in it.
func NewPlan(bridge string, subnet netip.Prefix) (Plan, error) {
	if !subnet.IsValid() || !subnet.Addr().Is4() || subnet.Bits() > 29 {
		return Plan{}, fmt.Errorf("%w: subnet %s: it must be IPv4 and have room for 6 addresses, such as 172.29.0.0/16", ErrInvalid, subnet)
	}
	subnet = subnet.Masked()
	return Plan{Bridge: bridge, Subnet: subnet, Gateway: subnet.Addr().Next()}, nil
}

// Task plans a task's connection at an address of the subnet.
func (p Plan) Task(taskID string, address netip.Addr) TaskPlan {
	return TaskPlan{
		HostLink: p.HostLink(taskID),
		Address:  netip.PrefixFrom(address, p.Subnet.Bits()),
		MAC:      MAC(address),
	}
}

// HostLink differs between tasks, and between nodes on one machine.
func (p Plan) HostLink(taskID string) string {
	return linkPrefix + digest(p.Bridge+"\x00"+taskID, linkDigits)
}

const (
	linkPrefix = "wv"
	linkDigits = 12
)

// IsHostLink reports whether HostLink gives such names.
func IsHostLink(name string) bool {
	digits, ok := strings.CutPrefix(name, linkPrefix)
	_, err := hex.DecodeString(digits)
	return ok && err == nil && len(digits) == linkDigits
}

// MAC follows from the address, so that an address that is used again does not
// leave neighbours with the hardware address of its last owner.
func MAC(address netip.Addr) net.HardwareAddr {
	a := address.As4()
	// 0x02: locally administered.
	return net.HardwareAddr{0x02, 0x77, a[0], a[1], a[2], a[3]}
}

// DefaultBridge is the bridge of the node with the default run directory.
const DefaultBridge = "warren-br0"

// BridgeName returns the bridge of the node with that run directory, so that
// several nodes on one machine do not meet.
func BridgeName(runDir string) string {
	runDir = filepath.Clean(runDir)
	if runDir == "/run/warren" {
		return DefaultBridge
	}
	return "warren-" + digest(runDir, 8)
}

func digest(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}

// ChooseSubnet returns the first of Warren's usual subnets that overlaps none
// of those taken.
func ChooseSubnet(taken []netip.Prefix) (netip.Prefix, error) {
	for _, c := range candidates() {
		if _, overlaps := Overlap(c, taken); !overlaps {
			return c, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("%w: all usual subnets overlap networks of this machine; name a free one", ErrInvalid)
}

// candidates keeps clear of the low end of 172.16.0.0/12, where others begin.
func candidates() []netip.Prefix {
	var all []netip.Prefix
	add := func(bits int, b ...byte) {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), bits))
	}
	for second := byte(29); second >= 20; second-- {
		add(16, 172, second, 0, 0)
	}
	for second := byte(229); second >= 220; second-- {
		add(16, 10, second, 0, 0)
	}
	for third := byte(224); third >= 128; third -= 16 {
		add(20, 192, 168, third, 0)
	}
	return all
}

// Overlap returns the first of taken that shares addresses with subnet.
func Overlap(subnet netip.Prefix, taken []netip.Prefix) (netip.Prefix, bool) {
	for _, t := range taken {
		if t.Bits() > 0 && subnet.Overlaps(t) {
			return t, true
		}
	}
	return netip.Prefix{}, false
}
