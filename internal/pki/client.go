package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// ClientTLS accepts a manager of any cluster that the home has a certificate
// of, and shows it the one of that cluster. With no certificate at all it
// fails at once, and says where to get one.
func (h *Home) ClientTLS() (*tls.Config, error) {
	credentials, problems := h.Credentials()
	if len(credentials) == 0 {
		return nil, h.nothingFits("", nil, problems)
	}
	trust := func(server *x509.Certificate) (*Credential, error) {
		if i := slices.IndexFunc(credentials, func(c *Credential) bool { return c.issuedBy(server) }); i >= 0 {
			return credentials[i], nil
		}
		id, err := CertificateIdentity(server)
		if err != nil {
			return nil, fmt.Errorf("the server is not a Warren manager: %w", err)
		}
		return nil, h.nothingFits(id.ClusterID, credentials, problems)
	}
	show := func(request *tls.CertificateRequestInfo) (*Credential, error) {
		for _, c := range credentials {
			if slices.ContainsFunc(request.AcceptableCAs, func(ca []byte) bool { return bytes.Equal(ca, c.ca.RawSubject) }) {
				return c, nil
			}
		}
		return nil, h.nothingFits("", credentials, problems)
	}
	return clientTLS(h.now, trust, show), nil
}

// nothingFits explains that there is no certificate for a cluster, if its ID
// is known.
func (h *Home) nothingFits(clusterID string, have []*Credential, problems error) error {
	var b strings.Builder
	which := "<cluster-id>"
	if clusterID == "" {
		fmt.Fprintf(&b, "no certificate in %s fits", h.Dir())
	} else {
		which = clusterID
		fmt.Fprintf(&b, "no certificate for cluster %s in %s", clusterID, h.Dir())
	}
	if len(have) > 0 {
		names := make([]string, len(have))
		for i, c := range have {
			names[i] = c.identity.ClusterID
		}
		fmt.Fprintf(&b, " (it has %s)", strings.Join(names, ", "))
	}
	fmt.Fprintf(&b, ": on a manager run the command with sudo, or copy %s/%s from a machine that has it",
		h.Dir(), which)
	return &NoCertificateError{message: b.String(), problems: problems}
}

// NoCertificateError is returned when a home has no certificate for a server.
type NoCertificateError struct {
	message  string
	problems error
}

func (e *NoCertificateError) Error() string {
	if e.problems == nil {
		return e.message
	}
	return e.message + "\n" + e.problems.Error()
}

// Unwrap returns what kept certificates from being read, if anything.
func (e *NoCertificateError) Unwrap() error { return e.problems }
