package schedule

import "iter"

// ladder keeps nodes, by their index, in order of a count that only ever goes
// up by one: each rung is a list of the nodes with that count. Raising a node
// and finding the lowest cost the same for three nodes and for five thousand.
type ladder struct {
	rungs map[int]*rung
	// lowest is a rung below which there is nobody; highest the top one.
	lowest, highest int
	// Per node: its neighbours on its rung, and the rung.
	next, prev, count []int
	on                []bool
	size              int
}

// rung is the two ends of one list; -1 when empty.
type rung struct{ first, last int }

const none = -1

func newLadder(nodes int) *ladder {
	return &ladder{
		rungs: map[int]*rung{}, lowest: none, highest: none,
		next: make([]int, nodes), prev: make([]int, nodes), count: make([]int, nodes), on: make([]bool, nodes),
	}
}

// insert puts a node that is not on the ladder behind those of its count.
func (l *ladder) insert(node, count int) {
	r := l.rungs[count]
	if r == nil {
		r = &rung{none, none}
		l.rungs[count] = r
	}
	l.on[node] = true
	l.size++
	l.count[node], l.next[node], l.prev[node] = count, none, r.last
	if r.last == none {
		r.first = node
	} else {
		l.next[r.last] = node
	}
	r.last = node
	if l.lowest == none || count < l.lowest {
		l.lowest = count
	}
	l.highest = max(l.highest, count)
}

// raise moves a node of the ladder one rung up.
func (l *ladder) raise(node int) {
	l.take(node)
	l.insert(node, l.count[node]+1)
	l.settle()
}

// remove takes a node off the ladder.
func (l *ladder) remove(node int) {
	l.take(node)
	if l.size == 0 {
		l.lowest, l.highest = none, none
		return
	}
	l.settle()
}

// has tells whether a node is on the ladder.
func (l *ladder) has(node int) bool { return l.on[node] }

// take takes a node off its rung.
func (l *ladder) take(node int) {
	r := l.rungs[l.count[node]]
	next, prev := l.next[node], l.prev[node]
	if prev == none {
		r.first = next
	} else {
		l.next[prev] = next
	}
	if next == none {
		r.last = prev
	} else {
		l.prev[next] = prev
	}
	l.on[node] = false
	l.size--
}

// settle finds the lowest rung with a node, of which there is one.
func (l *ladder) settle() {
	for l.rungs[l.lowest] == nil || l.rungs[l.lowest].first == none {
		l.lowest++
	}
}

// ascending yields the nodes, lowest count first; within a count, who reached
// it first comes first. The ladder must not change meanwhile.
func (l *ladder) ascending() iter.Seq[int] {
	return func(yield func(int) bool) {
		if l.lowest == none {
			return
		}
		for c := l.lowest; c <= l.highest; c++ {
			r := l.rungs[c]
			if r == nil {
				continue
			}
			for n := r.first; n != none; n = l.next[n] {
				if !yield(n) {
					return
				}
			}
		}
	}
}
