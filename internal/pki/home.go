package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const homeName = ".warren"

// Home is a person's ~/.warren: one directory for each cluster, named by its
// ID, with ca.pem, cert.pem and key.pem. It is a person's directory that root
// may write to under sudo, so no link in it is ever followed out of it.
type Home struct {
	parent string // the person's home directory
	owner  owner
	now    func() time.Time
}

// UserHome is the home of whoever typed the command: under sudo of the person
// behind it, not of root.
func UserHome() (*Home, error) {
	return userHome(os.Geteuid(), os.Getenv("SUDO_USER"), os.UserHomeDir, user.Lookup)
}

func userHome(euid int, sudoUser string, homeDir func() (string, error),
	lookup func(string) (*user.User, error)) (*Home, error) {
	if euid != 0 || sudoUser == "" || sudoUser == "root" {
		dir, err := homeDir()
		if err != nil {
			return nil, fmt.Errorf("find ~/%s: %w: set HOME", homeName, err)
		}
		return NewHome(dir), nil
	}
	u, err := lookup(sudoUser)
	if err != nil {
		return nil, fmt.Errorf("find ~%s/%s ($SUDO_USER): %w", sudoUser, homeName, err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("find ~%s/%s ($SUDO_USER): %w", sudoUser, homeName, err)
	}
	h := NewHome(u.HomeDir)
	h.owner = owner{uid, gid}
	return h, nil
}

// NewHome is the .warren in the given directory.
func NewHome(parent string) *Home {
	return &Home{parent: parent, owner: sameOwner, now: time.Now}
}

// Dir is the path of the .warren directory.
func (h *Home) Dir() string { return filepath.Join(h.parent, homeName) }

// Write stores a bundle under its cluster's ID, in place of an older one.
func (h *Home) Write(b Bundle) error {
	c, err := b.Parse()
	if err != nil {
		return fmt.Errorf("write to %s: %w", h.Dir(), err)
	}
	dir, err := h.open(true)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := writeBundle(dir, c.identity.ClusterID, b, h.owner); err != nil {
		return fmt.Errorf("write a certificate to %s: %w", h.Dir(), err)
	}
	return nil
}

// open opens .warren itself, not what a link of that name points to.
func (h *Home) open(create bool) (*os.Root, error) {
	parent, err := os.OpenRoot(h.parent)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", h.Dir(), err)
	}
	defer parent.Close()
	if create {
		err := parent.Mkdir(homeName, 0o700)
		if err == nil {
			err = parent.Lchown(homeName, h.owner.uid, h.owner.gid)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make %s: %w", h.Dir(), err)
		}
	}
	named, err := parent.Lstat(homeName)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", h.Dir(), err)
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s is not a directory (links are not followed): move it away", h.Dir())
	}
	if stat, ok := named.Sys().(*syscall.Stat_t); ok && create && h.owner.uid >= 0 && int(stat.Uid) != h.owner.uid {
		return nil, fmt.Errorf("%s belongs to user %d: run sudo chown -R %d:%d %s",
			h.Dir(), stat.Uid, h.owner.uid, h.owner.gid, h.Dir())
	}
	dir, err := parent.OpenRoot(homeName)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", h.Dir(), err)
	}
	// What was looked at may have been swapped for a link before it was opened.
	opened, err := dir.Stat(".")
	if err != nil || !os.SameFile(named, opened) {
		dir.Close()
		return nil, fmt.Errorf("%s changed while it was opened: try again", h.Dir())
	}
	return dir, nil
}

// Credentials reads the certificates of all clusters, by cluster ID. One that
// cannot be read does not keep the others from being used: the error speaks of
// those that failed, and comes with the rest.
func (h *Home) Credentials() ([]*Credential, error) {
	dir, err := h.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", h.Dir(), err)
	}
	var found []*Credential
	var problems []error
	for _, e := range entries {
		if !e.IsDir() || !clusterIDPattern.MatchString(e.Name()) {
			continue
		}
		c, err := h.credential(dir, e.Name())
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", filepath.Join(h.Dir(), e.Name()), err))
			continue
		}
		found = append(found, c)
	}
	return found, errors.Join(problems...)
}

func (h *Home) credential(dir *os.Root, clusterID string) (*Credential, error) {
	b, err := readBundle(dir, clusterID)
	if err != nil {
		return nil, err
	}
	defer b.Key.Destroy()
	c, err := b.Parse()
	if err != nil {
		return nil, err
	}
	if c.identity.ClusterID != clusterID {
		return nil, fmt.Errorf("the certificate is of cluster %s", c.identity.ClusterID)
	}
	return c, nil
}

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
