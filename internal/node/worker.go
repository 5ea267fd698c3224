package node

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/version"
	"github.com/cuemby/warren/internal/worker/agent"
	"github.com/cuemby/warren/internal/worker/network/bridge"
	"github.com/cuemby/warren/internal/worker/runtime/containerd"
	"github.com/cuemby/warren/internal/worker/secretfs"
	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/hostpath"
	"github.com/cuemby/warren/internal/worker/volume/local"
)

// worker is the worker role of a running node.
type worker struct {
	*prepared
	runtime *containerd.Runtime
	local   *local.Driver
	volumes *volume.Manager
	network *bridge.Network
	agent   *agent.Agent
}

// newWorker builds the worker from the ground up. What it opens is closed by
// close, also after a failure half way.
func newWorker(ctx context.Context, p *prepared, source *pki.CertificateSource) (_ *worker, err error) {
	w := &worker{prepared: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	w.runtime, err = containerd.New(ctx, containerd.Options{
		DataDir: p.layout.Data, RunDir: p.layout.Run, Address: p.settings.Containerd, Logger: p.log,
	})
	if err != nil {
		return w, err
	}
	if w.local, err = local.Open(p.layout.volumes(), p.log.With("room", "volume/local")); err != nil {
		return w, err
	}
	w.volumes = volume.NewManager(map[string]volume.Driver{
		spec.DriverLocal: w.local, volume.DriverHost: hostpath.New(p.layout.Data, p.layout.Run),
	}, p.log.With("room", "volume"))
	subnet, err := parseSubnet(p.settings.NetworkSubnet)
	if err != nil {
		return w, err
	}
	w.network, err = bridge.Open(bridge.Options{RunDir: p.layout.Run, Subnet: subnet, Log: p.log.With("room", "network")})
	if err != nil {
		return w, err
	}
	host, err := os.Hostname()
	if err != nil {
		return w, err
	}
	w.agent, err = agent.New(agent.Config{
		DataDir: p.layout.Data, Hostname: host, Address: p.settings.AdvertiseAddr, Version: version.Version, Level: version.Level, BootID: p.options.BootID,
		Disk: p.layout.space, Dial: p.dialer(source), Learned: p.learned,
		Runtime: w.runtime, Volumes: w.volumes, Network: w.network,
		OpenSecrets: func(live []string) (agent.Secrets, error) {
			return secretfs.Open(p.layout.secrets(), live, p.log.With("room", "secretfs"))
		},
		Log: p.log.With("room", "agent"),
	})
	return w, err
}

func (w *worker) run(ctx context.Context, ready *readiness) error {
	ctx, stop := context.WithCancel(ctx)
	var aside sync.WaitGroup
	defer aside.Wait()
	defer stop()
	aside.Go(func() {
		select {
		case <-w.agent.Ready():
			ready.worker.Store(true)
		case <-ctx.Done():
		}
	})
	aside.Go(func() {
		// What a deletion left that was interrupted, and nobody asks for again.
		if err := w.local.Sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("remains of deleted volumes were not removed", "error", err)
		}
	})
	aside.Go(func() { _ = w.network.Run(ctx) }) // it ends with ctx alone
	return w.agent.Run(ctx)
}

// close leaves the containers running.
func (w *worker) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	var errs []error
	if w.volumes != nil {
		errs = append(errs, w.volumes.Close(ctx))
	}
	if w.network != nil {
		errs = append(errs, w.network.Close())
	}
	if w.runtime != nil {
		errs = append(errs, w.runtime.Close())
	}
	return errors.Join(errs...)
}

// dialer calls the managers in turn, with this node's certificate.
func (p *prepared) dialer(source *pki.CertificateSource) agent.Dialer {
	attempts := 0
	return func(context.Context) (*grpc.ClientConn, error) {
		list := p.candidates()
		if len(list) == 0 {
			return nil, errors.New("it is not known where a manager is")
		}
		address := list[attempts%len(list)]
		attempts++
		return grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(credentials.NewTLS(pki.ClientTLS(source))),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: idlePing, Timeout: pingTimeout, PermitWithoutStream: true}),
		)
	}
}

// reachable turns an address to listen on into one to call.
func reachable(listenAddr string) string {
	host, port, err := net.SplitHostPort(listenAddr)
	if ip := net.ParseIP(host); err != nil || (host != "" && (ip == nil || !ip.IsUnspecified())) {
		return listenAddr
	}
	return net.JoinHostPort("127.0.0.1", port)
}
