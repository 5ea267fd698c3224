package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"runtime"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netNS is an open network namespace, with a netlink connection into it.
type netNS struct {
	path string
	ns   netns.NsHandle
	link *netlink.Handle
}

var errNoNetNS = errors.New("no network namespace")

// openNetNS opens the namespace that the file holds, or makes one.
func openNetNS(path string) (*netNS, error) {
	ns, err := existingNetNS(path)
	if !errors.Is(err, errNoNetNS) {
		return ns, err
	}
	if err := makeNetNS(path); err != nil {
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	return existingNetNS(path)
}

// existingNetNS is errNoNetNS when there is no file, or one that holds nothing
// any more because the machine was booted since.
func existingNetNS(path string) (*netNS, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err == unix.ENOENT || err == nil && st.Type != unix.NSFS_MAGIC {
		return nil, errNoNetNS
	} else if err != nil {
		return nil, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, err
	}
	link, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("speak to network namespace %s: %w", path, err)
	}
	return &netNS{path: path, ns: ns, link: link}, nil
}

func (n *netNS) Close() {
	n.link.Close()
	n.ns.Close()
}

func (n *netNS) loopbackUp() error {
	lo, err := n.link.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.link.LinkSetUp(lo)
}

// address returns the address of the task's end of its cable.
func (n *netNS) address() (netip.Addr, bool) {
	link, err := n.link.LinkByName(network.TaskLink)
	if err != nil {
		return netip.Addr{}, false
	}
	list, err := n.link.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(list) == 0 {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(list[0].IP.To4())
	return a, ok
}

// makeNetNS makes a namespace and mounts it on the file.
func makeNetNS(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- mountNewNetNS(path) }()
	return <-failed
}

// mountNewNetNS goes into a new namespace and back with this thread alone. A
// thread that cannot go back stays locked, and ends with its goroutine.
func mountNewNetNS(path string) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	if back := netns.Set(home); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// removeNetNS removes the file; the namespace goes with its last process.
func removeNetNS(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT {
			break
		}
		if err != nil {
			return &fs.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
