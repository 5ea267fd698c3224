package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestHealthLimitsAndPoliciesThatAreRefused(t *testing.T) {
	type container = *warrenv1.ContainerSpec
	health := func(h *warrenv1.HealthCheck) func(container) { return func(c container) { c.Health = h } }
	limits := func(r *warrenv1.Resources) func(container) { return func(c container) { c.Resources = r } }
	seconds := func(n float64) *durationpb.Duration { return durationpb.New(time.Duration(n * float64(time.Second))) }
	command := []string{"true"}
	for want, change := range map[string]func(container){
		"a health check has 0 ways":          health(&warrenv1.HealthCheck{}),
		"a health check has 2 ways":          health(&warrenv1.HealthCheck{Command: command, Tcp: &warrenv1.TcpProbe{Port: 1}}),
		"the health command is empty":        health(&warrenv1.HealthCheck{Command: []string{""}}),
		"NUL byte":                           health(&warrenv1.HealthCheck{Command: []string{"a\x00"}}),
		"health port 0":                      health(&warrenv1.HealthCheck{Tcp: &warrenv1.TcpProbe{}}),
		"health port 70000":                  health(&warrenv1.HealthCheck{Http: &warrenv1.HttpProbe{Port: 70000}}),
		`health path "ready"`:                health(&warrenv1.HealthCheck{Http: &warrenv1.HttpProbe{Port: 1, Path: "ready"}}),
		`health path "/%zz" is not valid`:    health(&warrenv1.HealthCheck{Http: &warrenv1.HttpProbe{Port: 1, Path: "/%zz"}}),
		"a health interval of 0s":            health(&warrenv1.HealthCheck{Command: command, Interval: seconds(0)}),
		"a health interval of -1s":           health(&warrenv1.HealthCheck{Command: command, Interval: seconds(-1)}),
		"a health timeout of 1ms":            health(&warrenv1.HealthCheck{Command: command, Timeout: seconds(.001)}),
		"a health start period of 25h0m0s":   health(&warrenv1.HealthCheck{Command: command, StartPeriod: seconds(25 * 3600)}),
		"a health interval of 1s is not":     health(&warrenv1.HealthCheck{Command: command, Interval: &durationpb.Duration{Seconds: 2, Nanos: -1e9}}),
		"1001 health retries":                health(&warrenv1.HealthCheck{Command: command, Retries: 1001}),
		"a CPU limit of 0.001 is below 0.01": limits(&warrenv1.Resources{CpuLimitMillis: 1}),
		"no machine has more than 1000 CPUs": limits(&warrenv1.Resources{CpuReserveMillis: 2e6}),
		"a memory limit of 1MB is below 6MB": limits(&warrenv1.Resources{MemoryLimitBytes: 1e6}),
		"2 CPUs are reserved, but its limit": limits(&warrenv1.Resources{CpuLimitMillis: 1500, CpuReserveMillis: 2000}),
		"2GB of memory are reserved, but it": limits(&warrenv1.Resources{MemoryLimitBytes: 1e9, MemoryReserveBytes: 2e9}),
		"a limit of 5000000 processes":       limits(&warrenv1.Resources{PidsLimit: 5e6}),
		"restart condition 9 is not known":   func(c container) { c.Restart = &warrenv1.RestartPolicy{Condition: 9} },
		"2000000 restarts are asked for":     func(c container) { c.Restart = &warrenv1.RestartPolicy{MaxAttempts: 2e6} },
		`capability "CAP_NET_ADMN"`:          func(c container) { c.CapAdd = []string{"net_admn"} },
		`capability "CAP_"`:                  func(c container) { c.CapDrop = []string{""} },
		"both added and dropped":             func(c container) { c.CapAdd, c.CapDrop = []string{"chown"}, []string{"CAP_CHOWN"} },
		"an I/O limit of 100B/s for volume \"a\" is below 4.1KB/s": func(c container) {
			c.Volumes = []*warrenv1.VolumeMount{{Volume: "a", Path: "/a", IoLimit: &warrenv1.IoLimit{BytesPerSecond: 100}}}
		},
		"nothing can be asked over the network": func(c container) {
			c.Network = warrenv1.NetworkMode_NETWORK_MODE_NONE
			c.Health = &warrenv1.HealthCheck{Tcp: &warrenv1.TcpProbe{Port: 1}}
		},
	} {
		err := ValidateService(request(change))
		var problem *Problem
		if !errors.As(err, &problem) || problem.Code != Invalid || !strings.Contains(problem.Message, want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	r := request(func(c *warrenv1.ContainerSpec) {
		c.Health = &warrenv1.HealthCheck{Http: &warrenv1.HttpProbe{Port: 80}}
		c.CapAdd = []string{"net_admin", "CAP_NET_ADMIN", "all"}
	})
	c := r.GetSpec().GetContainer()
	if err := ValidateService(r); err != nil {
		t.Fatal(err)
	}
	h := c.GetHealth()
	if h.GetHttp().GetPath() != "/" || h.GetInterval().AsDuration() != DefaultHealthInterval || h.GetTimeout().AsDuration() != DefaultHealthTimeout || h.GetRetries() != 3 {
		t.Errorf("health %v", h)
	}
	if c.GetResources().GetPidsLimit() != DefaultPidsLimit || !slices.Equal(c.GetCapAdd(), []string{"CAP_NET_ADMIN", "ALL"}) {
		t.Errorf("container %v", c)
	}
}

func TestQuantitiesAsPeopleWriteThem(t *testing.T) {
	for arg, want := range map[string]uint64{
		"0": 0, "23": 23, "23B": 23, "64MB": 64e6, "64m": 64e6, "1.5G": 15e8, "1.5gb": 15e8, "512MiB": 512 << 20, "2Ki": 2048, "7E": 7e18, "0.5K": 500,
	} {
		if got, err := ParseSize(arg); err != nil || got != want {
			t.Errorf("ParseSize(%q): %d, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "B", "-1", "1e3", "1.MB", "1 GB", "10E", "1X", "1iB", "1Kib!", "0x10", "NaN", "9999999999999999"} {
		if got, err := ParseSize(arg); err == nil {
			t.Errorf("ParseSize(%q) is %d", arg, got)
		}
	}
	for arg, want := range map[string]uint32{"2": 2000, "0.5": 500, "500m": 500, "0.0014": 1, ".5": 500} {
		if got, err := ParseCPU(arg); err != nil || got != want {
			t.Errorf("ParseCPU(%q): %d, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "m", "0", "-1", "2 CPUs", "NaN", "Inf", "1e9", "0.0001"} {
		if got, err := ParseCPU(arg); err == nil {
			t.Errorf("ParseCPU(%q) is %d", arg, got)
		}
	}
}

func TestParsersGiveBackWhatWasPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.Uint64Range(0, 1<<60).Draw(t, "bytes")
		printed := FormatSize(bytes)
		parsed, err := ParseSize(printed)
		if err != nil || FormatSize(parsed) != printed {
			t.Fatalf("%s is read as %d, %v", printed, parsed, err)
		}
		millis := rapid.Uint32Range(1, maxCPUMillis).Draw(t, "millis")
		if got, err := ParseCPU(FormatCPU(uint64(millis))); err != nil || got != millis {
			t.Fatalf("%d millis are read as %d, %v", millis, got, err)
		}
	})
}

func TestRestartPolicies(t *testing.T) {
	for _, arg := range []string{"any", "on-failure", "none", "any:1", "on-failure:5"} {
		p, err := ParseRestartPolicy(arg)
		if err != nil || FormatRestartPolicy(p) != arg {
			t.Errorf("%s: %v, %v", arg, p, err)
		}
	}
	for _, arg := range []string{"", "always", "none:3", "any:0", "any:", "any:-1", "on-failure:x", "any:2000000"} {
		if p, err := ParseRestartPolicy(arg); err == nil {
			t.Errorf("%q is read as %v", arg, p)
		}
	}
	if FormatRestartPolicy(nil) != "any" || !Restarts(nil, nil, 1e6) {
		t.Error("without a policy, whatever ended is started again")
	}
}

func TestProbesAsPeopleWriteThem(t *testing.T) {
	for arg, want := range map[string]string{":8080": "8080 ", "80/": "80 /", ":8080/a?b=c": "8080 /a?b=c"} {
		p, err := ParseHealthHTTP(arg)
		if err != nil || want != fmt.Sprint(p.GetPort(), " ", p.GetPath()) {
			t.Errorf("%s: %v, %v", arg, p, err)
		}
	}
	for _, arg := range []string{"", ":", ":0", ":70000", "host:80", "http://x", ":80x", "/path"} {
		if p, err := ParseHealthHTTP(arg); err == nil {
			t.Errorf("HTTP %q is read as %v", arg, p)
		}
		if p, err := ParseHealthTCP(arg); err == nil {
			t.Errorf("TCP %q is read as %v", arg, p)
		}
	}
	if p, err := ParseHealthTCP(":5432"); err != nil || p.GetPort() != 5432 {
		t.Errorf("%v, %v", p, err)
	}
}

func TestIOLimitsBelongToVolumes(t *testing.T) {
	mounts := []*warrenv1.VolumeMount{mount("db", "/a"), mount("logs", "/b"), mount("db", "/c")}
	if err := IOLimits([]string{"db=20MB/s", "db=500iops", "logs=1G"}, mounts); err != nil {
		t.Fatal(err)
	}
	var printed []string
	for _, m := range mounts {
		printed = append(printed, FormatIOLimit(m.GetIoLimit()))
	}
	if want := []string{"20MB/s, 500iops", "1GB/s", "20MB/s, 500iops"}; !slices.Equal(printed, want) {
		t.Errorf("limits are %q", printed)
	}
	for _, arg := range []string{"20MB", "=20MB", "other=20MB", "db=", "db=0", "db=-1iops", "db=0iops", "db=fast", "db=1.5iops"} {
		if err := IOLimits([]string{arg}, mounts); err == nil {
			t.Errorf("%q is taken", arg)
		}
	}
}

func FuzzQuantities(f *testing.F) {
	for _, arg := range []string{"64MB", "0.5", "1.5GiB", "500m", "db=20MB/s", ":8080/x", "on-failure:3"} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		_, _ = ParseSize(arg)
		_, _ = ParseCPU(arg)
		_, _ = ParseHealthHTTP(arg)
		_, _ = ParseRestartPolicy(arg)
		_ = IOLimits([]string{arg}, []*warrenv1.VolumeMount{mount("db", "/a")})
	})
}
