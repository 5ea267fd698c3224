package view

import (
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Health is how it is found out whether a task does its work. One of Command,
// HTTP and TCP is set.
type Health struct {
	Command []string `json:"command,omitempty"`
	// HTTP is ":PORT/PATH", TCP ":PORT".
	HTTP        string  `json:"http,omitempty"`
	TCP         string  `json:"tcp,omitempty"`
	Interval    float64 `json:"interval_seconds"`
	Timeout     float64 `json:"timeout_seconds"`
	StartPeriod float64 `json:"start_period_seconds"`
	Retries     uint32  `json:"retries"`
}

func newHealth(h *warrenv1.HealthCheck) *Health {
	if h == nil {
		return nil
	}
	out := &Health{
		Command:     h.GetCommand(),
		Interval:    h.GetInterval().AsDuration().Seconds(),
		Timeout:     h.GetTimeout().AsDuration().Seconds(),
		StartPeriod: h.GetStartPeriod().AsDuration().Seconds(),
		Retries:     h.GetRetries(),
	}
	if p := h.GetHttp(); p != nil {
		out.HTTP = fmt.Sprintf(":%d%s", p.GetPort(), p.GetPath())
	}
	if p := h.GetTcp(); p != nil {
		out.TCP = fmt.Sprintf(":%d", p.GetPort())
	}
	return out
}

// String sums the check up in one line: pg_isready every 10s.
func (h Health) String() string {
	what := strings.Join(h.Command, " ")
	if len(h.Command) == 3 && h.Command[0] == "/bin/sh" && h.Command[1] == "-c" {
		what = h.Command[2]
	}
	switch {
	case h.HTTP != "":
		what = "GET " + h.HTTP
	case h.TCP != "":
		what = "connect to " + h.TCP
	}
	line := fmt.Sprintf("%s every %gs, within %gs, %d retries", what, h.Interval, h.Timeout, h.Retries)
	if h.StartPeriod != 0 {
		line += fmt.Sprintf(", %gs to start", h.StartPeriod)
	}
	return line
}

// Limits are what a task may use at most, and what its node keeps for it; 0 is
// none.
type Limits struct {
	CPULimit      float64 `json:"cpu_limit"`
	MemoryLimit   uint64  `json:"memory_limit_bytes"`
	CPUReserve    float64 `json:"cpu_reserve"`
	MemoryReserve uint64  `json:"memory_reserve_bytes"`
	PidsLimit     uint32  `json:"pids_limit"`
}

func newLimits(r *warrenv1.Resources) Limits {
	return Limits{
		CPULimit:      float64(r.GetCpuLimitMillis()) / 1000,
		MemoryLimit:   r.GetMemoryLimitBytes(),
		CPUReserve:    float64(r.GetCpuReserveMillis()) / 1000,
		MemoryReserve: r.GetMemoryReserveBytes(),
		PidsLimit:     r.GetPidsLimit(),
	}
}

// Strings are the limits as inspect prints them, one per line.
func (l Limits) Strings() []string {
	var out []string
	add := func(set bool, format string, args ...any) {
		if set {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(l.CPULimit != 0, "%g CPUs", l.CPULimit)
	add(l.MemoryLimit != 0, "%s of memory", spec.FormatSizeLong(l.MemoryLimit))
	add(l.PidsLimit != 0, "%d processes", l.PidsLimit)
	return out
}

// Reserved is what its node keeps for a task, as inspect prints it.
func (l Limits) Reserved() []string {
	return Limits{CPULimit: l.CPUReserve, MemoryLimit: l.MemoryReserve}.Strings()
}

// IOLimit is what a task may read, and write, per second on the device that a
// volume is on; 0 is no limit.
type IOLimit struct {
	Bytes      uint64 `json:"bytes_per_second"`
	Operations uint64 `json:"operations_per_second"`
}

// String is the limit as --io-limit takes it.
func (l IOLimit) String() string {
	return spec.FormatIOLimit(&warrenv1.IoLimit{BytesPerSecond: l.Bytes, OperationsPerSecond: l.Operations})
}

func newIOLimit(l *warrenv1.IoLimit) *IOLimit {
	if l == nil {
		return nil
	}
	return &IOLimit{Bytes: l.GetBytesPerSecond(), Operations: l.GetOperationsPerSecond()}
}
