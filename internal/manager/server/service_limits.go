package server

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// looseLimits warns of limits that are above what any machine has: they limit
// nothing, and are most likely a slip.
func looseLimits(tx *store.ReadTx, s *warrenv1.ServiceSpec) []string {
	var cpus, memory uint64
	for _, status := range tx.NodeStatus().List() {
		cpus = max(cpus, uint64(status.GetDescription().GetCpus()))
		memory = max(memory, status.GetDescription().GetMemoryBytes())
	}
	var warnings []string
	r := s.GetContainer().GetResources()
	if limit := uint64(r.GetCpuLimitMillis()); cpus != 0 && limit > 1000*cpus {
		warnings = append(warnings, fmt.Sprintf("the CPU limit of %s is above what any node has (%d)", spec.FormatCPU(limit), cpus))
	}
	if limit := r.GetMemoryLimitBytes(); memory != 0 && limit > memory {
		warnings = append(warnings, fmt.Sprintf("the memory limit of %s is above what any node has (%s)",
			spec.FormatSize(limit), spec.FormatSize(memory)))
	}
	return warnings
}
