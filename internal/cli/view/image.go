package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Image is one image of one node.
type Image struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// Size is that of the compressed content, in bytes.
	Size      uint64    `json:"size"`
	Node      string    `json:"node"`
	NodeID    string    `json:"node_id"`
	CreatedAt time.Time `json:"created_at"`
}

// NewImage shows an image.
func NewImage(i *warrenv1.Image) Image {
	return Image{
		Name:      i.GetName(),
		Digest:    i.GetDigest(),
		Size:      i.GetSize(),
		Node:      i.GetNodeName(),
		NodeID:    i.GetNodeId(),
		CreatedAt: moment(i.GetCreatedAt()),
	}
}
