package service

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// limitFlags are what a task may use and do, and what follows its end.
type limitFlags struct {
	cpuLimit, memoryLimit     string
	cpuReserve, memoryReserve string
	pids                      uint32
	io                        []string
	restart                   string
	readOnly                  bool
	capAdd, capDrop           []string
}

func (f *limitFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.cpuLimit, "cpu-limit", "", "`NUMBER` of CPUs that a task may use: 2, 0.5 or 500m; 0 for no limit")
	flags.StringVar(&f.memoryLimit, "memory-limit", "", "`SIZE` of memory that a task may use, 64MB or 1.5GiB; one that needs more is killed; 0 for no limit")
	flags.StringVar(&f.cpuReserve, "cpu-reserve", "", "`NUMBER` of CPUs that a node must have to spare for a task")
	flags.StringVar(&f.memoryReserve, "memory-reserve", "", "`SIZE` of memory that a node must have to spare for a task")
	flags.Uint32Var(&f.pids, "pids-limit", spec.DefaultPidsLimit, "`NUMBER` of processes and threads that a task may have")
	flags.StringArrayVar(&f.io, "io-limit", nil, "`VOLUME=RATE`: what a task may read, and write, per second on the device that the volume is on: db-data=20MB/s or db-data=500iops (repeatable)")
	flags.StringVar(&f.restart, "restart-policy", "any", "`POLICY` when a container ends: any, on-failure or none; on-failure:5 gives up after 5 restarts in a row")
	flags.BoolVar(&f.readOnly, "read-only", false, "let a task write to its volumes only")
	flags.StringArrayVar(&f.capAdd, "cap-add", nil, "`CAPABILITY` to give beside Docker's default: NET_ADMIN (repeatable)")
	flags.StringArrayVar(&f.capDrop, "cap-drop", nil, "`CAPABILITY` to take from Docker's default, or ALL (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("restart-policy", cobra.FixedCompletions([]string{"any", "on-failure", "none"}, cobra.ShellCompDirectiveNoFileComp))
	names := append([]string{spec.AllCapabilities}, spec.Capabilities...)
	for _, flag := range []string{"cap-add", "cap-drop"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	}
}

// apply writes what was said into a spec, whose volumes are complete by then.
func (f *limitFlags) apply(flags *pflag.FlagSet, c *warrenv1.ContainerSpec) error {
	if c.Resources == nil {
		c.Resources = &warrenv1.Resources{}
	}
	r := c.Resources
	set := map[string]func() error{
		"cpu-limit":      func() error { return parseInto(&r.CpuLimitMillis, f.cpuLimit, spec.ParseCPU) },
		"cpu-reserve":    func() error { return parseInto(&r.CpuReserveMillis, f.cpuReserve, spec.ParseCPU) },
		"memory-limit":   func() error { return parseInto(&r.MemoryLimitBytes, f.memoryLimit, spec.ParseSize) },
		"memory-reserve": func() error { return parseInto(&r.MemoryReserveBytes, f.memoryReserve, spec.ParseSize) },
		"pids-limit":     func() error { r.PidsLimit = f.pids; return nil },
		"io-limit":       func() error { return spec.IOLimits(f.io, c.Volumes) },
		"restart-policy": func() (err error) { c.Restart, err = spec.ParseRestartPolicy(f.restart); return err },
		"read-only":      func() error { c.ReadOnly = f.readOnly; return nil },
		"cap-add":        func() error { c.CapAdd = f.capAdd; return nil },
		"cap-drop":       func() error { c.CapDrop = f.capDrop; return nil },
	}
	var failed error
	flags.Visit(func(flag *pflag.Flag) {
		if set := set[flag.Name]; set != nil && failed == nil {
			failed = set()
		}
	})
	return failed
}

// parseInto reads an amount; "0" takes it away.
func parseInto[T any](into *T, arg string, parse func(string) (T, error)) (err error) {
	if arg == "0" {
		*into = *new(T)
		return nil
	}
	*into, err = parse(arg)
	return err
}
