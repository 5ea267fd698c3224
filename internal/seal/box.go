package seal

import "fmt"

// Box is one sealed value and the ID of the data key that opens it.
type Box struct {
	KeyID      string
	IV         []byte
	Ciphertext []byte
}

// Context is what a Box belongs to. All of it is authenticated, together with
// the key's ID: a Box that was copied to another name, namespace, version,
// object or cluster does not open there.
type Context struct {
	ClusterID string
	// Kind of object: "secret", "registry", …
	Kind      string
	Namespace string
	// ObjectID is never reused, so a deleted object's Box does not open under
	// a new object of the same name.
	ObjectID string
	Name     string
	Version  uint64
	// Item is the key within a secret of several files, else empty.
	Item string
}

// aad is injective: encode prefixes each field with its length.
func (c Context) aad(keyID string) []byte {
	return encode("warren box v1", []byte(keyID), []byte(c.ClusterID), []byte(c.Kind),
		[]byte(c.Namespace), []byte(c.ObjectID), []byte(c.Name), number(c.Version), []byte(c.Item))
}

func (c Context) String() string {
	s := c.Kind + " " + c.Name
	if c.Namespace != "" {
		s = c.Kind + " " + c.Namespace + "/" + c.Name
	}
	if c.Version != 0 {
		s += fmt.Sprintf(" version %d", c.Version)
	}
	if c.Item != "" {
		s += fmt.Sprintf(" key %q", c.Item)
	}
	return s
}
