package pki

import (
	"fmt"
	"sync/atomic"
	"time"
)

// CertificateSource holds the credential that a node uses now. Swapping it
// takes effect with the next connection; those that are open stay so.
type CertificateSource struct {
	current atomic.Pointer[Credential]
	now     func() time.Time
}

// NewCertificateSource starts with a credential.
func NewCertificateSource(c *Credential) *CertificateSource {
	s := &CertificateSource{now: time.Now}
	s.current.Store(c)
	return s
}

// Current returns the credential in use.
func (s *CertificateSource) Current() *Credential { return s.current.Load() }

// Swap replaces the credential by a newer one of the same cluster and name.
func (s *CertificateSource) Swap(c *Credential) error {
	old := s.Current().identity
	if c.identity.ClusterID != old.ClusterID || c.identity.Name != old.Name {
		return fmt.Errorf("renew the certificate of %s: the new one is of %s", old, c.identity)
	}
	s.current.Store(c)
	return nil
}
