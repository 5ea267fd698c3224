package spec

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// What a health check leaves out.
const (
	DefaultHealthInterval = 10 * time.Second
	DefaultHealthTimeout  = 5 * time.Second
	DefaultHealthRetries  = 3

	leastHealthTime  = 100 * time.Millisecond
	mostHealthTime   = 24 * time.Hour
	mostHealthTries  = 1000
	mostCommandBytes = 64 << 10
)

// DefaultHealth fills in what a health check left out.
func DefaultHealth(h *warrenv1.HealthCheck) {
	if h == nil {
		return
	}
	if h.Interval == nil {
		h.Interval = durationpb.New(DefaultHealthInterval)
	}
	if h.Timeout == nil {
		h.Timeout = durationpb.New(DefaultHealthTimeout)
	}
	if h.Retries == 0 {
		h.Retries = DefaultHealthRetries
	}
	if h.StartPeriod == nil {
		h.StartPeriod = durationpb.New(0)
	}
	if h.Http != nil && h.Http.Path == "" {
		h.Http.Path = "/"
	}
}

func validateHealth(service string, c *warrenv1.ContainerSpec) error {
	h := c.GetHealth()
	if h == nil {
		return nil
	}
	if err := oneProbe(service, c); err != nil {
		return err
	}
	for _, t := range []struct {
		what  string
		d     *durationpb.Duration
		least time.Duration
	}{
		{"a health interval", h.GetInterval(), leastHealthTime},
		{"a health timeout", h.GetTimeout(), leastHealthTime},
		{"a health start period", h.GetStartPeriod(), 0},
	} {
		if t.d == nil {
			continue // a default
		}
		if err := between(service, t.what, t.d, t.least, mostHealthTime); err != nil {
			return err
		}
	}
	if h.GetRetries() > mostHealthTries {
		return invalid(KindService, service, "%d health retries are asked for; the limit is %d", h.GetRetries(), mostHealthTries)
	}
	return nil
}

// oneProbe wants exactly one way to find out, and one that can work.
func oneProbe(service string, c *warrenv1.ContainerSpec) error {
	h, probes := c.GetHealth(), 0
	if len(h.GetCommand()) > 0 {
		probes++
		if total := len(strings.Join(h.GetCommand(), "")); total > mostCommandBytes || strings.ContainsRune(strings.Join(h.GetCommand(), ""), 0) {
			return invalid(KindService, service, "the health command has a NUL byte or more than %d bytes", mostCommandBytes)
		}
		if h.GetCommand()[0] == "" {
			return invalid(KindService, service, "the health command is empty")
		}
	}
	if h.GetHttp() != nil {
		probes++
		if _, err := url.ParseRequestURI(h.GetHttp().GetPath()); err != nil || !strings.HasPrefix(h.GetHttp().GetPath(), "/") {
			return invalid(KindService, service, "health path %q is not valid", h.GetHttp().GetPath()).WithHint("write it as --health-http :8080/ready")
		}
	}
	if h.GetTcp() != nil {
		probes++
	}
	if probes != 1 {
		return invalid(KindService, service, "a health check has %d ways to find out, not one", probes).
			WithHint("use one of --health-cmd, --health-http and --health-tcp")
	}
	if len(h.GetCommand()) > 0 {
		return nil
	}
	if port := h.GetHttp().GetPort() + h.GetTcp().GetPort(); port < 1 || port > 65535 {
		return invalid(KindService, service, "health port %d is not between 1 and 65535", port)
	}
	if c.GetNetwork() == warrenv1.NetworkMode_NETWORK_MODE_NONE {
		return invalid(KindService, service, "nothing can be asked over the network of a service that has --network none").
			WithHint("check its health with --health-cmd")
	}
	return nil
}

// ParseHealthHTTP reads :PORT or :PORT/PATH.
func ParseHealthHTTP(arg string) (*warrenv1.HttpProbe, error) {
	rest, slash := arg, ""
	if i := strings.IndexByte(arg, '/'); i >= 0 {
		rest, slash = arg[:i], arg[i:]
	}
	port, ok := parsePort(rest)
	if !ok {
		return nil, invalid(KindService, "", "health check %q is not :PORT/PATH", arg).WithHint("write it as --health-http :8080/ready")
	}
	return &warrenv1.HttpProbe{Port: port, Path: slash}, nil
}

// ParseHealthTCP reads :PORT.
func ParseHealthTCP(arg string) (*warrenv1.TcpProbe, error) {
	port, ok := parsePort(arg)
	if !ok {
		return nil, invalid(KindService, "", "health check %q is not :PORT", arg).WithHint("write it as --health-tcp :5432")
	}
	return &warrenv1.TcpProbe{Port: port}, nil
}

func parsePort(arg string) (uint32, bool) {
	port, err := strconv.ParseUint(strings.TrimPrefix(arg, ":"), 10, 16)
	return uint32(port), err == nil && port > 0
}
