package service

import (
	"encoding/json"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"
)

// healthFlags are how it is found out whether a task does its work.
type healthFlags struct {
	command, http, tcp             string
	interval, timeout, startPeriod time.Duration
	retries                        uint32
	none                           bool
}

func (f *healthFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.command, "health-cmd", "", "`COMMAND` for the container's shell, or a JSON list of arguments without one: exit code 0 is healthy")
	flags.StringVar(&f.http, "health-http", "", "`:PORT/PATH`: a GET that is answered with 200 to 399 is healthy")
	flags.StringVar(&f.tcp, "health-tcp", "", "`:PORT`: one that accepts connections is healthy")
	flags.DurationVar(&f.interval, "health-interval", spec.DefaultHealthInterval, "`TIME` between two checks")
	flags.DurationVar(&f.timeout, "health-timeout", spec.DefaultHealthTimeout, "`TIME` after which a check has failed")
	flags.Uint32Var(&f.retries, "health-retries", spec.DefaultHealthRetries, "`NUMBER` of failures in a row that are unhealthy")
	flags.DurationVar(&f.startPeriod, "health-start-period", 0, "`TIME` that a container has to come up, beside the retries")
	flags.BoolVar(&f.none, "no-health", false, "check nothing")
}

// apply writes what was said into a spec; another probe replaces the one that
// was there.
func (f *healthFlags) apply(flags *pflag.FlagSet, c *warrenv1.ContainerSpec) error {
	said := false
	flags.Visit(func(flag *pflag.Flag) { said = said || strings.HasPrefix(flag.Name, "health-") })
	if f.none {
		c.Health = nil
	}
	if !said {
		return nil
	}
	if c.Health == nil {
		c.Health = &warrenv1.HealthCheck{}
	}
	h := c.Health
	if flags.Changed("health-interval") {
		h.Interval = durationpb.New(f.interval)
	}
	if flags.Changed("health-timeout") {
		h.Timeout = durationpb.New(f.timeout)
	}
	if flags.Changed("health-start-period") {
		h.StartPeriod = durationpb.New(f.startPeriod)
	}
	if flags.Changed("health-retries") {
		h.Retries = f.retries
	}
	return f.applyProbe(flags, h)
}

func (f *healthFlags) applyProbe(flags *pflag.FlagSet, h *warrenv1.HealthCheck) (err error) {
	command, http, tcp := flags.Changed("health-cmd"), flags.Changed("health-http"), flags.Changed("health-tcp")
	if command || http || tcp {
		h.Command, h.Http, h.Tcp = nil, nil, nil
	}
	if command {
		if h.Command, err = parseCommand(f.command); err != nil {
			return err
		}
	}
	if http {
		if h.Http, err = spec.ParseHealthHTTP(f.http); err != nil {
			return err
		}
	}
	if tcp {
		h.Tcp, err = spec.ParseHealthTCP(f.tcp)
	}
	return err
}

// parseCommand reads a line for a shell, or, for images without one, a JSON
// list; a line that begins with [ and a space is for the shell.
func parseCommand(line string) ([]string, error) {
	if !strings.HasPrefix(line, `["`) {
		if strings.TrimSpace(line) == "" {
			return []string{""}, nil // for the rules of the spec to refuse
		}
		return []string{"/bin/sh", "-c", line}, nil
	}
	var command []string
	if err := json.Unmarshal([]byte(line), &command); err != nil || len(command) == 0 {
		return nil, spec.Problemf(spec.Invalid, spec.KindService, "", "the health command begins with [\" but is no JSON list").
			WithHint(`write it as --health-cmd '["pg_isready", "-U", "postgres"]'`)
	}
	return command, nil
}
