package bridge

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
	"golang.org/x/sys/unix"
)

var (
	hostPort     = netip.AddrPortFrom(hostOutside.Addr(), 5432)
	loopbackPort = netip.MustParseAddrPort("127.0.0.1:5432")
)

func published(host uint16, protocol string) network.Port {
	return network.Port{HostPort: host, Port: 80, Protocol: protocol}
}

// publish attaches a task of a service, has it answer with its own name on port
// 80, and returns what others may know of it.
func publish(t *testing.T, n *Network, id, service string, ports ...network.Port) (network.Member, network.Endpoint) {
	t.Helper()
	e, err := n.Attach(t.Context(), network.Sandbox{
		TaskID: id, Mode: network.ModeBridge, Hostname: id, Namespace: "default", ServiceID: service, Service: service, Ports: ports,
	})
	must(t, err)
	serveName(t, e, id)
	return network.Member{
		TaskID: id, Task: service + "-task-1", Namespace: "default", ServiceID: service, Service: service, Slot: 1,
		Address: e.Address, Ports: ports, Ready: true,
	}, e
}

// serveName answers TCP and UDP on port 80 with a name and the caller's address.
func serveName(t *testing.T, e network.Endpoint, id string) {
	t.Helper()
	at := netip.AddrPortFrom(e.Address, 80).String()
	var tcp net.Listener
	var udp net.PacketConn
	var errTCP, errUDP error
	in(t, e.NetNSPath, func() {
		tcp, errTCP = net.Listen("tcp4", at)
		udp, errUDP = net.ListenPacket("udp4", at)
	})
	must(t, errors.Join(errTCP, errUDP))
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, id+" "+c.RemoteAddr().(*net.TCPAddr).IP.String())
			c.Close()
		}
	}()
	go func() {
		packet := make([]byte, 64)
		for {
			_, from, err := udp.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo([]byte(id+" "+from.(*net.UDPAddr).IP.String()), from)
		}
	}()
}

// who says which task answers at an address, and from where the call came.
func who(t *testing.T, ns, protocol string, to netip.AddrPort) (id, from string, err error) {
	t.Helper()
	var c net.Conn
	in(t, ns, func() { c, err = net.DialTimeout(protocol+"4", to.String(), time.Second) })
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	return ask(c)
}

