package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/cuemby/warren/internal/manager/peer"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// Start runs a node that was initialised before, until ctx ends.
func Start(ctx context.Context, o Options) error {
	p, err := prepare(o, "sudo warren manager start")
	if err != nil {
		return err
	}
	defer p.close()
	if !p.initialised {
		return spec.Problemf(spec.Refused, "node", "", "%s is not initialised", p.layout.Data).
			WithHint("sudo warren cluster init --data-dir %s", p.layout.Data)
	}
	return p.resume(ctx)
}

// runManager runs a manager with the state and keys that it has, or gets from
// the others.
func (p *prepared) runManager(ctx context.Context) error {
	if c, err := readNodeCertificate(p); err == nil {
		if err := p.use(c); err != nil {
			return err
		}
	} // else this manager issues itself one, once it is unlocked
	return p.run(ctx, p.openState)
}

// openState opens the state on this node's disk; it may have to come from the
// others first.
func (p *prepared) openState() (*state, error) { return openState(p) }

// clearInitMark removes the mark of an init that was killed after its last
// step.
func clearInitMark(l Layout) error {
	if err := os.Remove(l.unfinished()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// prepared is a node about to run: its places, its settings, and everything
// that must be free before anything is written.
type prepared struct {
	options     Options
	layout      Layout
	settings    Settings
	initialised bool
	log         *slog.Logger
	lock        *os.File
	identity    *identity
	// unlock is the unlock key, where it was made or given in this run.
	unlock seal.UnlockKey
	// API, root's socket, and health and metrics.
	tcp, unix, http net.Listener
	// port serves the API and Raft on tcp.
	port *peer.Port

	mu       sync.Mutex // of settings.Manager and .Managers, and of standing
	standing standing
}

// prepare reads what is there and takes the lock; it changes no state.
func prepare(o Options, command string) (_ *prepared, err error) {
	if os.Geteuid() != 0 {
		return nil, spec.Problemf(spec.Denied, "node", "", "a node starts containers and mounts filesystems, which only root can").
			WithHint("%s", command)
	}
	log, err := newLogger(o)
	if err != nil {
		return nil, invalid(err)
	}
	p := &prepared{options: o, log: log, identity: newIdentity(), standing: standing{changed: make(chan struct{})}}
	if err := seal.CheckLock(); err != nil {
		log.Warn("secrets may be swapped out while they are handled", "error", err)
	}
	if p.layout, err = newLayout(o.DataDir, o.RunDir); err != nil {
		return nil, err
	}
	before, err := loadSettings(p.layout)
	if err != nil && !errors.Is(err, errNotInitialised) {
		return nil, err
	}
	p.initialised = err == nil
	if p.settings, err = o.settings(before); err != nil {
		return nil, invalid(err)
	}
	if p.layout, err = newLayout(o.DataDir, p.settings.RunDir); err != nil {
		return nil, err
	}
	if p.initialised || !strings.HasSuffix(command, " start") && !strings.HasSuffix(command, " recover") {
		if err := directories(p.layout); err != nil {
			return nil, err
		}
		if p.lock, err = lock(p.layout); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func invalid(err error) error { return spec.Problemf(spec.Invalid, "node", "", "%v", err) }

// listen takes every address first, so that a taken one leaves nothing behind.
func (p *prepared) listen() (err error) {
	if err := p.listenAPI(); err != nil {
		return err
	}
	p.http, err = listenTCP(p.settings.MetricsAddr, "--metrics-addr")
	return err
}

// listenAPI takes the addresses of a manager.
func (p *prepared) listenAPI() (err error) {
	if p.tcp, err = listenTCP(p.settings.ListenAddr, "--listen-addr"); err != nil {
		return err
	}
	// The lock says that no other warren serves this socket.
	if err := os.Remove(p.layout.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if p.unix, err = net.Listen("unix", p.layout.socket()); err != nil {
		return fmt.Errorf("%w; choose a shorter or writable --run-dir", err)
	}
	if err := os.Chmod(p.layout.socket(), 0o600); err != nil {
		return err
	}
	p.identity.mu.Lock()
	defer p.identity.mu.Unlock()
	p.port = peer.NewPort(p.tcp, p.log.With("room", "peer"))
	if p.identity.source != nil {
		p.port.Use(p.identity.source)
	}
	return nil
}

// closeAPI lets go of the addresses of a manager.
func (p *prepared) closeAPI() {
	p.identity.mu.Lock()
	defer p.identity.mu.Unlock()
	if p.port != nil {
		p.port.Close()
	}
	for _, l := range []net.Listener{p.tcp, p.unix} {
		if l != nil {
			l.Close()
		}
	}
	p.port, p.tcp, p.unix = nil, nil, nil
}

func listenTCP(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, spec.Problemf(spec.Refused, "address", address, "%s is taken by another program", address).
			WithHint("choose another one with %s, or stop what listens there (ss -ltnp)", flag)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return l, nil
}

func (p *prepared) close() {
	p.closeAPI()
	if p.http != nil {
		p.http.Close()
	}
	if p.lock != nil {
		p.lock.Close()
	}
}
