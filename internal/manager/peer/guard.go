package peer

import "crypto/tls"

// Watch makes the port refuse to speak Raft with whom the guard refuses. It
// ends what is open with such, and does so again at each call.
func (p *Port) Watch(guard Guard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guard = guard
	for conn, peer := range p.peers {
		if err := guard(peer.id, peer.issued); err != nil {
			p.log.Info("ended a connection", "from", conn.RemoteAddr().String(), "error", err)
			conn.Close()
		}
	}
}

// admit notes a connection that speaks Raft, unless the guard refuses it.
func (p *Port) admit(conn *tls.Conn, peer caller) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guard != nil {
		if err := p.guard(peer.id, peer.issued); err != nil {
			return err
		}
	}
	p.peers[conn] = peer
	return nil
}

// guarded is a connection that the port forgets when it is closed.
type guarded struct {
	*tls.Conn
	port *Port
}

func (g *guarded) Close() error {
	g.port.mu.Lock()
	delete(g.port.peers, g.Conn)
	g.port.mu.Unlock()
	return g.Conn.Close()
}
