package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newHome(t *testing.T) *Home {
	t.Helper()
	h := NewHome(t.TempDir())
	h.now = func() time.Time { return epoch }
	return h
}

func TestHomeShowsEachClusterItsOwnCertificate(t *testing.T) {
	h := newHome(t)
	one, two := newCA(t, "c1"), newCA(t, "c2")
	for ca, name := range map[*CA]string{one: "alice-of-1", two: "alice-of-2"} {
		if err := h.Write(bundle(t, ca, name, admin)); err != nil {
			t.Fatal(err)
		}
	}
	client, err := h.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[*CA]string{one: "alice-of-1", two: "alice-of-2"} {
		peer, serverErr, clientErr := connect(t, ServerTLS(source(credential(t, ca, "node-1", manager))), client)
		if serverErr != nil || clientErr != nil || peer.Name != want {
			t.Errorf("the server of %s saw %s: %v, %v", ca.ClusterID(), peer, serverErr, clientErr)
		}
	}
	stranger := newCA(t, "c3")
	_, _, err = connect(t, ServerTLS(source(credential(t, stranger, "node-1", manager))), client)
	var none *NoCertificateError
	if !errors.As(err, &none) {
		t.Fatalf("a cluster without a certificate: %v", err)
	}
	for _, part := range []string{"cluster c3", h.Dir(), "it has c1, c2", "with sudo", filepath.Join(h.Dir(), "c3")} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	// Somebody who calls his CA like ours gets nothing of ours.
	_, _, err = connect(t, ServerTLS(source(credential(t, newCA(t, "c1"), "node-1", manager))), client)
	if err == nil || !strings.Contains(err.Error(), "not a manager of cluster c1") {
		t.Errorf("an impostor: %v", err)
	}
}

func TestHomeWithoutACertificateSaysWhereToGetOne(t *testing.T) {
	h := newHome(t)
	_, err := h.ClientTLS()
	var none *NoCertificateError
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "with sudo") {
		t.Errorf("%v", err)
	}
}

func TestOneBadDirectoryDoesNotHideTheOthers(t *testing.T) {
	h := newHome(t)
	if err := h.Write(bundle(t, newCA(t, "c1"), "alice", admin)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(h.Dir(), "broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(h.Dir(), "c1"), filepath.Join(h.Dir(), "renamed")); err != nil {
		t.Fatal(err)
	}
	if err := h.Write(bundle(t, newCA(t, "c2"), "alice", admin)); err != nil {
		t.Fatal(err)
	}
	found, err := h.Credentials()
	if len(found) != 1 || found[0].Identity().ClusterID != "c2" {
		t.Errorf("found %v", found)
	}
	for _, part := range []string{"broken", "renamed", "is of cluster c1"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("nothing said of %q: %v", part, err)
		}
	}
	if _, err := h.ClientTLS(); err != nil {
		t.Errorf("the good one cannot be used: %v", err)
	}
}

func TestFilesArePrivateAndReplacedAsAWhole(t *testing.T) {
	h := newHome(t)
	ca := newCA(t, "c1")
	for _, name := range []string{"first", "second"} {
		if err := h.Write(bundle(t, ca, name, admin)); err != nil {
			t.Fatal(err)
		}
		found, err := h.Credentials()
		if err != nil || len(found) != 1 || found[0].Identity().Name != name {
			t.Fatalf("read %v, %v", found, err)
		}
	}
	for path, want := range map[string]fs.FileMode{
		"": 0o700, "c1": 0o700, "c1/ca.pem": 0o600, "c1/cert.pem": 0o600, "c1/key.pem": 0o600,
	} {
		info, err := os.Stat(filepath.Join(h.Dir(), path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", path, info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(h.Dir())
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestReadersSeeOneWholeBundleWhileItIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	ca := newCA(t, "c1")
	a, b := bundle(t, ca, "a", worker), bundle(t, ca, "b", worker)
	if err := WriteBundle(dir, a); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		defer close(done)
		for i := range 50 {
			if err := WriteBundle(dir, []Bundle{a, b}[i%2]); err != nil {
				done <- err
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		read, err := ReadBundle(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read.Parse(); err != nil {
			t.Fatal(err)
		}
		read.Key.Destroy()
	}
}

func TestMissingBundleIsNotExist(t *testing.T) {
	if _, err := ReadBundle(filepath.Join(t.TempDir(), "certs")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestHomeUnderSudoIsThatOfThePersonBehindIt(t *testing.T) {
	parent := t.TempDir()
	lookup := func(name string) (*user.User, error) {
		if name != "alice" {
			return nil, fmt.Errorf("no user %s", name)
		}
		return &user.User{Uid: "1234", Gid: "5678", HomeDir: parent}, nil
	}
	root := func() (string, error) { return "/root", nil }
	h, err := userHome(0, "alice", root, lookup)
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Fatal("this test gives files to another user: run it with sudo")
	}
	if err := h.Write(bundle(t, newCA(t, "c1"), "alice", admin)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "c1", "c1/ca.pem", "c1/cert.pem", "c1/key.pem"} {
		info, err := os.Stat(filepath.Join(parent, homeName, path))
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 1234 || s.Gid != 5678 {
			t.Errorf("%q belongs to %d:%d", path, s.Uid, s.Gid)
		}
	}
	for _, test := range []struct {
		euid int
		sudo string
	}{{0, ""}, {0, "root"}, {1000, "alice"}} {
		if h, err := userHome(test.euid, test.sudo, root, lookup); err != nil || h.Dir() != "/root/.warren" || h.owner != sameOwner {
			t.Errorf("%+v: %+v, %v", test, h, err)
		}
	}
	if _, err := userHome(0, "nobody-there", root, lookup); err == nil {
		t.Error("found the home of a user who does not exist")
	}
	h.owner = owner{4321, 4321}
	if err := h.Write(bundle(t, newCA(t, "c1"), "alice", admin)); err == nil || !strings.Contains(err.Error(), "chown") {
		t.Errorf("wrote to somebody else's directory: %v", err)
	}
}

func TestLinksInAHomeAreNotFollowed(t *testing.T) {
	b := bundle(t, newCA(t, "c1"), "alice", admin)
	elsewhere := t.TempDir()
	for _, target := range []string{elsewhere, "."} { // out of the home, and within
		h := newHome(t)
		if err := os.Symlink(target, h.Dir()); err != nil {
			t.Fatal(err)
		}
		if err := h.Write(b); err == nil || !strings.Contains(err.Error(), "links are not followed") {
			t.Errorf("wrote through a link: %v", err)
		}
		if _, err := h.Credentials(); err == nil {
			t.Error("read through a link")
		}
	}

	h := newHome(t)
	if err := os.Mkdir(h.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(h.Dir(), "c1")); err != nil {
		t.Fatal(err)
	}
	// The link itself is replaced.
	if err := h.Write(b); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(h.Dir(), "c1")); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	if got, err := os.ReadDir(elsewhere); err != nil || len(got) != 0 {
		t.Errorf("written elsewhere: %v, %v", got, err)
	}
}
