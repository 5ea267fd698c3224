package store

import (
	"iter"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Tables of tasks and of what was observed of them.
const (
	TableTasks      Table = "task"
	TableTaskStatus Table = "taskstatus"
)

var tasksOfService = index[warrenv1.Task, *warrenv1.Task]{
	table: "task.service",
	entry: func(k Key, t *warrenv1.Task) []string {
		return []string{k.Namespace(), t.GetServiceId(), k.ID()}
	},
	target: func(k Key) []string { return []string{k.Namespace(), k.ID()} },
}

var tasksOfNode = index[warrenv1.Task, *warrenv1.Task]{
	table: "task.node",
	entry: func(k Key, t *warrenv1.Task) []string {
		if t.GetNodeId() == "" {
			return nil
		}
		return []string{t.GetNodeId(), k.Namespace(), k.ID()}
	},
	target: func(k Key) []string { return k.Parts()[1:] },
}

// A task's name is its slot's: the newest incarnation has it.
var tasks = &objectKind[warrenv1.Task, *warrenv1.Task]{
	noun: "task", successive: true,
	kind: kind[warrenv1.Task, *warrenv1.Task]{
		table: TableTasks, depth: 2,
		indexes:   []index[warrenv1.Task, *warrenv1.Task]{tasksOfService, tasksOfNode},
		transient: func(t *warrenv1.Task) { t.Status, t.NodeName = nil, "" },
	},
}

var taskStatus = &kind[warrenv1.TaskStatus, *warrenv1.TaskStatus]{table: TableTaskStatus, depth: 2}

// Tasks reads tasks: <namespace>, <id>. ByName gives a slot's newest.
type Tasks struct {
	Objects[warrenv1.Task, *warrenv1.Task]
}

// TasksTx reads and writes tasks. Create takes the slot's name over from the
// slot's earlier task: look at that one first, with ByName.
type TasksTx struct {
	ObjectsTx[warrenv1.Task, *warrenv1.Task]
}

// Tasks gives the tasks.
func (tx *ReadTx) Tasks() Tasks { return Tasks{objects(tx, tasks)} }

// Tasks gives the tasks.
func (tx *Tx) Tasks() TasksTx { return TasksTx{objectsTx(tx, tasks)} }

// OfService lists a service's tasks.
func (t Tasks) OfService(namespace, serviceID string) iter.Seq2[Key, *warrenv1.Task] {
	return t.through(&tasksOfService, namespace, serviceID)
}

// OfNode lists the tasks placed on a node, of all namespaces.
func (t Tasks) OfNode(nodeID string) iter.Seq2[Key, *warrenv1.Task] {
	return t.through(&tasksOfNode, nodeID)
}

// OfService lists a service's tasks.
func (t TasksTx) OfService(namespace, serviceID string) iter.Seq2[Key, *warrenv1.Task] {
	return Tasks{t.Objects}.OfService(namespace, serviceID)
}

// StillRun tells whether tasks of that spec version are wanted, and all of them
// are of that container.
func (t Tasks) StillRun(namespace, serviceID string, version uint64, container *warrenv1.ContainerSpec) bool {
	some := false
	for _, task := range t.OfService(namespace, serviceID) {
		if task.GetSpecVersion() != version || task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING {
			continue
		}
		if some = proto.Equal(task.GetContainer(), container); !some {
			return false
		}
	}
	return some
}

// StillRun tells whether tasks of that spec version are wanted, and all of them
// are of that container.
func (t TasksTx) StillRun(namespace, serviceID string, version uint64, container *warrenv1.ContainerSpec) bool {
	return Tasks{t.Objects}.StillRun(namespace, serviceID, version, container)
}

// OfNode lists the tasks placed on a node, of all namespaces.
func (t TasksTx) OfNode(nodeID string) iter.Seq2[Key, *warrenv1.Task] {
	return Tasks{t.Objects}.OfNode(nodeID)
}

// TaskStatus gives what was observed of tasks: <namespace>, <task ID>.
func (tx *ReadTx) TaskStatus() Rows[warrenv1.TaskStatus, *warrenv1.TaskStatus] {
	return rows(tx, taskStatus)
}

// TaskStatus gives what was observed of tasks: <namespace>, <task ID>.
func (tx *Tx) TaskStatus() RowsTx[warrenv1.TaskStatus, *warrenv1.TaskStatus] {
	return rowsTx(tx, taskStatus)
}
