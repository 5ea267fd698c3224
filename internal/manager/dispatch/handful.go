package dispatch

import (
	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/vault"
)

// maxHandful is how many bytes of sealed values wait for their record.
const maxHandful = 1 << 20

// handful is values for one task that are recorded, and then sent, together.
type handful struct {
	term   *term
	nodeID string
	task   *warrenv1.Task
	stream grpc.ServerStreamingServer[warrenv1.FetchedSecret]

	objects []vault.Object
	values  []*warrenv1.FetchedSecret
	bytes   int
}

// add takes a value in, and sends what there is when that is much.
func (h *handful) add(o vault.Object, items []*warrenv1.SealedItem) error {
	h.objects = append(h.objects, o)
	h.values = append(h.values, &warrenv1.FetchedSecret{SecretId: o.ID, Version: o.Version, Items: items})
	for _, item := range items {
		h.bytes += len(item.GetCiphertext())
	}
	if h.bytes < maxHandful {
		return nil
	}
	return h.send()
}

// send records what there is, then sends it.
func (h *handful) send() error {
	if len(h.values) == 0 {
		return nil
	}
	if err := h.term.record(h.stream.Context(), h.nodeID, h.task, h.objects...); err != nil {
		return err
	}
	for _, value := range h.values {
		if err := h.stream.Send(value); err != nil {
			return err
		}
	}
	h.objects, h.values, h.bytes = nil, nil, 0
	return nil
}
