// Package metrics holds the Prometheus collectors of a node. Every room may
// import it, so it imports none: what a collector shows is handed to it as
// plain numbers.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Snapshot is the cluster's state in numbers, at one moment.
type Snapshot struct {
	Services, Secrets int
	// By state, in lower case.
	Nodes, Tasks map[string]int
	Volumes      []Volume
	// Those secrets that expire.
	Expiring []Secret
	// The Raft index up to which the state is.
	AppliedIndex uint64
}

// Volume is one volume's size.
type Volume struct {
	Namespace, Name, Node string
	UsedBytes             uint64
	// CapacityBytes is at how many it is full, LimitBytes what was asked for; 0
	// without a limit.
	CapacityBytes, LimitBytes uint64
	// Trash means that it was deleted and can come back.
	Trash bool
}

// Secret is a secret that expires.
type Secret struct {
	Namespace, Name string
	ExpiresAt       time.Time
}

var (
	services  = prometheus.NewDesc("warren_services", "Services, running or stopped.", nil, nil)
	secrets   = prometheus.NewDesc("warren_secrets", "Secrets.", nil, nil)
	expires   = prometheus.NewDesc("warren_secret_expires_timestamp_seconds", "When the newest version of a secret expires, since the epoch.", []string{"namespace", "secret"}, nil)
	nodes     = prometheus.NewDesc("warren_nodes", "Nodes by state.", []string{"state"}, nil)
	tasks     = prometheus.NewDesc("warren_tasks", "Tasks by state.", []string{"state"}, nil)
	volumes   = prometheus.NewDesc("warren_volumes", "Volumes.", nil, nil)
	used      = prometheus.NewDesc("warren_volume_used_bytes", "Bytes that the volume takes on its storage, when last measured.", []string{"namespace", "volume", "node"}, nil)
	capacity  = prometheus.NewDesc("warren_volume_capacity_bytes", "Bytes at which a volume with a limit is full.", []string{"namespace", "volume", "node"}, nil)
	limit     = prometheus.NewDesc("warren_volume_limit_bytes", "Bytes that the volume was given with --size.", []string{"namespace", "volume", "node"}, nil)
	trash     = prometheus.NewDesc("warren_volume_trash_bytes", "Bytes that volumes in the trash take, by node.", []string{"node"}, nil)
	index     = prometheus.NewDesc("warren_state_applied_index", "Raft index up to which the state is applied.", nil, nil)
	readable  = prometheus.NewDesc("warren_state_readable", "1 when the state could be read for this scrape.", nil, nil)
	buildInfo = prometheus.NewDesc("warren_build_info", "Always 1; the label tells the version.", []string{"version"}, nil)
)

// State is a collector that asks read at each scrape.
type State struct {
	version string
	read    func() (Snapshot, error)
}

// NewState returns the collector of the cluster's state.
func NewState(version string, read func() (Snapshot, error)) *State {
	return &State{version: version, read: read}
}

// Describe implements prometheus.Collector.
func (s *State) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{services, secrets, expires, nodes, tasks, volumes, used, capacity, limit, trash, index, readable, buildInfo} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *State) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, s.version)
	now, err := s.read()
	if err != nil {
		gauge(readable, 0)
		return
	}
	gauge(readable, 1)
	gauge(services, float64(now.Services))
	gauge(secrets, float64(now.Secrets))
	gauge(index, float64(now.AppliedIndex))
	for _, s := range now.Expiring {
		gauge(expires, float64(s.ExpiresAt.UnixMilli())/1000, s.Namespace, s.Name)
	}
	for state, n := range now.Nodes {
		gauge(nodes, float64(n), state)
	}
	for state, n := range now.Tasks {
		gauge(tasks, float64(n), state)
	}
	live, inTrash := 0, map[string]uint64{}
	for _, v := range now.Volumes {
		if v.Trash {
			inTrash[v.Node] += v.UsedBytes
			continue
		}
		live++
		gauge(used, float64(v.UsedBytes), v.Namespace, v.Name, v.Node)
		if v.LimitBytes != 0 {
			gauge(capacity, float64(v.CapacityBytes), v.Namespace, v.Name, v.Node)
			gauge(limit, float64(v.LimitBytes), v.Namespace, v.Name, v.Node)
		}
	}
	gauge(volumes, float64(live))
	for node, bytes := range inTrash {
		gauge(trash, float64(bytes), node)
	}
}
