package spec

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// PresentRevision is what a service is now, as its history will have it. The
// parts are the service's own.
func PresentRevision(s *warrenv1.Service) *warrenv1.ServiceRevision {
	r := &warrenv1.ServiceRevision{
		Revision: max(s.GetRevision(), 1), SpecVersion: s.GetSpecVersion(),
		Spec: s.GetSpec(), Labels: s.GetMeta().GetLabels(), CreatedAt: s.GetRevisedAt(), Change: s.GetChange(),
	}
	if r.CreatedAt == nil {
		r.CreatedAt = s.GetMeta().GetCreatedAt()
	}
	if r.Change == "" {
		r.Change = "created"
	}
	return r
}

// Revise gives a service the spec and the labels of next, for its reason, as a
// new revision. The tasks of next's spec version remain; without one, all tasks
// are to be replaced.
func Revise(s *warrenv1.Service, next *warrenv1.ServiceRevision, now time.Time) {
	s.Revision = max(s.GetRevision(), 1) + 1
	s.Spec, s.Meta.Labels = next.GetSpec(), next.GetLabels()
	if s.SpecVersion = next.GetSpecVersion(); s.SpecVersion == 0 {
		s.SpecVersion = s.Revision
	}
	s.Change, s.RevisedAt, s.Meta.UpdatedAt = next.GetChange(), timestamppb.New(now), timestamppb.New(now)
}

// Followed notes that a service's tasks are, or are being, brought to that
// version of a secret, or came back from it: it is not tried again.
func Followed(s *warrenv1.Service, secretID string, version uint64) {
	if s.Followed == nil {
		s.Followed = map[string]uint64{}
	}
	s.Followed[secretID] = max(s.Followed[secretID], version)
}

// Changes names what differs between two specs with their labels: "image
// web:1 → web:2", "env".
func Changes(from, to *warrenv1.ServiceRevision) []string {
	a, b := from.GetSpec(), to.GetSpec()
	list := differing(a.GetContainer(), b.GetContainer())
	if a.GetReplicas() != b.GetReplicas() {
		list = append(list, fmt.Sprintf("replicas %d → %d", a.GetReplicas(), b.GetReplicas()))
	}
	list = append(list, differing(a.GetUpdate(), b.GetUpdate())...)
	if !maps.Equal(from.GetLabels(), to.GetLabels()) {
		list = append(list, "labels")
	}
	if len(list) > 0 {
		return list
	}
	for _, field := range differing(a, b) {
		switch field {
		case "container", "update", "replicas": // an absent one is an empty one
		default:
			list = append(list, field)
		}
	}
	return list
}

// differing names the fields in which two messages differ; a change of a text
// is shown with both.
func differing[P proto.Message](a, b P) (list []string) {
	x, y := a.ProtoReflect(), b.ProtoReflect()
	fields := x.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if x.Has(f) == y.Has(f) && x.Get(f).Equal(y.Get(f)) {
			continue
		}
		name := strings.ReplaceAll(string(f.Name()), "_", " ")
		if was, is := x.Get(f).String(), y.Get(f).String(); f.Kind() == protoreflect.StringKind && !f.IsList() && was != "" && is != "" {
			name += " " + was + " → " + is
		}
		list = append(list, name)
	}
	return list
}

// RolledBackTo is how a history names a return to an earlier revision, and why
// it was made unless a person asked for it.
func RolledBackTo(revision uint64, why string) string {
	text := fmt.Sprintf("rolled back to %d", revision)
	if why != "" {
		text += ": " + why
	}
	return text
}
