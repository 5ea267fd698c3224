package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// Resolvers for a host that has none a container could reach: those that
// Docker falls back to.
var fallbackResolvers = []string{"8.8.8.8", "8.8.4.4"}

// HostsFile returns a container's /etc/hosts. Without an address the hostname
// is the container itself.
func HostsFile(hostname string, address netip.Addr) []byte {
	var b bytes.Buffer
	b.WriteString("127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\n" +
		"ff00::0\tip6-mcastprefix\n" +
		"ff02::1\tip6-allnodes\n" +
		"ff02::2\tip6-allrouters\n")
	if !address.IsValid() {
		address = netip.AddrFrom4([4]byte{127, 0, 1, 1})
	}
	fmt.Fprintf(&b, "%s\t%s\n", address, hostname)
	return b.Bytes()
}

// ResolvConf returns a container's /etc/resolv.conf. Of the host's files it
// takes the first that names a resolver which a container on the bridge can
// reach: IPv4, and not the host's loopback. Search domains and options are
// kept.
func ResolvConf(hosts ...[]byte) []byte {
	var rest []string
	for _, conf := range hosts {
		servers, other := parseResolvConf(conf)
		if len(servers) > 0 {
			return joinResolvConf(servers, other)
		}
		if rest == nil {
			rest = other
		}
	}
	return joinResolvConf(fallbackResolvers, rest)
}

// NamesConf returns the /etc/resolv.conf of a container that asks one resolver
// of ours, and for names without a domain looks into ours first. The host's
// search domains and options are kept. It names no second resolver, since some
// C libraries ask all at once and take the answer of one that knows no service.
func NamesConf(server netip.Addr, domain string, host []byte) []byte {
	search, rest := []string{domain}, []string{}
	_, other := parseResolvConf(host)
	for _, line := range other {
		fields := strings.Fields(line)
		if fields[0] == "search" || fields[0] == "domain" {
			// Of several such lines the last one holds.
			search = append([]string{domain}, fields[1:]...)
			continue
		}
		rest = append(rest, line)
	}
	return joinResolvConf([]string{server.String()}, append([]string{"search " + strings.Join(search, " ")}, rest...))
}

// Resolvers returns the addresses of all resolvers named in a resolv.conf.
func Resolvers(conf []byte) []netip.Addr {
	var all []netip.Addr
	for line := range strings.Lines(string(conf)) {
		if a, ok := nameserver(strings.Fields(line)); ok {
			all = append(all, a)
		}
	}
	return all
}

// HostResolvers returns the resolvers that a program on the host asks, which
// may be on its loopback; the fallback ones when a resolv.conf names none.
func HostResolvers(conf []byte) []netip.Addr {
	if all := Resolvers(conf); len(all) > 0 {
		return all
	}
	var all []netip.Addr
	for _, text := range fallbackResolvers {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func nameserver(fields []string) (netip.Addr, bool) {
	if len(fields) < 2 || fields[0] != "nameserver" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(fields[1])
	return a.Unmap(), err == nil
}

func parseResolvConf(conf []byte) (servers, other []string) {
	for line := range strings.Lines(string(conf)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if a, ok := nameserver(fields); ok && a.Is4() && !a.IsLoopback() && !a.IsUnspecified() {
				servers = append(servers, a.String())
			}
		case "search", "domain", "options", "sortlist":
			other = append(other, strings.Join(fields, " "))
		}
	}
	return servers, other
}

func joinResolvConf(servers, other []string) []byte {
	var b bytes.Buffer
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	for _, line := range other {
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}
