package cli_test

import (
	"context"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The volumes and secrets of the guide.

func someVolumes() []*warrenv1.Volume {
	volume := func(name, id, node string, used uint64, age time.Duration, labels map[string]string) *warrenv1.Volume {
		return &warrenv1.Volume{
			Meta:     meta(id, name, ago(age), labels),
			Spec:     &warrenv1.VolumeSpec{Driver: "local", Access: warrenv1.AccessMode_ACCESS_MODE_NODE},
			NodeId:   "node-" + node,
			NodeName: node,
			Status: &warrenv1.VolumeStatus{
				Phase:      warrenv1.VolumePhase_VOLUME_PHASE_READY,
				MountPoint: "/var/lib/warren/volumes/" + name,
				UsedBytes:  &used,
			},
		}
	}
	db := volume("db-data", "vol-db-data-abc123", "worker-1", 1_234_567_890, 50*time.Hour, map[string]string{"env": "production"})
	db.UsedBy = []*warrenv1.Usage{
		{Kind: "service", Name: "postgres", Id: "svc-postgres-abc123"},
		{Kind: "task", Name: "postgres-task-1", Id: "postgres-1-abcdefghij"},
	}
	return []*warrenv1.Volume{
		db,
		volume("app-data", "vol-app-data-def456", "worker-2", 500_000_000, 5*time.Hour+time.Minute, nil),
	}
}

func someSecrets() []*warrenv1.Secret {
	secret := func(name string, size uint64, age time.Duration) *warrenv1.Secret {
		return &warrenv1.Secret{
			Meta:     meta("secret-"+name+"-abc123", name, ago(age), nil),
			Versions: []*warrenv1.SecretVersion{{Number: 1, Size: size, CreatedAt: ago(age)}},
		}
	}
	db := secret("db-password", 23, 50*time.Hour)
	db.UsedBy = []*warrenv1.Usage{{Kind: "service", Name: "postgres"}, {Kind: "service", Name: "api"}}
	return []*warrenv1.Secret{
		db,
		secret("api-key", 64, time.Hour+time.Minute),
		secret("tls-cert", 1_234, 5*time.Hour+time.Minute),
	}
}

func (st *stage) ListVolumes(_ context.Context, l *warrenv1.ListVolumesRequest) (*warrenv1.ListVolumesResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := &warrenv1.ListVolumesResponse{}
	list := st.volumes
	if l.GetTrash() {
		list = st.trash
	}
	for _, v := range list {
		if spec.MatchLabels(v.GetMeta().GetLabels(), l.GetFilter().GetLabels()) && (!l.GetUnused() || len(v.GetUsedBy()) == 0) &&
			(l.GetNode() == "" || l.GetNode() == v.GetNodeName()) {
			r.Volumes = append(r.Volumes, v)
		}
	}
	return r, nil
}

// GetVolume shows the guide's moment of creation, for inspect.
func (st *stage) GetVolume(_ context.Context, ref *warrenv1.Ref) (*warrenv1.Volume, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, v := range st.volumes {
		if named(v.GetMeta(), ref.GetNameOrId()) {
			v.Meta.CreatedAt = moment
			if v.Status.UsedBytes != nil {
				*v.Status.UsedBytes = min(*v.Status.UsedBytes, 1_200_000_000)
			}
			return v, nil
		}
	}
	return nil, missing("volume", ref.GetNameOrId())
}

func (st *stage) CreateVolume(_ context.Context, r *warrenv1.CreateVolumeRequest) (*warrenv1.Volume, error) {
	spec.DefaultVolume(r)
	if err := spec.ValidateVolume(r); err != nil {
		p := err.(*spec.Problem)
		return nil, refuse(codes.InvalidArgument, p.Kind, p.Name, p.Message, p.Hint)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if slices.ContainsFunc(st.volumes, func(v *warrenv1.Volume) bool { return v.GetMeta().GetName() == r.Name }) {
		return nil, refuse(codes.AlreadyExists, "volume", r.Name, "volume \""+r.Name+"\" exists already", "warren volume inspect "+r.Name)
	}
	v := &warrenv1.Volume{
		Meta:     meta("vol-"+r.Name+"-xyz789", r.Name, moment, r.Labels),
		Spec:     r.Spec,
		NodeName: "worker-1",
		Status:   &warrenv1.VolumeStatus{Phase: warrenv1.VolumePhase_VOLUME_PHASE_READY, MountPoint: "/var/lib/warren/volumes/" + r.Name},
	}
	st.volumes = append(st.volumes, v)
	return v, nil
}

func (st *stage) DeleteVolume(_ context.Context, r *warrenv1.DeleteVolumeRequest) (*warrenv1.DeleteVolumeResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	name := r.GetRef().GetNameOrId()
	if name == "guarded" {
		return nil, status.Error(codes.PermissionDenied, "a reader may not delete volumes")
	}
	i := slices.IndexFunc(st.volumes, func(v *warrenv1.Volume) bool { return named(v.GetMeta(), name) })
	if i < 0 {
		return nil, missing("volume", name)
	}
	v := st.volumes[i]
	r2 := &warrenv1.DeleteVolumeResponse{Volume: v}
	if len(v.UsedBy) > 0 {
		if !r.Force {
			return nil, refuse(codes.FailedPrecondition, "volume", name,
				"volume \""+name+"\" is in use by postgres (service), postgres-task-1 (task)", "warren volume delete "+name+" --force")
		}
		r2.StoppedServices = []string{"postgres"}
	}
	st.volumes = slices.Delete(st.volumes, i, i+1)
	v.DeletedAt, v.PurgeAt, v.Purge = moment, timestamppb.New(moment.AsTime().Add(24*time.Hour)), r.GetPurge()
	if !r.GetPurge() {
		v.TrashedAt = ago(2 * time.Hour)
		v.DeletedAt = v.TrashedAt
		v.PurgeAt = ago(-22 * time.Hour)
		st.trash = append(st.trash, v)
	}
	return r2, nil
}

func (st *stage) UndeleteVolume(_ context.Context, r *warrenv1.UndeleteVolumeRequest) (*warrenv1.Volume, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := slices.IndexFunc(st.trash, func(v *warrenv1.Volume) bool { return named(v.GetMeta(), r.GetRef().GetNameOrId()) })
	if i < 0 {
		return nil, refuse(codes.NotFound, "volume", r.GetRef().GetNameOrId(), "there is no volume \""+r.GetRef().GetNameOrId()+"\" in the trash", "warren volume trash")
	}
	v := st.trash[i]
	st.trash = slices.Delete(st.trash, i, i+1)
	v.DeletedAt, v.TrashedAt = nil, nil
	if r.GetAs() != "" {
		v.Meta.Name = r.GetAs()
	}
	st.volumes = append(st.volumes, v)
	return v, nil
}

func (st *stage) ResizeVolume(_ context.Context, r *warrenv1.ResizeVolumeRequest) (*warrenv1.Volume, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := slices.IndexFunc(st.volumes, func(v *warrenv1.Volume) bool { return named(v.GetMeta(), r.GetRef().GetNameOrId()) })
	if i < 0 {
		return nil, missing("volume", r.GetRef().GetNameOrId())
	}
	v := st.volumes[i]
	if err := spec.MayResize(v, r.GetSizeBytes()); err != nil {
		p := err.(*spec.Problem)
		return nil, refuse(codes.FailedPrecondition, p.Kind, p.Name, p.Message, p.Hint)
	}
	v.Spec.SizeBytes = r.GetSizeBytes()
	return v, nil
}

func (st *stage) GetCluster(context.Context, *warrenv1.GetClusterRequest) (*warrenv1.Cluster, error) {
	return &warrenv1.Cluster{
		Id: clusterID, CreatedAt: moment, SealingKey: st.key.PublicKey(),
		UnlockKeyFingerprint: "3f2a77b1c0d94e58", Version: "v1.2.3", Leader: "worker-1",
	}, nil
}

func (st *stage) ListSecrets(_ context.Context, f *warrenv1.Filter) (*warrenv1.ListSecretsResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := &warrenv1.ListSecretsResponse{}
	for _, s := range st.secrets {
		if spec.MatchLabels(s.GetMeta().GetLabels(), f.GetLabels()) {
			r.Secrets = append(r.Secrets, s)
		}
	}
	return r, nil
}

func (st *stage) GetSecret(_ context.Context, ref *warrenv1.Ref) (*warrenv1.Secret, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.secrets {
		if named(s.GetMeta(), ref.GetNameOrId()) {
			s.Meta.CreatedAt, s.Versions[0].CreatedAt = moment, moment
			return s, nil
		}
	}
	return nil, missing("secret", ref.GetNameOrId())
}

// CreateSecret opens what it is sent, as a manager does.
func (st *stage) CreateSecret(_ context.Context, r *warrenv1.CreateSecretRequest) (*warrenv1.Secret, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	version := &warrenv1.SecretVersion{Number: 1, CreatedAt: moment}
	for _, item := range r.Items {
		value, err := st.key.Open(seal.ToClusterInfo(clusterID, r.Namespace, r.Name, item.Key), item.Ciphertext)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		st.values[r.Name+"\x00"+item.Key] = string(value.Bytes())
		version.Size += uint64(value.Len())
		if item.Key != "" {
			version.Keys = append(version.Keys, item.Key)
		}
		value.Destroy()
	}
	s := &warrenv1.Secret{
		Meta:     meta("secret-"+r.Name+"-xyz789", r.Name, moment, r.Labels),
		Versions: []*warrenv1.SecretVersion{version},
	}
	st.secrets = append(st.secrets, s)
	return s, nil
}

func (st *stage) value(secret, item string) (string, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v, ok := st.values[secret+"\x00"+item]
	return v, ok
}

func (st *stage) DeleteSecret(_ context.Context, r *warrenv1.DeleteSecretRequest) (*warrenv1.DeleteSecretResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	name := r.GetRef().GetNameOrId()
	i := slices.IndexFunc(st.secrets, func(s *warrenv1.Secret) bool { return named(s.GetMeta(), name) })
	if i < 0 {
		return nil, missing("secret", name)
	}
	s := st.secrets[i]
	r2 := &warrenv1.DeleteSecretResponse{Secret: s}
	for _, u := range s.UsedBy {
		if !r.Force {
			return nil, refuse(codes.FailedPrecondition, "secret", name,
				"secret \""+name+"\" is in use by postgres (service), api (service)", "warren secret delete "+name+" --force")
		}
		r2.DetachedServices = append(r2.DetachedServices, u.Name)
	}
	st.secrets = slices.Delete(st.secrets, i, i+1)
	return r2, nil
}
