package spec

import (
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestImageNamesResolveAsDockersDo(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for ref, want := range map[string]string{
		"postgres":                 "docker.io/library/postgres:latest",
		"postgres:15":              "docker.io/library/postgres:15",
		"library/postgres":         "docker.io/library/postgres:latest",
		"cuemby/warren:1":          "docker.io/cuemby/warren:1",
		"localhost/app":            "localhost/app:latest",
		"127.0.0.1:5000/app:x":     "127.0.0.1:5000/app:x",
		"ghcr.io/a/b":              "ghcr.io/a/b:latest",
		"postgres:15" + digest:     "docker.io/library/postgres" + digest,
		"index.docker.io/postgres": "docker.io/library/postgres:latest",
	} {
		if got, err := ImageName(ref); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", ref, got, err, want)
		}
	}
	for _, bad := range []string{"", "Postgres", "a b", ":15", "a/", "-x", strings.Repeat("a", 300), "postgres@sha256:12"} {
		_, err := ImageName(bad)
		if err == nil {
			t.Errorf("%q passed", bad)
		}
		wantProblem(t, err, Invalid)
	}
}

func FuzzImageName(f *testing.F) {
	f.Add("postgres:15")
	f.Fuzz(func(t *testing.T, ref string) {
		name, err := ImageName(ref)
		if err != nil {
			return
		}
		if again, err := ImageName(name); err != nil || again != name {
			t.Errorf("%q became %q, and that became %q, %v", ref, name, again, err)
		}
	})
}

func TestValidateRegistry(t *testing.T) {
	for _, c := range []struct {
		r    *warrenv1.SetRegistryRequest
		good bool
	}{
		{&warrenv1.SetRegistryRequest{Host: "ghcr.io"}, true},
		{&warrenv1.SetRegistryRequest{Host: "127.0.0.1:5000", PlainHttp: true}, true},
		{&warrenv1.SetRegistryRequest{Host: "localhost"}, true},
		{&warrenv1.SetRegistryRequest{Host: "ghcr.io", Username: "u", Password: &warrenv1.SealedItem{}}, true},
		{&warrenv1.SetRegistryRequest{Host: "ghcr.io", Username: "u"}, false},
		{&warrenv1.SetRegistryRequest{Host: "ghcr.io", CaCertificate: []byte("x")}, false},
		{&warrenv1.SetRegistryRequest{Host: "https://ghcr.io"}, false},
		{&warrenv1.SetRegistryRequest{Host: "ghcr.io/a"}, false},
		{&warrenv1.SetRegistryRequest{Host: "justaname"}, false},
		{&warrenv1.SetRegistryRequest{}, false},
	} {
		err := ValidateRegistry(c.r)
		if (err == nil) != c.good {
			t.Errorf("%v: %v", c.r, err)
		}
		wantProblem(t, err, Invalid)
	}
	if got := RegistrySecretName("Reg.example:5000"); got != "registry-reg.example_5000" {
		t.Errorf("secret name %q", got)
	}
}
