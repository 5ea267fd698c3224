package spec

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// What the rules of an update are where a person says nothing.
const (
	DefaultParallelism = 1
	DefaultMonitor     = 5 * time.Second
	DefaultDeadline    = 10 * time.Minute
	DefaultHistory     = 10
)

const (
	maxUpdateTime = 24 * time.Hour
	maxHistory    = 100
)

// validateUpdate checks how a service's tasks are to be replaced, and how many
// of its earlier specs are to be kept.
func validateUpdate(service string, s *warrenv1.ServiceSpec) error {
	u := s.GetUpdate()
	if u.GetParallelism() > MaxReplicas {
		return invalid(KindService, service, "an update of %d tasks at once is asked for; the limit is %d", u.GetParallelism(), MaxReplicas)
	}
	for what, d := range map[string]*durationpb.Duration{"update delay": u.GetDelay(), "update monitor": u.GetMonitor(), "update deadline": u.GetDeadline()} {
		if d != nil && (!d.IsValid() || d.AsDuration() < 0 || d.AsDuration() > maxUpdateTime) {
			return invalid(KindService, service, "%s %v is not between 0 and %v", what, d.AsDuration(), maxUpdateTime)
		}
	}
	if _, known := warrenv1.UpdateOrder_name[int32(u.GetOrder())]; !known {
		return invalid(KindService, service, "update order %d is not known", u.GetOrder())
	}
	if _, known := warrenv1.FailureAction_name[int32(u.GetFailureAction())]; !known {
		return invalid(KindService, service, "failure action %d is not known", u.GetFailureAction())
	}
	if s != nil && s.History != nil && (s.GetHistory() < 1 || s.GetHistory() > maxHistory) {
		return invalid(KindService, service, "a history of %d specs is asked for; it has between 1 and %d", s.GetHistory(), maxHistory)
	}
	return nil
}

// Parallelism is how many tasks an update of the service replaces at once.
func Parallelism(s *warrenv1.ServiceSpec) int {
	switch u := s.GetUpdate(); {
	case u == nil || u.Parallelism == nil:
		return DefaultParallelism
	case u.GetParallelism() == 0:
		return MaxReplicas
	default:
		return int(u.GetParallelism())
	}
}

// Monitor is for how long a new task must be up to count as a success.
func Monitor(s *warrenv1.ServiceSpec) time.Duration {
	if d := s.GetUpdate().GetMonitor(); d != nil {
		return d.AsDuration()
	}
	return DefaultMonitor
}

// Deadline is within what time a new task must be up.
func Deadline(s *warrenv1.ServiceSpec) time.Duration {
	if d := s.GetUpdate().GetDeadline(); d != nil {
		return d.AsDuration()
	}
	return DefaultDeadline
}

// History is how many earlier specs of a service are kept.
func History(s *warrenv1.ServiceSpec) int {
	if s.GetHistory() == 0 {
		return DefaultHistory
	}
	return int(s.GetHistory())
}

// UpdateOrder is in which order a service's tasks are replaced. exclusive tells
// whether a volume takes one task only: then the new one has to wait for the
// old one whatever the service asks for. Where it asks for nothing, the new one
// is started first unless the two would get in each other's way.
func UpdateOrder(s *warrenv1.ServiceSpec, exclusive func(volume string) bool) warrenv1.UpdateOrder {
	order := warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST
	if s.GetContainer().GetNetwork() == warrenv1.NetworkMode_NETWORK_MODE_HOST {
		order = warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST // they would want the same ports
	}
	for _, v := range s.GetContainer().GetVolumes() {
		if v.GetHostPath() != "" {
			continue
		}
		if v.GetExclusive() || exclusive(VolumeOfSlot(v.GetVolume(), 1)) {
			return warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST
		}
		if !v.GetReadOnly() {
			order = warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST
		}
	}
	if asked := s.GetUpdate().GetOrder(); asked != warrenv1.UpdateOrder_UPDATE_ORDER_UNSPECIFIED {
		return asked
	}
	return order
}

// ParseUpdateOrder reads start-first or stop-first.
func ParseUpdateOrder(arg string) (warrenv1.UpdateOrder, error) {
	switch arg {
	case "start-first":
		return warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST, nil
	case "stop-first":
		return warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST, nil
	}
	return 0, invalid(KindService, "", "update order %q is not known", arg).
		WithHint("%s", suggestion(arg, []string{"start-first", "stop-first"}, "the orders are"))
}

// ParseFailureAction reads pause, rollback or continue.
func ParseFailureAction(arg string) (warrenv1.FailureAction, error) {
	switch arg {
	case "pause":
		return warrenv1.FailureAction_FAILURE_ACTION_PAUSE, nil
	case "rollback":
		return warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK, nil
	case "continue":
		return warrenv1.FailureAction_FAILURE_ACTION_CONTINUE, nil
	}
	return 0, invalid(KindService, "", "failure action %q is not known", arg).
		WithHint("%s", suggestion(arg, []string{"pause", "rollback", "continue"}, "the actions are"))
}

// UpdateOrderName prints an order as users read it: start-first.
func UpdateOrderName(o warrenv1.UpdateOrder) string {
	return dashed(enumWord(o.String(), "UPDATE_ORDER_"))
}

// FailureActionName prints an action as users read it: rollback.
func FailureActionName(a warrenv1.FailureAction) string {
	if a == warrenv1.FailureAction_FAILURE_ACTION_UNSPECIFIED {
		a = warrenv1.FailureAction_FAILURE_ACTION_PAUSE
	}
	return enumWord(a.String(), "FAILURE_ACTION_")
}

// UpdateStateName prints how far an update is as users read it: rolling-back.
func UpdateStateName(s warrenv1.UpdateState) string {
	return dashed(enumWord(s.String(), "UPDATE_STATE_"))
}
