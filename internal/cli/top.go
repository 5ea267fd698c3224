package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// top is one run of `warren top`.
type top struct {
	format   *command.Format
	interval time.Duration
	once     bool
	shell    *command.Shell
	// nodes are as they were last heard of.
	nodes map[string]view.NodeUsage
}

func newTop(s *command.Shell) *cobra.Command {
	t := &top{shell: s, nodes: map[string]view.NodeUsage{}}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what nodes and tasks use now: CPU, memory, I/O, volumes",
		Long: `Show what nodes and tasks use now, those that use most CPU first. CPU is in
processors, memory without files that are only cached. On a terminal it is
refreshed until interrupted; elsewhere it is shown once.`,
		Example: `  warren top
  warren top --interval 5s
  warren top --once -o json`,
		Args: command.Names("", 0, 0),
	}
	t.format = command.BindFormat(cmd)
	cmd.Flags().DurationVar(&t.interval, "interval", spec.DefaultUsageInterval, "`TIME` over which usage is measured")
	cmd.Flags().BoolVar(&t.once, "once", false, "show it once, on a terminal too")
	watch := s.Calling(t.watch)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := spec.UsageInterval(t.request()); err != nil {
			return err
		}
		return watch(cmd, args)
	}
	return cmd
}

func (t *top) request() *warrenv1.WatchUsageRequest {
	return &warrenv1.WatchUsageRequest{Interval: durationpb.New(t.interval), Follow: t.follows()}
}

func (t *top) follows() bool {
	return !t.once && command.Terminal(t.shell.Out) && *t.format != command.JSON && *t.format != command.YAML
}

func (t *top) watch(ctx context.Context, c *client.Client, _ []string) error {
	stream, err := c.Meter.WatchUsage(ctx, t.request())
	if err != nil {
		return err
	}
	for {
		u, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.nodes[u.GetNodeId()] = view.NewNodeUsage(u)
		if t.follows() {
			t.shell.Clear()
			if err := t.write(); err != nil {
				return err
			}
		}
	}
	if t.follows() {
		return nil
	}
	return t.write()
}

func (t *top) write() error {
	nodes := slices.SortedFunc(maps.Values(t.nodes), func(a, b view.NodeUsage) int { return strings.Compare(a.Node, b.Node) })
	if *t.format == command.JSON || *t.format == command.YAML {
		return t.format.Encode(t.shell.Out, nodes)
	}
	var tasks []view.TaskUsage
	for _, n := range nodes {
		tasks = append(tasks, n.Tasks...)
	}
	slices.SortStableFunc(tasks, func(a, b view.TaskUsage) int {
		return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(b.Memory, a.Memory), strings.Compare(a.Task, b.Task))
	})
	wide := *t.format == command.Wide
	if err := command.WriteTable(t.shell.Out, nodeColumns, nodes, wide, t.shell.Now()); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(t.shell.Out); err != nil {
		return err
	}
	return command.WriteTable(t.shell.Out, taskColumns, tasks, wide, t.shell.Now())
}

var nodeColumns = append([]command.Column[view.NodeUsage]{
	command.Text("NODE", func(v view.NodeUsage) string { return v.Node }),
	command.Text("CPU", func(v view.NodeUsage) string { return measured(v, "%.2f/%d", v.CPU, v.CPUs) }),
	command.Text("MEMORY", func(v view.NodeUsage) string { return measured(v, "%s", ofSize(v.Memory, v.MemoryTotal)) }),
	command.Text("READ", func(v view.NodeUsage) string { return measured(v, "%s", rate(v.Read)) }),
	command.Text("WRITE", func(v view.NodeUsage) string { return measured(v, "%s", rate(v.Write)) }),
	command.Text("DISK", func(v view.NodeUsage) string { return measured(v, "%s", ofSize(v.DiskUsed, v.DiskTotal)) }),
	command.Text("TASKS", func(v view.NodeUsage) string { return measured(v, "%d", len(v.Tasks)) }),
}, command.OnlyWide(
	command.Text("ID", func(v view.NodeUsage) string { return v.NodeID }),
	command.Text("ERROR", func(v view.NodeUsage) string { return v.Error }),
)...)

// measured is nothing for a node that did not answer.
func measured(v view.NodeUsage, format string, args ...any) string {
	if v.Error != "" {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

var taskColumns = append([]command.Column[view.TaskUsage]{
	command.Text("TASK", func(v view.TaskUsage) string { return v.Task }),
	command.Text("NODE", func(v view.TaskUsage) string { return v.Node }),
	command.Text("CPU", func(v view.TaskUsage) string {
		if v.CPULimit != 0 {
			return fmt.Sprintf("%.2f/%g", v.CPU, v.CPULimit)
		}
		return fmt.Sprintf("%.2f", v.CPU)
	}),
	command.Text("MEMORY", func(v view.TaskUsage) string { return ofSize(v.Memory, v.MemoryLimit) }),
	command.Text("READ", func(v view.TaskUsage) string { return rate(v.Read) }),
	command.Text("WRITE", func(v view.TaskUsage) string { return rate(v.Write) }),
	command.Text("VOLUMES", func(v view.TaskUsage) string { return spec.FormatSize(v.Volumes) }),
	command.Text("PROCESSES", func(v view.TaskUsage) string { return fmt.Sprint(v.Processes) }),
}, command.OnlyWide(
	command.Text("ID", func(v view.TaskUsage) string { return v.TaskID }),
)...)

// ofSize is how much of how much: 1.2GB/4GB; the second may be without limit.
func ofSize(used, limit uint64) string {
	if limit == 0 {
		return spec.FormatSize(used)
	}
	return spec.FormatSize(used) + "/" + spec.FormatSize(limit)
}

func rate(bytes uint64) string { return spec.FormatSize(bytes) + "/s" }
