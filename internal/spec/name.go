package spec

import (
	"slices"
	"strings"
)

// DefaultNamespace is what an empty namespace in a request means.
const DefaultNamespace = "default"

// SystemNamespace holds what Warren keeps for itself, such as the passwords of
// registries. Users can neither name it nor see it in lists.
const SystemNamespace = "warren"

const (
	maxName = 63
	// A service's name leaves room for "-task-" and five digits, so that the
	// names of its tasks are DNS labels and fit a hostname too.
	maxServiceName = 52
	// A snapshot's name has room for its volume's and the time.
	maxSnapshotName = 100
)

// Words that would read as something else where a name is expected.
var reserved = map[string][]string{
	KindService:   {"localhost"},
	KindNamespace: {SystemNamespace},
}

var reservedEverywhere = []string{"all", "none"}

// Namespace returns the namespace that a request's field means.
func Namespace(namespace string) string {
	if namespace == "" {
		return DefaultNamespace
	}
	return namespace
}

// ValidName checks the name of a new object. Names are lower case letters,
// digits and single characters between them: '-', and for what never becomes a
// DNS name '.' and '_' too. They begin and end with a letter or a digit, which
// keeps them clear of paths, flags and the '@' of namespaces.
func ValidName(kind, name string) error {
	limit, between := maxName, "-._"
	switch kind {
	case KindService:
		limit, between = maxServiceName, "-"
	case KindNamespace:
		between = "-"
	case KindSnapshot:
		limit = maxSnapshotName
	}
	switch {
	case name == "":
		return invalid(kind, name, "the %s has no name", kind)
	case len(name) > limit:
		return invalid(kind, name, "%s name %q is %d characters long; the limit is %d", kind, name, len(name), limit)
	case slices.Contains(reservedEverywhere, name), slices.Contains(reserved[kind], name):
		return invalid(kind, name, "%q is a reserved word and cannot name a %s", name, kind)
	}
	for i := range len(name) {
		c := name[i]
		edge := i == 0 || i == len(name)-1
		if !lowerOrDigit(c) && (edge || !strings.ContainsRune(between, rune(c))) {
			return badName(kind, name, between)
		}
	}
	return nil
}

func badName(kind, name, between string) error {
	list := "'" + strings.Join(strings.Split(between, ""), "', '") + "'"
	p := invalid(kind, name, "%s name %q is not valid: names are lower-case letters and digits, with %s between them", kind, name, list)
	if lower := strings.ToLower(name); lower != name && ValidName(kind, lower) == nil {
		return p.WithHint("use the name %q", lower)
	}
	return p
}

func lowerOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
}
