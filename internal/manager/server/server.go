// Package server answers the API for people and their programs: a file per
// noun, and in front of all of them one interceptor that knows who calls and
// what the method's access rule says.
//
// A handler checks its request with spec, decides what only a person's request
// may decide (IDs and times included), and commits it in one transaction. What
// follows from it, such as a directory on a node, is done by those who watch
// the state; where an answer has to wait for that, the handler watches too. It
// never calls sideways.
package server

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// DefaultPatience is how long a call waits for others while nothing moves.
const DefaultPatience = 10 * time.Second

// Config is what a Server is made of. All but Leader, Peers, Copy,
// Keeper and Patience is required.
type Config struct {
	Store   *store.Store
	Vault   Vault
	Streams Streams
	// Clock gives the time that goes into what is stored.
	Clock func() time.Time
	// Rand gives what IDs are made of, different each time.
	Rand func() spec.Random
	Log  *slog.Logger
	// Version is this program's, for people.
	Version string
	// Leader gives the leading manager's node ID, "" when there is none.
	Leader func() string
	// Copy copies the state, for backups; nil when that cannot be done.
	Copy Copier
	// Keeper has this manager's unlock key; without one, nothing about keys can
	// be asked.
	Keeper Keeper
	// Peers are the other managers; nil for one that is alone for good.
	Peers Peers
	// Patience is DefaultPatience when zero.
	Patience time.Duration
}

// Server serves the API. But for Run, all it does happens in calls.
type Server struct {
	config   Config
	store    *store.Store
	log      *slog.Logger
	rules    accessRules
	presence presence
}

// New returns a server that is ready to be registered.
func New(c Config) *Server {
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Leader == nil {
		c.Leader = func() string { return "" }
	}
	return &Server{config: c, store: c.Store, log: c.Log, rules: readAccessRules()}
}

// Register adds all services but the Dispatcher to a gRPC server, which must
// have this server's interceptors.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	warrenv1.RegisterClustersServer(r, &clusters{Server: s})
	warrenv1.RegisterJoiningServer(r, &joining{Server: s})
	if s.config.Keeper != nil {
		warrenv1.RegisterKeysServer(r, &keys{Server: s})
	}
	warrenv1.RegisterNodesServer(r, &nodes{Server: s})
	warrenv1.RegisterVolumesServer(r, &volumes{Server: s})
	warrenv1.RegisterSnapshotsServer(r, &snapshots{Server: s})
	warrenv1.RegisterSecretsServer(r, &secrets{Server: s})
	warrenv1.RegisterServicesServer(r, &services{Server: s})
	warrenv1.RegisterTasksServer(r, &tasks{Server: s})
	warrenv1.RegisterImagesServer(r, &images{Server: s})
	warrenv1.RegisterMeterServer(r, &meter{Server: s})
	warrenv1.RegisterNamespacesServer(r, &namespaces{Server: s})
	warrenv1.RegisterAuditsServer(r, &audits{Server: s})
}

func (s *Server) now() *timestamppb.Timestamp { return timestamppb.New(s.config.Clock()) }
