package spec

import (
	"path"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// DefaultStopTimeout is the time from SIGTERM to SIGKILL.
	DefaultStopTimeout = 10 * time.Second
	maxStopTimeout     = 24 * time.Hour
)

// Paths of a container that belong to the system, with all below them.
var systemPaths = []string{"/proc", "/sys", "/dev", SecretsDir}

// DefaultContainer fills in what a container's description left out.
func DefaultContainer(c *warrenv1.ContainerSpec) {
	if c.StopTimeout == nil {
		c.StopTimeout = durationpb.New(DefaultStopTimeout)
	}
	for _, v := range c.Volumes {
		if path.IsAbs(v.GetPath()) {
			v.Path = path.Clean(v.Path)
		}
	}
	c.Env = lastOfEach(c.Env)
	DefaultHealth(c.Health)
	DefaultResources(c)
	defaultCapabilities(c)
}

// lastOfEach keeps the last of several variables with the same name, where the
// first one stood.
func lastOfEach(env []*warrenv1.EnvVar) []*warrenv1.EnvVar {
	index := map[string]int{}
	var out []*warrenv1.EnvVar
	for _, e := range env {
		if i, again := index[e.GetName()]; again {
			out[i] = e
			continue
		}
		index[e.GetName()] = len(out)
		out = append(out, e)
	}
	return out
}

// ValidateContainer checks what a service asks to run. The service's name is
// for the error only.
func ValidateContainer(service string, c *warrenv1.ContainerSpec) error {
	if c.GetImage() == "" {
		return invalid(KindService, service, "service %q names no image", service).
			WithHint("warren service create %s --image postgres:15", service)
	}
	if _, err := ImageName(c.GetImage()); err != nil {
		return err
	}
	checks := []func(string, *warrenv1.ContainerSpec) error{
		validateArgs, validateEnv, validateUser, validateStop, validateNetwork, validatePorts, validateVolumes, validateSecrets,
		validateHealth, validateResources, validateRestart, validateCapabilities,
	}
	for _, check := range checks {
		if err := check(service, c); err != nil {
			return err
		}
	}
	return nil
}

func validateArgs(service string, c *warrenv1.ContainerSpec) error {
	for _, arg := range c.GetArgs() {
		if strings.ContainsRune(arg, 0) {
			return invalid(KindService, service, "an argument of the command contains a NUL byte")
		}
	}
	return nil
}

func validateEnv(service string, c *warrenv1.ContainerSpec) error {
	for _, e := range c.GetEnv() {
		if e.GetName() == "" {
			return invalid(KindService, service, "an environment variable has no name").WithHint("write it as --env NAME=VALUE")
		}
		if strings.ContainsAny(e.GetName(), "=\x00") || strings.ContainsRune(e.GetValue(), 0) {
			return invalid(KindService, service, "environment variable %q contains a character that none can have", e.GetName())
		}
	}
	return nil
}

// validateUser accepts user, uid, user:group and uid:gid.
func validateUser(service string, c *warrenv1.ContainerSpec) error {
	if c.GetUser() == "" {
		return nil
	}
	user, group, withGroup := strings.Cut(c.GetUser(), ":")
	if accountName(user) && (!withGroup || accountName(group)) {
		return nil
	}
	return invalid(KindService, service, "user %q is not valid", c.GetUser()).
		WithHint("write it as USER, UID, USER:GROUP or UID:GID")
}

func accountName(s string) bool {
	return s != "" && len(s) <= 64 && s[0] != '-' && !strings.ContainsFunc(s, func(c rune) bool {
		return notInFileName(c) && c != '$'
	})
}

func validateStop(service string, c *warrenv1.ContainerSpec) error {
	if c.StopTimeout == nil {
		return nil
	}
	d := c.StopTimeout.AsDuration()
	if !c.StopTimeout.IsValid() || d < 0 || d > maxStopTimeout {
		return invalid(KindService, service, "stop timeout %v is not between 0 and %v", d, maxStopTimeout)
	}
	return nil
}

func validateNetwork(service string, c *warrenv1.ContainerSpec) error {
	if _, known := warrenv1.NetworkMode_name[int32(c.GetNetwork())]; !known {
		return invalid(KindService, service, "network mode %d is not known", c.GetNetwork())
	}
	return nil
}

func validateVolumes(service string, c *warrenv1.ContainerSpec) error {
	seen := map[string]string{}
	for _, v := range c.GetVolumes() {
		name := VolumeOfSlot(v.GetVolume(), MaxReplicas)
		check := func() error { return ValidName(KindVolume, name) }
		if v.GetHostPath() != "" {
			name, check = v.GetHostPath(), func() error { return validateHostPath(v) }
		}
		if err := check(); err != nil {
			return err
		}
		if err := mountPath(name, v.GetPath()); err != nil {
			return err
		}
		if other, twice := seen[v.GetPath()]; twice {
			return invalid(KindVolume, name, "volumes %q and %q are both mounted at %s", other, name, v.GetPath())
		}
		seen[v.GetPath()] = name
	}
	return nil
}

func mountPath(volume, target string) error {
	switch {
	case !path.IsAbs(target):
		return invalid(KindVolume, volume, "mount path %q of volume %q is not absolute", target, volume).
			WithHint("begin it with '/'")
	case path.Clean(target) != target || !printable(target) || strings.Contains(target, ":") || len(target) > 4000:
		return invalid(KindVolume, volume, "mount path %q of volume %q is not a plain path", target, volume)
	case target == "/":
		return invalid(KindVolume, volume, "volume %q cannot be mounted over the container's root", volume)
	}
	for _, system := range systemPaths {
		if target == system || strings.HasPrefix(target, system+"/") {
			return invalid(KindVolume, volume, "volume %q cannot be mounted at %s: %s belongs to the system", volume, target, system)
		}
	}
	return nil
}

// ParseEnv reads NAME=VALUE; the value may be empty.
func ParseEnv(arg string) (*warrenv1.EnvVar, error) {
	name, value, found := strings.Cut(arg, "=")
	if !found || name == "" {
		return nil, invalid(KindService, "", "environment variable %q is not NAME=VALUE", name).
			WithHint("write it as --env NAME=VALUE")
	}
	return &warrenv1.EnvVar{Name: name, Value: value}, nil
}

// ParseNetwork reads bridge, host or none.
func ParseNetwork(arg string) (warrenv1.NetworkMode, error) {
	switch arg {
	case "bridge", "":
		return warrenv1.NetworkMode_NETWORK_MODE_BRIDGE, nil
	case "host":
		return warrenv1.NetworkMode_NETWORK_MODE_HOST, nil
	case "none":
		return warrenv1.NetworkMode_NETWORK_MODE_NONE, nil
	}
	return 0, invalid(KindService, "", "network %q is not known", arg).
		WithHint("%s", suggestion(arg, []string{"bridge", "host", "none"}, "the networks are"))
}
