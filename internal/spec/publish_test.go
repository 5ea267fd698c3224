package spec

import (
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestPublishedPortsAreReadAsTheyAreWritten(t *testing.T) {
	for arg, want := range map[string]string{
		"5432":                "5432/tcp",
		"5432/udp":            "5432/udp",
		"0:5432":              "5432/tcp",
		"8080:80":             "8080:80/tcp",
		"53:5353/udp":         "53:5353/udp",
		"127.0.0.1:5432:5432": "127.0.0.1:5432:5432/tcp",
		"127.0.0.1::5432":     "127.0.0.1:0:5432/tcp",
		"127.0.0.1:0:5432":    "127.0.0.1:0:5432/tcp",
		"0.0.0.0:80:80":       "80:80/tcp",
		"65535:1":             "65535:1/tcp",
	} {
		p, err := ParsePublished(arg)
		if err != nil || FormatPublished(p) != want {
			t.Errorf("%s: got %s, %v; want %s", arg, FormatPublished(p), err, want)
			continue
		}
		if again, err := ParsePublished(FormatPublished(p)); err != nil || FormatPublished(again) != want {
			t.Errorf("%s: read again: %v, %v", arg, again, err)
		}
	}
}

func TestPublishedPortsThatCannotBeRead(t *testing.T) {
	for arg, want := range map[string]string{
		"":                "is no port",
		"0":               "is no port",
		"70000":           "from 1 to 65535",
		"80:0":            "is no port",
		"70000:80":        "from 1 to 65535",
		"-1:80":           "is no port",
		"http":            `"http" is no port`,
		"80/sctp":         "neither tcp nor udp",
		"80/":             "neither tcp nor udp",
		"80:80/tcp/udp":   "neither tcp nor udp",
		"host:80:80":      `"host" is no IPv4 address`,
		":80:80":          "is no IPv4 address",
		"[::1]:80:80":     "IPv4",
		"::1:80:80":       "IPv4",
		"1.2.3.4:1:2:3":   "IPv4",
		"80-90:80-90":     "is no port",
		"4294967376:80":   "is no port",
		"127.0.0.1:80:":   "is no port",
		"999.0.0.1:80:80": "is no IPv4 address",
	} {
		_, err := ParsePublished(arg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to say %q", arg, err, want)
		}
	}
}

func FuzzParsePublished(f *testing.F) {
	f.Add("127.0.0.1:5432:5432/udp")
	f.Fuzz(func(t *testing.T, arg string) {
		p, err := ParsePublished(arg)
		if err != nil {
			return
		}
		// 224.0.0.1 can be written, and is refused when it is looked at.
		_ = validatePorts("app", &warrenv1.ContainerSpec{Ports: []*warrenv1.PublishedPort{p}})
		if again, err := ParsePublished(FormatPublished(p)); err != nil || FormatPublished(again) != FormatPublished(p) {
			t.Errorf("%q is written as %q, which reads as %v, %v", arg, FormatPublished(p), again, err)
		}
	})
}

func TestPublishedPortsThatAreRefused(t *testing.T) {
	tcp := func(address string, host, container uint32) *warrenv1.PublishedPort {
		return &warrenv1.PublishedPort{HostAddress: address, HostPort: host, ContainerPort: container}
	}
	udp := &warrenv1.PublishedPort{HostPort: 80, ContainerPort: 80, Protocol: warrenv1.Protocol_PROTOCOL_UDP}
	fine := request(func(c *warrenv1.ContainerSpec) {
		c.Ports = []*warrenv1.PublishedPort{tcp("", 80, 80), udp, tcp("", 0, 81), tcp("", 0, 82), tcp("127.0.0.1", 81, 80)}
	})
	if err := ValidateService(fine); err != nil {
		t.Errorf("what is fine: %v", err)
	}
	for name, c := range map[string]struct {
		mode  warrenv1.NetworkMode
		ports []*warrenv1.PublishedPort
		want  string
	}{
		"twice":                {0, []*warrenv1.PublishedPort{tcp("", 80, 80), tcp("", 80, 81)}, "publishes port 80/tcp twice"},
		"on two addresses":     {0, []*warrenv1.PublishedPort{tcp("127.0.0.1", 80, 80), tcp("10.0.0.1", 80, 80)}, "twice"},
		"no container port":    {0, []*warrenv1.PublishedPort{tcp("", 80, 0)}, "0 is no port of a container"},
		"container port 70000": {0, []*warrenv1.PublishedPort{tcp("", 80, 70000)}, "70000 is no port of a container"},
		"host port 70000":      {0, []*warrenv1.PublishedPort{tcp("", 70000, 80)}, "70000 is no port of a node"},
		"IPv6":                 {0, []*warrenv1.PublishedPort{tcp("::1", 80, 80)}, "no IPv4 address"},
		"multicast":            {0, []*warrenv1.PublishedPort{tcp("224.0.0.1", 80, 80)}, "no IPv4 address"},
		"unknown protocol":     {0, []*warrenv1.PublishedPort{{ContainerPort: 80, Protocol: 7}}, "protocol 7 is not known"},
		"host network":         {warrenv1.NetworkMode_NETWORK_MODE_HOST, []*warrenv1.PublishedPort{tcp("", 80, 80)}, `has network "host"`},
		"no network":           {warrenv1.NetworkMode_NETWORK_MODE_NONE, []*warrenv1.PublishedPort{tcp("", 80, 80)}, `has network "none"`},
		"too many":             {0, make([]*warrenv1.PublishedPort, maxPublished+1), "the limit is 256"},
	} {
		err := ValidateService(request(func(spec *warrenv1.ContainerSpec) { spec.Network, spec.Ports = c.mode, c.ports }))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.want)
		}
	}
}
