//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sayName is the command of a container that serves its own name by HTTP.
const sayName = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"

// get fetches a page over a connection of its own.
func get(address string) (string, error) {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return strings.TrimSpace(string(body)), err
}

// freePort is a port of this machine that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

type publishing struct {
	Ports []struct {
		HostPort int `json:"host_port"`
	}
}

func TestPublishedPorts(t *testing.T) {
	n := startBusybox(t)
	port := freePort(t)
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--replicas", "3", "--publish", port+":80", "--publish", "80",
		"--", "sh", "-c", sayName)
	n.running("web", 3)

	t.Log("every task answers in its turn, on the port that was named and on the one that was chosen")
	var service publishing
	n.inspect(&service, "web")
	for _, p := range service.Ports {
		seen := map[string]bool{}
		n.eventually("all tasks answer", func() error {
			name, err := get(fmt.Sprintf("127.0.0.1:%d", p.HostPort))
			if seen[name] = true; err != nil || len(seen) < 3 {
				return fmt.Errorf("%v answered, %v", seen, err)
			}
			return nil
		})
	}

	t.Log("from another machine")
	out := outside(t)
	if page, err := exec.Command("nsenter", "--net="+out.namespace, "curl", "-s", "-m", "5", "http://"+out.host+":"+port+"/").CombinedOutput(); err != nil || !strings.HasPrefix(string(page), "web-task-") {
		t.Errorf("%q, %v", page, err)
	}

	t.Log("while Warren does not run, killed without a word")
	n.end(syscall.SIGKILL)
	if name, err := get("127.0.0.1:" + port); err != nil {
		t.Errorf("%q, %v", name, err)
	}
	n.start()
	if name, err := get("127.0.0.1:" + port); err != nil {
		t.Errorf("after the start: %q, %v", name, err)
	}

	t.Log("a port has one service")
	if said := n.refused(1, "service", "create", "other", "--image", "busybox", "--stop-timeout", "1s", "--publish", port+":80"); !strings.Contains(said, "is published by service web") {
		t.Errorf("%q", said)
	}
	n.run("service", "delete", "web")
	if page, err := get("127.0.0.1:" + port); err == nil {
		t.Errorf("what was deleted still answers: %q", page)
	}
	n.run("service", "create", "other", "--image", "busybox", "--stop-timeout", "1s", "--publish", port+":80", "--", "sh", "-c", sayName)
	n.eventually("the next one answers", func() error {
		if name, err := get("127.0.0.1:" + port); err != nil || name != "other-task-1" {
			return fmt.Errorf("%q, %v", name, err)
		}
		return nil
	})
}

func (n *node) inspect(into any, service string) {
	n.t.Helper()
	out := n.run("service", "inspect", service, "-o", "json")
	if err := json.Unmarshal([]byte(out), into); err != nil {
		n.t.Fatalf("%v in %s", err, out)
	}
}

// A task waits for a port that another program has, says so, and takes it when
// it comes free.
func TestAPortOfAnotherProgram(t *testing.T) {
	n := startBusybox(t)
	program, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	_, port, _ := net.SplitHostPort(program.Addr().String())
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--publish", port+":80", "--", "sh", "-c", sayName)
	n.eventually("the task says what it waits for", func() error {
		tasks, err := n.tasks("web")
		if err != nil || len(tasks) != 1 || !strings.Contains(tasks[0].Message, "port "+port+"/tcp of this node is used by another program") {
			return fmt.Errorf("%+v, %v", tasks, err)
		}
		return nil
	})
	program.Close()
	n.running("web", 1)
	if name, err := get("127.0.0.1:" + port); err != nil || name != "web-task-1" {
		t.Errorf("%q, %v", name, err)
	}
}

func TestPublishedPortsThatAreRefused(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"is no port", []string{"--publish", "0"}},
		{"from 1 to 65535", []string{"--publish", "70000:80"}},
		{"neither tcp nor udp", []string{"--publish", "80/sctp"}},
		{"twice", []string{"--publish", "80:80", "--publish", "80:81"}},
		{`has network "host"`, []string{"--publish", "80", "--network", "host"}},
		{`has network "none"`, []string{"--publish", "80", "--network", "none"}},
	} {
		if said := n.refused(2, append([]string{"service", "create", "web", "--image", "busybox"}, c.args...)...); !strings.Contains(said, c.want) {
			t.Errorf("%q: %q", c.args, said)
		}
	}
	if said := n.refused(2, "service", "create", "not_a_label", "--image", "busybox"); !strings.Contains(said, "is not valid") {
		t.Errorf("%q", said)
	}
}

