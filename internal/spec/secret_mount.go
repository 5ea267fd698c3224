package spec

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// defaultSecretMode lets every user of the container read, as Docker does.
const defaultSecretMode = 0o444

// Signals that a container may get when a secret of its was replaced. Those
// that nobody can handle are not among them.
var signals = []string{
	"SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGALRM", "SIGCONT", "SIGURG", "SIGWINCH", "SIGIO", "SIGPWR",
}

var secretOptions = []string{"source", "target", "uid", "gid", "mode", "on-change", "version"}

// ParseSecretMount reads NAME, or
// source=NAME,target=PATH,uid=N,gid=N,mode=0400,on-change=ACTION,version=N.
func ParseSecretMount(arg string) (*warrenv1.SecretMount, error) {
	if !strings.Contains(arg, "=") {
		return &warrenv1.SecretMount{Secret: arg}, nil
	}
	m := &warrenv1.SecretMount{}
	seen := map[string]bool{}
	for field := range strings.SplitSeq(arg, ",") {
		key, value, _ := strings.Cut(field, "=")
		if seen[key] {
			return nil, invalid(KindSecret, "", "secret option %q is given twice in %q", key, arg)
		}
		seen[key] = true
		if err := secretOption(m, arg, key, value); err != nil {
			return nil, err
		}
	}
	if m.Secret == "" {
		return nil, invalid(KindSecret, "", "%q names no secret", arg).WithHint("write it as source=NAME,target=PATH")
	}
	if m.Version != 0 && m.OnChange != warrenv1.OnChange_ON_CHANGE_NONE {
		return nil, invalid(KindSecret, m.Secret, "secret %q is to stay at version %d and to follow new ones", m.Secret, m.Version).
			WithHint("leave out version, or on-change")
	}
	return m, nil
}

func secretOption(m *warrenv1.SecretMount, arg, key, value string) (err error) {
	switch key {
	case "source":
		m.Secret = value
	case "target":
		// As Docker has it, the whole path may be given too.
		m.Target = strings.TrimPrefix(value, SecretsDir+"/")
	case "uid":
		m.Uid, err = parseID(arg, key, value)
	case "gid":
		m.Gid, err = parseID(arg, key, value)
	case "mode":
		mode, bad := strconv.ParseUint(value, 8, 32)
		if bad != nil || mode == 0 || mode > 0o777 {
			return invalid(KindSecret, "", "mode %q in %q is not one of a file", value, arg).WithHint("write it in octal, as mode=0400")
		}
		m.Mode = proto.Uint32(uint32(mode))
	case "on-change":
		m.OnChange, m.Signal, err = parseOnChange(arg, value)
	case "version":
		if m.Version, err = strconv.ParseUint(value, 10, 64); err != nil || m.Version == 0 {
			return invalid(KindSecret, "", "version %q in %q is not a number from 1 on", value, arg)
		}
	default:
		return invalid(KindSecret, "", "secret option %q in %q is not known", key, arg).
			WithHint("%s", suggestion(key, secretOptions, "the options are"))
	}
	return err
}

func parseID(arg, key, value string) (uint32, error) {
	id, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, invalid(KindSecret, "", "%s %q in %q is not a number", key, value, arg).WithHint("write it as %s=999", key)
	}
	return uint32(id), nil
}

// parseOnChange reads none, update, signal:HUP or restart.
func parseOnChange(arg, value string) (warrenv1.OnChange, string, error) {
	switch word, name, signal := strings.Cut(value, ":"); {
	case value == "none":
		return warrenv1.OnChange_ON_CHANGE_NONE, "", nil
	case value == "update":
		return warrenv1.OnChange_ON_CHANGE_UPDATE, "", nil
	case value == "restart":
		return warrenv1.OnChange_ON_CHANGE_RESTART, "", nil
	case signal && word == "signal":
		name, err := SignalName(name)
		return warrenv1.OnChange_ON_CHANGE_SIGNAL, name, err
	}
	words := []string{"none", "update", "signal:HUP", "restart"}
	return 0, "", invalid(KindSecret, "", "on-change=%s in %q is not known", value, arg).
		WithHint("%s", suggestion(value, words, "it is one of"))
}

