package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// Init makes a cluster of one node, manager and worker, and runs it until ctx
// ends. The person whose home it is gets an administrator's certificate; the
// unlock key is shown on terminal, which is nil when nobody looks at one.
func Init(ctx context.Context, o Options, home *pki.Home, terminal io.Writer) error {
	p, err := prepare(o, "sudo warren cluster init")
	if err != nil {
		return err
	}
	defer p.close()
	if p.initialised {
		return spec.Problemf(spec.Exists, "node", p.settings.NodeName, "%s is initialised already (cluster %s)", p.layout.Data, p.settings.ClusterID).
			WithHint("warren manager start --data-dir %s", p.layout.Data)
	}
	if o.Autolock && terminal == nil && o.UnlockKeyFile == "" {
		return spec.Problemf(spec.Invalid, "node", "", "with --autolock the unlock key is kept nowhere, and there is no terminal to show it on").
			WithHint("write it to a file with --unlock-key-file FILE")
	}
	if err := p.listen(); err != nil {
		return err
	}
	if err := clearUnfinished(p.layout); err != nil {
		return err
	}
	p.settings.Version, p.settings.Manager, p.settings.Worker = layoutVersion, true, !o.ManagerOnly
	p.settings.ClusterID = newClusterID()
	p.settings.NodeID = spec.NodeID(p.settings.NodeName, random())
	if err := writeFile(p.layout.unfinished(), nil, 0o600); err != nil {
		return err
	}
	begun, err := openState(p)
	if err != nil {
		return err
	}
	keys, err := found(ctx, p, begun, home, terminal != nil || o.UnlockKeyFile != "")
	if err == nil {
		err = p.finishInit()
	}
	if err != nil {
		return errors.Join(err, begun.close())
	}
	announce(terminal, p, keys, home)
	keys.Vault.Close()
	p.unlock = keys.Unlock
	return p.run(ctx, func() (*state, error) { return begun, nil })
}

// finishInit is the one step that makes the node an initialised one.
func (p *prepared) finishInit() error {
	if err := p.settings.save(p.layout); err != nil {
		return err
	}
	if err := os.Remove(p.layout.unfinished()); err != nil {
		return err
	}
	return syncDir(p.layout.Data)
}

// clearUnfinished takes away what an init that was killed half way had made.
// Nothing of it was ever acknowledged. Without its mark, what looks like state
// is somebody's, and stays.
func clearUnfinished(l Layout) error {
	if _, err := os.Stat(l.unfinished()); errors.Is(err, fs.ErrNotExist) {
		for _, path := range []string{filepath.Join(l.state(), "warren.db"), filepath.Join(l.state(), "raft"), l.unlockKey()} {
			if _, err := os.Lstat(path); err == nil {
				return spec.Problemf(spec.Exists, "node", "", "%s holds a cluster's state, but no %s", l.Data, filepath.Base(l.settings())).
					WithHint("restore %s from a backup of the directory, or choose another --data-dir", l.settings())
			}
		}
		return nil
	} else if err != nil {
		return err
	}
	for _, dir := range []string{l.state(), l.keys(), l.identity()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return directories(l)
}

// adminName is what the person is called who made the cluster.
const adminName = "admin"

// found writes everything that a new cluster consists of.
func found(ctx context.Context, p *prepared, s *state, home *pki.Home, shown bool) (*vault.Created, error) {
	now := time.Now()
	keys, err := vault.Create(p.settings.ClusterID, p.settings.NodeName, now)
	if err != nil {
		return nil, err
	}
	if err := p.placeUnlockKey(keys.Unlock); err != nil {
		return nil, err
	}
	if shown {
		keys.Cluster.UnlockKeyExportedAt = timestamppb.New(now)
	}
	if err := errors.Join(s.consensus.Bootstrap(), s.consensus.WaitLeading(ctx)); err != nil {
		return nil, err
	}
	adminID := spec.ClientID(adminName, random())
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		node := &warrenv1.Node{
			Meta: &warrenv1.Meta{
				Id: p.settings.NodeID, Name: p.settings.NodeName,
				CreatedAt: timestamppb.New(now), UpdatedAt: timestamppb.New(now),
			},
			Roles: nodeRoles(p.settings), Address: p.settings.AdvertiseAddr,
		}
		client := &warrenv1.Client{
			Meta: &warrenv1.Meta{Id: adminID, Name: adminName, CreatedAt: timestamppb.New(now), UpdatedAt: timestamppb.New(now)},
			Role: warrenv1.Role_ROLE_ADMIN,
		}
		return errors.Join(tx.Cluster().Put(keys.Cluster), tx.ClusterKeys().Put(keys.Keys),
			tx.ClusterSettings().Put(&warrenv1.ClusterSettings{Autolock: p.options.Autolock}),
			tx.Nodes().Create(node), tx.Clients().Create(client))
	})
	if err != nil {
		return nil, err
	}
	if err := issueNodeCertificate(p, keys.Vault, now); err != nil {
		return nil, err
	}
	admin := pki.Identity{ClusterID: p.settings.ClusterID, Roles: []warrenv1.Role{warrenv1.Role_ROLE_ADMIN}, Name: adminID}
	bundle, err := keys.Vault.IssueBundle(admin, now, adminCertificateTTL)
	if err != nil {
		return nil, err
	}
	defer bundle.Key.Destroy()
	return keys, home.Write(bundle)
}

