package volume_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/local"
)

// dead is storage whose server has gone: every call on a volume of that name
// hangs, whatever its context says, until it comes back.
type dead struct {
	name string
	back chan struct{}
	// Calls that run now, for any other volume.
	running, most atomic.Int32
}

func (d *dead) touch(v volume.Volume) {
	if v.Name == d.name {
		<-d.back
		return
	}
	now := d.running.Add(1)
	for most := d.most.Load(); now > most && !d.most.CompareAndSwap(most, now); most = d.most.Load() {
	}
	time.Sleep(time.Second)
	d.running.Add(-1)
}

func (d *dead) Capabilities() volume.Capabilities { return volume.Capabilities{Usage: true} }
func (d *dead) Path(v volume.Volume) string       { return "/mnt/" + v.Name }
func (d *dead) Create(_ context.Context, v volume.Volume) error {
	d.touch(v)
	return nil
}
func (d *dead) Delete(_ context.Context, v volume.Volume) error {
	d.touch(v)
	return nil
}
func (d *dead) Stage(_ context.Context, v volume.Volume) (string, error) {
	d.touch(v)
	return d.Path(v), nil
}
func (d *dead) Unstage(_ context.Context, v volume.Volume) error {
	d.touch(v)
	return nil
}
func (d *dead) Usage(_ context.Context, v volume.Volume) (volume.Usage, error) {
	d.touch(v)
	return volume.Usage{Bytes: 42}, nil
}

func vol(name string) volume.Volume {
	return volume.Volume{ID: "vol-" + name + "-abc123", Namespace: "default", Name: name, Driver: "nfs"}
}

func newManager(d volume.Driver) *volume.Manager {
	return volume.NewManager(map[string]volume.Driver{"nfs": d}, slog.New(slog.DiscardHandler))
}

func TestDeadStorageBlocksItsOwnVolumeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dead{name: "bad", back: make(chan struct{})}
		m := newManager(d)
		_, err := m.Stage(t.Context(), vol("bad"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a call that hangs: %v; want a deadline", err)
		}
		if _, err = m.Stage(t.Context(), vol("good")); err != nil {
			t.Fatalf("another volume is blocked: %v", err)
		}
		// It is not called a second time while the first call hangs.
		if err = m.Delete(t.Context(), vol("bad")); !errors.Is(err, volume.ErrBusy) {
			t.Fatalf("the volume whose call hangs: %v; want ErrBusy", err)
		}
		close(d.back)
		if _, err := m.Stage(t.Context(), vol("bad")); err != nil {
			t.Fatalf("the storage is back: %v", err)
		}
	})
}

func TestCloseWaitsForCallsButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dead{name: "bad", back: make(chan struct{})}
		m := newManager(d)
		go func() { _, _ = m.Stage(t.Context(), vol("bad")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("close with a hanging call: %v", err)
		}
		if _, err := m.Stage(t.Context(), vol("good")); err == nil {
			t.Error("a call after Close was made")
		}
		close(d.back)
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCallsOfOneVolumeQueueOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dead{back: make(chan struct{})}
		m := newManager(d)
		began := time.Now()
		stage := func(name string) {
			if _, err := m.Stage(t.Context(), vol(name)); err != nil {
				t.Error(err)
			}
		}
		for range 3 {
			go stage("one")
		}
		synctest.Wait()
		if err := m.Unstage(t.Context(), vol("one")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 4*time.Second || d.most.Load() != 1 {
			t.Errorf("4 calls of a second each took %v, %d at once", took, d.most.Load())
		}
		began = time.Now()
		for _, name := range []string{"a", "b", "c"} {
			go stage(name)
		}
		stage("d")
		synctest.Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("calls for different volumes took %v together", took)
		}
	})
}

func TestWhoeverGivesUpWaitingLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dead{name: "bad", back: make(chan struct{})}
		m := newManager(d)
		go func() { _, _ = m.Stage(t.Context(), vol("bad")) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Stage(ctx, vol("bad")); err == nil {
			t.Error("a cancelled call succeeded")
		}
		close(d.back)
		synctest.Wait()
		if _, err := m.Stage(t.Context(), vol("bad")); err != nil {
			t.Errorf("the queue is stuck: %v", err)
		}
	})
}

