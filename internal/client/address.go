package client

import (
	"fmt"
	"net"
	"strings"
)

const (
	// DefaultSocket is where a manager of this machine serves root.
	DefaultSocket = "unix:///run/warren/warren.sock"
	// DefaultAddress is where a manager of this machine serves everybody who
	// has a certificate.
	DefaultAddress = "127.0.0.1:8080"
	// AddressVariable is the environment variable that stands for --manager.
	AddressVariable = "WARREN_MANAGER"
)

// address is one place where a manager may answer.
type address struct {
	network string // "unix" or "tcp"
	target  string // a path or host:port
}

// String is the address as a person would type it.
func (a address) String() string {
	if a.network == "unix" {
		return "unix://" + a.target
	}
	return a.target
}

// parseAddress reads host:port or unix:///path.
func parseAddress(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
			return address{}, badAddress(s, "the path of a socket is absolute")
		}
		return address{"unix", path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case err != nil:
		return address{}, badAddress(s, "it has no port")
	case host == "" || strings.ContainsAny(host, "/ \t\r\n\x00"):
		return address{}, badAddress(s, "it has no host")
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return address{}, badAddress(s, "its port is no port")
	}
	return address{"tcp", net.JoinHostPort(host, port)}, nil
}

func badAddress(s, why string) error {
	return &Error{
		Code:    Invalid,
		Message: fmt.Sprintf("%q is not a manager's address: %s", s, why),
		Hint:    "--manager " + DefaultAddress + ", or --manager " + DefaultSocket,
	}
}

// parseAddresses reads several addresses, with commas between them.
func parseAddresses(list string) ([]address, error) {
	var out []address
	for _, one := range strings.Split(list, ",") {
		a, err := parseAddress(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// candidates lists the places to try, best first. A named manager is the only
// one, so that a typing mistake never reaches another cluster; the one
// exception is this machine's own socket, which only root may open: the same
// manager answers everybody else on the loopback address.
func candidates(named string) ([]address, error) {
	if named == "" {
		named = DefaultSocket
	}
	a, err := parseAddress(named)
	if err != nil {
		return nil, err
	}
	list := []address{a}
	if named == DefaultSocket {
		tcp, err := parseAddress(DefaultAddress)
		if err != nil {
			return nil, err
		}
		list = append(list, tcp)
	}
	return list, nil
}
