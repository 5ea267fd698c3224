package spec

import (
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// slotWord stands for a task's slot in the name of a volume.
const slotWord = "{{.Slot}}"

// PerSlot tells whether a name means one volume for each slot.
func PerSlot(volume string) bool { return strings.Contains(volume, slotWord) }

// VolumeOfSlot returns the name of the volume that a mount means for a task.
func VolumeOfSlot(volume string, slot uint32) string {
	return strings.ReplaceAll(volume, slotWord, fmt.Sprint(slot))
}

// VolumeNames lists the volumes that a service's mounts name: of each one, or
// one for each slot.
func VolumeNames(s *warrenv1.ServiceSpec) []string {
	names := VolumesOfSlots(s)
	for _, m := range s.GetContainer().GetVolumes() {
		if m.GetHostPath() == "" && !PerSlot(m.GetVolume()) {
			names = append(names, m.GetVolume())
		}
	}
	return names
}

// VolumesOfSlots lists those of which each slot has its own.
func VolumesOfSlots(s *warrenv1.ServiceSpec) (names []string) {
	for _, m := range s.GetContainer().GetVolumes() {
		for slot := uint32(1); slot <= s.GetReplicas() && PerSlot(m.GetVolume()); slot++ {
			names = append(names, VolumeOfSlot(m.GetVolume(), slot))
		}
	}
	return names
}

// validateSlots refuses names with other words than {{.Slot}}, and slots where
// there are none.
func validateSlots(service string, s *warrenv1.ServiceSpec) error {
	for _, m := range s.GetContainer().GetVolumes() {
		name := m.GetVolume()
		if PerSlot(name) && IsGlobal(s) {
			return invalid(KindService, service, "volume %q has one volume for each slot, and a global service has no slots of its own", name).
				WithHint("give the service --replicas instead")
		}
		if strings.Contains(VolumeOfSlot(name, 1), "{{") {
			return invalid(KindVolume, name, "volume name %q has a word that is not known", name).
				WithHint("%s is a task's slot: --volume 'app-data-%s:/data'", slotWord, slotWord)
		}
	}
	return nil
}
