package spec

import (
	"errors"
	"path"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidName(t *testing.T) {
	for _, c := range []struct {
		kind, name string
		good       bool
	}{
		{KindVolume, "db-data", true},
		{KindVolume, "db_data.v2", true},
		{KindVolume, "7", true},
		{KindVolume, strings.Repeat("v", 63), true},
		{KindVolume, strings.Repeat("v", 64), false},
		{KindVolume, "", false},
		{KindVolume, ".", false},
		{KindVolume, "..", false},
		{KindVolume, ".hidden", false},
		{KindVolume, "@prod", false},
		{KindVolume, "-rf", false},
		{KindVolume, "end-", false},
		{KindVolume, "a/b", false},
		{KindVolume, "a\x00b", false},
		{KindVolume, "a b", false},
		{KindVolume, "Data", false},
		{KindVolume, "größe", false},
		{KindVolume, "all", false},
		{KindSecret, "tls.key", true},
		{KindSecret, "none", false},
		{KindService, "postgres-primary", true},
		{KindService, "post_gres", false},
		{KindService, "a.b", false},
		{KindService, "localhost", false},
		{KindService, strings.Repeat("s", 52), true},
		{KindService, strings.Repeat("s", 53), false},
		{KindNamespace, "prod", true},
		{KindNamespace, SystemNamespace, false},
		{KindNode, "host.example", true},
	} {
		err := ValidName(c.kind, c.name)
		if (err == nil) != c.good {
			t.Errorf("ValidName(%s, %q) = %v, want good = %v", c.kind, c.name, err, c.good)
		}
		wantProblem(t, err, Invalid)
	}
}

func TestABadNameIsAnsweredWithAGoodOne(t *testing.T) {
	var p *Problem
	if err := ValidName(KindVolume, "DB-Data"); !errors.As(err, &p) || !strings.Contains(p.Hint, `"db-data"`) {
		t.Errorf("got %v with hint %q", err, p.Hint)
	}
}

// Whatever passes must be one plain path component, and what is made of it
// must suit those who take it: DNS, hostnames, the container runtime.
func TestGoodNamesAreGoodEverywhere(t *testing.T) {
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	containerID := regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$`)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9][a-z0-9.@_/-]{0,70}`).Draw(t, "name")
		slot := rapid.Uint32Range(1, MaxReplicas).Draw(t, "slot")
		var r Random
		copy(r[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "random"))
		if ValidName(KindVolume, name) == nil {
			if p := VolumePath("/root", "", name); path.Dir(p) != "/root" || path.Base(p) != name {
				t.Fatalf("volume path %q", p)
			}
		}
		if ValidName(KindService, name) == nil {
			if task := TaskName(name, slot); !label.MatchString(task) {
				t.Fatalf("task name %q is no DNS label", task)
			}
			if id := TaskID(name, slot, r); len(id) > 76 || !containerID.MatchString(id) {
				t.Fatalf("task ID %q is no container ID", id)
			}
		}
	})
}

func TestIDsLookLikeTheGuides(t *testing.T) {
	r := Random{1, 2, 3, 4, 5, 6, 7, 8}
	for id, want := range map[string]string{
		VolumeID("db-data", r):        `^vol-db-data-[a-z0-9]{6}$`,
		SecretID("db-password", r):    `^secret-db-password-[a-z0-9]{6}$`,
		ServiceID("api", r):           `^svc-api-[a-z0-9]{6}$`,
		NodeID("worker-1", r):         `^node-worker-1-[a-z0-9]{6}$`,
		TaskID("postgres", 1, r):      `^postgres-1-[a-z0-9]{10}$`,
		TaskName("postgres", 1):       `^postgres-task-1$`,
		VolumePath("/v", "", "a"):     `^/v/a$`,
		VolumePath("/v", "prod", "a"): `^/v/@prod/a$`,
	} {
		if !regexp.MustCompile(want).MatchString(id) {
			t.Errorf("%q does not match %s", id, want)
		}
	}
}

func FuzzValidName(f *testing.F) {
	f.Add("db-data")
	f.Add("..")
	f.Add("@prod/a")
	f.Fuzz(func(t *testing.T, name string) {
		if ValidName(KindSecret, name) == nil && (strings.ContainsAny(name, "/@\x00 ") || strings.HasPrefix(name, ".") || name == "") {
			t.Errorf("%q passed", name)
		}
	})
}

// wantProblem fails unless err is nil or a Problem with that code.
func wantProblem(t *testing.T, err error, code Code) {
	t.Helper()
	if err == nil {
		return
	}
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is no *Problem but a %T", err, err)
	}
	if p.Code != code || p.Message == "" {
		t.Errorf("problem %+v, want code %d", p, code)
	}
}
