package bridge

import (
	"net"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// applyRules replaces the node's own table, at once and as a whole; nobody
// else's table is looked at. Its rules are
//
//	chain postrouting: ip saddr SUBNET oifname != BRIDGE masquerade
//	chain forward:     iifname != BRIDGE oifname BRIDGE ct state != established,related drop
//
// The second keeps neighbours of the machine, who may route the subnet through
// it, away from ports that nobody published.
func applyRules(p network.Plan) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: p.Bridge}
	// Deleting what does not exist fails, adding what exists does not.
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	post := c.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: post, Exprs: masquerade(p)})
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: dropStrangers(p)})
	return c.Flush()
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

func masquerade(p network.Plan) []expr.Any {
	const sourceOffset, length = 12, 4
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: sourceOffset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: net.CIDRMask(p.Subnet.Bits(), 32), Xor: make([]byte, length)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Subnet.Addr().AsSlice()},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: interfaceName(p.Bridge)},
		&expr.Masq{},
	}
}

func dropStrangers(p network.Plan) []expr.Any {
	answers := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	none := binaryutil.NativeEndian.PutUint32(0)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: interfaceName(p.Bridge)},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: interfaceName(p.Bridge)},
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: answers, Xor: none},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: none},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// interfaceName is as the kernel compares it.
func interfaceName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}
