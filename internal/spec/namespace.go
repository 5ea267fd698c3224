package spec

// ValidNamespace checks a namespace that a user's request names; empty is the
// default one.
func ValidNamespace(namespace string) error {
	if namespace == "" {
		return nil
	}
	return ValidName(KindNamespace, namespace)
}
