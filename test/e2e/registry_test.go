//go:build e2e

package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cuemby/warren/internal/testkit/image"
)

// says waits until the service's inspect has all the words.
func (n *node) says(service string, words ...string) {
	n.t.Helper()
	n.eventually("inspect tells why", func() error {
		inspect := n.run("service", "inspect", service)
		for _, word := range words {
			if !strings.Contains(inspect, word) {
				return fmt.Errorf("no %q in:\n%s", word, inspect)
			}
		}
		return nil
	})
}

func TestPullFromARegistryWithLoginAndItsOwnCA(t *testing.T) {
	t.Parallel()
	const token = "canary-registry-51fe09"
	server := httptest.NewTLSServer(image.Registry("deploy", token))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	box, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := host + "/team/app:1"
	err = image.Push(name, box, remote.WithTransport(server.Client().Transport),
		remote.WithAuth(&authn.Basic{Username: "deploy", Password: token}))
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t)
	ca := filepath.Join(n.dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log("its CA is known, its password is not: the registry's answer is passed on")
	n.run("registry", "login", host, "--ca-file", ca)
	n.run("service", "create", "stranger", "--image", name, "--stop-timeout", "1s", "--", "sleep", "1000")
	n.says("stranger", "UNAUTHORIZED")

	t.Log("logged in")
	n.feed(token, "registry", "login", host, "--username", "deploy", "--password-stdin", "--ca-file", ca)
	n.run("service", "create", "app", "--image", name, "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	if list := n.run("registry", "list"); !strings.Contains(list, host) || !strings.Contains(list, "deploy") {
		t.Errorf("the registry is not listed:\n%s", list)
	}
	if list := n.run("image", "list"); !strings.Contains(list, name) {
		t.Errorf("the image is not listed:\n%s", list)
	}

	t.Log("what is not there says so, with the registry's answer")
	n.run("service", "create", "missing", "--image", host+"/team/app:2", "--stop-timeout", "1s")
	n.says("missing", "team/app:2", "MANIFEST_UNKNOWN")
	n.run("service", "delete", "missing", "stranger", "app")
	n.run("registry", "logout", host)
	n.end(syscall.SIGTERM)
	n.scanForCanary(token)
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(image.Registry("", ""))
	t.Cleanup(server.Close)
	box, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	if err := image.Push(host+"/app:1", box); err != nil {
		t.Fatal(err)
	}
	n := startNode(t)
	n.run("service", "create", "near", "--image", host+"/app:1", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("near", 1)
	// No machine has this address; what counts is how it is spoken to.
	n.run("service", "create", "far", "--image", "192.0.2.1:5000/app:1", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.says("far", "https://192.0.2.1:5000/")
	n.run("service", "delete", "far")
	if said := n.refused(2, "registry", "login", "192.0.2.1:5000"); !strings.Contains(said, "--plain-http") {
		t.Errorf("the refusal does not say how: %s", said)
	}
}