// SignalName reads HUP, sighup or SIGHUP as SIGHUP.
func SignalName(arg string) (string, error) {
	name := strings.ToUpper(arg)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if slices.Contains(signals, name) {
		return name, nil
	}
	if name == "SIGKILL" || name == "SIGSTOP" {
		return "", invalid(KindSecret, "", "signal %s cannot be handled by a program", name).
			WithHint("on-change=restart replaces the tasks one after the other")
	}
	return "", invalid(KindSecret, "", "signal %q is not known", arg).WithHint("%s", suggestion(name, signals, "the signals are"))
}

// FormatOnChange prints what ParseSecretMount reads: signal:HUP.
func FormatOnChange(m *warrenv1.SecretMount) string {
	if m.GetOnChange() == warrenv1.OnChange_ON_CHANGE_SIGNAL {
		return "signal:" + strings.TrimPrefix(m.GetSignal(), "SIG")
	}
	return enumWord(m.GetOnChange().String(), "ON_CHANGE_")
}

// SecretMode is the mode of a mount's files.
func SecretMode(m *warrenv1.SecretMount) uint32 {
	if m.Mode == nil {
		return defaultSecretMode
	}
	return m.GetMode()
}

// SecretTarget returns where below /run/secrets a mount is.
func SecretTarget(m *warrenv1.SecretMount) string {
	if m.GetTarget() == "" {
		return m.GetSecret()
	}
	return m.GetTarget()
}

// SecretPin is one version of a secret as a task gets it. It has no secret when
// that, or the version, is not there: such a task is not placed.
func SecretPin(m *warrenv1.SecretMount, secret *warrenv1.Secret) *warrenv1.SecretPin {
	p := &warrenv1.SecretPin{
		Secret: m.GetSecret(), Version: m.GetVersion(), Target: SecretTarget(m),
		Uid: m.GetUid(), Gid: m.GetGid(), Mode: m.Mode, Signal: m.GetSignal(),
	}
	if v := VersionOf(secret, m.GetVersion()); v != nil {
		p.SecretId, p.Version, p.Size, p.Keys = secret.GetMeta().GetId(), v.GetNumber(), v.GetSize(), v.GetKeys()
	}
	return p
}

// RestartsOnChange tells whether tasks with that mount are to be replaced for a new
// version; its version is the manager's then.
func RestartsOnChange(m *warrenv1.SecretMount) bool {
	return m.GetOnChange() == warrenv1.OnChange_ON_CHANGE_RESTART
}

// Follows tells whether tasks with that mount are to see new versions while
// they run.
func Follows(m *warrenv1.SecretMount) bool {
	return m.GetOnChange() == warrenv1.OnChange_ON_CHANGE_UPDATE || m.GetOnChange() == warrenv1.OnChange_ON_CHANGE_SIGNAL
}

func validateSecrets(service string, c *warrenv1.ContainerSpec) error {
	seen := map[string]string{}
	for _, s := range c.GetSecrets() {
		if err := ValidName(KindSecret, s.GetSecret()); err != nil {
			return err
		}
		if err := validateTarget(s); err != nil {
			return err
		}
		if err := validateMount(s); err != nil {
			return err
		}
		target := SecretTarget(s)
		if other, twice := seen[target]; twice {
			return invalid(KindSecret, s.GetSecret(), "secrets %q and %q are both at %s/%s", other, s.GetSecret(), SecretsDir, target)
		}
		seen[target] = s.GetSecret()
	}
	// A target cannot be a file and the directory of another one.
	for target, secret := range seen {
		for dir := path.Dir(target); dir != "."; dir = path.Dir(dir) {
			if other, taken := seen[dir]; taken {
				return invalid(KindSecret, secret, "secret %q at %s/%s is in the way of secret %q at %s/%s",
					other, SecretsDir, dir, secret, SecretsDir, target)
			}
		}
	}
	return validateUnmount(service, c)
}

