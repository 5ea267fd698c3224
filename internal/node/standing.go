package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// errRetired says that this node is no manager of its cluster any more.
var errRetired = errors.New("this node is no manager any more")

// promotionRetry is how long a node waits that could not take its place as a
// manager.
const promotionRetry = 3 * time.Second

// standing is what the cluster last said of this node.
type standing struct {
	manager bool
	// changed is closed, and replaced, whenever it is told.
	changed chan struct{}
	// demoted is called when it is no manager any more; nil for nobody.
	demoted func()
}

// learned takes over what a manager says of this node, and of where managers
// are.
func (p *prepared) learned(s *warrenv1.Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	manager := slices.Contains(s.GetRoles(), warrenv1.Role_ROLE_MANAGER)
	if !manager && p.settings.Manager && p.standing.demoted != nil {
		p.standing.demoted()
	}
	p.standing.manager = manager
	close(p.standing.changed)
	p.standing.changed = make(chan struct{})
	p.keepManagers(s.GetManagers())
}

// noteManagers remembers where the managers are.
func (p *prepared) noteManagers(list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepManagers(list)
}

// keepManagers writes down where the managers are. Needs mu.
func (p *prepared) keepManagers(list []string) {
	if slices.Equal(p.settings.Managers, list) {
		return
	}
	p.settings.Managers = list
	if err := p.settings.save(p.layout); err != nil {
		p.log.Warn("the managers' addresses were not written down", "error", err)
	}
}

func (p *prepared) isManager() bool { return p.present().Manager }

// present is how the node is set up now.
func (p *prepared) present() Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// promoted tells whether the cluster wants this node to be a manager, and when
// that may be another answer.
func (p *prepared) promoted() (bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing.manager, p.standing.changed
}

// onDemotion has f called when the cluster says that this node is no manager
// any more, until forget is called.
func (p *prepared) onDemotion(f func()) (forget func()) {
	set := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.standing.demoted = f
	}
	set(f)
	return func() { set(nil) }
}

// awaitPromotion returns once this node has become a manager, or ctx ends. What
// holds it up is tried again.
func (p *prepared) awaitPromotion(ctx context.Context) error {
	for {
		promoted, changed := p.promoted()
		var retry <-chan time.Time
		if promoted {
			err := p.becomeManager(ctx)
			if err == nil {
				return nil
			}
			if ctx.Err() == nil {
				p.log.Error("this node was promoted, and could not take its place as a manager; it is tried again", "error", err, "after", promotionRetry)
			}
			retry = time.After(promotionRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

// becomeManager gets what a manager needs: the address to listen on, a
// certificate that says that it is one, and what opens the cluster's keys.
func (p *prepared) becomeManager(ctx context.Context) (err error) {
	if err := p.listenAPI(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.closeAPI()
		}
	}()
	source := p.identity.wait(ctx)
	if source == nil {
		return ctx.Err()
	}
	unlock, err := p.renewOnce(ctx, source)
	if err != nil {
		return err
	}
	if unlock == nil || !source.Current().Identity().Has(warrenv1.Role_ROLE_MANAGER) {
		return errors.New("the manager that was asked does not know of the promotion yet")
	}
	defer unlock.Destroy()
	if err := directories(p.layout); err != nil {
		return err
	}
	if err := writeFile(p.layout.unlockKey(), append(unlock.Bytes(), '\n'), 0o600); err != nil {
		return err
	}
	if err := p.setManager(true); err != nil {
		return err
	}
	p.log.Info("this node is a manager from now on", "address", p.settings.AdvertiseAddr)
	return nil
}

// setManager writes down whether this node is a manager.
func (p *prepared) setManager(manager bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings.Manager = manager
	if err := p.settings.save(p.layout); err != nil {
		return fmt.Errorf("write down what this node is: %w", err)
	}
	return nil
}
