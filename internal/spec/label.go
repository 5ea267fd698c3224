package spec

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLabels     = 64
	maxLabelKey   = 128
	maxLabelValue = 1024
)

// Labels checks the labels of a new object.
func Labels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return invalid(KindLabel, "", "there are %d labels; the limit is %d", len(labels), maxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if err := labelKey(key); err != nil {
			return err
		}
		value := labels[key]
		if len(value) > maxLabelValue {
			return invalid(KindLabel, key, "the value of label %q is %d bytes long; the limit is %d", key, len(value), maxLabelValue)
		}
		if !printable(value) {
			return invalid(KindLabel, key, "the value of label %q is not printable text", key)
		}
	}
	return nil
}

func labelKey(key string) error {
	if key == "" {
		return invalid(KindLabel, key, "a label has an empty key").WithHint("write labels as key=value")
	}
	if len(key) > maxLabelKey {
		return invalid(KindLabel, key, "label key %q is %d bytes long; the limit is %d", key, len(key), maxLabelKey)
	}
	for _, c := range key {
		if !strings.ContainsRune("-._/", c) && (c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c)) {
			return invalid(KindLabel, key, "label key %q is not valid: keys are letters, digits, '-', '.', '_' and '/'", key)
		}
	}
	return nil
}

// ParseLabels reads what is given on a command line as key=value, or key for
// an empty value.
func ParseLabels(args []string) (map[string]string, error) {
	labels := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		if old, twice := labels[key]; twice && old != value {
			return nil, invalid(KindLabel, key, "label %q is given twice, as %q and as %q", key, old, value)
		}
		labels[key] = value
	}
	return labels, Labels(labels)
}

// LabelFilters checks the filters of a list.
func LabelFilters(filters []string) error {
	for _, f := range filters {
		key, _, _ := strings.Cut(f, "=")
		if err := labelKey(key); err != nil {
			return err
		}
	}
	return nil
}

// MatchLabels tells whether the labels satisfy every filter: "key" asks for
// presence, "key=value" for equality.
func MatchLabels(labels map[string]string, filters []string) bool {
	for _, f := range filters {
		key, want, exact := strings.Cut(f, "=")
		got, present := labels[key]
		if !present || exact && got != want {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
