package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/backup/bundle"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// Restore makes this machine a manager of the cluster that is in a backup, or
// in a copy of warren.db: its only one, in a new era. unlock gives the unlock
// key, and is told which one is needed; what it gives is destroyed. The node is
// not started. With force, what the data directory has of a cluster is put
// aside.
func Restore(ctx context.Context, o Options, file string, force bool, home *pki.Home, unlock func(fingerprint string) (seal.UnlockKey, error)) (*Restored, error) {
	p, err := prepare(o, "sudo warren cluster restore "+file)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.mayReplace(force); err != nil {
		return nil, err
	}
	staged := filepath.Join(p.layout.Data, "restoring.db")
	defer os.Remove(staged)
	if err := unpack(file, staged); err != nil {
		return nil, err
	}
	r := &restore{prepared: p, staged: staged}
	if err := r.look(); err != nil {
		return nil, spec.Problemf(spec.Refused, "file", file, "%s is neither a good backup nor a good copy of warren.db: %v", file, err).
			WithHint("take another backup")
	}
	if p.initialised && !force && r.cluster.GetId() != p.settings.ClusterID {
		return nil, fmt.Errorf("%s is of cluster %s, this node is of cluster %s", file, r.cluster.GetId(), p.settings.ClusterID)
	}
	if p.unlock, err = unlock(r.cluster.GetUnlockKeyFingerprint()); err != nil {
		return nil, err
	}
	defer p.unlock.Destroy()
	// Before anything is touched: a backup that does not open restores nothing.
	if r.vault, err = vault.Open(r.cluster, r.keys, p.unlock); err != nil {
		return nil, spec.Problemf(spec.Denied, "unlock key", "", "%v", err).
			WithHint("give the unlock key with the first fingerprint with --unlock-key-file")
	}
	defer r.vault.Close()
	return r.run(ctx, home)
}

// Restored is what a restore gave.
type Restored struct {
	ClusterID, NodeName, DataDir string
	// Managers are the others of the backup: they have to be emptied or removed.
	Managers []string
	Autolock bool
}

// restore is one that is under way.
type restore struct {
	*prepared
	staged  string
	cluster *warrenv1.Cluster
	keys    *storepb.ClusterKeys
	vault   *vault.Vault
}

// mayReplace refuses a data directory that has a cluster already.
func (p *prepared) mayReplace(force bool) error {
	if force {
		return nil
	}
	if p.initialised {
		return spec.Problemf(spec.Exists, "node", p.settings.NodeName, "%s is a node of cluster %s already", p.layout.Data, p.settings.ClusterID).
			WithHint("--force puts its state aside and restores; or choose another --data-dir")
	}
	return p.refuseForeignState()
}

