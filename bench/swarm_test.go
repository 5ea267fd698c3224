//go:build bench

package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// swarm is Docker Swarm with one manager, spoken to over its Unix socket.
type swarm struct {
	*process
	socket string
}

// startSwarm runs Debian's dockerd from where it was unpacked, on directories
// of its own.
func startSwarm(t *testing.T) *swarm {
	t.Helper()
	usr := filepath.Dir(filepath.Dir(built(t, ".cache/docker/usr/sbin/dockerd", "bench")))
	dir := shortDir(t)
	t.Cleanup(func() { // before the directory is removed, after dockerd has ended
		for _, m := range mountsBelow(t, dir) {
			syscall.Unmount(m, syscall.MNT_DETACH)
		}
	})
	s := &swarm{socket: filepath.Join(dir, "d.sock")}
	path := "PATH=" + filepath.Join(usr, "bin") + ":" + filepath.Join(usr, "sbin") + ":" + os.Getenv("PATH")
	s.process = start(t, filepath.Join(dir, "log"), []string{path}, filepath.Join(usr, "sbin", "dockerd"),
		"--data-root", filepath.Join(dir, "lib"), "--exec-root", filepath.Join(dir, "run"),
		"--pidfile", filepath.Join(dir, "pid"), "-H", "unix://"+s.socket,
		"--bridge", "none", "--iptables=false", "--storage-driver", "vfs")
	c := s.client()
	s.until(t, "it answers", func() error { return get(c, "/_ping") })
	if err := post(t.Context(), c, "/swarm/init", map[string]any{"ListenAddr": freeAddress(t), "AdvertiseAddr": "127.0.0.1"}); err != nil {
		t.Fatal(err, s.tail())
	}
	return s
}

func (s *swarm) client() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.socket)
		},
	}}
}

// creator is docker secret create, on a connection of its own.
func (s *swarm) creator() creator {
	c := s.client()
	return func(ctx context.Context, name string) error {
		value := make([]byte, valueBytes)
		rand.Read(value)
		return post(ctx, c, "/secrets/create", map[string]any{"Name": name, "Data": value})
	}
}

func get(c *http.Client, path string) error {
	response, err := c.Get("http://docker" + path)
	if err != nil {
		return err
	}
	return answer(response)
}

func post(ctx context.Context, c *http.Client, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	return answer(response)
}

// answer reads it to its end, so that the connection is used again.
func answer(response *http.Response) error {
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("docker: %s: %s", response.Status, bytes.TrimSpace(text))
	}
	return nil
}
