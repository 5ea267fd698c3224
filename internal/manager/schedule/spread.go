package schedule

// spread counts the nodes of a field by how many tasks of one service they
// have, and knows the smallest count without looking at every node.
type spread struct {
	// nodesWith[c] is how many nodes have c tasks.
	nodesWith      map[int]int
	least, highest int
}

// count adds a node with that many tasks.
func (s *spread) count(tasks int) {
	s.nodesWith[tasks]++
	s.highest = max(s.highest, tasks)
}

// floor is the smallest count of any node.
func (s *spread) floor() int {
	for s.nodesWith[s.least] == 0 && s.least < s.highest {
		s.least++
	}
	return s.least
}
