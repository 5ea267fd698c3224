package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// join makes this machine a node of the token's cluster: it gets a certificate
// for a key that never leaves the machine. The caller finishes with
// finishJoin, once everything else that it needs is on the disk.
func (p *prepared) join(ctx context.Context, token pki.Token, role warrenv1.Role) (*client.Admission, error) {
	if len(p.settings.Managers) == 0 {
		return nil, spec.Problemf(spec.Invalid, "node", p.settings.NodeName, "it is not said where a manager of the cluster is").
			WithHint("add --manager HOST:PORT")
	}
	if err := p.refuseForeignState(); err != nil {
		return nil, err
	}
	key, err := joiningKey(p.layout)
	if err != nil {
		return nil, err
	}
	a, err := client.Join(ctx, client.JoinOptions{
		Manager: strings.Join(p.settings.Managers, ","), Token: token, Key: key,
		Role: role, Name: p.settings.NodeName, Address: p.settings.AdvertiseAddr,
	})
	if err != nil {
		return nil, err
	}
	defer a.Bundle.Key.Destroy()
	if err := pki.WriteBundle(p.layout.identity(), a.Bundle); err != nil {
		return nil, err
	}
	p.settings.Version, p.settings.ClusterID, p.settings.NodeID = layoutVersion, a.ClusterID, a.ID
	p.settings.Managers = a.Managers
	return a, nil
}

// finishJoin is the one step that makes the node an initialised one.
func (p *prepared) finishJoin() error {
	if err := p.settings.save(p.layout); err != nil {
		return err
	}
	p.log.Info("joined the cluster", "cluster", p.settings.ClusterID, "node", p.settings.NodeName, "id", p.settings.NodeID)
	if err := os.Remove(p.layout.joining()); err != nil {
		return err
	}
	return syncDir(p.layout.Data)
}

// refuseForeignState keeps another cluster's state from being mixed with this
// one's.
func (p *prepared) refuseForeignState() error {
	for _, path := range []string{filepath.Join(p.layout.state(), "warren.db"), filepath.Join(p.layout.state(), "raft"), p.layout.unlockKey()} {
		if _, err := os.Lstat(path); err == nil {
			return spec.Problemf(spec.Exists, "node", p.settings.NodeName, "%s holds a cluster's state", p.layout.Data).
				WithHint("choose another --data-dir, or move %s away", path)
		}
	}
	return nil
}

// joiningKey is this node's key: the one of an attempt before, or a new one.
func joiningKey(l Layout) (*pki.Key, error) {
	text, err := os.ReadFile(l.joining())
	if err == nil {
		defer clear(text)
		key, err := pki.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove it", l.joining(), err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	marshalled, err := key.Marshal()
	if err != nil {
		return nil, err
	}
	defer marshalled.Destroy()
	return key, writeFile(l.joining(), marshalled.Bytes(), 0o600)
}

// sameCluster refuses a token of another cluster than the node's own; one of
// its own is not needed any more.
func (p *prepared) sameCluster(token string) error {
	if token == "" {
		return nil
	}
	t, err := parseToken(token)
	if err != nil {
		return err
	}
	bundle, err := pki.ReadBundle(p.layout.identity())
	if err != nil {
		return err
	}
	defer bundle.Key.Destroy()
	if own, err := pki.Fingerprint(bundle.CA); err != nil || own != t.Fingerprint {
		return errors.Join(err, spec.Problemf(spec.Refused, "node", p.settings.NodeName,
			"the token is for another cluster; this node is of cluster %s", p.settings.ClusterID).
			WithHint("warren leave --data-dir %s takes it out of there", p.layout.Data))
	}
	p.log.Info("this node has joined before; the token is not needed", "cluster", p.settings.ClusterID)
	return nil
}

func parseToken(text string) (pki.Token, error) {
	t, err := pki.ParseToken(text)
	if err != nil {
		return t, spec.Problemf(spec.Invalid, spec.KindToken, "", "%v", err).
			WithHint("warren cluster join-token worker, on a machine of the cluster, makes a new one")
	}
	return t, nil
}
