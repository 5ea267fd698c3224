//go:build bench

package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// startEtcd runs three members of Debian's etcd, from where it was unpacked and
// without TLS. It returns a connection for each of that many clients, all to
// the leader.
func startEtcd(t *testing.T, clients int) (members [3]*process, conns []*grpc.ClientConn) {
	t.Helper()
	binary := built(t, ".cache/etcd/usr/bin/etcd", "bench")
	dir := shortDir(t)
	var serve, speak [3]string
	var all []string
	for i := range serve {
		serve[i], speak[i] = "http://"+freeAddress(t), "http://"+freeAddress(t)
		all = append(all, fmt.Sprintf("e%d=%s", i, speak[i]))
	}
	for i := range members {
		members[i] = start(t, filepath.Join(dir, fmt.Sprint("log", i)), nil, binary, "--name", fmt.Sprint("e", i),
			"--data-dir", filepath.Join(dir, fmt.Sprint("data", i)), "--logger", "zap", "--log-level", "warn",
			"--listen-client-urls", serve[i], "--advertise-client-urls", serve[i],
			"--listen-peer-urls", speak[i], "--initial-advertise-peer-urls", speak[i],
			"--initial-cluster", strings.Join(all, ","), "--initial-cluster-state", "new")
	}
	dial := func(i int) *grpc.ClientConn {
		conn, err := grpc.NewClient(strings.TrimPrefix(serve[i], "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	leader := -1
	members[0].until(t, "one leads", func() error {
		for i := range serve {
			leads, err := etcdLeads(t.Context(), dial(i))
			if leads {
				leader = i
				return nil
			} else if err != nil {
				return err
			}
		}
		return fmt.Errorf("nobody leads")
	})
	for range clients {
		conns = append(conns, dial(leader))
	}
	return members, conns
}

// etcdPut is a creator of keys, one commit each.
func etcdPut(conn *grpc.ClientConn) creator {
	return func(ctx context.Context, name string) error {
		value := make([]byte, valueBytes)
		rand.Read(value)
		request := protowire.AppendTag(nil, 1, protowire.BytesType)
		request = protowire.AppendString(request, name)
		request = protowire.AppendTag(request, 2, protowire.BytesType)
		request = protowire.AppendBytes(request, value)
		var answer []byte
		return conn.Invoke(ctx, "/etcdserverpb.KV/Put", &request, &answer, grpc.ForceCodec(raw{}))
	}
}

// etcdLeads asks a member whether it is the leader.
func etcdLeads(ctx context.Context, conn *grpc.ClientConn) (bool, error) {
	var request, answer []byte
	if err := conn.Invoke(ctx, "/etcdserverpb.Maintenance/Status", &request, &answer, grpc.ForceCodec(raw{})); err != nil {
		return false, err
	}
	// StatusResponse: header = 1, of which member_id = 2; leader = 4.
	header, _ := bytesField(answer, 1)
	_, me := bytesField(header, 2)
	_, leader := bytesField(answer, 4)
	return leader != 0 && leader == me, nil
}

// bytesField finds a field of a message, of either wire type that is needed.
func bytesField(message []byte, number protowire.Number) (content []byte, value uint64) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil, 0
		}
		message = message[size:]
		if n == number && kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(message)
			return content, 0
		} else if n == number && kind == protowire.VarintType {
			value, _ = protowire.ConsumeVarint(message)
			return nil, value
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return nil, 0
		}
		message = message[size:]
	}
	return nil, 0
}

// raw is a codec for messages that are encoded already.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(m any) ([]byte, error) { return *m.(*[]byte), nil }
func (raw) Unmarshal(b []byte, m any) error {
	*m.(*[]byte) = append([]byte(nil), b...)
	return nil
}
