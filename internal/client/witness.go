package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/cuemby/warren/internal/pki"
	"google.golang.org/grpc/credentials"
)

// witness remembers why the last attempt to connect failed. gRPC tells that
// only as text, and only to calls; what to say to a person depends on whether
// nobody listens or the certificates do not fit.
type witness struct {
	credentials.TransportCredentials

	mu   sync.Mutex
	last error
}

func (w *witness) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

func (w *witness) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *witness) dialer(a address) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, a.network, a.target)
		if err != nil {
			w.note(err)
		}
		return conn, err
	}
}

// ClientHandshake notes why the handshake failed, and watches the connection
// for the server's verdict: in TLS 1.3 a refused client learns of it only when
// it first reads.
func (w *witness) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		w.note(handshakeError{err})
		return conn, info, err
	}
	return witnessed{conn, w}, info, nil
}

// Clone keeps the memory: gRPC clones the credentials it was given.
func (w *witness) Clone() credentials.TransportCredentials { return w }

type witnessed struct {
	net.Conn
	w *witness
}

func (c witnessed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		c.w.note(handshakeError{op.Err})
	case err != nil && !errors.Is(err, net.ErrClosed):
		c.w.note(err)
	}
	return n, err
}

// handshakeError says that somebody answered, but not as, or not to, whom it
// should.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// cause is err in the words of a person.
func cause(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "no such socket"
	case errors.Is(err, os.ErrPermission):
		return "permission denied"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed"
	}
	if noTLS := (tls.RecordHeaderError{}); errors.As(err, &noTLS) {
		return "it is no Warren manager: it does not speak TLS"
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return op.Err.Error()
	}
	return plain(strings.ReplaceAll(err.Error(), "\n", " "))
}

// denial tells whether err is about who is calling, and what helps.
func denial(err error) (hint string, denied bool) {
	var (
		none     *pki.NoCertificateError
		noTLS    tls.RecordHeaderError
		refusal  handshakeError
		dropped  = errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.DeadlineExceeded)
		answered = errors.As(err, &refusal)
	)
	switch {
	case errors.As(err, &none):
		return "", true // it says itself what to do
	case errors.Is(err, os.ErrPermission):
		return "sudo, or the manager's TCP address: --manager " + DefaultAddress, true
	case !answered || dropped || errors.As(err, &noTLS):
		return "", false
	}
	return "on a manager run the command with sudo, or copy ~/.warren from whoever has a certificate of this cluster", true
}
