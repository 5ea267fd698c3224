package spec

import (
	"slices"
	"strings"
)

const (
	// KindConstraint is what a refused constraint is a problem of.
	KindConstraint  = "constraint"
	maxConstraints  = 32
	constraintLabel = "node.labels."
	constraintName  = "node.name"
	constraintID    = "node.id"
)

// Constraint is a condition that a node must satisfy to be given a task:
// node.labels.zone==a, node.name!=worker-1.
type Constraint struct {
	// Key is a label's, or node.name or node.id.
	Key   string
	Label bool
	Value string
	// Not is set for !=.
	Not bool
}

// ParseConstraints reads the constraints of a service.
func ParseConstraints(texts []string) ([]Constraint, error) {
	if len(texts) > maxConstraints {
		return nil, invalid(KindConstraint, "", "there are %d constraints; the limit is %d", len(texts), maxConstraints)
	}
	parsed := make([]Constraint, 0, len(texts))
	for _, text := range texts {
		c, err := parseConstraint(text)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, c)
	}
	return parsed, nil
}

func parseConstraint(text string) (Constraint, error) {
	problem := func(why string) (Constraint, error) {
		return Constraint{}, invalid(KindConstraint, text, "constraint %q %s", text, why).
			WithHint("such as node.labels.zone==a, node.labels.disk!=hdd or node.name==worker-1")
	}
	// The first of the two operators is the one; a value may have another.
	equal, unequal := strings.Index(text, "=="), strings.Index(text, "!=")
	at := equal
	if equal < 0 || unequal >= 0 && unequal < equal {
		at = unequal
	}
	if at < 0 {
		return problem("has neither == nor !=")
	}
	c := Constraint{Key: strings.TrimSpace(text[:at]), Value: strings.TrimSpace(text[at+2:]), Not: text[at] == '!'}
	if len(c.Value) > maxLabelValue || !printable(c.Value) {
		return problem("compares with a value that no label has")
	}
	if label, ok := strings.CutPrefix(c.Key, constraintLabel); ok {
		if err := labelKey(label); err != nil {
			return Constraint{}, err
		}
		c.Key, c.Label = label, true
		return c, nil
	}
	if !slices.Contains([]string{constraintName, constraintID}, c.Key) {
		return problem("asks for something that nodes do not have")
	}
	return c, nil
}

// Holds tells whether a node satisfies the constraint. A label that the node
// does not have is no value at all: == never holds, != does.
func (c Constraint) Holds(id, name string, labels map[string]string) bool {
	value, has := name, true
	switch {
	case c.Label:
		value, has = labels[c.Key]
	case c.Key == constraintID:
		value = id
	}
	return (has && value == c.Value) != c.Not
}

// String is the constraint as one types it.
func (c Constraint) String() string {
	key, op := c.Key, "=="
	if c.Label {
		key = constraintLabel + key
	}
	if c.Not {
		op = "!="
	}
	return key + op + c.Value
}
