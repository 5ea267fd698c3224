package service

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"
)

// updateFlags are how a service's tasks are replaced when it changes.
type updateFlags struct {
	parallelism uint32
	delay       time.Duration
	order       string
	onFailure   string
	monitor     time.Duration
	deadline    time.Duration
}

var (
	updateOrders   = []string{"start-first", "stop-first"}
	failureActions = []string{"pause", "rollback", "continue"}
)

func (f *updateFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Uint32Var(&f.parallelism, "update-parallelism", spec.DefaultParallelism, "`NUMBER` of tasks that an update replaces at once; 0 for all")
	flags.DurationVar(&f.delay, "update-delay", 0, "`TIME` between the success of one replacement and the next")
	flags.StringVar(&f.order, "update-order", "", "`ORDER`: start-first or stop-first (default: start-first, where no two writers meet on a volume)")
	flags.StringVar(&f.onFailure, "update-failure-action", "pause", "`ACTION` when a new task fails: pause, rollback or continue")
	flags.DurationVar(&f.monitor, "update-monitor", spec.DefaultMonitor, "`TIME` that a new task must be up to count as a success")
	flags.DurationVar(&f.deadline, "update-deadline", spec.DefaultDeadline, "`TIME` within which a new task must be up, or it has failed, also when it waits for a node")
	for flag, words := range map[string][]string{"update-order": updateOrders, "update-failure-action": failureActions} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// apply writes what was said into a spec.
func (f *updateFlags) apply(flags *pflag.FlagSet, s *warrenv1.ServiceSpec) (err error) {
	if s.Update == nil {
		s.Update = &warrenv1.UpdateRules{}
	}
	if flags.Changed("update-parallelism") {
		s.Update.Parallelism = &f.parallelism
	}
	if flags.Changed("update-delay") {
		s.Update.Delay = durationpb.New(f.delay)
	}
	if flags.Changed("update-monitor") {
		s.Update.Monitor = durationpb.New(f.monitor)
	}
	if flags.Changed("update-deadline") {
		s.Update.Deadline = durationpb.New(f.deadline)
	}
	if flags.Changed("update-order") {
		if s.Update.Order, err = spec.ParseUpdateOrder(f.order); err != nil {
			return err
		}
	}
	if flags.Changed("update-failure-action") {
		s.Update.FailureAction, err = spec.ParseFailureAction(f.onFailure)
	}
	return err
}
