package spec

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func mount(volume, path string) *warrenv1.VolumeMount {
	return &warrenv1.VolumeMount{Volume: volume, Path: path}
}

func secret(name, target string) *warrenv1.SecretMount {
	return &warrenv1.SecretMount{Secret: name, Target: target}
}

func request(change func(*warrenv1.ContainerSpec)) *warrenv1.CreateServiceRequest {
	r := &warrenv1.CreateServiceRequest{
		Name: "app",
		Spec: &warrenv1.ServiceSpec{Replicas: 1, Container: &warrenv1.ContainerSpec{Image: "postgres:15"}},
	}
	change(r.Spec.Container)
	DefaultService(r)
	return r
}

func TestServicesThatAreFine(t *testing.T) {
	for name, change := range map[string]func(*warrenv1.ContainerSpec){
		"nothing but an image": func(c *warrenv1.ContainerSpec) {},
		"volume with a slash at the end": func(c *warrenv1.ContainerSpec) {
			c.Volumes = []*warrenv1.VolumeMount{mount("a", "/data/")}
		},
		"one volume within another": func(c *warrenv1.ContainerSpec) {
			c.Volumes = []*warrenv1.VolumeMount{mount("a", "/data"), mount("b", "/data/logs")}
		},
		"a directory that only begins like a system one": func(c *warrenv1.ContainerSpec) {
			c.Volumes = []*warrenv1.VolumeMount{mount("a", "/device"), mount("b", "/run/secrets2")}
		},
		"secret elsewhere": func(c *warrenv1.ContainerSpec) {
			c.Secrets = []*warrenv1.SecretMount{secret("a", ""), secret("b", "pg/password"), secret("c", "pg/Other.key")}
		},
		"user and group":  func(c *warrenv1.ContainerSpec) { c.User = "999:postgres" },
		"no time to stop": func(c *warrenv1.ContainerSpec) { c.StopTimeout = durationpb.New(0) },
	} {
		if err := ValidateService(request(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServicesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*warrenv1.ContainerSpec)
		want   string
	}{
		"no image":      {func(c *warrenv1.ContainerSpec) { c.Image = "" }, "names no image"},
		"bad image":     {func(c *warrenv1.ContainerSpec) { c.Image = "Postgres:15" }, "not a valid name"},
		"relative path": {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "data")} }, "not absolute"},
		"empty path":    {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "")} }, "not absolute"},
		"root":          {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "/..")} }, "root"},
		"proc":          {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "/proc/self")} }, "belongs to the system"},
		"over secrets":  {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "/run/secrets")} }, "belongs to the system"},
		"control bytes": {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("a", "/da\nta")} }, "plain path"},
		"path twice": {func(c *warrenv1.ContainerSpec) {
			c.Volumes = []*warrenv1.VolumeMount{mount("a", "/d"), mount("b", "/d/")}
		}, "both mounted at /d"},
		"bad volume":     {func(c *warrenv1.ContainerSpec) { c.Volumes = []*warrenv1.VolumeMount{mount("../a", "/d")} }, "not valid"},
		"bad secret":     {func(c *warrenv1.ContainerSpec) { c.Secrets = []*warrenv1.SecretMount{secret("A", "")} }, "not valid"},
		"target outside": {func(c *warrenv1.ContainerSpec) { c.Secrets = []*warrenv1.SecretMount{secret("a", "../x")} }, "not a path below"},
		"target rooted":  {func(c *warrenv1.ContainerSpec) { c.Secrets = []*warrenv1.SecretMount{secret("a", "/etc/x")} }, "not a path below"},
		"target twice": {func(c *warrenv1.ContainerSpec) {
			c.Secrets = []*warrenv1.SecretMount{secret("a", ""), secret("b", "a")}
		}, "both at"},
		"target in file": {func(c *warrenv1.ContainerSpec) {
			c.Secrets = []*warrenv1.SecretMount{secret("a", ""), secret("b", "a/b/c")}
		}, "in the way"},
		"user":          {func(c *warrenv1.ContainerSpec) { c.User = "a:b:c" }, "user"},
		"empty group":   {func(c *warrenv1.ContainerSpec) { c.User = "a:" }, "user"},
		"env name":      {func(c *warrenv1.ContainerSpec) { c.Env = []*warrenv1.EnvVar{{Name: ""}} }, "no name"},
		"env value":     {func(c *warrenv1.ContainerSpec) { c.Env = []*warrenv1.EnvVar{{Name: "A", Value: "\x00"}} }, "none can have"},
		"argument":      {func(c *warrenv1.ContainerSpec) { c.Args = []string{"a\x00"} }, "NUL"},
		"negative stop": {func(c *warrenv1.ContainerSpec) { c.StopTimeout = durationpb.New(-time.Second) }, "stop timeout"},
		"endless stop":  {func(c *warrenv1.ContainerSpec) { c.StopTimeout = durationpb.New(25 * time.Hour) }, "stop timeout"},
		"network":       {func(c *warrenv1.ContainerSpec) { c.Network = 77 }, "network mode"},
	} {
		err := ValidateService(request(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
		wantProblem(t, err, Invalid)
	}
	r := request(func(*warrenv1.ContainerSpec) {})
	r.Spec.Replicas = MaxReplicas + 1
	if ValidateService(r) == nil {
		t.Error("too many replicas passed")
	}
}

func TestTheLastOfTwoVariablesCounts(t *testing.T) {
	r := request(func(c *warrenv1.ContainerSpec) {
		c.Env = []*warrenv1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "A", Value: "3"}}
	})
	env := r.Spec.Container.Env
	if len(env) != 2 || env[0].Value != "3" || env[1].Value != "2" {
		t.Errorf("got %v", env)
	}
}

