package bridge

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The tests make bridges, routes and rules, so they run in network and mount
// namespaces of their own, which take everything with them at the end.
func TestMain(m *testing.M) {
	const inside = "WARREN_TEST_NETWORK_NAMESPACE"
	if os.Getenv(inside) != "" {
		if err := isolate(); err != nil {
			println("prepare the test's namespaces:", err.Error())
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		println("these tests need root: run them with sudo:", err.Error())
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

func isolate() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// open starts a node's network on a run directory; the test's end removes what
// it left.
func open(t *testing.T, runDir string, subnet ...netip.Prefix) *Network {
	t.Helper()
	o := Options{RunDir: runDir, Log: slog.New(slog.DiscardHandler)}
	if len(subnet) > 0 {
		o.Subnet = subnet[0]
	}
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Restore(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func attach(t *testing.T, n *Network, id string, mode network.Mode) network.Endpoint {
	t.Helper()
	e, err := n.Attach(t.Context(), network.Sandbox{TaskID: id, Mode: mode, Hostname: id})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// in runs f in a network namespace; empty is the test's own.
func in(t *testing.T, path string, f func()) {
	t.Helper()
	if path == "" {
		f()
		return
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread goes with us
		ns, err := netns.GetFromPath(path)
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err == nil {
			f()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// listen serves TCP in a namespace: every caller is told its own address.
func listen(t *testing.T, ns string, address netip.Addr) netip.AddrPort {
	t.Helper()
	var l net.Listener
	var err error
	in(t, ns, func() { l, err = net.Listen("tcp4", netip.AddrPortFrom(address, 0).String()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(c.RemoteAddr().String()))
			c.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// call returns what the listener says the caller's address is.
func call(t *testing.T, ns string, to netip.AddrPort) (netip.Addr, error) {
	t.Helper()
	var said []byte
	var err error
	in(t, ns, func() {
		var c net.Conn
		c, err = net.DialTimeout("tcp4", to.String(), 2*time.Second)
		if err != nil {
			return
		}
		defer c.Close()
		said = make([]byte, 64)
		var n int
		n, err = c.Read(said)
		said = said[:n]
	})
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.MustParseAddrPort(string(said)).Addr(), nil
}

// reaches is for callers who should not.
func reaches(t *testing.T, ns string, to netip.AddrPort) (yes bool) {
	t.Helper()
	in(t, ns, func() {
		c, err := net.DialTimeout("tcp4", to.String(), 300*time.Millisecond)
		if err == nil {
			yes = true
			c.Close()
		}
	})
	return yes
}

var (
	hostOutside  = netip.MustParsePrefix("198.51.100.1/24")
	worldOutside = netip.MustParsePrefix("198.51.100.2/24")
)

// world makes a namespace beyond the machine's one way out; it knows of no
// route back to any task.
func world(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "world")
	ns, err := openNetNS(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close(); _ = removeNetNS(path) })
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = "out0", 1400
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "out0", netlink.NsFd(int(ns.ns))
	must(t, netlink.LinkAdd(veth))
	t.Cleanup(func() { _ = removeLink("out0") })
	peer, err := ns.link.LinkByName("out0")
	must(t, err)
	must(t, ns.link.AddrAdd(peer, &netlink.Addr{IPNet: ipNet(worldOutside)}))
	must(t, ns.link.LinkSetUp(peer))
	must(t, netlink.AddrAdd(veth, &netlink.Addr{IPNet: ipNet(hostOutside)}))
	must(t, netlink.LinkSetUp(veth))
	_, err = ns.link.LinkByName("out0") // see settle
	must(t, err)
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: veth.Index, Gw: worldOutside.Addr().AsSlice()}))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the calling thread's network namespace.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