// validateMount checks how a service wants one secret.
func validateMount(m *warrenv1.SecretMount) error {
	name := m.GetSecret()
	if m.Mode != nil && (m.GetMode() == 0 || m.GetMode() > 0o777) {
		return invalid(KindSecret, name, "mode %#o of secret %q is not one of a file", m.GetMode(), name).WithHint("write it in octal, as mode=0400")
	}
	if m.GetUid() > 1<<31-1 || m.GetGid() > 1<<31-1 {
		return invalid(KindSecret, name, "the owner of secret %q, %d:%d, is none that there can be", name, m.GetUid(), m.GetGid())
	}
	if _, known := warrenv1.OnChange_name[int32(m.GetOnChange())]; !known {
		return invalid(KindSecret, name, "on-change %d of secret %q is not known", m.GetOnChange(), name)
	}
	if m.GetOnChange() == warrenv1.OnChange_ON_CHANGE_SIGNAL {
		if !slices.Contains(signals, m.GetSignal()) {
			return invalid(KindSecret, name, "signal %q of secret %q is not known", m.GetSignal(), name).
				WithHint("%s", suggestion(m.GetSignal(), signals, "the signals are"))
		}
	} else if m.GetSignal() != "" {
		return invalid(KindSecret, name, "secret %q has a signal, and its on-change is none that sends one", name).
			WithHint("write it as on-change=signal:HUP")
	}
	if m.GetVersion() != 0 && Follows(m) {
		return invalid(KindSecret, name, "secret %q is to stay at version %d and to follow new ones", name, m.GetVersion()).
			WithHint("leave out version, or on-change")
	}
	return nil
}

// validateUnmount checks that what takes secrets away fits to what follows
// their versions.
func validateUnmount(service string, c *warrenv1.ContainerSpec) error {
	switch c.GetUnmountSecrets() {
	case warrenv1.UnmountSecrets_UNMOUNT_SECRETS_NEVER:
		return nil
	case warrenv1.UnmountSecrets_UNMOUNT_SECRETS_HEALTHY:
	default:
		return invalid(KindService, service, "unmount-secrets %d is not known", c.GetUnmountSecrets())
	}
	if c.GetHealth() == nil {
		return invalid(KindService, service, "the secrets of service %q are to go once it is healthy, and nothing checks that it is", service).
			WithHint("add --health-cmd, --health-http or --health-tcp")
	}
	for _, m := range c.GetSecrets() {
		if Follows(m) {
			return invalid(KindService, service, "secret %q has on-change=%s, and is gone once service %q is healthy", m.GetSecret(), FormatOnChange(m), service).
				WithHint("use on-change=restart, or leave out --unmount-secrets-on")
		}
	}
	return nil
}

// ParseUnmount reads healthy or never.
func ParseUnmount(arg string) (warrenv1.UnmountSecrets, error) {
	switch arg {
	case "never":
		return warrenv1.UnmountSecrets_UNMOUNT_SECRETS_NEVER, nil
	case "healthy":
		return warrenv1.UnmountSecrets_UNMOUNT_SECRETS_HEALTHY, nil
	}
	return 0, invalid(KindService, "", "secrets cannot be unmounted on %q", arg).
		WithHint("%s", suggestion(arg, []string{"healthy", "never"}, "it is one of"))
}

// UnmountName prints what ParseUnmount reads.
func UnmountName(u warrenv1.UnmountSecrets) string { return enumWord(u.String(), "UNMOUNT_SECRETS_") }

func validateTarget(m *warrenv1.SecretMount) error {
	target := SecretTarget(m)
	p := invalid(KindSecret, m.GetSecret(), "target %q of secret %q is not a path below %s", target, m.GetSecret(), SecretsDir).
		WithHint("give a relative path such as pg/password")
	if len(target) > 255 || path.IsAbs(target) || path.Clean(target) != target {
		return p
	}
	for part := range strings.SplitSeq(target, "/") {
		if part == "." || part == ".." || part == "" || strings.ContainsFunc(part, notInFileName) {
			return p
		}
	}
	return nil
}
