package spec

import (
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// IsGlobal tells whether a service has one task on each node instead of a
// number of replicas.
func IsGlobal(s *warrenv1.ServiceSpec) bool {
	return s.GetMode() == warrenv1.ServiceMode_SERVICE_MODE_GLOBAL
}

// ParseMode reads a service's mode as one types it.
func ParseMode(text string) (warrenv1.ServiceMode, error) {
	switch text {
	case "replicated":
		return warrenv1.ServiceMode_SERVICE_MODE_REPLICATED, nil
	case "global":
		return warrenv1.ServiceMode_SERVICE_MODE_GLOBAL, nil
	}
	return 0, invalid(KindService, "", "%q is no mode of a service", text).
		WithHint("replicated is a number of tasks, global is one on each node")
}

// ModeName is the word of a mode: replicated, global.
func ModeName(m warrenv1.ServiceMode) string {
	if m == warrenv1.ServiceMode_SERVICE_MODE_GLOBAL {
		return "global"
	}
	return "replicated"
}

// WantedTasks is how many tasks a service that was read should have.
func WantedTasks(s *warrenv1.Service) uint32 {
	if IsGlobal(s.GetSpec()) {
		return s.GetWanted()
	}
	return s.GetSpec().GetReplicas()
}

// Serves tells whether a node is one of those that a global service with these
// constraints has tasks on, whether or not it can be reached now.
func Serves(node *warrenv1.Node, constraints []Constraint) bool {
	m := node.GetMeta()
	return slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_WORKER) &&
		node.GetAvailability() == warrenv1.NodeAvailability_NODE_AVAILABILITY_ACTIVE &&
		!slices.ContainsFunc(constraints, func(c Constraint) bool { return !c.Holds(m.GetId(), m.GetName(), m.GetLabels()) })
}

// validateMode checks that what is said of a service's number fits its mode.
func validateMode(service string, s *warrenv1.ServiceSpec) error {
	if _, known := warrenv1.ServiceMode_name[int32(s.GetMode())]; !known {
		return invalid(KindService, service, "a service is replicated or global")
	}
	if IsGlobal(s) && s.GetReplicas() != 0 {
		return invalid(KindService, service, "a global service has one task on each node, and so no number of replicas").
			WithHint("leave --replicas out; --constraint chooses among the nodes")
	}
	return nil
}

// SameMode refuses to change the mode of a service: its slots would mean
// something else.
func SameMode(service string, before, after *warrenv1.ServiceSpec) error {
	if before.GetMode() == after.GetMode() {
		return nil
	}
	return Problemf(Refused, KindService, service, "service %q is %s, and stays so", service, ModeName(before.GetMode())).
		WithHint("create another one with --mode %s", ModeName(after.GetMode()))
}
