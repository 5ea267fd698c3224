package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// imageHook has the task's image on this machine.
type imageHook struct{}

func (imageHook) prepare(ctx context.Context, t *task, want *warrenv1.Task) error {
	name, err := spec.ImageName(want.GetContainer().GetImage())
	if err != nil {
		return err
	}
	t.lacksImage = false
	t.hurry.Store(false)
	t.ready.image, err = t.a.ensureImage(ctx, name, t.id)
	t.lacksImage = err != nil
	return err
}

func (imageHook) undo(context.Context, *task, *warrenv1.Task) error { return nil }

// images remembers which images were seen here, so that a start asks a manager
// how to speak to a registry only when there is something to pull.
type images struct {
	mu   sync.Mutex
	here map[string]bool
}

func (i *images) add(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.here == nil {
		i.here = map[string]bool{}
	}
	i.here[name] = true
}

func (i *images) drop(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.here, name)
}

func (i *images) has(name string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.here[name]
}

// ensureImage returns the image, pulled for that task if need be.
func (a *Agent) ensureImage(ctx context.Context, name, taskID string) (runtime.Image, error) {
	var access runtime.RegistryAccess
	var unknown error
	if !a.imageHere(ctx, name) {
		access, unknown = a.registryAccess(ctx, taskID)
		if unknown != nil && !errors.Is(unknown, errNoManager) {
			return runtime.Image{}, fmt.Errorf("ask how to pull %s: %w", name, unknown)
		}
	}
	image, err := a.cfg.Runtime.Ensure(ctx, name, access)
	switch {
	case err == nil:
		a.images.add(name)
		return image, nil
	case unknown != nil:
		a.images.drop(name)
		return runtime.Image{}, fmt.Errorf("%w (asked without a login: no manager answers)", err)
	default:
		a.images.drop(name)
		return runtime.Image{}, err
	}
}

// imageHere says whether the image is on this machine; it may say no of one
// that is.
func (a *Agent) imageHere(ctx context.Context, name string) bool {
	if a.images.has(name) {
		return true
	}
	list, err := a.cfg.Runtime.List(ctx)
	if err != nil {
		a.log.Warn("images cannot be listed", "error", err)
	}
	for _, image := range list {
		a.images.add(image.Name)
	}
	return a.images.has(name)
}

// registryAccess asks the manager how to speak to the registry of a task's
// image. The password stays sealed until the registry asks for it.
func (a *Agent) registryAccess(ctx context.Context, taskID string) (runtime.RegistryAccess, error) {
	m, err := a.link.manager()
	if err != nil {
		return runtime.RegistryAccess{}, err
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return runtime.RegistryAccess{}, err
	}
	answer, err := m.client.FetchRegistry(ctx, &warrenv1.FetchRegistryRequest{TaskId: taskID, SealingKey: key.PublicKey()})
	if err != nil {
		return runtime.RegistryAccess{}, err
	}
	r := answer.GetRegistry()
	access := runtime.RegistryAccess{
		Username: r.GetUsername(), CACertificate: r.GetCaCertificate(), PlainHTTP: r.GetPlainHttp(),
	}
	if sealed := answer.GetPassword(); sealed != nil {
		info := seal.ToTaskInfo(m.clusterID, m.nodeID, taskID, r.GetSecretId(), answer.GetPasswordVersion(), sealed.GetKey())
		access.Password = func() (string, error) {
			value, err := key.Open(info, sealed.GetCiphertext())
			if err != nil {
				return "", fmt.Errorf("open the password of registry %s: %w", r.GetHost(), err)
			}
			defer value.Destroy()
			return string(value.Bytes()), nil
		}
	}
	return access, nil
}

// imagesChanged lets tasks that lack an image try again at once.
func (a *Agent) imagesChanged(images []runtime.Image) {
	for _, image := range images {
		a.images.add(image.Name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tasks {
		t.hurry.Store(true)
	}
	a.wakeAll()
}
