package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const architecture = runtime.GOARCH

// merged are the directories that are links into /usr, which packages of this
// age still name.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// unwanted are paths that a container has no use for.
var unwanted = []string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/", "usr/share/info/"}

// layer collects files; the first of each path stays.
type layer struct {
	buffer bytes.Buffer
	tar    *tar.Writer
	seen   map[string]bool
	skip   []string
}

func newLayer(skip ...string) *layer {
	l := &layer{seen: map[string]bool{}, skip: append(skip, unwanted...)}
	l.tar = tar.NewWriter(&l.buffer)
	return l
}

// system adds what every root filesystem has.
func (l *layer) system() error {
	for _, dir := range []string{"usr", "etc", "dev", "proc", "sys", "run", "var", "root"} {
		if err := l.dir(dir, 0o755, 0); err != nil {
			return err
		}
	}
	if err := l.dir("tmp", 0o1777, 0); err != nil {
		return err
	}
	for _, name := range merged {
		if err := l.dir("usr/"+name, 0o755, 0); err != nil {
			return err
		}
		if err := l.link(name, "usr/"+name); err != nil {
			return err
		}
	}
	return l.link("var/run", "/run")
}

func (l *layer) dir(name string, mode int64, owner int) error {
	return l.add(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

func (l *layer) link(name, target string) error {
	return l.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (l *layer) file(name string, mode int64, content string) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}
	return l.add(header, strings.NewReader(content))
}

func (l *layer) add(header *tar.Header, content io.Reader) error {
	key := strings.TrimSuffix(header.Name, "/")
	if l.seen[key] {
		return nil
	}
	l.seen[key] = true
	// No PAX records, so that the same files make the same layer.
	header.Format, header.PAXRecords, header.Uname, header.Gname = tar.FormatUnknown, nil, "", ""
	if err := l.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("add %s: %w", header.Name, err)
	}
	if content == nil {
		return nil
	}
	if _, err := io.Copy(l.tar, content); err != nil {
		return fmt.Errorf("add %s: %w", header.Name, err)
	}
	return nil
}

// packageFiles adds the files of a package, given as a tar stream.
func (l *layer) packageFiles(files io.Reader) error {
	in := tar.NewReader(files)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the package's files: %w", err)
		}
		name := usrPath(header.Name)
		if name == "" || l.skips(name) {
			continue
		}
		header.Name = name
		if header.Typeflag == tar.TypeDir {
			header.Name += "/"
		}
		if header.Typeflag == tar.TypeLink {
			header.Linkname = usrPath(header.Linkname)
		}
		if err := l.add(header, in); err != nil {
			return err
		}
	}
}

func (l *layer) skips(name string) bool {
	for _, prefix := range l.skip {
		if strings.HasPrefix(name+"/", prefix) {
			return true
		}
	}
	return false
}

// usrPath is the path in a root filesystem whose /bin is /usr/bin.
func usrPath(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, _ := strings.Cut(name, "/")
	for _, dir := range merged {
		if first == dir {
			return "usr/" + name
		}
	}
	return name
}

// finish returns the layer.
func (l *layer) finish() (v1.Layer, error) {
	if err := l.tar.Close(); err != nil {
		return nil, err
	}
	content := l.buffer.Bytes()
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithCompressionLevel(gzip.BestSpeed),
		tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressedCaching,
	)
}
