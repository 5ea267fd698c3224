package spec

import (
	"maps"
	"path"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// DriverLocal keeps volumes on a node's own filesystem.
const DriverLocal = "local"

// The options that each driver knows.
var driverOptions = map[string][]string{
	DriverLocal: nil,
}

// DefaultVolume fills in what a request for a new volume left out.
func DefaultVolume(r *warrenv1.CreateVolumeRequest) {
	r.Namespace = Namespace(r.Namespace)
	if r.Spec == nil {
		r.Spec = &warrenv1.VolumeSpec{}
	}
	if r.Spec.Driver == "" {
		r.Spec.Driver = DriverLocal
	}
	if r.Spec.Access == warrenv1.AccessMode_ACCESS_MODE_UNSPECIFIED {
		r.Spec.Access = warrenv1.AccessMode_ACCESS_MODE_NODE
	}
}

// ValidateVolume checks a request that went through DefaultVolume.
func ValidateVolume(r *warrenv1.CreateVolumeRequest) error {
	if err := ValidNamespace(r.GetNamespace()); err != nil {
		return err
	}
	if err := ValidName(KindVolume, r.GetName()); err != nil {
		return err
	}
	if err := Labels(r.GetLabels()); err != nil {
		return err
	}
	if err := validateDriver(r.GetName(), r.GetSpec()); err != nil {
		return err
	}
	if size := r.GetSpec().GetSizeBytes(); size != 0 {
		if err := volumeSize(r.GetName(), size); err != nil {
			return err
		}
	}
	return validateAccess(r.GetName(), r.GetSpec())
}

func validateDriver(name string, s *warrenv1.VolumeSpec) error {
	drivers := slices.Sorted(maps.Keys(driverOptions))
	options, known := driverOptions[s.GetDriver()]
	if !known {
		p := invalid(KindVolume, name, "volume driver %q is not known", s.GetDriver())
		return p.WithHint("%s", suggestion(s.GetDriver(), drivers, "the drivers are"))
	}
	for _, option := range slices.Sorted(maps.Keys(s.GetOptions())) {
		if !slices.Contains(options, option) {
			p := invalid(KindVolume, name, "driver %q has no option %q", s.GetDriver(), option)
			return p.WithHint("%s", suggestion(option, options, "its options are"))
		}
	}
	return nil
}

func validateAccess(name string, s *warrenv1.VolumeSpec) error {
	if _, known := warrenv1.AccessMode_name[int32(s.GetAccess())]; !known {
		return invalid(KindVolume, name, "access mode %d is not known", s.GetAccess())
	}
	if s.GetDriver() == DriverLocal && s.GetAccess() == warrenv1.AccessMode_ACCESS_MODE_SHARED {
		return invalid(KindVolume, name, "driver %q cannot share a volume between nodes", DriverLocal).
			WithHint("use access mode node or exclusive")
	}
	return nil
}

// ParseAccessMode reads exclusive, node or shared.
func ParseAccessMode(arg string) (warrenv1.AccessMode, error) {
	for mode := range warrenv1.AccessMode_name {
		m := warrenv1.AccessMode(mode)
		if m != warrenv1.AccessMode_ACCESS_MODE_UNSPECIFIED && AccessModeName(m) == arg {
			return m, nil
		}
	}
	return 0, invalid(KindVolume, "", "access mode %q is not known", arg).
		WithHint("%s", suggestion(arg, AccessModes, "the access modes are"))
}

// AccessModes are the words for how many tasks may hold a volume at once.
var AccessModes = []string{"exclusive", "node", "shared"}

// VolumePath returns the directory of a local volume below root:
// root/<name>, and root/@<namespace>/<name> outside the default namespace.
func VolumePath(root, namespace, name string) string {
	if Namespace(namespace) == DefaultNamespace {
		return path.Join(root, name)
	}
	return path.Join(root, "@"+namespace, name)
}
