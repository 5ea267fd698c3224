package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

func TestTasksReachEachOtherTheHostAndTheWorld(t *testing.T) {
	outside := world(t)
	must(t, os.WriteFile(ipForward, []byte("0"), 0o644))
	n := open(t, t.TempDir())
	one, two := attach(t, n, "one", network.ModeBridge), attach(t, n, "two", network.ModeBridge)

	if from, err := call(t, two.NetNSPath, listen(t, one.NetNSPath, one.Address)); err != nil || from != two.Address {
		t.Errorf("task to task: %v, %v; want it from %v", from, err, two.Address)
	}
	if from, err := call(t, "", listen(t, one.NetNSPath, one.Address)); err != nil || from != one.Gateway {
		t.Errorf("host to task: %v, %v; want it from the bridge, %v", from, err, one.Gateway)
	}
	if from, err := call(t, one.NetNSPath, listen(t, "", hostOutside.Addr())); err != nil || from != one.Address {
		t.Errorf("task to host: %v, %v", from, err)
	}
	if from, err := call(t, one.NetNSPath, listen(t, outside, worldOutside.Addr())); err != nil || from != hostOutside.Addr() {
		t.Errorf("task to world: %v, %v; want it from the host's address", from, err)
	}
	local := netip.MustParseAddr("127.0.0.1")
	if _, err := call(t, one.NetNSPath, listen(t, one.NetNSPath, local)); err != nil {
		t.Errorf("loopback inside a task: %v", err)
	}
}

// A neighbour that routes the tasks' subnet through the machine reaches nothing.
func TestNeighboursDoNotReachTasks(t *testing.T) {
	outside := world(t)
	n := open(t, t.TempDir())
	e := attach(t, n, "one", network.ModeBridge)
	server := listen(t, e.NetNSPath, e.Address)
	in(t, outside, func() {
		must(t, netlink.RouteAdd(&netlink.Route{Dst: ipNet(n.base.plan.Subnet), Gw: hostOutside.Addr().AsSlice()}))
	})
	if reaches(t, outside, server) {
		t.Error("a neighbour reached a port that nobody published")
	}
	if _, err := call(t, "", server); err != nil {
		t.Errorf("and the host no longer does: %v", err)
	}
}

// A lost first packet costs a second, and nobody knows why.
func TestATaskIsReachableAtOnce(t *testing.T) {
	n := open(t, t.TempDir())
	for range 5 {
		e := attach(t, n, "one", network.ModeBridge)
		if !reaches(t, "", listen(t, e.NetNSPath, e.Address)) {
			t.Error("the host does not reach a task that was just attached")
		}
		must(t, n.Detach(t.Context(), "one"))
	}
}

// Or neighbours would send to an address that left with another task.
func TestTheGatewaysHardwareAddressStays(t *testing.T) {
	n := open(t, t.TempDir())
	for _, id := range []string{"one", "two", "three"} {
		e := attach(t, n, id, network.ModeBridge)
		link, err := findBridge(n.bridge)
		must(t, err)
		if got := link.Attrs().HardwareAddr; got.String() != network.MAC(e.Gateway).String() {
			t.Errorf("with %s it is %s", id, got)
		}
	}
}

func TestAttachAgainChangesNothing(t *testing.T) {
	world(t)
	dir := t.TempDir()
	n := open(t, dir)
	first := attach(t, n, "one", network.ModeBridge)
	server := listen(t, first.NetNSPath, first.Address)
	id := namespaceID(t, first.NetNSPath)
	for range 2 {
		if again := attach(t, n, "one", network.ModeBridge); again != first {
			t.Fatalf("attached again: %+v, was %+v", again, first)
		}
		n = open(t, dir) // as after a restart, even without Restore
	}
	if namespaceID(t, first.NetNSPath) != id {
		t.Error("the namespace was replaced")
	}
	if _, err := call(t, "", server); err != nil {
		t.Errorf("the task is cut off: %v", err)
	}
	link, err := netlink.LinkByName((network.Plan{Bridge: n.bridge}).HostLink("one"))
	must(t, err)
	if link.Attrs().MTU != 1400 {
		t.Errorf("the task's MTU is %d, that of the way out 1400", link.Attrs().MTU)
	}
}

