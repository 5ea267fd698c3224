package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
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
	made := false
	if create {
		err := parent.Mkdir(homeName, 0o700)
		if made = err == nil; err != nil && !errors.Is(err, fs.ErrExist) {
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
	dir, err := parent.OpenRoot(homeName)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", h.Dir(), err)
	}
	if err := h.check(dir, named, made, create); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// check looks at the directory that was opened. What it does to it, it does
// through the handle, since its name is in the person's power.
func (h *Home) check(dir *os.Root, named fs.FileInfo, made, create bool) error {
	self, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("open %s: %w", h.Dir(), err)
	}
	defer self.Close()
	opened, err := self.Stat()
	if err != nil || !os.SameFile(named, opened) {
		return fmt.Errorf("%s changed while it was opened: try again", h.Dir())
	}
	if made {
		if err := self.Chown(h.owner.uid, h.owner.gid); err != nil {
			return fmt.Errorf("make %s: %w", h.Dir(), err)
		}
		return nil
	}
	if stat, ok := opened.Sys().(*syscall.Stat_t); ok && create && h.owner.uid >= 0 && int(stat.Uid) != h.owner.uid {
		return fmt.Errorf("%s belongs to user %d: run sudo chown -R %d:%d %s",
			h.Dir(), stat.Uid, h.owner.uid, h.owner.gid, h.Dir())
	}
	return nil
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
