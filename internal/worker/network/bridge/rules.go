package bridge

import (
	"net/netip"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/google/nftables"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// rules is what the node's table is made from.
type rules struct {
	network.Plan
	// namesPort is where tasks' questions for names are answered, at the
	// gateway; 0 when they are not.
	namesPort uint16
	forwards  []network.Forward
}

func (r *rules) equal(other *rules) bool {
	return r.sameBut(other) && network.SameForwards(r.forwards, other.forwards)
}

// sameBut reports whether nothing but the forwards differs.
func (r *rules) sameBut(other *rules) bool {
	return other != nil && r.Plan == other.Plan && r.namesPort == other.namesPort
}

// apply replaces the node's own table, at once and as a whole; nobody else's
// table is looked at. Its rules are
//
//	chain raw:         iifname BRIDGE ip daddr 127.0.0.0/8 drop
//	chain prerouting:  iifname BRIDGE ip daddr GATEWAY udp, tcp dport 53 dnat to GATEWAY:NAMES
//	                   fib daddr type local jump published
//	chain output:      fib daddr type local jump published
//	chain published:   tcp dport 8080 dnat to numgen inc mod 2 map { 0: TASK . 80, 1: TASK . 80 }
//	chain postrouting: ip saddr SUBNET oifname != BRIDGE masquerade
//	                   ip saddr SUBNET oifname BRIDGE ct status dnat masquerade
//	                   ip saddr 127.0.0.0/8 oifname BRIDGE masquerade
//	chain forward:     iifname != BRIDGE oifname BRIDGE ct state new ct status != dnat drop
//
// The last one keeps neighbours of the machine, who may route the subnet
// through it, away from ports that nobody published. Callers from outside keep
// their address. A task that calls a published port does not, for the answer
// would reach it past the machine; nor does the machine's own loopback, which
// the first rule keeps to the machine.
func (r *rules) apply() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := &table{Conn: c, Table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: r.Bridge}}
	// Deleting what does not exist fails, adding what exists does not.
	c.AddTable(t.Table)
	c.DelTable(t.Table)
	c.AddTable(t.Table)

	raw := t.chain("raw", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	t.rule(raw, fromLink(r.Bridge), toAddress(loopback), drop)

	published, err := t.published(r.forwards)
	if err != nil {
		return err
	}
	pre := t.chain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	if r.namesPort != 0 {
		to := netip.AddrPortFrom(r.Gateway, r.namesPort)
		for _, protocol := range []string{network.UDP, network.TCP} {
			t.rule(pre, fromLink(r.Bridge), toAddress(netip.PrefixFrom(r.Gateway, 32)), toPort(protocol, 53), leadTo(to))
		}
	}
	t.rule(pre, toThisMachine, jump(published))
	out := t.chain("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	t.rule(out, toThisMachine, jump(published))

	post := t.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	t.rule(post, fromAddress(r.Subnet), notToLink(r.Bridge), masquerade)
	t.rule(post, fromAddress(r.Subnet), toLink(r.Bridge), wasLed, masquerade)
	t.rule(post, fromAddress(loopback), toLink(r.Bridge), masquerade)

	forward := t.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	t.rule(forward, notFromLink(r.Bridge), toLink(r.Bridge), noAnswer, wasNotLed, drop)
	return c.Flush()
}

// lead replaces the rules of published ports and leaves the table as it is.
// Where the table itself is replaced, a packet that meets the kernel just then
// may pass by both the old one and the new one, and reach nobody.
func (r *rules) lead() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := &table{Conn: c, Table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: r.Bridge}}
	t.FlushChain(&nftables.Chain{Name: publishedChain, Table: t.Table})
	if _, err := t.published(r.forwards); err != nil {
		return err
	}
	return c.Flush()
}

const publishedChain = "published"

// published fills the chain of that name.
func (t *table) published(forwards []network.Forward) (*nftables.Chain, error) {
	chain := t.chain(publishedChain, "", nil, nil)
	for _, f := range forwards {
		if err := t.forward(chain, f); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

// hasRules reports whether the node's table is there.
func hasRules(bridge string) bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	table, err := c.ListTableOfFamily(bridge, nftables.TableFamilyIPv4)
	return err == nil && table != nil
}

// removeRules removes the node's table; gone is no error.
func removeRules(bridge string) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: bridge}
	c.AddTable(table)
	c.DelTable(table)
	return c.Flush()
}

// stranger returns the table, if there is one, that lets nothing through the
// machine which it does not know, as Docker's does. It is its owner's to
// change.
func stranger(p network.Plan) string {
	c, err := nftables.New()
	if err != nil {
		return ""
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return ""
	}
	for _, chain := range chains {
		forwards := chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookForward
		if forwards && chain.Table.Name != p.Bridge && chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop {
			return chain.Table.Name
		}
	}
	return ""
}