func namespaceID(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestDetachRemovesEverything(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	for _, mode := range []network.Mode{network.ModeBridge, network.ModeNone, network.ModeHost} {
		attach(t, n, "one", mode)
		for range 2 {
			must(t, n.Detach(t.Context(), "one"))
		}
		mustBeGone(t, n, "one")
	}
	must(t, n.Detach(t.Context(), "never-attached"))
}

func mustBeGone(t *testing.T, n *Network, id string) {
	t.Helper()
	if _, err := netlink.LinkByName((network.Plan{Bridge: n.bridge}).HostLink(id)); err == nil {
		t.Errorf("%s: its cable is still there", id)
	}
	for _, path := range []string{n.netnsPath(id), filepath.Join(n.tasksDir(), id)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s is still there: %v", id, path, err)
		}
	}
}

func TestRestoreKeepsTheLivingOnly(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	live := attach(t, n, "live", network.ModeBridge)
	attach(t, n, "dead", network.ModeBridge)
	server := listen(t, live.NetNSPath, live.Address)
	// A cable whose namespace and files somebody removed.
	attach(t, n, "torn", network.ModeBridge)
	must(t, removeNetNS(n.netnsPath("torn")))
	must(t, n.removeFiles("torn"))

	n = open(t, dir)
	must(t, n.Restore(t.Context(), []string{"live", "not-yet-attached"}))
	mustBeGone(t, n, "dead")
	mustBeGone(t, n, "torn")
	if _, err := call(t, "", server); err != nil {
		t.Errorf("the living was cut off: %v", err)
	}
	if a := attach(t, n, "new", network.ModeBridge).Address; a == live.Address {
		t.Errorf("a new task was given the living one's address %v", a)
	}
	if a := attach(t, n, "live", network.ModeBridge).Address; a != live.Address {
		t.Errorf("the living has address %v now, had %v", a, live.Address)
	}
}

// After a reboot of the machine the files may still be there, holding nothing.
func TestStaleNamespaceFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	must(t, os.WriteFile(n.netnsPath("one"), nil, 0o600))
	must(t, n.Restore(t.Context(), []string{"one"}))
	e := attach(t, n, "one", network.ModeBridge)
	if _, err := call(t, "", listen(t, e.NetNSPath, e.Address)); err != nil {
		t.Error(err)
	}
}

// Somebody flushed the rules or took the bridge down; the next task repairs it.
func TestLostBridgeIsMadeAgain(t *testing.T) {
	n := open(t, t.TempDir())
	first := attach(t, n, "one", network.ModeBridge)
	must(t, removeLink(n.bridge))
	second := attach(t, n, "two", network.ModeBridge)
	if second.Address == first.Address {
		t.Error("the address of a task that still has it was given away")
	}
	if _, err := call(t, second.NetNSPath, listen(t, first.NetNSPath, first.Address)); err != nil {
		t.Error(err)
	}
}

// Debian's nftables.service flushes everybody's rules when it is restarted.
func TestFlushedRulesAreMadeAgain(t *testing.T) {
	n := open(t, t.TempDir())
	attach(t, n, "one", network.ModeBridge)
	c, err := nftables.New()
	must(t, err)
	c.FlushRuleset()
	must(t, c.Flush())
	attach(t, n, "two", network.ModeBridge)
	if !hasRules(n.bridge) {
		t.Error("the rules were not made again")
	}
}

// The bridge had to move to another subnet; a task that runs follows.
func TestTaskFollowsTheBridgeToAnotherSubnet(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir, netip.MustParsePrefix("10.96.0.0/24"))
	attach(t, n, "one", network.ModeBridge)
	must(t, removeLink(n.bridge))
	n = open(t, dir, netip.MustParsePrefix("10.95.0.0/24"))
	must(t, n.Restore(t.Context(), []string{"one"}))
	e := attach(t, n, "one", network.ModeBridge)
	if !n.base.plan.Subnet.Contains(e.Address) {
		t.Errorf("its address is %v", e.Address)
	}
	if from, err := call(t, e.NetNSPath, listen(t, "", e.Gateway)); err != nil || from != e.Address {
		t.Errorf("it speaks from %v, %v; want %v", from, err, e.Address)
	}
}

