package spec

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestVolumeMountsAsTheyAreTyped(t *testing.T) {
	for arg, want := range map[string]*warrenv1.VolumeMount{
		"data:/data":                               {Volume: "data", Path: "/data"},
		"data:/data:ro":                            {Volume: "data", Path: "/data", ReadOnly: true},
		"data:/data:nocopy:exclusive":              {Volume: "data", Path: "/data", NoCopy: true, Exclusive: true},
		"app-data-{{.Slot}}:/data":                 {Volume: "app-data-{{.Slot}}", Path: "/data"},
		"type=volume,source=data,target=/data":     {Volume: "data", Path: "/data"},
		"source=data,target=/data,volume-nocopy":   {Volume: "data", Path: "/data", NoCopy: true},
		"src=data,dst=/data,exclusive,ro":          {Volume: "data", Path: "/data", Exclusive: true, ReadOnly: true},
		"type=bind,source=/var/log,target=/l":      {HostPath: "/var/log", Path: "/l"},
		"type=bind,src=/a,destination=/l,readonly": {HostPath: "/a", Path: "/l", ReadOnly: true},
		"type=bind,src=/a,target=/l,readonly=true": {HostPath: "/a", Path: "/l", ReadOnly: true},
		"type=bind,src=/a,target=/l,ro=false":      {HostPath: "/a", Path: "/l"},
	} {
		if got, err := ParseVolumeMount(arg); err != nil || !proto.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", arg, got, err, want)
		}
	}
	for arg, says := range map[string]string{
		"data":                                     "does not say where",
		"data:/data:rw2":                           `volume option "rw2"`,
		"/var/log:/logs":                           "is a path on the host",
		"type=tmpfs,target=/x":                     `mount type "tmpfs"`,
		"type=bind,target=/x":                      "lacks its source",
		"type=bind,source=/x":                      "lacks its source or its target",
		"type=bind,source=/x,target=/x,z=1":        `volume option "z=1"`,
		"type=bind,source=/x,target=/x,ro=perhaps": `volume option "ro=perhaps"`,
	} {
		if got, err := ParseVolumeMount(arg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want %s", arg, got, err, says)
		}
	}
	var p *Problem
	if _, err := ParseVolumeMount("/var/log:/logs:ro"); !errors.As(err, &p) || !strings.Contains(p.Hint, "type=bind,source=/var/log,target=/logs") {
		t.Errorf("the hint is %q", p.Hint)
	}
}

func TestMountsThatAreRefused(t *testing.T) {
	service := func(replicas uint32, mounts ...*warrenv1.VolumeMount) error {
		return ValidateServiceSpec("app", &warrenv1.ServiceSpec{Replicas: replicas, Container: &warrenv1.ContainerSpec{Image: "app", Volumes: mounts}})
	}
	for says, m := range map[string]*warrenv1.VolumeMount{
		"not absolute":                 {HostPath: "var/log", Path: "/l"},
		"not a plain path":             {HostPath: "/var/../etc", Path: "/l"},
		"inside Warren's own":          {HostPath: "/var/lib/warren/volumes/data", Path: "/l"},
		"directory /run/warren":        {HostPath: "/run/warren", Path: "/l"},
		"not of both":                  {HostPath: "/x", Volume: "data", Path: "/l"},
		"are options of volumes":       {HostPath: "/x", Path: "/l", Exclusive: true},
		"cannot be mounted over":       {HostPath: "/x", Path: "/"},
		"belongs to the system":        {HostPath: "/x", Path: "/proc/x"},
		"has a word that is not known": {Volume: "data-{{.Task}}", Path: "/d"},
		"is not valid":                 {Volume: "Data-{{.Slot}}", Path: "/d"},
	} {
		if err := service(1, m); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v; want %s", m, err, says)
		}
	}
	good := []*warrenv1.VolumeMount{{Volume: "data-{{.Slot}}", Path: "/d"}, {HostPath: "/var/lib/warrens", Path: "/l"}, {Volume: "data", Path: "/e"}}
	if err := service(3, good...); err != nil {
		t.Error(err)
	}
	s := &warrenv1.ServiceSpec{Mode: warrenv1.ServiceMode_SERVICE_MODE_GLOBAL, Container: &warrenv1.ContainerSpec{Image: "app", Volumes: good}}
	if err := ValidateServiceSpec("app", s); err == nil || !strings.Contains(err.Error(), "no slots") {
		t.Errorf("of a global service: %v", err)
	}
	s = &warrenv1.ServiceSpec{Replicas: 2, Container: &warrenv1.ContainerSpec{Volumes: good}}
	if got := strings.Join(VolumeNames(s), " "); got != "data-1 data-2 data" {
		t.Errorf("volumes %s", got)
	}
}

func TestVolumeSizes(t *testing.T) {
	for arg, want := range map[string]uint64{"10G": 10e9, "500MB": 5e8, "1GiB": 1 << 30, "10MB": 1e7} {
		if got, err := ParseVolumeSize("data", arg); got != want || err != nil {
			t.Errorf("%s: %d, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"0", "-1G", "10X", "", "9MB", "9e3G", "99999999999E", "G"} {
		if got, err := ParseVolumeSize("data", arg); err == nil {
			t.Errorf("%q was read as %d", arg, got)
		}
	}
}

func TestNearlyFullHasTwoThresholds(t *testing.T) {
	for _, c := range []struct {
		used         uint64
		before, want bool
	}{{79, false, false}, {80, false, true}, {79, true, true}, {75, true, true}, {74, true, false}} {
		if got := NearlyFull(c.used, 100, c.before); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if NearlyFull(1, 0, false) {
		t.Error("full without a limit")
	}
}
