package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// lockCheck is how often it is looked whether the node's process has ended.
const lockCheck = 100 * time.Millisecond

// Departure is what came of a node that left its cluster.
type Departure struct {
	Node, Cluster string
	// LostVolumes are the names of those whose data was here. It is still
	// there, in Volumes, but no longer the cluster's.
	LostVolumes []string
	Volumes     string
}

// Leave takes this node out of its cluster: its tasks are stopped, its secrets,
// keys and certificate removed. The data of volumes stays on the disk, but a
// node that has some is refused without force. A node that runs does all this
// itself, one that does not runs until it is done.
func Leave(ctx context.Context, o Options, force bool) (Departure, error) {
	layout, err := newLayout(o.DataDir, o.RunDir)
	if err != nil {
		return Departure{}, err
	}
	settings, err := loadSettings(layout)
	if errors.Is(err, errNotInitialised) {
		return Departure{}, spec.Problemf(spec.NotFound, "node", "", "%s is of no cluster's node", layout.Data).
			WithHint("--data-dir says where the node's data is")
	}
	if err != nil {
		return Departure{}, err
	}
	free, err := lockFree(layout)
	if err != nil {
		return Departure{}, err
	}
	if !free {
		answer, err := askToLeave(ctx, layout, settings, force)
		if err != nil {
			return Departure{}, err
		}
		return departed(settings, layout, answer), awaitEnd(ctx, layout)
	}
	return leaveHere(ctx, o, layout, settings, force)
}

func departed(s Settings, l Layout, answer *warrenv1.LeaveResponse) Departure {
	return Departure{Node: s.NodeName, Cluster: s.ClusterID, LostVolumes: answer.GetLostVolumes(), Volumes: l.volumes()}
}

// leaveHere runs the node for as long as it takes to leave.
func leaveHere(ctx context.Context, o Options, l Layout, s Settings, force bool) (Departure, error) {
	p, err := prepare(o, "sudo warren leave")
	if err != nil {
		return Departure{}, err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.resume(ctx) })
	answer, err := askToLeave(ctx, l, s, force)
	if err != nil {
		cancel()
		return Departure{}, errors.Join(err, g.Wait())
	}
	return departed(s, l, answer), g.Wait()
}

// askToLeave tells some manager that this node leaves. A manager asks the
// others: it would not live to see its own answer.
func askToLeave(ctx context.Context, l Layout, s Settings, force bool) (*warrenv1.LeaveResponse, error) {
	bundle, err := pki.ReadBundle(l.identity())
	if err != nil {
		return nil, err
	}
	defer bundle.Key.Destroy()
	certificate, err := bundle.Parse()
	if err != nil {
		return nil, err
	}
	p := &prepared{settings: s}
	list := p.candidates()
	switch {
	case s.Manager && len(list) > 1:
		list = list[1:]
	case s.Manager:
		list = append(list, s.AdvertiseAddr)
	}
	c, err := client.Dial(ctx, client.Options{Manager: strings.Join(list, ","), As: pki.NewCertificateSource(certificate)})
	if err == nil {
		defer c.Close()
		var answer *warrenv1.LeaveResponse
		if answer, err = c.Joining.Leave(ctx, &warrenv1.LeaveRequest{Force: force}); err == nil {
			return answer, nil
		}
	}
	if noMember(err) {
		return &warrenv1.LeaveResponse{}, nil // an earlier attempt got that far
	}
	return nil, err
}

// lockFree tells whether no process runs this node.
func lockFree(l Layout) (bool, error) {
	f, err := os.Open(l.lock())
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	default:
		return err == nil, err
	}
}

// awaitEnd returns once the node's process has cleared away what it had of the
// cluster.
func awaitEnd(ctx context.Context, l Layout) error {
	tick := time.NewTicker(lockCheck)
	defer tick.Stop()
	for {
		free, err := lockFree(l)
		if err != nil {
			return err
		}
		if free {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if _, err := os.Lstat(l.settings()); err == nil {
		return spec.Problemf(spec.Unavailable, "node", "", "the node has left, but its process ended before it had cleared away").
			WithHint("sudo warren leave --data-dir %s", l.Data)
	}
	return nil
}
