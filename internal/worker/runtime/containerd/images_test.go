//go:build e2e

package containerd

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cuemby/warren/internal/testkit/image"
	"github.com/cuemby/warren/internal/worker/runtime"
)

func TestImagesAreImportedUnderCanonicalNames(t *testing.T) {
	made, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made.Name = "short:v1"
	var oci, docker, zipped bytes.Buffer
	if err := image.WriteOCI(&oci, made); err != nil {
		t.Fatal(err)
	}
	if err := image.WriteDocker(&docker, made); err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(oci.Bytes())
	zip.Close()
	r := begin(t)
	for what, archive := range map[string][]byte{"OCI": oci.Bytes(), "Docker": docker.Bytes(), "compressed OCI": zipped.Bytes()} {
		images, err := r.Import(t.Context(), bytes.NewReader(archive))
		if err != nil || len(images) != 1 || images[0].Name != "docker.io/library/short:v1" {
			t.Errorf("%s: imported %+v, %v", what, images, err)
			continue
		}
		if images[0].Size < 1<<20 || !strings.HasPrefix(images[0].Digest, "sha256:") || images[0].CreatedAt.IsZero() {
			t.Errorf("%s: %+v", what, images[0])
		}
		if err := r.Remove(t.Context(), "docker.io/library/short:v1"); err != nil {
			t.Error(err)
		}
	}
	images, err := r.List(t.Context())
	if err != nil || len(images) != 1 || images[0].Name != busybox {
		t.Errorf("listed %+v, %v; want busybox alone", images, err)
	}
	if err := r.Remove(t.Context(), "docker.io/library/gone:1"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestWhatIsNoArchiveIsRefused(t *testing.T) {
	r := begin(t)
	for _, archive := range []string{"", "hello", strings.Repeat("x", 5000)} {
		if images, err := r.Import(t.Context(), strings.NewReader(archive)); err == nil {
			t.Errorf("imported %v from %d bytes of nothing", images, len(archive))
		}
	}
}

// serve is a registry with busybox as team/box:1.
func serve(t *testing.T, server *httptest.Server, options ...remote.Option) (name string) {
	t.Helper()
	t.Cleanup(server.Close)
	made, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(strings.TrimPrefix(server.URL, "https://"), "http://")
	options = append(options, remote.WithTransport(server.Client().Transport))
	if err := image.Push(host+"/team/box:1", made, options...); err != nil {
		t.Fatal(err)
	}
	return host + "/team/box:1"
}

func TestPullFromALoopbackRegistry(t *testing.T) {
	r := begin(t)
	name := serve(t, httptest.NewServer(image.Registry("", "")))
	pulled, err := r.Ensure(t.Context(), name, runtime.RegistryAccess{})
	if err != nil || pulled.Name != name || pulled.Digest == "" {
		t.Fatalf("pulled %+v, %v", pulled, err)
	}
	c := sh(r, "pulled", "echo works")
	c.Image = name
	if _, output := (world{r, t}).run(c); output != "works\n" {
		t.Errorf("printed %q", output)
	}
	byDigest := strings.TrimSuffix(name, ":1") + "@" + pulled.Digest
	if again, err := r.Ensure(t.Context(), byDigest, runtime.RegistryAccess{}); err != nil || again.Digest != pulled.Digest {
		t.Errorf("by digest: %+v, %v", again, err)
	}
}

func TestTheImageSaysHowItIsStopped(t *testing.T) {
	r := begin(t)
	name := serve(t, httptest.NewServer(image.Registry("", "")))
	box, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for signal, want := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "10": syscall.SIGUSR1, "SIGNOSUCH": syscall.SIGTERM} {
		changed, err := mutate.Config(box, v1.Config{Cmd: []string{"sleep", "100"}, StopSignal: signal})
		if err != nil {
			t.Fatal(err)
		}
		c := sh(r, strings.ToLower(signal), "sleep 100")
		c.Image = strings.Replace(name, "box:1", "box:"+signal, 1)
		if err := image.Push(c.Image, image.Image{Name: c.Image, Image: changed}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Ensure(t.Context(), c.Image, runtime.RegistryAccess{}); err != nil {
			t.Fatal(err)
		}
		start(t, r, c)
		if status, err := r.Status(t.Context(), c.ID); err != nil || status.StopSignal != want {
			t.Errorf("%s: stopped by %v, %v; want %v", signal, status.StopSignal, err, want)
		}
	}
}

func TestAMissingImageCarriesTheRegistrysAnswer(t *testing.T) {
	r := begin(t)
	name := serve(t, httptest.NewServer(image.Registry("", "")))
	_, err := r.Ensure(t.Context(), strings.Replace(name, "box:1", "box:2", 1), runtime.RegistryAccess{})
	if !errors.Is(err, runtime.ErrNotFound) || !strings.Contains(err.Error(), "MANIFEST_UNKNOWN") {
		t.Errorf("ensure says %v", err)
	}
}

func TestPullWithLoginAndOwnCA(t *testing.T) {
	r := begin(t)
	server := httptest.NewTLSServer(image.Registry("me", "canary-secret"))
	name := serve(t, server, remote.WithAuth(&authn.Basic{Username: "me", Password: "canary-secret"}))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	asked := 0
	access := func(ca []byte, password string) runtime.RegistryAccess {
		return runtime.RegistryAccess{Username: "me", CACertificate: ca, Password: func() (string, error) {
			asked++
			return password, nil
		}}
	}
	// An unknown CA is not trusted, on loopback neither.
	other := httptest.NewTLSServer(nil)
	other.Close()
	if _, err := r.Ensure(t.Context(), name, runtime.RegistryAccess{CACertificate: ca}); err == nil || !strings.Contains(err.Error(), "UNAUTHORIZED") {
		t.Errorf("without a login: %v", err)
	}
	if _, err := r.Ensure(t.Context(), name, access(ca, "wrong-secret")); err == nil || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("with a wrong password: %v", err)
	}
	if _, err := r.Ensure(t.Context(), name, access([]byte("nonsense"), "canary-secret")); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("with a CA that is none: %v", err)
	}
	asked = 0
	if _, err := r.Ensure(t.Context(), name, access(ca, "canary-secret")); err != nil {
		t.Fatalf("with CA and login: %v", err)
	}
	if asked == 0 {
		t.Error("the password was never asked for")
	}
	asked = 0
	if _, err := r.Ensure(t.Context(), name, access(ca, "")); err != nil || asked != 0 {
		t.Errorf("what is here was pulled again: %v, asked %d times", err, asked)
	}
}

