package consensus

import (
	"errors"
	"testing"
)

// What a start does, for everything it may find.
func TestDecide(t *testing.T) {
	t.Parallel()
	const refuse = verdict(-1)
	clean := &run{Lineage: "L1", BootID: "boot-1", Clean: true}
	killed := &run{Lineage: "L1", BootID: "boot-1"}
	starting := &run{Lineage: "L1", Next: "L2", BootID: "boot-1"}
	elsewhere := &run{Lineage: "L1", BootID: "boot-0"}
	damage := errors.New("damaged")
	at := func(index uint64) position { return position{index, 1} }
	for name, c := range map[string]struct {
		found found
		want  verdict
	}{
		"a new directory":                       {found{}, goOn},
		"a copy on an empty machine":            {found{hasDatabase: true, lineage: "L0", applied: at(5)}, adopt},
		"a damaged copy on an empty machine":    {found{hasDatabase: true, damage: damage}, refuse},
		"a log without its mark":                {found{raftLast: at(5)}, refuse},
		"after a clean stop":                    {found{hasDatabase: true, lineage: "L1", applied: at(5), last: clean, raftLast: at(6)}, goOn},
		"altered after a clean stop":            {found{hasDatabase: true, lineage: "L1", applied: at(5), last: clean, raftLast: at(6), altered: true}, refuse},
		"damaged after a clean stop":            {found{hasDatabase: true, damage: damage, last: clean, raftLast: at(6)}, refuse},
		"a copy after a clean stop":             {found{hasDatabase: true, lineage: "L0", applied: at(3), last: clean, raftLast: at(6)}, adopt},
		"moved away":                            {found{last: clean, raftLast: at(6)}, rebuild},
		"after a kill":                          {found{hasDatabase: true, lineage: "L1", applied: at(2), last: killed, raftLast: at(6)}, goOn},
		"damaged after a kill":                  {found{hasDatabase: true, damage: damage, last: killed, raftLast: at(6)}, refuse},
		"a copy after a kill":                   {found{hasDatabase: true, lineage: "L0", applied: at(3), last: killed, raftLast: at(6)}, adopt},
		"killed before the lineage was written": {found{hasDatabase: true, lineage: "L1", applied: at(2), last: starting, raftLast: at(6)}, goOn},
		"killed after the lineage was written":  {found{hasDatabase: true, lineage: "L2", applied: at(2), last: starting, raftLast: at(6)}, goOn},
		"killed while it was made anew":         {found{hasDatabase: true, last: starting, raftLast: at(6)}, rebuild},
		"after a crash of the machine":          {found{hasDatabase: true, lineage: "L1", applied: at(5), last: elsewhere, raftLast: at(6)}, rebuild},
		"damaged by a crash of the machine":     {found{hasDatabase: true, damage: damage, last: elsewhere, raftLast: at(6)}, rebuild},
		"a copy after a crash of the machine":   {found{hasDatabase: true, lineage: "L0", applied: at(3), last: elsewhere, raftLast: at(6)}, adopt},
		"a stop and a reboot":                   {found{hasDatabase: true, lineage: "L1", applied: at(5), last: &run{Lineage: "L1", BootID: "boot-0", Clean: true}, raftLast: at(6)}, goOn},
		"the log lags behind":                   {found{hasDatabase: true, lineage: "L1", applied: at(9), last: killed, raftLast: at(6)}, adopt},
	} {
		c.found.path, c.found.bootID = "/data/warren.db", "boot-1"
		got, err := c.found.decide()
		if err != nil {
			got = refuse
		}
		if got != c.want {
			t.Errorf("%s: %d, not %d (%v)", name, got, c.want, err)
		}
	}
}
