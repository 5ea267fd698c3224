package client

import (
	"path/filepath"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestACallGoesOnAtTheNextManager(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	first, second := &fixture{answers: []error{nobody}}, &fixture{}
	stop := serve(t, first, listen(t, "unix", at("b")))
	serve(t, second, listen(t, "unix", at("c")))
	// Nobody is at a; b answers that there is no leader, then is gone.
	c := dial(t, Options{Manager: "unix://" + at("a") + ", unix://" + at("b") + ",unix://" + at("c")})
	if c.Address() != "unix://"+at("b") {
		t.Fatalf("speaks to %s", c.Address())
	}
	create := func() {
		t.Helper()
		if _, err := c.Volumes.CreateVolume(t.Context(), &warrenv1.CreateVolumeRequest{Name: "db"}); err != nil {
			t.Fatal(err)
		}
	}
	create()
	asked, answered := first.calls(), second.calls()
	if len(asked) != 1 || len(answered) != 1 || asked[0][0] != answered[0][0] {
		t.Errorf("the managers saw the IDs %q and %q", asked, answered)
	}
	stop()
	create()
	if c.Address() != "unix://"+at("c") {
		t.Errorf("speaks to %s", c.Address())
	}
}

func TestWhenNoneOfSeveralAnswersAllAreNamed(t *testing.T) {
	dir := t.TempDir()
	_, err := Dial(t.Context(), Options{Manager: "unix://" + dir + "/a,unix://" + dir + "/b"})
	wantError(t, "none", err, Unreachable, dir+"/a (no such socket)", dir+"/b (no such socket)")
	_, err = Dial(t.Context(), Options{Manager: "unix://" + dir + "/a,nonsense"})
	wantError(t, "no address", err, Invalid, "nonsense")
}

func TestAStaleReadSaysSo(t *testing.T) {
	for _, stale := range []bool{false, true} {
		f := &fixture{}
		path := filepath.Join(t.TempDir(), "s")
		serve(t, f, listen(t, "unix", path))
		c := dial(t, Options{Manager: "unix://" + path, Stale: stale})
		if _, err := c.Volumes.ListVolumes(t.Context(), &warrenv1.ListVolumesRequest{}); err != nil || f.stale != stale {
			t.Errorf("asked for %v: %v, %v", stale, f.stale, err)
		}
	}
}
