package client

import (
	"testing"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestANamespaceIsSaidWhereNoneIs(t *testing.T) {
	ref := func(namespace string) *warrenv1.Ref { return &warrenv1.Ref{Namespace: namespace, NameOrId: "db"} }
	for _, c := range []struct{ request, want proto.Message }{
		{ref(""), ref("prod")},
		{ref("test"), ref("test")},
		{&warrenv1.Filter{}, &warrenv1.Filter{Namespace: "prod"}},
		{&warrenv1.CreateVolumeRequest{Name: "db"}, &warrenv1.CreateVolumeRequest{Namespace: "prod", Name: "db"}},
		{&warrenv1.DeleteSecretRequest{Ref: ref("")}, &warrenv1.DeleteSecretRequest{Ref: ref("prod")}},
		{&warrenv1.DeleteSecretRequest{}, &warrenv1.DeleteSecretRequest{}},
		{
			&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Start{Start: &warrenv1.ExecStart{Task: ref("")}}},
			&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Start{Start: &warrenv1.ExecStart{Task: ref("prod")}}},
		},
		{
			&warrenv1.ImportSecretsRequest{Secret: &warrenv1.Secret{Meta: &warrenv1.Meta{Name: "db"}}},
			&warrenv1.ImportSecretsRequest{Secret: &warrenv1.Secret{Meta: &warrenv1.Meta{Name: "db"}}},
		},
	} {
		inNamespace("prod", c.request)
		if !proto.Equal(c.request, c.want) {
			t.Errorf("got %v, want %v", c.request, c.want)
		}
	}
	r := ref("")
	inNamespace("", r)
	if r.GetNamespace() != "" {
		t.Error("no namespace is one")
	}
}