func TestPlainHTTPIsForLoopbackOrWhenAsked(t *testing.T) {
	for host, access := range map[string]runtime.RegistryAccess{
		"registry.example:5000": {}, "10.0.0.1:5000": {}, "127.0.0.1:5000": {CACertificate: testCA(t)},
	} {
		p, err := newPuller(access)
		if err != nil {
			t.Fatal(err)
		}
		if hosts, err := p.hosts(host); err != nil || hosts[0].Scheme != "https" {
			t.Errorf("%s: %+v, %v", host, hosts, err)
		}
	}
	for host, access := range map[string]runtime.RegistryAccess{
		"registry.example:5000": {PlainHTTP: true}, "localhost:5000": {}, "127.0.0.1:5000": {}, "[::1]:5000": {},
	} {
		p, err := newPuller(access)
		if err != nil {
			t.Fatal(err)
		}
		if hosts, err := p.hosts(host); err != nil || hosts[0].Scheme != "http" {
			t.Errorf("%s: %+v, %v", host, hosts, err)
		}
	}
}

func testCA(t *testing.T) []byte {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func TestViewRoot(t *testing.T) {
	r := begin(t)
	var seen string
	failure := errors.New("the caller's own")
	err := r.ViewRoot(t.Context(), busybox, func(root string) error {
		seen = root
		if b, err := os.ReadFile(filepath.Join(root, "etc/passwd")); err != nil || !bytes.Contains(b, []byte("app:x:1000")) {
			t.Errorf("read %q, %v", b, err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/new"), nil, 0o644); err == nil {
			t.Error("the view can be written to")
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("view returned %v", err)
	}
	if _, err := os.Stat(seen); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the view stays: %v", err)
	}
}

func TestPostgresImageDeclaresItsVolume(t *testing.T) {
	made, err := image.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := image.WriteOCI(&b, made); err != nil {
		t.Fatal(err)
	}
	r := begin(t)
	images, err := r.Import(t.Context(), &b)
	if err != nil || len(images) != 1 || !slices.Equal(images[0].Volumes, []string{"/var/lib/postgresql/data"}) {
		t.Fatalf("imported %+v, %v", images, err)
	}
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "db-password"), []byte("it's a \"secret\" $HOME"), 0o444); err != nil {
		t.Fatal(err)
	}
	c := runtime.Container{
		ID: "pg", Image: images[0].Name, Hostname: "pg", NetNS: emptyNetwork(t),
		Env:     []string{"POSTGRES_PASSWORD_FILE=/run/secrets/db-password", "POSTGRES_DB=my-app", "POSTGRES_USER=owner"},
		Mounts:  []runtime.Mount{{Source: secrets, Target: "/run/secrets", ReadOnly: true}},
		LogPath: filepath.Join(r.dataDir, "pg.log"),
	}
	start(t, r, c)
	query := func(sql string) string {
		var out, complaints bytes.Buffer
		_, err := r.Exec(t.Context(), "pg", runtime.Exec{
			Args:   []string{"sh", "-c", `PGPASSWORD=$(cat /run/secrets/db-password) psql -h 127.0.0.1 -U owner my-app -tAc "$0"`, sql},
			Stdout: &out, Stderr: &complaints,
		})
		if err != nil {
			t.Fatalf("%v; the container printed:\n%s", err, printed(t, c.LogPath))
		}
		return out.String()
	}
	eventually(t, "PostgreSQL answers", func() bool { return query("select 40 + 2") == "42\n" })
	if got := query("show data_directory"); got != "/var/lib/postgresql/data\n" {
		t.Errorf("data directory %q", got)
	}
}
