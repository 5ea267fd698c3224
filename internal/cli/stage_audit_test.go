package cli_test

import (
	"context"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// auditLog is what was done before the script begins. A record that a script
// deletes, or one whose secret it deletes, is altered afterwards.
func (st *stage) auditLog() (log []*warrenv1.AuditEntry) {
	records := []*warrenv1.AuditRecord{
		{Actor: "alice", ActorId: "client-alice-abc123", Role: warrenv1.Role_ROLE_ADMIN, Action: "created", Kind: "secret", Namespace: "default", Name: "db-password", Id: "secret-db-password-abc123", Versions: []uint64{1}},
		{Actor: "worker-1", Role: warrenv1.Role_ROLE_WORKER, Action: "fetched", Kind: "secret", Namespace: "prod", Name: "db-password", Versions: []uint64{1}, Task: "api-task-1"},
		{Actor: "root", Role: warrenv1.Role_ROLE_ADMIN, Action: "deleted", Kind: "secret", Namespace: "default", Name: "old", Versions: []uint64{1, 2}},
	}
	var before []byte
	for i, r := range records {
		r.Time = timestamppb.New(moment.AsTime().Add(time.Duration(i) * time.Second))
		raw, err := proto.Marshal(r)
		if err != nil {
			panic(err)
		}
		before = seal.Link(before, raw)
		log = append(log, &warrenv1.AuditEntry{Sequence: uint64(i + 1), Hash: before, Record: raw})
	}
	return log
}

func (st *stage) ListAudit(r *warrenv1.ListAuditRequest, out grpc.ServerStreamingServer[warrenv1.AuditEntry]) error {
	st.mu.Lock()
	log := st.auditLog()
	if len(st.secrets) == 0 { // the sign that the scripts give
		log[1].Record[0] ^= 0x40
	}
	st.mu.Unlock()
	for _, e := range log {
		if r.GetSecret() == "old" && e.GetSequence() < 3 {
			continue
		}
		if err := out.Send(e); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) GetAuditHead(context.Context, *warrenv1.GetAuditHeadRequest) (*warrenv1.AuditHead, error) {
	return &warrenv1.AuditHead{Sequence: 3, Keep: 100}, nil
}
