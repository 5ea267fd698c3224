package store

import (
	"iter"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Tables of attachments and of the guards that keep them within the volume's
// access mode.
const (
	TableAttachments Table = "attachment"
	TableHolds       Table = "hold"
)

var attachmentsOfTask = index[warrenv1.Attachment, *warrenv1.Attachment]{
	table: "attachment.task",
	entry: func(k Key, _ *warrenv1.Attachment) []string {
		p := k.Parts()
		return []string{p[0], p[2], p[1]}
	},
	target: func(k Key) []string {
		p := k.Parts()
		return []string{p[0], p[2], p[1]}
	},
}

var attachments = &kind[warrenv1.Attachment, *warrenv1.Attachment]{
	table: TableAttachments, depth: 3,
	indexes: []index[warrenv1.Attachment, *warrenv1.Attachment]{attachmentsOfTask},
}

var holds = &kind[storepb.Hold, *storepb.Hold]{table: TableHolds, depth: 2}

// Attachments reads attachments: <namespace>, <volume ID>, <task ID>.
type Attachments struct {
	Rows[warrenv1.Attachment, *warrenv1.Attachment]
}

// AttachmentsTx reads and writes attachments. Whoever writes one also Gets and
// Puts the volume's Hold.
type AttachmentsTx struct {
	RowsTx[warrenv1.Attachment, *warrenv1.Attachment]
}

// Attachments gives the attachments.
func (tx *ReadTx) Attachments() Attachments { return Attachments{rows(tx, attachments)} }

// Attachments gives the attachments.
func (tx *Tx) Attachments() AttachmentsTx { return AttachmentsTx{rowsTx(tx, attachments)} }

// OfVolume lists the attachments of a volume.
func (a Attachments) OfVolume(namespace, volumeID string) iter.Seq2[Key, *warrenv1.Attachment] {
	return a.List(namespace, volumeID)
}

// OfTask lists the attachments of a task.
func (a Attachments) OfTask(namespace, taskID string) iter.Seq2[Key, *warrenv1.Attachment] {
	return a.through(&attachmentsOfTask, namespace, taskID)
}

// OfVolume lists the attachments of a volume.
func (a AttachmentsTx) OfVolume(namespace, volumeID string) iter.Seq2[Key, *warrenv1.Attachment] {
	return Attachments{a.Rows}.OfVolume(namespace, volumeID)
}

// OfTask lists the attachments of a task.
func (a AttachmentsTx) OfTask(namespace, taskID string) iter.Seq2[Key, *warrenv1.Attachment] {
	return Attachments{a.Rows}.OfTask(namespace, taskID)
}

// Holds gives the guards of attachments: <namespace>, <volume ID>.
func (tx *ReadTx) Holds() Rows[storepb.Hold, *storepb.Hold] { return rows(tx, holds) }

// Holds gives the guards of attachments: <namespace>, <volume ID>.
func (tx *Tx) Holds() RowsTx[storepb.Hold, *storepb.Hold] { return rowsTx(tx, holds) }
