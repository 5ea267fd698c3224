package spec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// The ports that are chosen for a service that names none lie between these,
// both included: below those that systems use for connections of their own.
const (
	FirstChosenPort = 30000
	LastChosenPort  = 32767
)

const maxPort = 65535

// maxPublished limits the ports of one service.
const maxPublished = 256

const publishHint = "write it as --publish PORT, HOST_PORT:PORT or ADDRESS:HOST_PORT:PORT, with /udp behind it for UDP"

// ProtocolName is how a person writes a protocol.
func ProtocolName(p warrenv1.Protocol) string {
	switch p {
	case warrenv1.Protocol_PROTOCOL_TCP:
		return "tcp"
	case warrenv1.Protocol_PROTOCOL_UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", p)
}

// FormatPublished writes a published port as --publish takes it.
func FormatPublished(p *warrenv1.PublishedPort) string {
	text := fmt.Sprintf("%d/%s", p.GetContainerPort(), ProtocolName(p.GetProtocol()))
	if p.GetHostPort() != 0 || p.GetHostAddress() != "" {
		text = fmt.Sprintf("%d:%s", p.GetHostPort(), text)
	}
	if p.GetHostAddress() != "" {
		text = p.GetHostAddress() + ":" + text
	}
	return text
}

// ParsePublished reads [[ADDRESS:]HOST_PORT:]PORT[/PROTOCOL]. A host port that
// is empty or 0 is one to be chosen.
func ParsePublished(arg string) (*warrenv1.PublishedPort, error) {
	bad := func(format string, args ...any) error {
		return invalid(KindService, "", "published port %q: %s", arg, fmt.Sprintf(format, args...)).WithHint(publishHint)
	}
	p := &warrenv1.PublishedPort{}
	ports, protocol, named := strings.Cut(arg, "/")
	switch {
	case !named, protocol == "tcp":
	case protocol == "udp":
		p.Protocol = warrenv1.Protocol_PROTOCOL_UDP
	default:
		return nil, bad("%q is neither tcp nor udp", protocol)
	}
	if strings.ContainsAny(ports, "[]") || strings.Count(ports, ":") > 2 {
		return nil, bad("ports are published on IPv4 addresses")
	}
	words := strings.Split(ports, ":")
	if len(words) == 3 {
		address, err := netip.ParseAddr(words[0])
		if err != nil || !address.Is4() {
			return nil, bad("%q is no IPv4 address", words[0])
		}
		if !address.IsUnspecified() {
			p.HostAddress = address.String()
		}
	}
	var err error
	if p.ContainerPort, err = parsePublishedPort(words[len(words)-1], 1); err != nil {
		return nil, bad("%v", err)
	}
	if len(words) > 1 && words[len(words)-2] != "" {
		if p.HostPort, err = parsePublishedPort(words[len(words)-2], 0); err != nil {
			return nil, bad("%v", err)
		}
	}
	return p, nil
}

func parsePublishedPort(text string, least uint64) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < least || n > maxPort {
		return 0, fmt.Errorf("%q is no port: ports are from 1 to %d", text, maxPort)
	}
	return uint32(n), nil
}

func validatePorts(service string, c *warrenv1.ContainerSpec) error {
	ports := c.GetPorts()
	if len(ports) > maxPublished {
		return invalid(KindService, service, "service %q publishes %d ports; the limit is %d", service, len(ports), maxPublished)
	}
	if mode := c.GetNetwork(); len(ports) > 0 && mode != warrenv1.NetworkMode_NETWORK_MODE_BRIDGE {
		p := invalid(KindService, service, "service %q publishes a port but has network %q", service, NetworkModeName(mode))
		if mode == warrenv1.NetworkMode_NETWORK_MODE_HOST {
			return p.WithHint("leave --publish away: with --network host the container listens on the node's ports itself")
		}
		return p.WithHint("leave --network away: a port leads to a container on the node's bridge")
	}
	type place struct {
		port     uint32
		protocol warrenv1.Protocol
	}
	seen := map[place]bool{}
	for _, p := range ports {
		if err := validatePort(service, p); err != nil {
			return err
		}
		at := place{p.GetHostPort(), p.GetProtocol()}
		if seen[at] && at.port != 0 {
			return invalid(KindService, service, "service %q publishes port %d/%s twice", service, at.port, ProtocolName(at.protocol)).
				WithHint("publish it once, on all addresses: --publish %d:%d/%s", at.port, p.GetContainerPort(), ProtocolName(at.protocol))
		}
		seen[at] = true
	}
	return nil
}

func validatePort(service string, p *warrenv1.PublishedPort) error {
	bad := func(format string, args ...any) error {
		return invalid(KindService, service, "service %q: published port: %s", service, fmt.Sprintf(format, args...)).WithHint(publishHint)
	}
	if _, known := warrenv1.Protocol_name[int32(p.GetProtocol())]; !known {
		return bad("%s is not known", ProtocolName(p.GetProtocol()))
	}
	if n := p.GetContainerPort(); n < 1 || n > maxPort {
		return bad("%d is no port of a container: ports are from 1 to %d", n, maxPort)
	}
	if n := p.GetHostPort(); n > maxPort {
		return bad("%d is no port of a node: ports are from 1 to %d", n, maxPort)
	}
	if a := p.GetHostAddress(); a != "" {
		address, err := netip.ParseAddr(a)
		if err != nil || !address.Is4() || address.IsMulticast() || address.IsUnspecified() {
			return bad("%q is no IPv4 address of a node", a)
		}
	}
	return nil
}
