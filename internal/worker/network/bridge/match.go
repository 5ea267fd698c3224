package bridge

import (
	"net"
	"net/netip"
	"slices"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// table is one that is being written.
type table struct {
	*nftables.Conn
	*nftables.Table
}

// part is a match or a verdict of a rule; parts are put one behind another.
type part []expr.Any

func (t *table) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	return t.AddChain(&nftables.Chain{Name: name, Table: t.Table, Type: kind, Hooknum: hook, Priority: priority})
}

func (t *table) rule(chain *nftables.Chain, parts ...part) {
	t.AddRule(&nftables.Rule{Table: t.Table, Chain: chain, Exprs: slices.Concat(parts...)})
}

// forward leads a port of the node to those of tasks, to each in its turn.
func (t *table) forward(chain *nftables.Chain, f network.Forward) error {
	match := toPort(f.Protocol, f.HostPort)
	if f.HostAddress.IsValid() {
		match = slices.Concat(toAddress(netip.PrefixFrom(f.HostAddress, 32)), match)
	}
	if len(f.To) == 1 {
		t.rule(chain, match, leadTo(f.To[0]))
		return nil
	}
	turns := &nftables.Set{
		Table: t.Table, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeInteger, DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService),
	}
	var elements []nftables.SetElement
	for i, to := range f.To {
		// Of the two words of the value the second holds the port and nothing.
		value := append(to.Addr().AsSlice(), append(port(to.Port()), 0, 0)...)
		elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: value})
	}
	if err := t.AddSet(turns, elements); err != nil {
		return err
	}
	// A value of two words lies in register 1, whose second word is called 9.
	t.rule(chain, match, part{
		&expr.Numgen{Register: 1, Modulus: uint32(len(f.To)), Type: unix.NFT_NG_INCREMENTAL},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: turns.Name, SetID: turns.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 9},
	})
	return nil
}

var (
	drop       = part{&expr.Verdict{Kind: expr.VerdictDrop}}
	masquerade = part{&expr.Masq{}}
	// toThisMachine matches all of its addresses, loopback among them.
	toThisMachine = part{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
	// noAnswer matches what belongs to no connection that exists.
	noAnswer  = bits(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED, expr.CmpOpEq)
	wasLed    = bits(expr.CtKeySTATUS, ipsDstNAT, expr.CmpOpNeq)
	wasNotLed = bits(expr.CtKeySTATUS, ipsDstNAT, expr.CmpOpEq)
)

// ipsDstNAT is the kernel's IPS_DST_NAT: a rule of prerouting or output changed
// the connection's destination.
const ipsDstNAT = 1 << 5

// bits compares some bits of a connection with none.
func bits(key expr.CtKey, mask uint32, op expr.CmpOp) part {
	none := binaryutil.NativeEndian.PutUint32(0)
	return part{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: none},
		&expr.Cmp{Op: op, Register: 1, Data: none},
	}
}

func jump(to *nftables.Chain) part {
	return part{&expr.Verdict{Kind: expr.VerdictJump, Chain: to.Name}}
}

func leadTo(to netip.AddrPort) part {
	return part{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: port(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func fromLink(name string) part    { return link(expr.MetaKeyIIFNAME, expr.CmpOpEq, name) }
func notFromLink(name string) part { return link(expr.MetaKeyIIFNAME, expr.CmpOpNeq, name) }
func toLink(name string) part      { return link(expr.MetaKeyOIFNAME, expr.CmpOpEq, name) }
func notToLink(name string) part   { return link(expr.MetaKeyOIFNAME, expr.CmpOpNeq, name) }

func link(key expr.MetaKey, op expr.CmpOp, name string) part {
	b := make([]byte, unix.IFNAMSIZ) // as the kernel compares it
	copy(b, name)
	return part{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: b}}
}

// Where an IPv4 header has the addresses.
const (
	sourceOffset      = 12
	destinationOffset = 16
)

func fromAddress(p netip.Prefix) part { return address(sourceOffset, p) }
func toAddress(p netip.Prefix) part   { return address(destinationOffset, p) }

func address(offset uint32, p netip.Prefix) part {
	return part{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func toPort(protocol string, number uint16) part {
	kind := byte(unix.IPPROTO_TCP)
	if protocol == network.UDP {
		kind = unix.IPPROTO_UDP
	}
	return part{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: port(number)},
	}
}

// port is as it stands in a packet.
func port(n uint16) []byte { return binaryutil.BigEndian.PutUint16(n) }
