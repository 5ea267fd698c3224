// Package conformance is the suite that every volume driver passes: what the
// agent relies on when it is killed between two calls, when data vanishes, and
// when somebody asks for what must not be done.
package conformance

import (
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
)

// Storage is one empty place to keep volumes in, for one test.
type Storage struct {
	// Open returns a new instance of the driver on this storage, as a restart
	// of the node does.
	Open func(t *testing.T) volume.Driver
	// Lose makes a volume's data vanish behind the driver's back.
	Lose func(t *testing.T, v volume.Volume)
	// SizeBytes is the limit that its volumes shall have; 0 is none.
	SizeBytes uint64
}

// Run makes a fresh Storage for each of the suite's tests.
func Run(t *testing.T, storage func(t *testing.T) Storage) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"CreateStageDelete", createStageDelete},
		{"EveryCallTwice", everyCallTwice},
		{"DataSurvivesRestart", dataSurvivesRestart},
		{"CreateKeepsData", createKeepsData},
		{"StageMakesNothingUp", stageMakesNothingUp},
		{"LostDataIsNotReplaced", lostDataIsNotReplaced},
		{"NamesakesAreStrangers", namesakesAreStrangers},
		{"NamespacesDoNotMeet", namespacesDoNotMeet},
		{"DeletePrefixOfAnotherName", deletePrefixOfAnotherName},
		{"DeleteWhileMounted", deleteWhileMounted},
		{"HostileNames", hostileNames},
		{"SideBySide", sideBySide},
		{"UsageGrows", usageGrows},
		{"TrashAndBack", trashAndBack},
		{"TrashIsNotFound", trashIsNotFound},
		{"TrashTwice", trashTwice},
		{"TrashWhileMounted", trashWhileMounted},
		{"UntrashStopsAtWhatIsThere", untrashStopsAtWhatIsThere},
		{"LimitIsHard", limitIsHard},
		{"LimitGrows", limitGrows},
		{"PopulateOnce", populateOnce},
		{"PopulateLeavesDataAlone", populateLeavesDataAlone},
		{"PopulateSurvivesRestart", populateSurvivesRestart},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storage(t)
			c.test(t, &suite{Storage: s, driver: s.Open(t)})
		})
	}
}

type suite struct {
	Storage
	driver volume.Driver
}

// restart replaces the driver by a new instance.
func (s *suite) restart(t *testing.T) { s.driver = s.Open(t) }

// vol is a volume of the default namespace.
func (s *suite) vol(name string) volume.Volume {
	return volume.Volume{ID: "vol-" + name + "-abc123", Namespace: "default", Name: name, SizeBytes: s.SizeBytes}
}
