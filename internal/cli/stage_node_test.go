package cli_test

import (
	"context"
	"errors"
	"io"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// One node, its images, a registry, and what happened.

func someNode(created *warrenv1.Meta) *warrenv1.Node {
	return &warrenv1.Node{
		Meta:   created,
		Roles:  []warrenv1.Role{warrenv1.Role_ROLE_MANAGER, warrenv1.Role_ROLE_WORKER},
		Leader: true,
		Status: &warrenv1.NodeStatus{
			State: warrenv1.NodeState_NODE_STATE_READY,
			Description: &warrenv1.NodeDescription{
				Hostname: "worker-1", Address: "10.0.0.1", Cpus: 2, MemoryBytes: 4_000_000_000,
				DiskBytes: 100_000_000_000, DiskFreeBytes: 60_000_000_000,
				Kernel: "6.1.0", Architecture: "amd64", WarrenVersion: "v1.2.3",
			},
		},
	}
}

func (st *stage) ListNodes(context.Context, *warrenv1.Filter) (*warrenv1.ListNodesResponse, error) {
	return &warrenv1.ListNodesResponse{Nodes: []*warrenv1.Node{someNode(meta("node-worker-1", "worker-1", ago(72*time.Hour), nil))}}, nil
}

func (st *stage) GetNode(_ context.Context, ref *warrenv1.Ref) (*warrenv1.Node, error) {
	n := someNode(meta("node-worker-1", "worker-1", moment, nil))
	if !named(n.Meta, ref.NameOrId) {
		return nil, missing("node", ref.NameOrId)
	}
	return n, nil
}

func (st *stage) ListImages(context.Context, *warrenv1.ListImagesRequest) (*warrenv1.ListImagesResponse, error) {
	return &warrenv1.ListImagesResponse{Images: []*warrenv1.Image{{
		Name: "docker.io/library/postgres:15", Digest: "sha256:abc", Size: 105_000_000, NodeName: "worker-1", CreatedAt: ago(time.Hour + time.Minute),
	}}}, nil
}

// LoadImage wants an archive that begins as the script's does.
func (st *stage) LoadImage(stream grpc.ClientStreamingServer[warrenv1.LoadImageRequest, warrenv1.LoadImageResponse]) error {
	var archive []byte
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		archive = append(archive, r.Chunk...)
	}
	if string(archive) != "an archive\n" {
		return status.Error(codes.InvalidArgument, "that is no image archive")
	}
	return stream.SendAndClose(&warrenv1.LoadImageResponse{Images: []*warrenv1.Image{{
		Name: "docker.io/library/postgres:15", Digest: "sha256:abc",
	}}})
}

func (st *stage) ListRegistries(context.Context, *warrenv1.ListRegistriesRequest) (*warrenv1.ListRegistriesResponse, error) {
	return &warrenv1.ListRegistriesResponse{Registries: []*warrenv1.Registry{{
		Host: "registry.example.com", Username: "deploy", UpdatedAt: ago(time.Hour + time.Minute),
	}}}, nil
}

func (st *stage) SetRegistry(_ context.Context, r *warrenv1.SetRegistryRequest) (*warrenv1.Registry, error) {
	if r.Password != nil {
		password, err := st.key.Open(seal.ToClusterRegistryInfo(clusterID, r.Host), r.Password.Ciphertext)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		st.mu.Lock()
		st.values[r.Host+"\x00"] = string(password.Bytes())
		st.mu.Unlock()
		password.Destroy()
	}
	return &warrenv1.Registry{Host: r.Host, Username: r.Username}, nil
}

func (st *stage) DeleteRegistry(_ context.Context, r *warrenv1.DeleteRegistryRequest) (*warrenv1.Registry, error) {
	if r.Host != "registry.example.com" {
		return nil, missing("registry", r.Host)
	}
	return &warrenv1.Registry{Host: r.Host}, nil
}

func (st *stage) ListEvents(r *warrenv1.ListEventsRequest, stream grpc.ServerStreamingServer[warrenv1.Event]) error {
	e := &warrenv1.Event{
		Sequence: 7, Time: moment, Kind: "task", Namespace: "default", Name: "postgres-task-1",
		Id: "postgres-1-abcdefghij", Reason: "crashed", Message: "exit code 137",
	}
	if r.Since != nil && r.Since.AsTime().After(e.Time.AsTime()) {
		return nil
	}
	return stream.Send(e)
}

func (st *stage) WatchUsage(_ *warrenv1.WatchUsageRequest, stream grpc.ServerStreamingServer[warrenv1.NodeUsage]) error {
	used := func(cpu, memory, read, write uint64) *warrenv1.Consumption {
		return &warrenv1.Consumption{CpuMillis: cpu, MemoryBytes: memory, ReadRate: read, WriteRate: write}
	}
	if err := stream.Send(&warrenv1.NodeUsage{NodeId: "node-worker-2", Node: "worker-2", Error: "node worker-2 is not connected"}); err != nil {
		return err
	}
	return stream.Send(&warrenv1.NodeUsage{
		NodeId: "node-worker-1", Node: "worker-1", Time: moment, Used: used(1250, 2e9, 0, 3.5e6),
		Cpus: 2, MemoryBytes: 4e9, DiskBytes: 100e9, DiskUsedBytes: 40e9,
		Tasks: []*warrenv1.TaskUsage{
			{TaskId: "web-1-abcdefghij", Task: "web-task-1", Namespace: "default", Used: used(20, 5e6, 0, 0), Processes: 1},
			{
				TaskId: "postgres-1-abcdefghij", Task: "postgres-task-1", Namespace: "default", Used: used(1000, 60e6, 1e3, 3.5e6),
				MemoryLimitBytes: 64e6, CpuLimitMillis: 1500, Processes: 9, VolumeBytes: 12e8,
			},
		},
	})
}