func TestUnknownDriver(t *testing.T) {
	v := vol("x")
	v.Driver = "ceph"
	if _, err := newManager(&dead{}).Ensure(t.Context(), v); err == nil {
		t.Error("a driver that this node does not have was found")
	}
}

func TestMeterMeasuresAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dead{name: "bad", back: make(chan struct{})}
		m := newManager(d)
		reports := make(chan volume.Measured, 100)
		list := func() []volume.Volume { return []volume.Volume{vol("bad"), vol("a"), vol("b"), vol("c")} }
		meter := volume.NewMeter(m, list, func(r volume.Measured) { reports <- r }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- meter.Run(ctx) }()
		seen := map[string]int{}
		for range 9 {
			r := <-reports
			seen[r.Volume.Name]++
			if r.Bytes != 42 || r.At.IsZero() {
				t.Errorf("%+v", r)
			}
		}
		if seen["a"] != 3 || seen["b"] != 3 || seen["c"] != 3 {
			t.Errorf("beside a dead volume the others were measured %v times", seen)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(d.back)
	})
}

// growing is storage whose use somebody changes; measuring it takes no time.
type growing struct {
	dead
	bytes atomic.Uint64
}

func (g *growing) Usage(context.Context, volume.Volume) (volume.Usage, error) {
	return volume.Usage{Bytes: g.bytes.Load()}, nil
}

func TestMeterLooksSoonAtWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &growing{}
		m := newManager(g)
		reports := make(chan volume.Measured)
		meter := volume.NewMeter(m, func() []volume.Volume { return []volume.Volume{vol("a")} },
			func(r volume.Measured) { reports <- r }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- meter.Run(ctx) }()
		last := (<-reports).At
		for i, want := range []time.Duration{5, 10, 20, 40, 60, 60, 5, 10} {
			if i == 5 {
				g.bytes.Store(7) // seen by the next measurement, after which the pauses begin anew
			}
			r := <-reports
			if pause := r.At.Sub(last); pause != want*time.Second {
				t.Errorf("measurement %d after %v, want %d s", i+2, pause, want)
			}
			last = r.At
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestPopulateResolvesTheImagesOwnLinks(t *testing.T) {
	d, err := local.Open(filepath.Join(t.TempDir(), "volumes"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, v := newManager(d), vol("data")
	if !m.CanPopulate(v) {
		t.Fatal("the local driver does not populate")
	}
	image, outside := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(image, "real"), 0o755),
		os.WriteFile(filepath.Join(image, "real/seed"), []byte("1"), 0o644),
		os.Symlink("/real", filepath.Join(image, "data")),
		os.Symlink("../../../../../.."+outside, filepath.Join(image, "evil")),
		os.WriteFile(filepath.Join(outside, "passwd"), []byte("root"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	path, err := m.Ensure(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Populate(t.Context(), v, image, "/data"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "seed")); err != nil {
		t.Errorf("the image's link /data -> /real was not followed: %v", err)
	}
	evil := vol("evil")
	path, err = m.Ensure(t.Context(), evil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Populate(t.Context(), evil, image, "/evil"); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("a link led out of the image: %v, %v", entries, err)
	}
}

func TestIdentityTellsDirectoriesApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, _, err := volume.Identity(dir); err == nil {
		t.Error("what is not there has an identity")
	}
	identity := func() [2]uint64 {
		dev, ino, err := volume.Identity(dir)
		if err != nil {
			t.Fatal(err)
		}
		return [2]uint64{dev, ino}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	before := identity()
	if identity() != before {
		t.Error("it changed by itself")
	}
	// The old one is still there, as in a container that has it mounted, so
	// its number cannot be used again.
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if identity() == before {
		t.Error("a new directory passes for the old one")
	}
}
