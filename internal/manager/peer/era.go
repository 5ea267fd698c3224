package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cuemby/warren/internal/pki"
)

// InEra has the port speak Raft with managers of the same era only. The era is
// asked for at each connection. A blank node takes whichever era it is called
// in. Before this is said, nobody speaks Raft.
func (p *Port) InEra(era func() (era string, blank bool)) { p.era.Store(&era) }

// protocol is what this node calls Raft.
func (p *Port) protocol() string {
	if ask := p.era.Load(); ask != nil {
		if era, _ := (*ask)(); era != "" {
			return Protocol + "/" + era
		}
	}
	return Protocol
}

// serverTLS is that of a manager, with Raft as one of the protocols.
func (p *Port) serverTLS() *tls.Config {
	outer := pki.ServerTLS(p.source.Load())
	inner := outer.GetConfigForClient
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config, err := inner(hello)
		if err == nil {
			config.NextProtos = append(config.NextProtos, p.speaks(hello.SupportedProtos)...)
		}
		return config, err
	}
	return outer
}

// speaks is the Raft that this node agrees to speak with who offers these.
func (p *Port) speaks(offered []string) []string {
	ask := p.era.Load()
	if ask == nil {
		return nil
	}
	_, blank := (*ask)()
	for _, protocol := range offered {
		if !strings.HasPrefix(protocol, Protocol) {
			continue
		}
		if own := p.protocol(); blank || protocol == own {
			return []string{protocol}
		}
		if now := time.Now().Unix(); now-p.warned.Swap(now) < quietSeconds {
			continue
		}
		p.log.Warn("a manager of another era calls: the cluster was restored or recovered without one of us; "+
			"if that is this one, warren manager start --rejoin has it take over the others' state", "theirs", protocol, "own", p.protocol())
	}
	return nil
}

// quietSeconds without such a call go by before it is told again.
const quietSeconds = 60

// errOtherEra says that the other manager's state is another cluster life's.
var errOtherEra = errors.New("it is of another era: one of us was restored or recovered without the other; " +
	"on the one that is not to win: warren manager start --rejoin")

// otherEra tells a manager of another era from one that cannot be reached.
func otherEra(address string, err error) error {
	// The alert's type is not exported.
	if strings.HasSuffix(err.Error(), "no application protocol") {
		return fmt.Errorf("the manager at %s: %w", address, errOtherEra)
	}
	return err
}
