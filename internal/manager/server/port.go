package server

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// bindPorts makes the service the owner of the ports in its spec, and chooses
// those that it leaves open. It writes into the spec, which therefore belongs
// to this try of the transaction alone. What an update publishes no longer is
// freed when it is over: until then it may have to come back.
func bindPorts(tx *store.Tx, service *warrenv1.Service, random spec.Random) error {
	now := service.GetSpec().GetContainer()
	// Those that were named come first: none of them may be chosen.
	for _, named := range []bool{true, false} {
		for _, p := range now.GetPorts() {
			if named != (p.GetHostPort() != 0) {
				continue
			}
			if err := bindPort(tx, service, p, random); err != nil {
				return err
			}
		}
	}
	return nil
}

// portName is what has one owner.
func portName(p *warrenv1.PublishedPort) string {
	return fmt.Sprintf("%d/%s", p.GetHostPort(), spec.ProtocolName(p.GetProtocol()))
}

// keepChosen gives a port that is to be chosen the one that its container port
// has already.
func keepChosen(now, before []*warrenv1.PublishedPort) {
	taken := map[string]bool{}
	for _, p := range now {
		taken[portName(p)] = true
	}
	for _, p := range now {
		for _, b := range before {
			same := proto.CloneOf(b)
			same.HostPort = 0
			if p.GetHostPort() == 0 && proto.Equal(p, same) && !taken[portName(b)] {
				p.HostPort = b.GetHostPort()
				taken[portName(b)] = true
			}
		}
	}
}

func bindPort(tx *store.Tx, service *warrenv1.Service, p *warrenv1.PublishedPort, random spec.Random) error {
	if p.GetHostPort() == 0 {
		port, err := choosePort(tx, service, p.GetProtocol(), random)
		if err != nil {
			return err
		}
		p.HostPort = port
	}
	key := store.PortKey(p.GetProtocol(), p.GetHostPort())
	owner, err := optional(tx.Ports().Get(key...))
	m := service.GetMeta()
	switch {
	case err != nil:
		return err
	case owner == nil:
		return tx.Ports().Put(&storepb.PortOwner{Namespace: m.GetNamespace(), ServiceId: m.GetId(), Service: m.GetName()}, key...)
	case owner.GetServiceId() == m.GetId():
		return nil
	}
	name := owner.GetService()
	if owner.GetNamespace() != m.GetNamespace() {
		name += " of namespace " + owner.GetNamespace()
	}
	return spec.Problemf(spec.InUse, spec.KindService, m.GetName(), "port %s is published by service %s", portName(p), name).
		WithHint("publish another, or let one be chosen: --publish %d/%s", p.GetContainerPort(), spec.ProtocolName(p.GetProtocol()))
}

// choosePort returns one that nobody publishes, beginning anywhere, so that a
// port which was freed is not soon another service's.
func choosePort(tx *store.Tx, service *warrenv1.Service, protocol warrenv1.Protocol, random spec.Random) (uint32, error) {
	const count = spec.LastChosenPort - spec.FirstChosenPort + 1
	begin := binary.BigEndian.Uint32(random[:]) % count
	for i := range uint32(count) {
		port := spec.FirstChosenPort + (begin+i)%count
		owner, err := optional(tx.Ports().Peek(store.PortKey(protocol, port)...))
		if err != nil || owner == nil {
			return port, err
		}
	}
	return 0, spec.Problemf(spec.Exhausted, spec.KindService, service.GetMeta().GetName(),
		"all ports that could be chosen are published, from %d to %d", spec.FirstChosenPort, spec.LastChosenPort).
		WithHint("name a port: --publish HOST_PORT:PORT")
}