// unpack checks a backup, or a copy of warren.db, and puts its state there.
func unpack(file, staged string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(staged, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = bundle.Read(in, out, nil)
	if errors.Is(err, bundle.ErrNoBackup) { // perhaps a copy by hand
		if _, err = in.Seek(0, io.SeekStart); err == nil {
			_, err = io.Copy(out, in)
		}
	}
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// look reads which cluster it is and what opens its keys.
func (r *restore) look() error {
	r.cluster, r.keys = &warrenv1.Cluster{}, &storepb.ClusterKeys{}
	return consensus.Look(r.staged, func(get func(string) []byte) error {
		cluster, keys := get("cluster/self"), get("clusterkeys/self")
		if cluster == nil || keys == nil {
			return errors.New("there is no cluster in it")
		}
		settings := &warrenv1.ClusterSettings{}
		err := errors.Join(proto.Unmarshal(cluster, r.cluster), proto.Unmarshal(keys, r.keys), proto.Unmarshal(get("clustersettings/self"), settings))
		r.cluster.Settings = settings
		return err
	})
}

// run puts the state in its place and makes this node one of its managers.
func (r *restore) run(ctx context.Context, home *pki.Home) (*Restored, error) {
	if err := r.putAside(); err != nil {
		return nil, err
	}
	if err := directories(r.layout); err != nil {
		return nil, err
	}
	if err := writeFile(r.layout.unfinished(), nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(r.staged, filepath.Join(r.layout.state(), "warren.db")); err != nil {
		return nil, err
	}
	if !r.cluster.GetSettings().GetAutolock() {
		if err := keeper.WriteUnlockKey(r.layout.keys(), r.unlock); err != nil {
			return nil, err
		}
	}
	done := &Restored{ClusterID: r.cluster.GetId(), NodeName: r.settings.NodeName, DataDir: r.layout.Data, Autolock: r.cluster.GetSettings().GetAutolock()}
	r.settings.Version, r.settings.ClusterID, r.settings.Manager = layoutVersion, r.cluster.GetId(), true
	if err := r.takePart(ctx, done, home); err != nil {
		return nil, err
	}
	return done, r.finishInit()
}

// putAside keeps what the directory had of a cluster, under another name.
func (r *restore) putAside() error {
	suffix := ".before-" + time.Now().UTC().Format("20060102-150405")
	aside := []string{r.layout.state()}
	if r.settings.ClusterID != "" && r.settings.ClusterID != r.cluster.GetId() {
		aside = append(aside, r.layout.keys(), r.layout.identity(), r.layout.settings())
		r.settings.NodeID = ""
	}
	for _, path := range aside {
		if os.Remove(path) == nil {
			continue // it was an empty directory
		}
		if err := os.Rename(path, path+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return syncDir(r.layout.Data)
}

// takePart opens the state, alone, and writes this node into it.
func (r *restore) takePart(ctx context.Context, done *Restored, home *pki.Home) (err error) {
	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	me := nodes[r.settings.NodeName]
	r.settings.NodeID, r.settings.Worker = me.GetMeta().GetId(), has(me, warrenv1.Role_ROLE_WORKER)
	if me == nil {
		r.settings.NodeID, r.settings.Worker = spec.NodeID(r.settings.NodeName, random()), !r.options.ManagerOnly
	}
	for name, node := range nodes {
		if node != me && has(node, warrenv1.Role_ROLE_MANAGER) {
			done.Managers = append(done.Managers, name)
		}
	}
	log := r.log.With("room", "consensus")
	node, err := consensus.Open(consensus.Options{DataDir: r.layout.state(), NodeID: r.settings.NodeID, BootID: r.options.BootID, Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if err := node.WaitLeading(ctx); err != nil {
		return err
	}
	if err := store.New(node).Update(ctx, r.write); err != nil {
		return err
	}
	now := time.Now()
	if err := issueNodeCertificate(r.prepared, r.vault, now); err != nil {
		return err
	}
	return r.admit(store.New(node), home, now)
}

// nodes are those of the backup, by name.
func (r *restore) nodes() (map[string]*warrenv1.Node, error) {
	nodes := map[string]*warrenv1.Node{}
	err := consensus.Scan(filepath.Join(r.layout.state(), "warren.db"), "node/", func(row []byte) error {
		node := &warrenv1.Node{}
		if err := proto.Unmarshal(row, node); err != nil {
			return err
		}
		nodes[node.GetMeta().GetName()] = node
		return nil
	})
	return nodes, err
}

func has(node *warrenv1.Node, role warrenv1.Role) bool {
	for _, r := range node.GetRoles() {
		if r == role {
			return true
		}
	}
	return false
}

// write notes that this node is a manager, and that the state was restored.
func (r *restore) write(tx *store.Tx) error {
	now := timestamppb.Now()
	node, err := tx.Nodes().Get(r.settings.NodeID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		node = &warrenv1.Node{
			Meta:  &warrenv1.Meta{Id: r.settings.NodeID, Name: r.settings.NodeName, CreatedAt: now, UpdatedAt: now},
			Roles: nodeRoles(r.settings), Address: r.settings.AdvertiseAddr,
		}
		err = tx.Nodes().Create(node)
	case err == nil:
		node.Roles, node.Address, node.Meta.UpdatedAt = nodeRoles(r.settings), r.settings.AdvertiseAddr, now
		err = tx.Nodes().Put(node)
	}
	return errors.Join(err, tx.Events().Append(&warrenv1.Event{
		Time: now, Kind: "cluster", Name: r.cluster.GetName(), Id: r.cluster.GetId(), Reason: "restored",
		Message: "on " + r.settings.NodeName + "; managers of before do not take part until they take over this state",
	}))
}

// admit gives whoever restores the administrator's certificate, if there is
// one of that name.
func (r *restore) admit(s *store.Store, home *pki.Home, now time.Time) error {
	var admin *warrenv1.Client
	err := s.ViewStale(context.Background(), func(tx *store.ReadTx) (err error) {
		admin, err = tx.Clients().ByName("", adminName)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // root's socket is left
	}
	if err != nil {
		return err
	}
	id := pki.Identity{ClusterID: r.cluster.GetId(), Roles: []warrenv1.Role{admin.GetRole()}, Name: admin.GetMeta().GetId()}
	bundle, err := r.vault.IssueBundle(id, now, adminCertificateTTL)
	if err != nil {
		return err
	}
	defer bundle.Key.Destroy()
	return home.Write(bundle)
}

// NextSteps tells a person what to do after a restore.
func (r *Restored) NextSteps() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Cluster %s is restored on %s. To go on:\n\n  sudo warren manager start --data-dir %s\n", r.ClusterID, r.NodeName, r.DataDir)
	if r.Autolock {
		b.WriteString("  warren cluster unlock\n")
	}
	if len(r.Managers) > 0 {
		fmt.Fprintf(&b, "\nIt is the only manager now. Stop the others of before (%s): their state is not the cluster's any more.\n"+
			"On those that are to take part again: sudo warren manager start --rejoin\n"+
			"For those that are gone: warren node remove NAME --force\n", strings.Join(r.Managers, ", "))
	}
	return b.String()
}
