package spec

import (
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		good   bool
	}{
		{nil, true},
		{map[string]string{"env": "production", "app.example/name": ""}, true},
		{map[string]string{"": "x"}, false},
		{map[string]string{"a b": "x"}, false},
		{map[string]string{"é": "x"}, false},
		{map[string]string{"a": "x\ny"}, false},
		{map[string]string{"a": "\xff"}, false},
		{map[string]string{"a": strings.Repeat("x", 1025)}, false},
		{map[string]string{strings.Repeat("k", 129): "x"}, false},
	} {
		err := Labels(c.labels)
		if (err == nil) != c.good {
			t.Errorf("%v: %v", c.labels, err)
		}
		wantProblem(t, err, Invalid)
	}
	many := map[string]string{}
	for i := range 65 {
		many[strings.Repeat("k", i+1)] = ""
	}
	if Labels(many) == nil {
		t.Error("65 labels passed")
	}
}

func TestParseLabels(t *testing.T) {
	got, err := ParseLabels([]string{"env=production", "flag", "expr=a=b", "env=production"})
	if err != nil || len(got) != 3 || got["expr"] != "a=b" || got["flag"] != "" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ParseLabels([]string{"a=1", "a=2"}); err == nil {
		t.Error("two values for one label passed")
	}
	if err := LabelFilters([]string{"=x"}); err == nil {
		t.Error("a filter without a key passed")
	}
}

func TestMatchLabels(t *testing.T) {
	labels := map[string]string{"env": "prod", "flag": ""}
	for filters, want := range map[string]bool{
		"":              true,
		"env":           true,
		"env=prod":      true,
		"env=":          false,
		"env=test":      false,
		"flag=":         true,
		"other":         false,
		"env=prod flag": true,
		"env=prod none": false,
	} {
		if got := MatchLabels(labels, strings.Fields(filters)); got != want {
			t.Errorf("filters %q: %v", filters, got)
		}
	}
}