// Restart, and the bridge is gone as well: nobody calls Attach for a task that
// runs, and still it is connected and keeps its address.
func TestLostBridgeIsMadeAgainAfterRestart(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	first := attach(t, n, "one", network.ModeBridge)
	must(t, removeLink(n.bridge))
	n = open(t, dir)
	must(t, n.Restore(t.Context(), []string{"one"}))
	second := attach(t, n, "two", network.ModeBridge)
	if second.Address == first.Address {
		t.Error("the address of a task that still has it was given away")
	}
	if _, err := call(t, second.NetNSPath, listen(t, first.NetNSPath, first.Address)); err != nil {
		t.Error(err)
	}
}

func TestRulesOfOthers(t *testing.T) {
	n := open(t, t.TempDir())
	e := attach(t, n, "one", network.ModeBridge)
	if table := stranger(n.base.plan); table != "" {
		t.Errorf("table %s is said to be in the way", table)
	}
	c, err := nftables.New()
	must(t, err)
	drop := nftables.ChainPolicyDrop
	other := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "other"})
	c.AddChain(&nftables.Chain{Name: "FORWARD", Table: other, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	must(t, c.Flush())
	defer func() { c.DelTable(other); must(t, c.Flush()) }()
	if table := stranger(n.base.plan); table != "other" {
		t.Errorf("in the way is said to be %q", table)
	}
	must(t, n.Restore(t.Context(), []string{"one"}))
	if chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4); err != nil || len(chains) != 7 {
		t.Errorf("there are %d chains now, %v; want our six and the other's", len(chains), err)
	}
	if _, err := call(t, "", listen(t, e.NetNSPath, e.Address)); err != nil {
		t.Error(err)
	}
}

