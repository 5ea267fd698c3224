package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func renamed(v *warrenv1.Volume, name string) *warrenv1.Volume {
	v.Meta.Name = name
	return v
}

func (n *node) read(volume, file string) string {
	n.Helper()
	text, err := os.ReadFile(filepath.Join(n.volumeRoot(), volume, file))
	if err != nil {
		n.Error(err)
	}
	return string(text)
}

func TestADeletedVolumeComesBackUnderAnotherName(t *testing.T) {
	onNode(t, func(n *node) {
		n.volumes(aVolume("db-data"))
		path := n.phase("db-data", ready).GetMountPoint()
		if err := os.WriteFile(filepath.Join(path, "row"), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.volumes(deleted(aVolume("db-data")))
		n.phase("db-data", trashed)
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("still in its place: %v", err)
		}
		// An agent that is started meanwhile says the same.
		n.restart(func() {})
		n.phase("db-data", trashed)
		n.volumes(renamed(aVolume("db-data"), "old-data"))
		n.phase("db-data", ready)
		if got := n.read("old-data", "row"); got != "1" {
			t.Errorf("it came back with %q", got)
		}
	})
}

// What is in the trash for longest makes room, and nothing that is there for
// less than an hour.
func TestAFullDiskEmptiesTheTrash(t *testing.T) {
	onNode(t, func(n *node) {
		ago := func(v *warrenv1.Volume, age time.Duration) *warrenv1.Volume {
			v = deleted(v)
			v.DeletedAt = timestamppb.New(time.Now().Add(-age))
			return v
		}
		n.volumes(ago(aVolume("new"), 30*time.Minute), ago(aVolume("old"), 2*time.Hour), ago(aVolume("older"), 3*time.Hour), aVolume("live"))
		for _, name := range []string{"new", "old", "older"} {
			n.phase(name, gone) // nothing was there to keep
		}
		for _, name := range []string{"new", "old", "older"} {
			n.volumes(aVolume(name + "-2"))
			n.phase(name+"-2", ready)
		}
		n.volumes(ago(aVolume("new-2"), 30*time.Minute), ago(aVolume("old-2"), 2*time.Hour), ago(aVolume("older-2"), 3*time.Hour))
		for _, name := range []string{"new-2", "old-2", "older-2"} {
			n.phase(name, trashed)
		}
		for _, name := range []string{"older-2", "old-2"} {
			if !n.agent.makeRoom() {
				t.Fatalf("no room was made of %s", name)
			}
			n.phase(name, gone)
			n.boss.await(t, "an event", func() bool {
				last := n.boss.events[len(n.boss.events)-1]
				return last.GetReason() == "discarded" && last.GetName() == name
			})
		}
		if n.agent.makeRoom() {
			t.Error("what is in the trash for half an hour made room")
		}
		n.phase("new-2", trashed)
		n.phase("live", ready)
	})
}

func TestADiskIsLow(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		total, free uint64
		want        bool
	}{
		{100 * gb, 6 * gb, false}, {100 * gb, 4 * gb, true},
		{1000 * gb, 11 * gb, false}, {1000 * gb, 9 * gb, true},
	} {
		if got := (space{c.total, c.free}).low(); got != c.want {
			t.Errorf("%d of %d free: %v", c.free, c.total, got)
		}
	}
}
