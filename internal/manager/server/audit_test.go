package server_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
)

// audit reads the log as a client does, and checks its chain.
func (c *cluster) audit(r *warrenv1.ListAuditRequest) (records []*warrenv1.AuditRecord) {
	c.t.Helper()
	chain := &client.AuditChain{}
	stream, err := warrenv1.NewAuditsClient(c.dial("rita", warrenv1.Role_ROLE_READER)).ListAudit(ctx, r)
	for err == nil {
		var e *warrenv1.AuditEntry
		if e, err = stream.Recv(); err != nil {
			break
		}
		if proto.Equal(r, &warrenv1.ListAuditRequest{}) {
			if err := chain.Add(e); err != nil {
				c.t.Error(err)
			}
		}
		record := &warrenv1.AuditRecord{}
		if err := proto.Unmarshal(e.GetRecord(), record); err != nil {
			c.t.Error(err)
		}
		records = append(records, record)
	}
	if !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
	return records
}

// told says each record in a few words.
func told(records []*warrenv1.AuditRecord) string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.Join([]string{r.GetActor(), r.GetAction(), r.GetKind(), r.GetName()}, " "))
	}
	return strings.Join(lines, "\n")
}

func TestWhatIsDoneToSecretsIsRecorded(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	for _, name := range []string{"db-password", "api-key"} {
		if _, err := a.CreateSecret(ctx, c.secretRequest(name, "hunter2-canary")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.CreateSecret(ctx, c.secretRequest("api-key", "again")); err == nil {
		t.Error("a name was given twice")
	}
	for version := range uint64(2) {
		_, err := a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("api-key"), Items: []*warrenv1.SealedItem{c.secretItem("api-key", "", fmt.Sprint("canary", version))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("api-key"), Version: 1})
	if err == nil {
		_, err = a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("api-key"), Keep: 2})
	}
	if err == nil {
		_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("api-key"), SetLabels: map[string]string{"a": "b"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: ref("api-key")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.join(c.token(asWorker, nil), "worker-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.RemoveNode(ctx, &warrenv1.RemoveNodeRequest{Ref: ref("worker-1")}); err != nil {
		t.Fatal(err)
	}
	records := c.audit(&warrenv1.ListAuditRequest{})
	token := records[8].GetName()
	want := strings.Join([]string{
		"alice created secret db-password", "alice created secret api-key",
		"alice updated secret api-key", "alice updated secret api-key", "alice rolled-back secret api-key",
		"alice pruned secret api-key", "alice updated secret api-key", "alice deleted secret api-key",
		"alice created join token " + token, "worker-1 joined node worker-1", "alice removed node worker-1",
	}, "\n")
	if got := told(records); got != want {
		t.Errorf("recorded\n%s\nwant\n%s", got, want)
	}
	first := records[0]
	if first.GetTime() == nil || first.GetRole() != warrenv1.Role_ROLE_ADMIN || first.GetActorId() != "alice" ||
		first.GetNamespace() != spec.DefaultNamespace || first.GetId() == "" || len(first.GetVersions()) != 1 {
		t.Errorf("a record says %v", first)
	}
	for _, r := range records {
		if strings.Contains(r.String(), "canary") || strings.Contains(r.String(), "again") {
			t.Errorf("a record holds a value: %v", r)
		}
	}
	if got := c.audit(&warrenv1.ListAuditRequest{Secret: "api-key"}); len(got) != 7 || fmt.Sprint(got[3].GetVersions(), got[4].GetVersions(), got[6].GetVersions()) != "[4] [1 2] [3 4]" {
		t.Errorf("of one secret: %v", got)
	}
	if got := c.audit(&warrenv1.ListAuditRequest{Since: records[7].GetTime(), Secret: records[7].GetId()}); len(got) != 1 {
		t.Errorf("since a time: %s", told(got))
	}
	if got := c.audit(&warrenv1.ListAuditRequest{After: 10}); len(got) != 1 {
		t.Errorf("after a number: %s", told(got))
	}
}

func TestTheAuditLogIsFollowed(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	stream, err := warrenv1.NewAuditsClient(c.dial("rita", warrenv1.Role_ROLE_READER)).ListAudit(t.Context(), &warrenv1.ListAuditRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if _, err := a.CreateSecret(ctx, c.secretRequest(name, "x")); err != nil {
			t.Fatal(err)
		}
		e, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		record := &warrenv1.AuditRecord{}
		if err := proto.Unmarshal(e.GetRecord(), record); err != nil || record.GetName() != name {
			t.Errorf("got %v, %v", record, err)
		}
	}
	head, err := warrenv1.NewAuditsClient(c.dial("rita", warrenv1.Role_ROLE_READER)).GetAuditHead(ctx, &warrenv1.GetAuditHeadRequest{})
	if err != nil || head.GetSequence() != 2 {
		t.Errorf("the head is %v, %v", head, err)
	}
}
