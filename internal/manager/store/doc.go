// Package store is the cluster's state as typed tables, transactions and
// watches. It knows what a volume's row is called and what goes with it; it
// does not know how rows are agreed upon (see consensus) nor what they mean to
// anybody (see control and server).
//
// # Layout
//
// warren.db is one BoltDB file with two buckets:
//
//	meta                        belongs to one machine, written by consensus
//	  format                    version of this layout, 8 bytes big endian
//	  applied                   index and term of the last applied log entry
//	  lineage                   which run of which machine wrote the file last
//	state                       replicated: the same on every manager
//	  <table>/<key>             8 bytes big endian: index of the log entry that
//	                            last wrote the row (its version); then the row
//
// The rows of state, where <ns> is a namespace:
//
//	cluster/self                              Cluster
//	clusterkeys/self                          ClusterKeys
//	clustersettings/self                      ClusterSettings
//	rotation/self                             Rotation, the last one of the keys
//	node/<id>                                 Node
//	nodestatus/<id>                           NodeStatus
//	managerstatus/<node>                      ManagerStatus
//	retired/<node>                            Retired, of a former manager
//	client/<id>                               Client
//	token/<id>                                JoinToken, which has no secret
//	namespace/<name>                          Namespace; the default one may lack it
//	crowd/<name>                              Crowd, the guard of what is in it
//	volume/<ns>/<id>                          Volume
//	volumestatus/<ns>/<id>                    VolumeStatus
//	snapshot/<ns>/<id>                        Snapshot
//	snapshotstatus/<ns>/<id>                  SnapshotStatus
//	schedule/<ns>/<volume>                    SnapshotSchedule
//	schedulestatus/<ns>/<volume>              ScheduleStatus
//	attachment/<ns>/<volume>/<task>           Attachment
//	attachment.task/<ns>/<task>/<volume>      index of the above
//	hold/<ns>/<volume>                        Hold, the guard of attachments
//	port/<tcp or udp>/<number, 5 digits>      PortOwner, of a published port
//	use/<ns>/<object>                         Uses, of a volume or a secret
//	secret/<ns>/<id>                          Secret, which has no value
//	witness/secret/<ns>/<id>                  what vouches for a Secret, 32 bytes
//	secretvalue/<ns>/<secret>/<version>       SecretValue, sealed; 20 digits
//	staged/<import>/<number>                  Staged, a part of an import of secrets
//	service/<ns>/<id>                         Service
//	servicerevision/<ns>/<service>/<number>   ServiceRevision before the present one
//	serviceupdate/<ns>/<id>                   ServiceUpdate
//	task/<ns>/<id>                            Task
//	task.service/<ns>/<service>/<task>        index of the above
//	task.node/<node>/<ns>/<task>              index of the above
//	taskstatus/<ns>/<id>                      TaskStatus
//	registry/<host>                           Registry
//	event/<number, 8 bytes big endian>        Event
//	event/<byte 255>                          number of the last event
//	audit/<number, 8 bytes big endian>        its hash, 32 bytes, and AuditRecord;
//	                                          see seal.Link
//	audit/<byte 255>                          number of the last entry
//	request/<seconds, 8 hex digits>-<id>      Request, by when its client made it
//	name/<kind>/<ns>/<name>                   ID of the object of that name
//
// What a node observed (…status) is apart from what was asked for, so that a
// stream of reports never makes a change of a spec fail.
//
// # Transactions
//
// Update runs a closure on a snapshot and proposes what it wrote, together
// with the version of each row it read with Get (its guards). The state
// machine applies all of it if every guard still holds, else nothing, and
// Update runs the closure again. Rows read with Peek and List are not guarded:
// one scan beside a stream of status writes would never commit. So what must
// hold about many rows has a row of its own that every writer Gets and Puts: a
// name, a Hold, a Uses, a PortOwner.
package store