// placeUnlockKey writes the unlock key where the manager finds it, or with
// autolock where the person wants it.
func (p *prepared) placeUnlockKey(key seal.UnlockKey) error {
	if file := p.options.UnlockKeyFile; file != "" {
		if _, err := os.Lstat(file); err == nil {
			return spec.Problemf(spec.Exists, "file", file, "%s exists: it may be the only copy of another key", file).
				WithHint("name another file with --unlock-key-file")
		}
		if err := writeFile(file, []byte(key.Reveal()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if p.options.Autolock {
		return nil
	}
	return keeper.WriteUnlockKey(p.layout.keys(), key)
}

func nodeRoles(s Settings) []warrenv1.Role {
	var roles []warrenv1.Role
	if s.Manager {
		roles = append(roles, warrenv1.Role_ROLE_MANAGER)
	}
	if s.Worker {
		roles = append(roles, warrenv1.Role_ROLE_WORKER)
	}
	return roles
}

func roleWords(s Settings) string {
	switch {
	case s.Manager && s.Worker:
		return "manager and worker"
	case s.Worker:
		return "worker"
	}
	return "manager"
}

// announce tells a person at a terminal what was made. The unlock key goes to
// a terminal only: a journal would keep it.
func announce(terminal io.Writer, p *prepared, keys *vault.Created, home *pki.Home) {
	p.log.Info("cluster initialised", "cluster", p.settings.ClusterID, "node", p.settings.NodeName,
		"unlock_key_fingerprint", keys.Unlock.Fingerprint())
	if terminal == nil {
		return
	}
	fmt.Fprintf(terminal, `Cluster %s is initialised; this node, %s, is its %s.

Unlock key (shown once; %s):

    %s

Without it the database and its backups open for nobody, so keep a copy
somewhere else. Your certificate is in %s. In another terminal:

    warren volume create my-data

`, p.settings.ClusterID, p.settings.NodeName, roleWords(p.settings), p.whereKept(), keys.Unlock.Reveal(), home.Dir())
}

// whereKept says where the unlock key is, apart from the terminal.
func (p *prepared) whereKept() string {
	if p.options.Autolock {
		return "no manager keeps it: each start needs it"
	}
	return "it also lies in " + p.layout.unlockKey()
}

// random returns what IDs are made of.
func random() (r spec.Random) {
	rand.Read(r[:])
	return r
}

// newClusterID is 20 letters and digits that no other cluster has.
func newClusterID() string { return strings.ToLower(rand.Text()[:20]) }
