package node

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/peer"
	"github.com/cuemby/warren/internal/manager/vault"
)

// openKeys unlocks the cluster's keys, if the unlock key is to be had: else the
// manager runs sealed, unless it is alone and would wait for nobody.
func openKeys(ctx context.Context, p *prepared, s *state, links *peer.Links) (*keeper.Keeper, error) {
	cluster, _, err := s.clusterKeys(ctx)
	if err != nil {
		return nil, err
	}
	if cluster.GetId() != p.settings.ClusterID {
		return nil, fmt.Errorf("the database in %s is of cluster %s, this node is of cluster %s; restore a backup of this cluster",
			p.layout.state(), cluster.GetId(), p.settings.ClusterID)
	}
	others := colleagues{p.settings.NodeID, s.consensus, links}
	k, err := keeper.New(keeper.Config{
		Store: s.store, Vault: vault.New(p.settings.ClusterID), Dir: p.layout.keys(),
		NodeID: p.settings.NodeID, NodeName: p.settings.NodeName,
		Peers: others, Scrub: s.consensus.Scrub, Log: p.log.With("room", "keeper"),
	})
	if err != nil {
		return nil, err
	}
	if !p.unlock.IsZero() {
		k.Give(p.unlock)
	}
	if err := k.Sync(ctx); err != nil {
		if peers, unknown := others.Others(); unknown != nil || len(peers) == 0 {
			k.Close()
			return nil, fmt.Errorf("the cluster's keys cannot be unlocked: %w; put the unlock key into %s, as it was shown when it was made",
				err, p.layout.unlockKey())
		}
		p.log.Error("this manager is sealed; it goes on looking for the unlock key", "error", err)
	} else if k.Vault.Sealed() {
		p.log.Warn("this manager is sealed; to unlock it: warren cluster unlock --manager " + p.settings.AdvertiseAddr)
	}
	return k, nil
}

// colleagues are the other managers, for those who ask about keys.
type colleagues struct {
	nodeID string
	*consensus.Consensus
	links *peer.Links
}

// Others implements keeper.Peers.
func (c colleagues) Others() ([]keeper.Peer, error) {
	members, err := c.Members()
	var others []keeper.Peer
	for _, m := range members {
		if m.NodeID != c.nodeID {
			others = append(others, keeper.Peer{NodeID: m.NodeID, Address: m.Address})
		}
	}
	return others, err
}

// To implements keeper.Peers.
func (c colleagues) To(address string) (grpc.ClientConnInterface, error) { return c.links.To(address) }

// handOnCheck is how often a sealed leader looks for somebody to lead instead.
const handOnCheck = 500 * time.Millisecond

// handOnWhileSealed has another manager lead while this one is sealed, if there
// is one that is not.
func (m *manager) handOnWhileSealed(ctx context.Context) error {
	tick := time.NewTicker(handOnCheck)
	defer tick.Stop()
	for {
		if m.vault.Sealed() && m.state.consensus.IsLeader() {
			m.handOn(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *manager) handOn(ctx context.Context) {
	answers, err := m.keeper.Ask(ctx)
	if err != nil {
		return
	}
	for _, a := range answers {
		if a.Err != nil || a.State.GetSealed() {
			continue
		}
		if err := m.state.consensus.TransferLeadershipTo(ctx, a.NodeID, a.Address); err != nil {
			m.log.Warn("a sealed manager leads; it could not hand over", "to", a.State.GetNodeName(), "error", err)
			continue
		}
		m.log.Info("this manager is sealed; another one leads", "leader", a.State.GetNodeName())
		return
	}
}

// certify uses this node's certificate, or issues a new one, once the keys are
// open.
func (m *manager) certify(ctx context.Context) error {
	select {
	case <-m.vault.Opened():
		return m.useCertificate(m.vault)
	case <-ctx.Done():
		return nil
	}
}