func TestTwoNodesOnOneMachine(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	one := attach(t, a, "task", network.ModeBridge)
	attach(t, b, "task", network.ModeBridge)
	if a.bridge == b.bridge || a.base.plan.Subnet.Overlaps(b.base.plan.Subnet) {
		t.Fatalf("two nodes share %v and %v", a.base.plan, b.base.plan)
	}
	must(t, b.Restore(t.Context(), nil))
	if _, err := call(t, "", listen(t, one.NetNSPath, one.Address)); err != nil {
		t.Errorf("the other node's start cut off a task: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	n := open(t, t.TempDir())
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[netip.Addr]string{}
	for i := range 20 {
		all.Go(func() {
			id := fmt.Sprintf("task-%d", i)
			e, err := n.Attach(t.Context(), network.Sandbox{TaskID: id, Mode: network.ModeBridge, Hostname: id})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other, taken := seen[e.Address]; taken {
				t.Errorf("%s and %s have %v", id, other, e.Address)
			}
			seen[e.Address] = id
		})
	}
	all.Wait()
}

func TestFilesOfATask(t *testing.T) {
	n := open(t, t.TempDir())
	e := attach(t, n, "web-1", network.ModeBridge)
	text := func(path string) string {
		b, err := os.ReadFile(path)
		must(t, err)
		return string(b)
	}
	if !strings.Contains(text(e.HostsPath), e.Address.String()+"\tweb-1\n") {
		t.Errorf("hosts:\n%s", text(e.HostsPath))
	}
	if text(e.HostnamePath) != "web-1\n" {
		t.Errorf("hostname: %q", text(e.HostnamePath))
	}
	if !strings.Contains(text(e.ResolvConfPath), "nameserver ") {
		t.Errorf("resolv.conf:\n%s", text(e.ResolvConfPath))
	}
	host := attach(t, n, "host", network.ModeHost)
	if host.NetNSPath != "" || host.Address.IsValid() || host.HostsPath == "" {
		t.Errorf("host mode: %+v", host)
	}
	none := attach(t, n, "none", network.ModeNone)
	if none.NetNSPath == "" || none.Address.IsValid() {
		t.Errorf("no network: %+v", none)
	}
	if reaches(t, none.NetNSPath, listen(t, "", e.Gateway)) {
		t.Error("a task without network reached the host")
	}
}

func TestRefusals(t *testing.T) {
	n := open(t, t.TempDir())
	for _, s := range []network.Sandbox{
		{TaskID: "", Mode: network.ModeNone, Hostname: "x"},
		{TaskID: "../x", Mode: network.ModeNone, Hostname: "x"},
		{TaskID: "a/b", Mode: network.ModeNone, Hostname: "x"},
		{TaskID: "x", Mode: network.ModeNone, Hostname: "x\n1.2.3.4 bank"},
		{TaskID: "x", Mode: network.ModeNone, Hostname: ""},
		{TaskID: "x", Mode: "overlay", Hostname: "x"},
	} {
		if _, err := n.Attach(t.Context(), s); !errors.Is(err, network.ErrInvalid) {
			t.Errorf("%+v: %v; want ErrInvalid", s, err)
		}
	}
	if err := n.Detach(t.Context(), "../../etc"); !errors.Is(err, network.ErrInvalid) {
		t.Errorf("detach of a path: %v", err)
	}
}

func TestConfiguredSubnet(t *testing.T) {
	world(t)
	n := open(t, t.TempDir(), hostOutside)
	_, err := n.Attach(t.Context(), network.Sandbox{TaskID: "one", Mode: network.ModeBridge, Hostname: "one"})
	if !errors.Is(err, network.ErrInvalid) || !strings.Contains(err.Error(), "198.51.100.0/24") {
		t.Errorf("a subnet that is the machine's own: %v", err)
	}
	small := open(t, t.TempDir(), netip.MustParsePrefix("10.99.0.0/29"))
	for i := range 5 {
		attach(t, small, fmt.Sprintf("task-%d", i), network.ModeBridge)
	}
	_, err = small.Attach(t.Context(), network.Sandbox{TaskID: "one-more", Mode: network.ModeBridge, Hostname: "x"})
	if !errors.Is(err, network.ErrExhausted) {
		t.Errorf("a sixth task in a subnet for five: %v", err)
	}
	must(t, small.Detach(t.Context(), "task-2"))
	attach(t, small, "one-more", network.ModeBridge)
}

// A subnet that was changed in the configuration waits until the bridge is empty.
func TestChangedSubnet(t *testing.T) {
	dir := t.TempDir()
	one := attach(t, open(t, dir, netip.MustParsePrefix("10.98.0.0/24")), "one", network.ModeBridge)
	n := open(t, dir, netip.MustParsePrefix("10.97.0.0/24"))
	must(t, n.Restore(t.Context(), []string{"one"}))
	if two := attach(t, n, "two", network.ModeBridge); two.Gateway != one.Gateway {
		t.Errorf("the bridge of a living task became %v", two.Gateway)
	}
	n = open(t, dir, netip.MustParsePrefix("10.97.0.0/24"))
	must(t, n.Restore(t.Context(), nil))
	if two := attach(t, n, "two", network.ModeBridge); two.Address != netip.MustParseAddr("10.97.0.2") {
		t.Errorf("an empty bridge kept its old subnet: %+v", two)
	}
}

func TestForeignLinkOfTheBridgesName(t *testing.T) {
	n := open(t, t.TempDir())
	attrs := netlink.NewLinkAttrs()
	attrs.Name = n.bridge
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "foreign0"
	must(t, netlink.LinkAdd(veth))
	_, err := n.Attach(t.Context(), network.Sandbox{TaskID: "one", Mode: network.ModeBridge, Hostname: "one"})
	if !errors.Is(err, network.ErrInvalid) {
		t.Errorf("a cable in the bridge's place: %v", err)
	}
	must(t, removeLink("foreign0"))
}

func TestCloseLeavesNothingUnlessTasksRun(t *testing.T) {
	n := open(t, t.TempDir())
	e := attach(t, n, "one", network.ModeBridge)
	must(t, n.Close())
	if _, err := call(t, "", listen(t, e.NetNSPath, e.Address)); err != nil {
		t.Errorf("a running task was cut off: %v", err)
	}
	must(t, n.Detach(t.Context(), "one"))
	for range 2 {
		must(t, n.Close())
	}
	if link, err := findBridge(n.bridge); link != nil || err != nil {
		t.Errorf("left behind: %v, %v", link, err)
	}
	c, err := nftables.New()
	must(t, err)
	if tables, err := c.ListTables(); err != nil || len(tables) != 0 {
		t.Errorf("left behind: tables %v, %v", tables, err)
	}
}
