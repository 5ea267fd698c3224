package schedule

// maxFields bounds what is kept of demands that tasks have in common.
const maxFields = 64

// field is the nodes that may take a task of certain demands, as long as no
// volume ties it to one: those that turned one such task down are not in it.
// They never come back, since what a node has to spare only becomes less.
type field struct {
	p *plan
	// byTasks has the nodes by how many tasks they have.
	byTasks *ladder
	// spreads count, by service, how its tasks lie on the field's nodes.
	spreads map[string]*spread
}

// demands are what of a task decides about a node.
type demands struct {
	constraints string
	reserve     Resources
}

// field returns the one for a task's demands.
func (p *plan) field(t *Task) *field {
	key := demands{reserve: t.Reserve}
	if len(t.Constraints) > 0 {
		key.constraints = constraintsText(t.Constraints)
	}
	if f := p.fields[key]; f != nil {
		return f
	}
	if len(p.fields) == maxFields {
		clear(p.fields) // they are made again as they are needed
	}
	f := &field{p: p, byTasks: newLadder(len(p.nodes)), spreads: map[string]*spread{}}
	for i, n := range p.nodes {
		if n.usable() && p.fits(t, n) {
			f.byTasks.insert(i, n.Tasks)
		}
	}
	p.fields[key] = f
	return f
}

// choose returns the best node for a task of these demands, nil when none fits.
func (f *field) choose(t *Task) *node {
	running, s := f.p.running[t.ServiceID], f.spread(t.ServiceID)
	var best *node
	var full []*node
	for i := range f.byTasks.ascending() {
		n := f.p.nodes[i]
		if best == nil || running[i] < running[best.index] {
			if f.p.fits(t, n) {
				best = n
			} else {
				full = append(full, n)
			}
		}
		// No node has fewer of this service, and those that follow have more
		// in all.
		if best != nil && running[best.index] == s.floor() {
			break
		}
	}
	for _, n := range full {
		f.drop(n)
	}
	return best
}

// drop takes a node out that has not enough to spare any more.
func (f *field) drop(n *node) {
	f.byTasks.remove(n.index)
	for service, s := range f.spreads {
		s.nodesWith[f.p.running[service][n.index]]--
	}
}

// placed takes note of a task that a node of the cluster was given.
func (f *field) placed(service string, n *node, before int) {
	if !f.byTasks.has(n.index) {
		return
	}
	f.byTasks.raise(n.index)
	if s := f.spreads[service]; s != nil {
		s.nodesWith[before]--
		s.count(before + 1)
	}
}

// spread returns how a service's tasks lie.
func (f *field) spread(service string) *spread {
	if s := f.spreads[service]; s != nil {
		return s
	}
	s := &spread{nodesWith: map[int]int{0: f.byTasks.size}}
	for i, tasks := range f.p.running[service] {
		if f.byTasks.has(i) {
			s.nodesWith[0]--
			s.count(tasks)
		}
	}
	f.spreads[service] = s
	return s
}
