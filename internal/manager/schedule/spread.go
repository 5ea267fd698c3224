package schedule

// spread counts the tasks of one service on each ready node, and knows the
// smallest count without looking at every node.
type spread struct {
	perNode map[int]int
	// nodesWith[c] is how many ready nodes have c tasks.
	nodesWith      map[int]int
	least, highest int
}

func (p *plan) newSpread(running map[string]int) *spread {
	s := &spread{perNode: map[int]int{}, nodesWith: map[int]int{0: p.ready}}
	for id, count := range running {
		n := p.nodeByID[id]
		if n == nil || !n.usable() {
			continue
		}
		s.nodesWith[0]--
		s.set(n, count)
	}
	return s
}

func (s *spread) tasks(n *node) int { return s.perNode[n.index] }

func (s *spread) add(n *node) {
	count := s.perNode[n.index]
	s.nodesWith[count]--
	s.set(n, count+1)
}

func (s *spread) set(n *node, count int) {
	s.perNode[n.index] = count
	s.nodesWith[count]++
	s.highest = max(s.highest, count)
}

// floor is the smallest count of any ready node.
func (s *spread) floor() int {
	for s.nodesWith[s.least] == 0 && s.least < s.highest {
		s.least++
	}
	return s.least
}
