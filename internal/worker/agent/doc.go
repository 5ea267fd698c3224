// Package agent is the worker: it keeps a session with a manager, makes true
// what the manager assigned to this node, and says what became of it.
//
// Every assigned task and volume has one goroutine and one step function,
// which looks at what is wanted and at what is there, does the next thing and
// names the outcome: done, wait, retry after, dead. What a container needs is
// made by hooks, one file each, undone in reverse: image; then volumes,
// secrets and network; then the container.
//
// The agent needs no manager to go on. What was assigned, and what became of
// it, is in <data-dir>/worker/worker.db:
//
//	meta/boot        the boot ID of the machine when the file was written
//	tasks/<id>       warren.v1.Task, as it was assigned
//	volumes/<id>     warren.v1.Volume, as it was assigned
//	made/<id>        the volume was created once, and so never again; "mounted"
//	                 when a container was started with it
//	status/<id>      warren.v1.TaskStatus, as it was last reported
//	progress/<id>    JSON of what was done for the task since the machine booted
//
// There is no secret in it. After a restart of this program, containers that
// still run are taken up again, ends that happened meanwhile are recorded as
// they were, and crashed containers are started again. Under another boot ID
// everything that was mounted or running is gone, and all tasks start anew.
//
// Until a manager has sent a full set of assignments since the start, that
// file is the truth; only after one are containers that nobody assigned
// removed. Run returns with all containers left running.
package agent