func TestServicesHaveNames(t *testing.T) {
	n := startBusybox(t, "--network-subnet", "10.203.0.0/24")
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--replicas", "2", "--", "sh", "-c", sayName)
	n.run("service", "create", "client", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "10000")
	web := n.running("web", 2)
	client := n.running("client", 1)[0]
	if !strings.HasPrefix(client.Address, "10.203.0.") {
		t.Errorf("%s is not in the node's subnet", client.Address)
	}
	inside := func(args ...string) (string, int) {
		out, said, code := n.try("", append([]string{"exec", client.ID, "--"}, args...)...)
		return out + said, code
	}
	all := func() {
		t.Helper()
		for _, name := range []string{"web", "web.default", "web.default.warren.internal"} {
			out, code := inside("nslookup", name)
			if code != 0 || !strings.Contains(out, web[0].Address) || !strings.Contains(out, web[1].Address) {
				t.Errorf("%s: exit %d: %s", name, code, out)
			}
		}
		for _, task := range web {
			for _, name := range []string{task.Name, fmt.Sprint("web-", task.Slot)} {
				if out, code := inside("wget", "-q", "-O", "-", "http://"+name+"/"); code != 0 || strings.TrimSpace(out) != task.Name {
					t.Errorf("%s: exit %d: %s", name, code, out)
				}
			}
		}
		if out, code := inside("nslookup", "nobody.default.warren.internal"); code == 0 {
			t.Errorf("a name that nobody has: %s", out)
		}
	}
	all()

	t.Log("garbage to the DNS port")
	if out, code := inside("sh", "-c", "head -c 3000 /dev/urandom | nc -u -w 1 $(grep nameserver /etc/resolv.conf | cut -d' ' -f2) 53; head -c 3000 /dev/urandom | nc -w 1 $(grep nameserver /etc/resolv.conf | cut -d' ' -f2) 53; true"); code != 0 {
		t.Errorf("%s", out)
	}
	all()

	t.Log("after Warren was killed")
	n.end(syscall.SIGKILL)
	n.start()
	all()

	t.Log("a task that is gone has no name")
	n.run("service", "scale", "web", "1")
	left := n.running("web", 1)
	out, code := inside("nslookup", "web.default.warren.internal")
	if code != 0 || !strings.Contains(out, left[0].Address) || strings.Count(out, "10.203.0.") != 3 { // the resolver's own, twice
		t.Errorf("exit %d: %s", code, out)
	}
}

// Whoever is answered while a task stops is answered to the end, and nobody is
// sent to it any more.
func TestScalingDownLosesNoRequest(t *testing.T) {
	n := startBusybox(t)
	port := freePort(t)
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--replicas", "4", "--publish", port+":80", "--", "sh", "-c",
		`mkdir -p /www; hostname > /www/index.html; httpd -p 80 -h /www; trap 'sleep 1; exit' TERM; while :; do sleep 0.1; done`)
	n.running("web", 4)
	end := make(chan struct{})
	lost := make(chan error, 1)
	count := 0
	go func() {
		defer close(lost)
		for {
			select {
			case <-end:
				return
			default:
			}
			if _, err := get("127.0.0.1:" + port); err != nil {
				lost <- err
				return
			}
			count++
		}
	}()
	n.run("service", "scale", "web", "1")
	n.running("web", 1)
	close(end)
	if err := <-lost; err != nil || count == 0 {
		t.Errorf("after %d answers: %v", count, err)
	}
	t.Logf("%d requests", count)
}

// beyond is a machine beyond this one: a network namespace with a cable.
type beyond struct{ namespace, host string }

func outside(t *testing.T) beyond {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("%v; install it: apt-get install curl", err)
	}
	sleeper := exec.Command("unshare", "--net", "sh", "-c", "echo; exec sleep 1000")
	out, err := sleeper.StdoutPipe()
	if err == nil {
		err = sleeper.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	b := beyond{fmt.Sprintf("/proc/%d/ns/net", sleeper.Process.Pid), "198.51.100.1"}
	for _, args := range [][]string{
		{"ip", "link", "add", "we2e-out", "type", "veth", "peer", "name", "out0", "netns", fmt.Sprint(sleeper.Process.Pid)},
		{"ip", "address", "add", b.host + "/24", "dev", "we2e-out"},
		{"ip", "link", "set", "we2e-out", "up"},
		{"nsenter", "--net=" + b.namespace, "ip", "address", "add", "198.51.100.2/24", "dev", "out0"},
		{"nsenter", "--net=" + b.namespace, "ip", "link", "set", "out0", "up"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "we2e-out").Run() })
	return b
}
