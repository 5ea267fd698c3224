package bridge

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
)

// A caller may use the port of his own again from which he spoke to a task that
// has left, and that hung up on him: he must not be led there again.
func TestCallersAreNotLedToWhoLeft(t *testing.T) {
	for name, gone := range map[string]bool{"it is about to stop": false, "it is gone": true} {
		t.Run(name, func(t *testing.T) {
			outside := world(t)
			n := open(t, t.TempDir())
			one, endpoint := publish(t, n, "one", "web", published(5432, network.TCP))
			two, _ := publish(t, n, "two", "web", published(5432, network.TCP))
			one.Ports[0].Port, two.Ports[0].Port = 81, 81
			calls := answer(t, endpoint, 81)
			must(t, n.Announce(t.Context(), []network.Member{one}))
			caller, served := dial(t, outside, calls)
			own := caller.LocalAddr()
			if !gone {
				hangUp(t, caller, served)
			}
			one.Ready, two.Ports[0].Port = false, 80
			must(t, n.Announce(t.Context(), []network.Member{one, two}))
			if gone {
				hangUp(t, caller, served)
				must(t, n.Detach(t.Context(), "one"))
			}
			var again net.Conn
			var err error
			in(t, outside, func() {
				again, err = (&net.Dialer{Timeout: 900 * time.Millisecond, LocalAddr: own}).Dial("tcp4", hostPort.String())
			})
			must(t, err)
			defer again.Close()
			if id, _, err := ask(again); id != "two" {
				t.Errorf("%q, %v", id, err)
			}
		})
	}
}

// answer accepts the calls to a task's port.
func answer(t *testing.T, e network.Endpoint, port uint16) <-chan net.Conn {
	t.Helper()
	var l net.Listener
	var err error
	in(t, e.NetNSPath, func() { l, err = net.Listen("tcp4", netip.AddrPortFrom(e.Address, port).String()) })
	must(t, err)
	t.Cleanup(func() { l.Close() })
	calls := make(chan net.Conn, 1)
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			calls <- c
		}
	}()
	return calls
}

func dial(t *testing.T, ns string, calls <-chan net.Conn) (caller, served net.Conn) {
	t.Helper()
	var err error
	in(t, ns, func() {
		caller, err = net.DialTimeout("tcp4", hostPort.String(), time.Second)
	})
	must(t, err)
	return caller, <-calls
}

// hangUp has the answering side break the connection off.
func hangUp(t *testing.T, caller, served net.Conn) {
	t.Helper()
	must(t, errors.Join(served.(*net.TCPConn).SetLinger(0), served.Close()))
	if _, err := caller.Read(make([]byte, 1)); err == nil {
		t.Fatal("the connection is still there")
	}
	caller.Close()
}
