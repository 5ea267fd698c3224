package spec

import "testing"

func TestConstraints(t *testing.T) {
	labels := map[string]string{"zone": "a", "odd": "x==y"}
	for text, holds := range map[string]bool{
		"node.labels.zone==a": true, "node.labels.zone == a": true, "node.labels.zone==b": false, "node.labels.zone!=b": true,
		"node.labels.none==a": false, "node.labels.none!=a": true, "node.labels.odd==x==y": true,
		"node.name==worker-1": true, "node.name!=worker-1": false, "node.id==node-1": true,
	} {
		c, err := ParseConstraints([]string{text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := c[0].Holds("node-1", "worker-1", labels); got != holds {
			t.Errorf("%s holds: %v", text, got)
		}
	}
	for _, text := range []string{"", "node.labels.zone", "zone==a", "node.labels.==a", "node.labels.a b==c", "node.os==linux", "node.name==\x00", "node.labels.zone=a"} {
		if _, err := ParseConstraints([]string{text}); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	if _, err := ParseConstraints(make([]string, maxConstraints+1)); err == nil {
		t.Error("any number is accepted")
	}
}

func FuzzParseConstraint(f *testing.F) {
	f.Add("node.labels.zone==a")
	f.Add("node.name!=worker-1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConstraints([]string{text})
		if err != nil {
			return
		}
		again, err := ParseConstraints([]string{c[0].String()})
		if err != nil || again[0] != c[0] {
			t.Errorf("%q reads as %v, and that as %v, %v", text, c, again, err)
		}
	})
}
