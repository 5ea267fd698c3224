package spec

import (
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestAVolumeGetsItsDefaults(t *testing.T) {
	r := &warrenv1.CreateVolumeRequest{Name: "db-data"}
	DefaultVolume(r)
	if err := ValidateVolume(r); err != nil {
		t.Fatal(err)
	}
	if r.Namespace != "default" || r.Spec.Driver != "local" || r.Spec.Access != warrenv1.AccessMode_ACCESS_MODE_NODE {
		t.Errorf("got %v", r)
	}
}

func TestVolumesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		r          *warrenv1.CreateVolumeRequest
		want, hint string
	}{
		{&warrenv1.CreateVolumeRequest{Name: "A/"}, "not valid", ""},
		{&warrenv1.CreateVolumeRequest{Name: "a", Namespace: "warren"}, "reserved", ""},
		{&warrenv1.CreateVolumeRequest{Name: "a", Spec: &warrenv1.VolumeSpec{Driver: "locla"}}, "not known", `did you mean "local"?`},
		{&warrenv1.CreateVolumeRequest{Name: "a", Spec: &warrenv1.VolumeSpec{Driver: "zfs"}}, "not known", "the drivers are local"},
		{&warrenv1.CreateVolumeRequest{Name: "a", Spec: &warrenv1.VolumeSpec{Options: map[string]string{"x": "y"}}}, `no option "x"`, "leave it out"},
		{&warrenv1.CreateVolumeRequest{Name: "a", Spec: &warrenv1.VolumeSpec{Access: 9}}, "access mode", ""},
		{&warrenv1.CreateVolumeRequest{Name: "a", Spec: &warrenv1.VolumeSpec{Access: warrenv1.AccessMode_ACCESS_MODE_SHARED}}, "share", ""},
		{&warrenv1.CreateVolumeRequest{Name: "a", Labels: map[string]string{"": "y"}}, "empty key", ""},
	} {
		DefaultVolume(c.r)
		err := ValidateVolume(c.r)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want …%s…", c.r, err, c.want)
			continue
		}
		wantProblem(t, err, Invalid)
		if c.hint != "" && err.(*Problem).Hint != c.hint {
			t.Errorf("hint %q, want %q", err.(*Problem).Hint, c.hint)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"loacl": "local", "lcoal": "local", "nsf": "", "x": "", "locale": "local"} {
		if got, _ := Nearest(word, []string{"local"}); got != want {
			t.Errorf("nearest to %q: %q, want %q", word, got, want)
		}
	}
}