func ask(c net.Conn) (id, from string, err error) {
	if c.RemoteAddr().Network() == "udp" {
		if _, err := c.Write([]byte("?")); err != nil {
			return "", "", err
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	said := make([]byte, 64)
	n, err := c.Read(said)
	id, from, _ = strings.Cut(string(said[:n]), " ")
	return id, from, err
}

func TestPublishedPortsAreReachedFromEverywhere(t *testing.T) {
	outside := world(t)
	n := open(t, t.TempDir())
	web, e := publish(t, n, "web", "web", published(5432, network.TCP), published(5432, network.UDP))
	must(t, n.Announce(t.Context(), []network.Member{web}))
	other := attach(t, n, "other", network.ModeBridge)
	for _, c := range []struct {
		name, ns string
		to       netip.AddrPort
		from     string // as the task sees it
	}{
		{"outside", outside, hostPort, worldOutside.Addr().String()},
		{"the machine itself", "", hostPort, hostOutside.Addr().String()},
		{"the machine's loopback", "", loopbackPort, e.Gateway.String()},
		{"another task", other.NetNSPath, hostPort, e.Gateway.String()},
		{"the task itself", e.NetNSPath, hostPort, e.Gateway.String()},
		{"a task, by the gateway", other.NetNSPath, netip.AddrPortFrom(e.Gateway, 5432), e.Gateway.String()},
	} {
		for _, protocol := range []string{network.TCP, network.UDP} {
			if id, from, err := who(t, c.ns, protocol, c.to); err != nil || id != "web" || from != c.from {
				t.Errorf("%s from %s: %q answers to %q, %v; want web to %s", protocol, c.name, id, from, err, c.from)
			}
		}
	}
	unpublished := netip.AddrPortFrom(hostPort.Addr(), 80)
	if reaches(t, outside, unpublished) || reaches(t, "", unpublished) {
		t.Error("a port that nobody published is open")
	}
}

func TestAPortOfOneAddress(t *testing.T) {
	outside := world(t)
	n := open(t, t.TempDir())
	local := published(5432, network.TCP)
	local.HostAddress = loopbackPort.Addr()
	web, _ := publish(t, n, "web", "web", local)
	must(t, n.Announce(t.Context(), []network.Member{web}))
	if id, _, err := who(t, "", network.TCP, loopbackPort); id != "web" {
		t.Errorf("from loopback: %q, %v", id, err)
	}
	if reaches(t, outside, hostPort) || reaches(t, "", hostPort) {
		t.Error("what is published at 127.0.0.1 is open elsewhere")
	}
}

func TestCallsGoToTheReadyTasksInTurn(t *testing.T) {
	outside := world(t)
	n := open(t, t.TempDir())
	var members []network.Member
	for _, id := range []string{"one", "two", "three"} {
		m, _ := publish(t, n, id, "web", published(5432, network.TCP), published(5432, network.UDP))
		members = append(members, m)
	}
	must(t, n.Announce(t.Context(), members))
	for _, protocol := range []string{network.TCP, network.UDP} {
		calls := map[string]int{}
		for range 9 {
			id, _, err := who(t, outside, protocol, hostPort)
			must(t, err)
			calls[id]++
		}
		for _, m := range members {
			if calls[m.TaskID] != 3 {
				t.Errorf("%s: of 9 calls, %v", protocol, calls)
			}
		}
	}
	members[0].Ready, members[1].Ready = false, false
	must(t, n.Announce(t.Context(), members))
	for range 4 {
		if id, _, err := who(t, outside, network.TCP, hostPort); id != "three" {
			t.Errorf("%q answers, %v; only three is ready", id, err)
		}
	}
	members[2].Ready = false
	must(t, n.Announce(t.Context(), members))
	for ns, to := range map[string]netip.AddrPort{outside: hostPort, "": loopbackPort} {
		if _, _, err := who(t, ns, network.TCP, to); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("with nobody ready: %v; want to be refused at once", err)
		}
	}
}

// An open connection lives on; what comes next goes elsewhere.
func TestATaskLeavesBeforeItStops(t *testing.T) {
	outside := world(t)
	n := open(t, t.TempDir())
	one, _ := publish(t, n, "one", "web", published(5432, network.UDP))
	two, _ := publish(t, n, "two", "web", published(5432, network.UDP))
	must(t, n.Announce(t.Context(), []network.Member{one}))
	var flow net.Conn
	var err error
	in(t, outside, func() { flow, err = net.Dial("udp4", hostPort.String()) })
	must(t, err)
	defer flow.Close()
	if id, _, err := ask(flow); id != "one" {
		t.Fatalf("%q, %v", id, err)
	}
	must(t, n.Announce(t.Context(), []network.Member{one, two}))
	if id, _, err := ask(flow); id != "one" {
		t.Errorf("a task that came took a flow over: %q, %v", id, err)
	}
	one.Ready = false
	must(t, n.Announce(t.Context(), []network.Member{one, two}))
	if id, _, err := ask(flow); id != "two" {
		t.Errorf("the flow still goes to %q, %v", id, err)
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	n := open(t, t.TempDir())
	sandbox := func(id, service string, port network.Port) network.Sandbox {
		return network.Sandbox{TaskID: id, Mode: network.ModeBridge, Hostname: id, ServiceID: service, Service: service, Ports: []network.Port{port}}
	}
	program, err := net.Listen("tcp4", "127.0.0.1:5432")
	must(t, err)
	_, err = n.Attach(t.Context(), sandbox("one", "web", published(5432, network.TCP)))
	if !errors.Is(err, network.ErrTaken) || !strings.Contains(err.Error(), "port 5432/tcp of this node is used by another program") {
		t.Errorf("a port that a program has: %v", err)
	}
	must(t, program.Close())
	_, err = n.Attach(t.Context(), sandbox("one", "web", published(5432, network.TCP)))
	must(t, err)
	if l, err := net.Listen("tcp4", "127.0.0.1:5432"); err == nil {
		l.Close()
		t.Error("a program took a port that is published")
	}
	_, err = n.Attach(t.Context(), sandbox("two", "web", published(5432, network.TCP)))
	must(t, err) // of the same service
	_, err = n.Attach(t.Context(), sandbox("three", "other", published(5432, network.TCP)))
	if !errors.Is(err, network.ErrTaken) || !strings.Contains(err.Error(), "held by a task of service web") {
		t.Errorf("a port that another service has: %v", err)
	}
	must(t, n.Detach(t.Context(), "one"))
	must(t, n.Detach(t.Context(), "two"))
	_, err = n.Attach(t.Context(), sandbox("three", "other", published(5432, network.TCP)))
	must(t, err)
	elsewhere := published(5433, network.TCP)
	elsewhere.HostAddress = worldOutside.Addr()
	if _, err = n.Attach(t.Context(), sandbox("four", "other", elsewhere)); !errors.Is(err, network.ErrInvalid) || !strings.Contains(err.Error(), "no address of this node") {
		t.Errorf("an address that is another machine's: %v", err)
	}
}

// Of two ports the first is given back when the second is not to be had.
func TestAllPortsOrNone(t *testing.T) {
	c := newClaims()
	defer c.close()
	program, err := net.ListenPacket("udp4", "127.0.0.1:5433")
	must(t, err)
	defer program.Close()
	if err := c.take("one", "web", "web", []network.Port{published(5432, network.TCP), published(5433, network.UDP)}); !errors.Is(err, network.ErrTaken) {
		t.Fatal(err)
	}
	if len(c.held) != 0 {
		t.Errorf("held: %v", c.held)
	}
}

func TestPublishedPortsThroughARestart(t *testing.T) {
	outside := world(t)
	dir := t.TempDir()
	n := open(t, dir)
	web, _ := publish(t, n, "web", "web", published(5432, network.TCP))
	must(t, n.Announce(t.Context(), []network.Member{web}))
	must(t, n.Close())
	if id, _, err := who(t, outside, network.TCP, hostPort); id != "web" {
		t.Errorf("while nothing of us runs: %q, %v", id, err)
	}
	n = open(t, dir)
	must(t, n.Restore(t.Context(), []string{"web"}))
	must(t, n.Announce(t.Context(), []network.Member{web}))
	if id, _, err := who(t, outside, network.TCP, hostPort); id != "web" {
		t.Errorf("after a restart: %q, %v", id, err)
	}
	if len(n.claims.held) != 1 {
		t.Error("the port is not held any more")
	}
}

func TestFlushedRulesAreRepaired(t *testing.T) {
	n := open(t, t.TempDir())
	web, _ := publish(t, n, "web", "web", published(5432, network.TCP))
	must(t, n.Announce(t.Context(), []network.Member{web}))
	must(t, removeRules(n.bridge))
	if reaches(t, "", loopbackPort) {
		t.Fatal("the rules are still there")
	}
	must(t, n.repair())
	if id, _, err := who(t, "", network.TCP, loopbackPort); id != "web" {
		t.Errorf("%q, %v", id, err)
	}
}

// The way for answers to the machine's loopback is no way in.
func TestTasksDoNotReachTheMachinesLoopback(t *testing.T) {
	n := open(t, t.TempDir())
	e := attach(t, n, "one", network.ModeBridge)
	server := listen(t, "", netip.MustParseAddr("127.0.0.1"))
	in(t, e.NetNSPath, func() {
		must(t, run("ip", "route", "add", "127.0.0.0/8", "via", e.Gateway.String(), "table", "7"))
		must(t, run("ip", "rule", "add", "to", "127.0.0.0/8", "table", "7", "pref", "0"))
		must(t, run("ip", "rule", "del", "table", "local", "pref", "0"))
		must(t, run("ip", "rule", "add", "table", "local", "pref", "9"))
		must(t, run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"))
	})
	if reaches(t, e.NetNSPath, server) {
		t.Error("a task reached what listens on the machine's loopback")
	}
}
