package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// prober asks containers: each time anew, straight, and only what it is told.
var prober = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func probeHTTP(ctx context.Context, host string, probe *warrenv1.HttpProbe) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+hostPort(host, probe.GetPort())+probe.GetPath(), nil)
	if err != nil {
		return fmt.Errorf("the health check cannot be asked: %w", err)
	}
	request.Header.Set("User-Agent", "warren-health")
	answer, err := prober.Do(request)
	if err != nil {
		return fmt.Errorf("port %d: %w", probe.GetPort(), innermost(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 399 {
		return fmt.Errorf("port %d answers the health check with %d %s", probe.GetPort(), answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return nil
}

func probeTCP(ctx context.Context, host string, port uint32) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort(host, port))
	if err != nil {
		return fmt.Errorf("port %d: %w", port, innermost(err))
	}
	return conn.Close()
}

func hostPort(host string, port uint32) string {
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}

// innermost is what went wrong without how it was called: connection refused.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
