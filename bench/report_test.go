//go:build bench

package bench

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// samples are measurements of one thing, one a round.
type samples []float64

func (s samples) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func (s samples) median() float64 { return s.quantile(0.5) }

// report is what is printed at the end.
type report struct {
	began    time.Time
	busy     string
	measured strings.Builder
	judged   strings.Builder
	notes    []string
}

func newReport() *report { return &report{began: time.Now(), busy: load()} }

// measurement adds a line with the median and the middle half.
func (r *report) measurement(what, unit string, s samples) {
	fmt.Fprintf(&r.measured, "%s\t%.1f %s\t%.1f\t%.1f\t%d\n", what, s.median(), unit, s.quantile(0.25), s.quantile(0.75), len(s))
}

// atMost and atLeast hold a figure against an aim.
func (r *report) atMost(what string, is, aim float64, unit string) {
	r.judge(what, is, "at most", aim, unit, cmp.Compare(is, aim) <= 0)
}

func (r *report) atLeast(what string, is, aim float64, unit string) {
	r.judge(what, is, "at least", aim, unit, cmp.Compare(is, aim) >= 0)
}

func (r *report) judge(what string, is float64, how string, aim float64, unit string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	fmt.Fprintf(&r.judged, "%s\t%.2f %s\t%s %g %s\t%s\n", what, is, unit, how, aim, unit, verdict)
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", machine())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "measured\tmedian\tquarter\tthree quarters\tn\n%s", r.measured.String())
	w.Flush()
	b.WriteByte('\n')
	fmt.Fprintf(w, "judged\tis\taim\t\n%s", r.judged.String())
	w.Flush()
	for _, note := range r.notes {
		fmt.Fprintf(&b, "\n%s", note)
	}
	fmt.Fprintf(&b, "\nall in one run of %s; load of the machine %s at its start, %s at its end\n",
		time.Since(r.began).Round(time.Second), r.busy, load())
	return b.String()
}

// load is how many processes wanted to run in the last minute: more than there
// are cores, and others were measured too.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}

// machine says what was measured on.
func machine() string {
	var u unix.Utsname
	unix.Uname(&u)
	model := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	var info unix.Sysinfo_t
	unix.Sysinfo(&info)
	return fmt.Sprintf("%s, %d cores, %d GiB, Linux %s, %s", model, runtime.NumCPU(),
		(info.Totalram*uint64(info.Unit)+1<<29)>>30, unix.ByteSliceToString(u.Release[:]), runtime.Version())
}
