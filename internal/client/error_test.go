package client

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	errPermission error = syscall.EACCES
	errRefused    error = syscall.ECONNREFUSED
)

func TestCodesOfTheManagerBecomeOurs(t *testing.T) {
	for code, want := range map[codes.Code]Code{
		codes.InvalidArgument:    Invalid,
		codes.NotFound:           NotFound,
		codes.AlreadyExists:      Exists,
		codes.PermissionDenied:   Denied,
		codes.Unauthenticated:    Denied,
		codes.Unavailable:        Unreachable,
		codes.FailedPrecondition: Failed,
		codes.Internal:           Failed,
	} {
		wantError(t, code.String(), decode(status.Error(code, "so it is")), want, "so it is")
	}
	if err := decode(io.EOF); err != io.EOF {
		t.Errorf("the end of a stream became %v", err)
	}
	if err := decode(status.Error(codes.Canceled, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("an interruption became %v", err)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{DefaultAddress, DefaultSocket, "[::1]:8080", "host", ":80", "host:0", "http://host:80", "unix://relative", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			wantError(t, s, err, Invalid)
			return
		}
		again, err := parseAddress(a.String())
		if err != nil || again != a {
			t.Errorf("%q became %v, then %v (%v)", s, a, again, err)
		}
		if a.network == "tcp" {
			if host, _, err := net.SplitHostPort(a.target); err != nil || host == "" || strings.Contains(host, "/") {
				t.Errorf("%q became %q", s, a.target)
			}
		}
	})
}
