//go:build bench

package bench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netns"
)

const (
	nameAskers = 32
	nameRounds = 5
	nameTime   = 2 * time.Second
	nameAsked  = "web.default.warren.internal."
	// nameAim is the least share of dnsmasq's rate.
	nameAim = 0.5
)

// TestNames asks Warren's resolver for the name of a service from inside a
// task, without a pause from 32 sides, and dnsmasq, which has the same name,
// from the same place.
func TestNames(t *testing.T) {
	n, r := startNode(t), result
	n.run(t, "image", "load", built(t, ".cache/images/busybox.tar", "images"))
	n.run(t, append([]string{"service", "create", "web", "--image", "busybox", "--replicas", "3", "--"}, command...)...)
	n.run(t, "service", "wait", "web")
	defer n.run(t, "service", "delete", "web")
	task := n.taskIDs(t, "web")[0]
	ours := n.resolverOf(t, task)
	peer := startDnsmasq(t, ours.Addr())

	var rate, late, peerRate, peerLate samples
	for range nameRounds {
		asked := askAll(t, filepath.Join(n.runDir(), "netns", task), ours)
		rate, late = append(rate, asked.rate()), append(late, asked.quantile(0.99))
		asked = askAll(t, filepath.Join(n.runDir(), "netns", task), peer)
		peerRate, peerLate = append(peerRate, asked.rate()), append(peerLate, asked.quantile(0.99))
	}
	r.measurement("names answered, 32 askers, Warren", "/s", rate)
	r.measurement("names answered, 32 askers, dnsmasq", "/s", peerRate)
	r.measurement("a name's answer, 99 % within, Warren", "ms", late)
	r.measurement("a name's answer, 99 % within, dnsmasq", "ms", peerLate)
	r.atLeast("names answered, to dnsmasq", rate.median()/peerRate.median(), nameAim, "x")
}

// resolverOf is the one that a task is told to ask.
func (n *node) resolverOf(t *testing.T, task string) netip.AddrPort {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.runDir(), "tasks", task, "resolv.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if server, ok := strings.CutPrefix(strings.TrimSpace(line), "nameserver "); ok {
			return netip.AddrPortFrom(netip.MustParseAddr(server), 53)
		}
	}
	t.Fatalf("no resolver in %s", text)
	return netip.AddrPort{}
}

// startDnsmasq answers for the service's name at another port of that address.
func startDnsmasq(t *testing.T, at netip.Addr) netip.AddrPort {
	t.Helper()
	const port = 5300
	args := []string{"--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces",
		"--listen-address=" + at.String(), fmt.Sprint("--port=", port), "--pid-file="}
	name := strings.TrimSuffix(nameAsked, ".")
	for i := range 3 {
		args = append(args, fmt.Sprintf("--host-record=%s,10.9.8.%d,2", name, i+1))
	}
	p := start(t, filepath.Join(shortDir(t), "log"), nil, "/usr/sbin/dnsmasq", args...)
	server := netip.AddrPortFrom(at, port)
	p.until(t, "it answers", func() error {
		m, err := dns.Exchange(new(dns.Msg).SetQuestion(nameAsked, dns.TypeA), server.String())
		if err == nil && len(m.Answer) != 3 {
			err = fmt.Errorf("answered %v", m.Answer)
		}
		return err
	})
	return server
}

// asked is how long each answer took, in milliseconds.
type asked struct{ samples }

func (a asked) rate() float64 { return float64(len(a.samples)) / nameTime.Seconds() }

// askAll asks from several sockets in a network namespace at once.
func askAll(t *testing.T, namespace string, server netip.AddrPort) asked {
	t.Helper()
	sockets, err := dialFrom(namespace, server)
	if err != nil {
		t.Fatal(err)
	}
	var all asked
	var mu sync.Mutex
	var group sync.WaitGroup
	end := time.Now().Add(nameTime)
	for _, socket := range sockets {
		group.Go(func() {
			defer socket.Close()
			took, err := ask(socket, end)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			all.samples = append(all.samples, took...)
		})
	}
	group.Wait()
	return all
}

// ask asks for the name again and again until the end.
func ask(socket net.Conn, end time.Time) (took samples, err error) {
	question, err := new(dns.Msg).SetQuestion(nameAsked, dns.TypeA).Pack()
	if err != nil {
		return nil, err
	}
	answer := make([]byte, 1500)
	for id := uint16(0); ; id++ {
		began := time.Now()
		if began.After(end) {
			return took, nil
		}
		question[0], question[1] = byte(id>>8), byte(id)
		if err := socket.SetDeadline(began.Add(5 * time.Second)); err != nil {
			return nil, err
		}
		if _, err := socket.Write(question); err != nil {
			return nil, err
		}
		n, err := socket.Read(answer)
		if err != nil {
			return nil, err
		}
		// Header: ID, flags with the code in the last four bits, counts.
		if n < 12 || answer[0] != question[0] || answer[1] != question[1] || answer[3]&15 != 0 || answer[7] != 3 {
			return nil, fmt.Errorf("not the answer: %x", answer[:n])
		}
		took = append(took, time.Since(began).Seconds()*1e3)
	}
}

// dialFrom opens the sockets in the namespace; they stay in it.
func dialFrom(namespace string, server netip.AddrPort) (sockets []net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with us
		ns, failed := netns.GetFromPath(namespace)
		if err = failed; err != nil {
			return
		}
		defer ns.Close()
		if err = netns.Set(ns); err != nil {
			return
		}
		for range nameAskers {
			socket, failed := net.Dial("udp4", server.String())
			err = errors.Join(err, failed)
			sockets = append(sockets, socket)
		}
	}()
	<-done
	return sockets, err
}
