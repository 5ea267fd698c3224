package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/cuemby/warren/internal/worker/network/dns"
	"golang.org/x/sys/unix"
)

// Names of a task's files, which stand for those of the same name in /etc.
const (
	hostsFile    = "hosts"
	hostnameFile = "hostname"
	resolvFile   = "resolv.conf"
)

// writeFiles writes the task's files and names them in the endpoint.
func (n *Network) writeFiles(s network.Sandbox, e *network.Endpoint) error {
	dir := filepath.Join(n.tasksDir(), s.TaskID)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	e.HostsPath = filepath.Join(dir, hostsFile)
	e.HostnamePath = filepath.Join(dir, hostnameFile)
	e.ResolvConfPath = filepath.Join(dir, resolvFile)
	hosts, hostname, resolv, err := contents(s, *e)
	if err != nil {
		return err
	}
	return errors.Join(
		write(e.HostsPath, hosts),
		write(e.HostnamePath, []byte(hostname+"\n")),
		write(e.ResolvConfPath, resolv),
	)
}

func contents(s network.Sandbox, e network.Endpoint) (hosts []byte, hostname string, resolv []byte, err error) {
	conf, err := readIfThere(resolvConf)
	if err != nil {
		return nil, "", nil, err
	}
	if s.Mode == network.ModeHost {
		hosts, err = readIfThere("/etc/hosts")
		if err == nil {
			hostname, err = os.Hostname()
		}
		return hosts, hostname, conf, err
	}
	if s.Mode == network.ModeBridge {
		return network.HostsFile(s.Hostname, e.Address), s.Hostname, network.NamesConf(e.Gateway, dns.Domain(s.Namespace), conf), nil
	}
	resolved, err := readIfThere(resolvedConf)
	if err != nil {
		return nil, "", nil, err
	}
	return network.HostsFile(s.Hostname, e.Address), s.Hostname, network.ResolvConf(conf, resolved), nil
}

// upstreams are the resolvers that the host itself asks, at this moment.
func upstreams() []netip.AddrPort {
	// Without the file there are none.
	conf, _ := readIfThere(resolvConf)
	var all []netip.AddrPort
	for _, a := range network.HostResolvers(conf) {
		all = append(all, netip.AddrPortFrom(a, 53))
	}
	return all
}

func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// write changes the file in place, because a container may have it mounted,
// and not at all when it has the content.
func write(path string, content []byte) error {
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
		return nil
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	// Whatever the umask is: the container's user reads them.
	return os.Chmod(path, 0o644)
}

// removeFiles removes the task's files; the directory may hold those of others.
func (n *Network) removeFiles(taskID string) error {
	dir := filepath.Join(n.tasksDir(), taskID)
	for _, name := range []string{hostsFile, hostnameFile, resolvFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := os.Remove(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the task's files: %w", err)
	}
	return nil
}
