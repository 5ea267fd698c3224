package spec

import (
	"path"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// WarrenDirs are Warren's own directories where nobody chose others.
var WarrenDirs = []string{"/var/lib/warren", "/run/warren"}

const mountForm = "write it as NAME:/PATH[:ro][:nocopy][:exclusive], for example db-data:/var/lib/postgresql/data"

// ParseVolumeMount reads name:/path, with options behind it, or key=value pairs
// as Docker's --mount has them, with which a path of the node can be given too.
// It checks the form; ValidateContainer checks the values.
func ParseVolumeMount(arg string) (*warrenv1.VolumeMount, error) {
	if first, _, _ := strings.Cut(arg, ","); strings.Contains(first, "=") {
		return parseMountPairs(arg)
	}
	name, rest, found := strings.Cut(arg, ":")
	if !found || name == "" || rest == "" {
		return nil, invalid(KindVolume, name, "volume %q does not say where to mount which volume", arg).WithHint(mountForm)
	}
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, ".") {
		target, _, _ := strings.Cut(rest, ":")
		return nil, invalid(KindVolume, name, "%q is a path on the host, not the name of a volume", name).
			WithHint("for a path of the node write --volume type=bind,source=%s,target=%s", name, target)
	}
	target, options, _ := strings.Cut(rest, ":")
	m := &warrenv1.VolumeMount{Volume: name, Path: target}
	for _, option := range strings.FieldsFunc(options, func(c rune) bool { return c == ':' || c == ',' }) {
		if !mountOption(m, option) {
			return nil, invalid(KindVolume, name, "volume option %q in %q is not known", option, arg).
				WithHint("%s", suggestion(option, []string{"exclusive", "nocopy", "ro", "rw"}, "the options are"))
		}
	}
	return m, nil
}

func mountOption(m *warrenv1.VolumeMount, option string) (known bool) {
	switch option {
	case "rw":
	case "ro", "readonly":
		m.ReadOnly = true
	case "nocopy", "volume-nocopy":
		m.NoCopy = true
	case "exclusive":
		m.Exclusive = true
	default:
		return false
	}
	return true
}

// parseMountPairs reads type=bind,source=/var/log,target=/host/logs,readonly.
func parseMountPairs(arg string) (*warrenv1.VolumeMount, error) {
	const form = "write it as type=bind,source=/PATH,target=/PATH[,readonly] or type=volume,source=NAME,target=/PATH[,readonly][,nocopy][,exclusive]"
	m, kind, source := &warrenv1.VolumeMount{}, "volume", ""
	for pair := range strings.SplitSeq(arg, ",") {
		key, value, valued := strings.Cut(pair, "=")
		switch key {
		case "type":
			kind = value
		case "source", "src":
			source = value
		case "target", "dst", "destination":
			m.Path = value
		default:
			if on := !valued || value == "true"; !on && value != "false" || on && !mountOption(m, key) {
				return nil, invalid(KindVolume, source, "volume option %q in %q is not known", pair, arg).WithHint(form)
			}
		}
	}
	switch kind {
	case "volume":
		m.Volume = source
	case "bind":
		m.HostPath = source
	default:
		return nil, invalid(KindVolume, source, "mount type %q in %q is not known", kind, arg).WithHint(form)
	}
	if source == "" || m.Path == "" {
		return nil, invalid(KindVolume, source, "mount %q lacks its source or its target", arg).WithHint(form)
	}
	return m, nil
}

// validateHostPath checks a mount of a path of the node.
func validateHostPath(m *warrenv1.VolumeMount) error {
	source := m.GetHostPath()
	switch {
	case m.GetVolume() != "":
		return invalid(KindVolume, m.GetVolume(), "a mount is of volume %q or of host path %s, not of both", m.GetVolume(), source)
	case !path.IsAbs(source):
		return invalid(KindVolume, source, "host path %q is not absolute", source).WithHint("begin it with '/'")
	case path.Clean(source) != source || !printable(source) || len(source) > 4000:
		return invalid(KindVolume, source, "host path %q is not a plain path", source)
	case m.GetNoCopy() || m.GetExclusive():
		return invalid(KindVolume, source, "nocopy and exclusive are options of volumes, not of host path %s", source)
	}
	return MayBind(source, WarrenDirs)
}

// MayBind refuses paths of the node inside Warren's own directories.
func MayBind(source string, own []string) error {
	for _, dir := range own {
		if source == dir || strings.HasPrefix(source, dir+"/") {
			return invalid(KindVolume, source, "host path %s is inside Warren's own directory %s", source, dir).
				WithHint("use a volume: --volume NAME:/PATH")
		}
	}
	return nil
}