func TestParseVolumeMount(t *testing.T) {
	for arg, want := range map[string]*warrenv1.VolumeMount{
		"db-data:/var/lib":    {Volume: "db-data", Path: "/var/lib"},
		"conf:/etc/config:ro": {Volume: "conf", Path: "/etc/config", ReadOnly: true},
		"d:/d:nocopy":         {Volume: "d", Path: "/d", NoCopy: true},
		"d:/d:ro:nocopy":      {Volume: "d", Path: "/d", NoCopy: true, ReadOnly: true},
		"d:/d:ro,nocopy":      {Volume: "d", Path: "/d", NoCopy: true, ReadOnly: true},
		"d:/d:rw":             {Volume: "d", Path: "/d"},
		"d:/d:r0":             nil,
		"d":                   nil,
		"d:":                  nil,
		":/d":                 nil,
		"/host:/d":            nil,
		"./host:/d":           nil,
	} {
		got, err := ParseVolumeMount(arg)
		if (err == nil) != (want != nil) || want != nil && got.String() != want.String() {
			t.Errorf("%s: got %v, %v", arg, got, err)
		}
		wantProblem(t, err, Invalid)
	}
}

func TestParseSmallArguments(t *testing.T) {
	if e, err := ParseEnv("A=b=c"); err != nil || e.Name != "A" || e.Value != "b=c" {
		t.Errorf("env: %v, %v", e, err)
	}
	for _, bad := range []string{"A", "=b", ""} {
		if _, err := ParseEnv(bad); err == nil {
			t.Errorf("env %q passed", bad)
		}
	}
	if m, err := ParseNetwork("host"); err != nil || m != warrenv1.NetworkMode_NETWORK_MODE_HOST {
		t.Errorf("network: %v, %v", m, err)
	}
	if _, err := ParseNetwork("hots"); err == nil || err.(*Problem).Hint != `did you mean "host"?` {
		t.Errorf("network: %v", err)
	}
}

func FuzzParseVolumeMount(f *testing.F) {
	f.Add("db-data:/data:ro")
	f.Add(":::")
	f.Fuzz(func(t *testing.T, arg string) {
		m, err := ParseVolumeMount(arg)
		if (m == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", arg, m, err)
		}
	})
}
