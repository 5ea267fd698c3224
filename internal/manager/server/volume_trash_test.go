package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

func create(t *testing.T, a warrenv1.VolumesClient, name string) *warrenv1.Volume {
	t.Helper()
	v, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func inTrash(t *testing.T, a warrenv1.VolumesClient) []*warrenv1.Volume {
	t.Helper()
	list, err := a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Trash: true})
	if err != nil {
		t.Fatal(err)
	}
	return list.GetVolumes()
}

func TestADeletedVolumeWaitsInTheTrash(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	old := create(t, a, "data")
	r, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")})
	if err != nil {
		t.Fatal(err)
	}
	if wait := r.GetVolume().GetPurgeAt().AsTime().Sub(r.GetVolume().GetDeletedAt().AsTime()); wait != 24*time.Hour {
		t.Errorf("it waits %v", wait)
	}
	if _, err := a.GetVolume(ctx, ref("data")); err == nil {
		t.Error("its name still means it")
	}
	list, err := a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{})
	if err != nil || len(list.GetVolumes()) != 0 || len(inTrash(t, a)) != 1 {
		t.Errorf("listed: %v, %v; in the trash: %v", list, err, inTrash(t, a))
	}
	_, err = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref(old.GetMeta().GetId())})
	wantError(t, err, codes.FailedPrecondition, "is in the trash already")

	// Its name is free, until another one has it.
	create(t, a, "data")
	_, err = a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref(old.GetMeta().GetId())})
	if hint := wantError(t, err, codes.AlreadyExists, `volume "data" already exists`); !strings.Contains(hint, "--as") {
		t.Errorf("hint %q", hint)
	}
	back, err := a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref("data"), As: "data-old"})
	if err != nil || back.GetMeta().GetId() != old.GetMeta().GetId() || back.GetDeletedAt() != nil {
		t.Fatalf("got %v, %v", back, err)
	}
	if got, err := a.GetVolume(ctx, ref("data-old")); err != nil || got.GetMeta().GetId() != old.GetMeta().GetId() {
		t.Errorf("under its new name: %v, %v", got, err)
	}
	if got, err := a.GetVolume(ctx, ref("data")); err != nil || got.GetMeta().GetId() == old.GetMeta().GetId() {
		t.Errorf("under its old name: %v, %v", got, err)
	}
}

func TestOfSeveralInTheTrashOneIsNamedByItsID(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	var ids []string
	for range 2 {
		ids = append(ids, create(t, a, "data").GetMeta().GetId())
		if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref("data")})
	wantError(t, err, codes.FailedPrecondition, "there are 2 volumes in the trash")
	if _, err := a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref(ids[0])}); err != nil {
		t.Fatal(err)
	}
	// The other one is the only one now; --purge finds it by name too.
	_, err = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref(ids[1]), Purge: true})
	if err != nil || len(inTrash(t, a)) != 0 {
		t.Errorf("purge: %v; in the trash: %v", err, inTrash(t, a))
	}
	_, err = a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref("data-2")})
	wantError(t, err, codes.NotFound, `no volume "data-2" in the trash`)
	_, err = a.UndeleteVolume(ctx, &warrenv1.UndeleteVolumeRequest{Ref: ref(ids[1]), As: "Data"})
	wantError(t, err, codes.InvalidArgument, "not valid")
}

func TestPurgeSkipsTheTrash(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	id := create(t, a, "data").GetMeta().GetId()
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data"), Purge: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.GetVolume(ctx, ref(id)); err == nil || len(inTrash(t, a)) != 0 {
		t.Error("it is still there")
	}
	create(t, a, "data")
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data"), Purge: true}); err != nil || len(inTrash(t, a)) != 0 {
		t.Errorf("out of the trash: %v", err)
	}
}

func TestTheTrashTimeIsTheClusters(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	for _, bad := range []*durationpb.Duration{nil, durationpb.New(-time.Second), durationpb.New(1e6 * time.Hour)} {
		_, err := a.UpdateCluster(ctx, &warrenv1.UpdateClusterRequest{TrashTime: bad})
		wantError(t, err, codes.InvalidArgument, "")
	}
	set := func(d time.Duration) {
		t.Helper()
		got, err := a.UpdateCluster(ctx, &warrenv1.UpdateClusterRequest{TrashTime: durationpb.New(d)})
		if err != nil || got.GetSettings().GetTrashTime().AsDuration() != d {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	set(0)
	create(t, a, "data")
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil || len(inTrash(t, a)) != 0 {
		t.Errorf("without a trash: %v", err)
	}
	// Its time over, it goes by itself.
	set(time.Millisecond)
	id := create(t, a, "data").GetMeta().GetId()
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
		t.Fatal(err)
	}
	c.until("it is gone", func(tx *store.ReadTx) bool { _, err := tx.Volumes().Get("default", id); return err != nil })
}

func TestResize(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{})
	a := c.admin()
	_, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data", Spec: &warrenv1.VolumeSpec{SizeBytes: 50e6}})
	if err != nil {
		t.Fatal(err)
	}
	resize := func(size uint64) error {
		_, err := a.ResizeVolume(ctx, &warrenv1.ResizeVolumeRequest{Ref: ref("data"), SizeBytes: size})
		return err
	}
	limit := func() uint64 {
		t.Helper()
		v, err := a.GetVolume(ctx, ref("data"))
		if err != nil {
			t.Fatal(err)
		}
		return v.GetSpec().GetSizeBytes()
	}
	if err := resize(60e6); err != nil || limit() != 60e6 {
		t.Fatalf("%v, limit %d", err, limit())
	}
	wantError(t, resize(50e6), codes.FailedPrecondition, "cannot shrink")
	wantError(t, resize(0), codes.InvalidArgument, "is below")
	w.mu.Lock()
	w.failResize = "the disk of this node has no room"
	w.mu.Unlock()
	wantError(t, resize(70e6), codes.FailedPrecondition, `volume "data" keeps its limit of 60MB: the disk of this node has no room`)
	if limit() != 60e6 {
		t.Errorf("what was refused was kept: %d", limit())
	}
	create(t, a, "unlimited")
	_, err = a.ResizeVolume(ctx, &warrenv1.ResizeVolumeRequest{Ref: ref("unlimited"), SizeBytes: 1e9})
	wantError(t, err, codes.FailedPrecondition, "has no limit")
	_, err = a.ResizeVolume(ctx, &warrenv1.ResizeVolumeRequest{Ref: ref("nothing"), SizeBytes: 1e9})
	wantError(t, err, codes.NotFound, "does not exist")

}
