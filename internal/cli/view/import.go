package view

import (
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// ImportedSecret is what became of a secret that was imported.
type ImportedSecret struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Outcome is created, updated, skipped or unchanged.
	Outcome string `json:"outcome"`
	// Version is the newest one's number now.
	Version uint64 `json:"version"`
}

// NewImportedSecret shows the outcome of one.
func NewImportedSecret(r *warrenv1.ImportedSecret) ImportedSecret {
	return ImportedSecret{
		Namespace: r.GetNamespace(), Name: r.GetName(), Version: r.GetVersion(),
		Outcome: strings.ToLower(strings.TrimPrefix(r.GetOutcome().String(), "IMPORT_OUTCOME_")),
	}
}

// String is the outcome as a sentence.
func (v ImportedSecret) String() string {
	name := v.Name
	if v.Namespace != spec.DefaultNamespace {
		name += " of namespace " + v.Namespace
	}
	switch v.Outcome {
	case "skipped":
		return fmt.Sprintf("Secret %s skipped: it exists, at version %d", name, v.Version)
	case "unchanged":
		return fmt.Sprintf("Secret %s unchanged: version %d has that value", name, v.Version)
	}
	return fmt.Sprintf("Secret %s %s: version %d", name, v.Outcome, v.Version)
}
