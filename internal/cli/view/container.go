package view

import (
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Container is what is run and what it sees.
type Container struct {
	Image   string        `json:"image"`
	Args    []string      `json:"args"`
	Env     []EnvVar      `json:"env"`
	User    string        `json:"user,omitempty"`
	Network string        `json:"network"`
	Volumes []VolumeMount `json:"volumes"`
	Secrets []SecretMount `json:"secrets"`
	Ports   []Port        `json:"ports"`
	// StopTimeout is in seconds.
	StopTimeout float64 `json:"stop_timeout_seconds"`
	// HealthCheck is left out when nothing is checked.
	HealthCheck *Health  `json:"health_check,omitempty"`
	Limits      Limits   `json:"resources"`
	Restart     string   `json:"restart_policy"`
	ReadOnly    bool     `json:"read_only"`
	CapAdd      []string `json:"cap_add"`
	CapDrop     []string `json:"cap_drop"`
	// UnmountSecretsOn is healthy or never.
	UnmountSecretsOn string `json:"unmount_secrets_on"`
}

// IOLimits are the volumes' limits as --io-limit takes them.
func (c Container) IOLimits() (out []string) {
	for _, m := range c.Volumes {
		if m.IOLimit != nil {
			out = append(out, m.Volume+"="+m.IOLimit.String())
		}
	}
	return out
}

// EnvVar is one environment variable.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String is the variable as a shell writes it.
func (e EnvVar) String() string { return e.Name + "=" + e.Value }

// VolumeMount is a volume at a path of the container.
type VolumeMount struct {
	// HostPath is set instead of Volume for a path of the node.
	HostPath  string `json:"host_path,omitempty"`
	Volume    string `json:"volume"`
	Path      string `json:"path"`
	ReadOnly  bool   `json:"read_only"`
	NoCopy    bool   `json:"no_copy"`
	Exclusive bool   `json:"exclusive,omitempty"`
	// IOLimit is left out when there is none.
	IOLimit *IOLimit `json:"io_limit,omitempty"`
}

// String is the mount as --volume takes it.
func (m VolumeMount) String() string {
	if m.HostPath != "" {
		s := "type=bind,source=" + m.HostPath + ",target=" + m.Path
		if m.ReadOnly {
			s += ",readonly"
		}
		return s
	}
	s := m.Volume + ":" + m.Path
	if m.ReadOnly {
		s += ":ro"
	}
	if m.NoCopy {
		s += ":nocopy"
	}
	if m.Exclusive {
		s += ":exclusive"
	}
	return s
}

// SecretMount is a secret at a path of the container.
type SecretMount struct {
	Secret string `json:"secret"`
	Path   string `json:"path"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	// Mode in octal: 0444.
	Mode string `json:"mode"`
	// OnChange is none, update, signal:NAME or restart.
	OnChange string `json:"on_change"`
	// Version that the tasks get; left out when it is the newest.
	Version uint64 `json:"version,omitempty"`
}

// String is the mount as inspect prints it: db-password at
// /run/secrets/db-password (mode 0400, on change: restart).
func (m SecretMount) String() string {
	var more []string
	if m.UID != 0 || m.GID != 0 {
		more = append(more, fmt.Sprintf("owner %d:%d", m.UID, m.GID))
	}
	if m.Mode != "0444" {
		more = append(more, "mode "+m.Mode)
	}
	if m.OnChange != "none" {
		more = append(more, "on change: "+m.OnChange)
	}
	if m.Version != 0 {
		more = append(more, fmt.Sprintf("version %d", m.Version))
	}
	text := m.Secret + " at " + m.Path
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

func newSecretMount(m *warrenv1.SecretMount) SecretMount {
	return SecretMount{
		Secret: m.GetSecret(), Path: spec.SecretsDir + "/" + spec.SecretTarget(m), UID: m.GetUid(), GID: m.GetGid(),
		Mode: fmt.Sprintf("%04o", spec.SecretMode(m)), OnChange: spec.FormatOnChange(m), Version: m.GetVersion(),
	}
}

// Port is a port of the node that leads to one of the container.
type Port struct {
	// HostAddress is empty for all of the node's.
	HostAddress   string `json:"host_address,omitempty"`
	HostPort      uint32 `json:"host_port"`
	ContainerPort uint32 `json:"container_port"`
	Protocol      string `json:"protocol"`

	text string
}

// String is the port as --publish takes it.
func (p Port) String() string { return p.text }

func newContainer(c *warrenv1.ContainerSpec) Container {
	stop := spec.DefaultStopTimeout
	if c.GetStopTimeout() != nil {
		stop = c.GetStopTimeout().AsDuration()
	}
	return Container{
		Image: c.GetImage(),
		Args:  append([]string{}, c.GetArgs()...),
		Env: All(c.GetEnv(), func(e *warrenv1.EnvVar) EnvVar {
			return EnvVar{Name: e.GetName(), Value: e.GetValue()}
		}),
		User:    c.GetUser(),
		Network: spec.NetworkModeName(c.GetNetwork()),
		Volumes: All(c.GetVolumes(), func(m *warrenv1.VolumeMount) VolumeMount {
			return VolumeMount{
				Volume: m.GetVolume(), HostPath: m.GetHostPath(), Path: m.GetPath(), ReadOnly: m.GetReadOnly(),
				NoCopy: m.GetNoCopy(), Exclusive: m.GetExclusive(), IOLimit: newIOLimit(m.GetIoLimit()),
			}
		}),
		Secrets: All(c.GetSecrets(), newSecretMount),
		Ports: All(c.GetPorts(), func(p *warrenv1.PublishedPort) Port {
			return Port{
				HostAddress: p.GetHostAddress(), HostPort: p.GetHostPort(), ContainerPort: p.GetContainerPort(),
				Protocol: spec.ProtocolName(p.GetProtocol()), text: spec.FormatPublished(p),
			}
		}),
		StopTimeout: stop.Seconds(),
		HealthCheck: newHealth(c.GetHealth()),
		Limits:      newLimits(c.GetResources()),
		Restart:     spec.FormatRestartPolicy(c.GetRestart()),
		ReadOnly:    c.GetReadOnly(),
		CapAdd:      append([]string{}, c.GetCapAdd()...),
		CapDrop:     append([]string{}, c.GetCapDrop()...),

		UnmountSecretsOn: spec.UnmountName(c.GetUnmountSecrets()),
	}
}
