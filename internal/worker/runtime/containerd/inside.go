package containerd

import (
	"errors"
	"fmt"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/introspection"
	"github.com/containerd/containerd/v2/core/leases"
	v2 "github.com/containerd/containerd/v2/core/runtime/v2"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/containerd/v2/plugins/services"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
)

// inside is what is taken out of the containerd in this process.
type inside struct {
	client *client.Client
	shims  *v2.ShimManager
}

// insideKey finds the *inside to fill in, in the context that containerd is
// started with.
type insideKey struct{}

// The plugin exists because only a plugin is given the services themselves;
// calling them directly saves a socket, and each call's encoding.
func init() {
	registry.Register(&plugin.Registration{
		Type:     "io.warren.client.v1",
		ID:       "inside",
		Requires: []plugin.Type{plugins.ServicePlugin, plugins.EventPlugin, plugins.LeasePlugin, plugins.ShimPlugin},
		InitFn:   giveInside,
	})
}

func giveInside(ic *plugin.InitContext) (any, error) {
	into, ok := ic.Context.Value(insideKey{}).(*inside)
	if !ok {
		return nil, plugin.ErrSkipPlugin
	}
	options, err := insideServices(ic)
	if err != nil {
		return nil, err
	}
	shims, err := ic.GetSingle(plugins.ShimPlugin)
	if err != nil {
		return nil, err
	}
	into.shims = shims.(*v2.ShimManager)
	into.client, err = client.New("", client.WithServices(options...), client.WithDefaultNamespace(Namespace))
	return into, err
}

func insideServices(ic *plugin.InitContext) ([]client.ServicesOpt, error) {
	s := source{ic: ic}
	options := []client.ServicesOpt{
		client.WithContentStore(get[content.Store](&s, services.ContentService)),
		client.WithImageClient(get[imagesapi.ImagesClient](&s, services.ImagesService)),
		client.WithSnapshotters(get[map[string]snapshots.Snapshotter](&s, services.SnapshotsService)),
		client.WithContainerClient(get[containersapi.ContainersClient](&s, services.ContainersService)),
		client.WithTaskClient(get[tasksapi.TasksClient](&s, services.TasksService)),
		client.WithDiffClient(get[diffapi.DiffClient](&s, services.DiffService)),
		client.WithNamespaceClient(get[namespacesapi.NamespacesClient](&s, services.NamespacesService)),
		client.WithIntrospectionService(get[introspection.Service](&s, services.IntrospectionService)),
	}
	if events, err := ic.GetSingle(plugins.EventPlugin); err != nil {
		s.errs = append(s.errs, err)
	} else {
		options = append(options, client.WithEventService(events.(client.EventService)))
	}
	if manager, err := ic.GetSingle(plugins.LeasePlugin); err != nil {
		s.errs = append(s.errs, err)
	} else {
		options = append(options, client.WithLeasesService(manager.(leases.Manager)))
	}
	return options, errors.Join(s.errs...)
}

type source struct {
	ic   *plugin.InitContext
	errs []error
}

// get returns the service of that name; what goes wrong is noted in s.
func get[T any](s *source, name string) (service T) {
	instance, err := s.ic.GetByID(plugins.ServicePlugin, name)
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("service %s: %w", name, err))
		return service
	}
	service, ok := instance.(T)
	if !ok {
		s.errs = append(s.errs, fmt.Errorf("service %s is a %T", name, instance))
	}
	return service
}
