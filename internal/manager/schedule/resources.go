package schedule

import (
	"strings"

	"github.com/cuemby/warren/internal/spec"
)

// Resources are an amount of a machine.
type Resources struct {
	// Thousandths of one CPU.
	CPUMillis uint64
	// Bytes.
	Memory uint64
}

// Plus is both together.
func (r Resources) Plus(other Resources) Resources {
	return Resources{r.CPUMillis + other.CPUMillis, r.Memory + other.Memory}
}

// within tells whether what is asked for is there. What is not asked for need
// not be: a node may have been promised more than it has, since it became
// smaller, or never have told what it has.
func (r Resources) within(capacity, reserved Resources) bool {
	return (r.CPUMillis == 0 || reserved.CPUMillis+r.CPUMillis <= capacity.CPUMillis) &&
		(r.Memory == 0 || reserved.Memory+r.Memory <= capacity.Memory)
}

// String names what is asked for: 2 CPUs and 4GB of memory.
func (r Resources) String() string {
	var parts []string
	switch {
	case r.CPUMillis == 1000:
		parts = append(parts, "1 CPU")
	case r.CPUMillis != 0:
		parts = append(parts, spec.FormatCPU(r.CPUMillis)+" CPUs")
	}
	if r.Memory != 0 {
		parts = append(parts, spec.FormatSize(r.Memory)+" of memory")
	}
	return strings.Join(parts, " and ")
}

// resources keeps what is promised to the tasks of a node within what it has.
type resources struct{}

func (resources) accepts(_ *plan, t *Task, n *node) (*Volume, bool) {
	return nil, t.Reserve.within(n.Capacity, n.Reserved)
}

func (resources) explain(_ *plan, t *Task, _ *Volume) string {
	return "without " + t.Reserve.String() + " left to reserve"
}
