package spec

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestParseSecretMount(t *testing.T) {
	for arg, want := range map[string]*warrenv1.SecretMount{
		"db-password":        {Secret: "db-password"},
		"source=db":          {Secret: "db"},
		"source=a,version=3": {Secret: "a", Version: 3},
		"source=db,target=pg/password,uid=999,gid=998,mode=0400,on-change=update": {
			Secret: "db", Target: "pg/password", Uid: 999, Gid: 998, Mode: proto.Uint32(0o400), OnChange: warrenv1.OnChange_ON_CHANGE_UPDATE},
		"source=a,target=/run/secrets/b/c": {Secret: "a", Target: "b/c"},
		"source=a,mode=640,on-change=none": {Secret: "a", Mode: proto.Uint32(0o640)},
		"source=a,on-change=signal:hup":    {Secret: "a", OnChange: warrenv1.OnChange_ON_CHANGE_SIGNAL, Signal: "SIGHUP"},
		"source=a,on-change=signal:SIGUSR1": {
			Secret: "a", OnChange: warrenv1.OnChange_ON_CHANGE_SIGNAL, Signal: "SIGUSR1"},
		"source=a,on-change=restart": {Secret: "a", OnChange: warrenv1.OnChange_ON_CHANGE_RESTART},
	} {
		if got, err := ParseSecretMount(arg); err != nil || !proto.Equal(got, want) {
			t.Errorf("%q: %v, %v", arg, got, err)
		}
	}
}

func TestBadSecretMounts(t *testing.T) {
	for arg, want := range map[string]string{
		"src=a":                                "not known",
		"target=b":                             "names no secret",
		"source=a,source=b":                    "given twice",
		"source=a,uid=root":                    "not a number",
		"source=a,gid=-1":                      "not a number",
		"source=a,uid=4294967295":              "not a number",
		"source=a,mode=888":                    "not one of a file",
		"source=a,mode=4755":                   "not one of a file",
		"source=a,mode=0":                      "not one of a file",
		"source=a,version=0":                   "number from 1 on",
		"source=a,version=2,on-change=update":  "to follow new ones",
		"source=a,version=2,on-change=restart": "to follow new ones",
		"source=a,on-change=reload":            "is not known",
		"source=a,on-change=signal":            "is not known",
		"source=a,on-change=signal:":           "is not known",
		"source=a,on-change=signal:NOPE":       "is not known",
		"source=a,on-change=signal:KILL":       "cannot be handled",
	} {
		if m, err := ParseSecretMount(arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", arg, m, err, want)
		}
	}
}

// What does not come from the command line is judged too.
func TestBadMountsOfAnyClient(t *testing.T) {
	with := func(change func(*warrenv1.ContainerSpec)) error {
		c := &warrenv1.ContainerSpec{Image: "a", Secrets: []*warrenv1.SecretMount{{Secret: "a"}}}
		change(c)
		return ValidateContainer("s", c)
	}
	for name, c := range map[string]struct {
		change func(*warrenv1.ContainerSpec)
		want   string
	}{
		"mode":             {func(c *warrenv1.ContainerSpec) { c.Secrets[0].Mode = proto.Uint32(0o1777) }, "not one of a file"},
		"owner":            {func(c *warrenv1.ContainerSpec) { c.Secrets[0].Uid = 1 << 31 }, "none that there can be"},
		"unknown action":   {func(c *warrenv1.ContainerSpec) { c.Secrets[0].OnChange = 9 }, "on-change 9"},
		"unknown signal":   {func(c *warrenv1.ContainerSpec) { c.Secrets[0].OnChange, c.Secrets[0].Signal = 2, "SIGKILL" }, "is not known"},
		"no signal":        {func(c *warrenv1.ContainerSpec) { c.Secrets[0].OnChange = 2 }, "is not known"},
		"stray signal":     {func(c *warrenv1.ContainerSpec) { c.Secrets[0].Signal = "SIGHUP" }, "none that sends one"},
		"unknown unmount":  {func(c *warrenv1.ContainerSpec) { c.UnmountSecrets = 7 }, "not known"},
		"unchecked health": {func(c *warrenv1.ContainerSpec) { c.UnmountSecrets = 1 }, "nothing checks"},
		"gone and followed": {func(c *warrenv1.ContainerSpec) {
			c.UnmountSecrets, c.Health, c.Secrets[0].OnChange = 1, &warrenv1.HealthCheck{Command: []string{"true"}}, 1
			DefaultHealth(c.Health)
		}, "gone once"},
	} {
		if err := with(c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := with(func(*warrenv1.ContainerSpec) {}); err != nil {
		t.Error(err)
	}
}

func FuzzParseSecretMount(f *testing.F) {
	f.Add("source=db,target=pg/password,uid=999,gid=998,mode=0400,on-change=signal:HUP")
	f.Add("source=,,=,version=18446744073709551616")
	f.Fuzz(func(t *testing.T, arg string) {
		m, err := ParseSecretMount(arg)
		if (m == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", arg, m, err)
		}
		if err == nil && m.Mode != nil && *m.Mode > 0o777 {
			t.Errorf("%q: mode %o", arg, *m.Mode)
		}
	})
}
