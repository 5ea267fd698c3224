package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestDependenciesTakeTheFirstAlternative(t *testing.T) {
	got := dependencies([]byte(`postgresql-15
  Depends: libc6
  PreDepends: libpam0g
 |Depends: locales
  Depends: locales-all
  Depends: <virtual>
  Depends: perl:any
  Suggests: lm-sensors
busybox
  Depends: libzstd1
`))
	if want := []string{"libc6", "libpam0g", "locales", "perl", "libzstd1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPathsAreBelowUsr(t *testing.T) {
	for name, want := range map[string]string{
		"./": "", "./bin/sh": "usr/bin/sh", "./lib/x": "usr/lib/x", "./lib64/ld.so": "usr/lib64/ld.so", "./sbin/": "usr/sbin",
		"./usr/bin/x": "usr/bin/x", "./etc/passwd": "etc/passwd", "./library/x": "library/x", "../../etc/x": "etc/x",
	} {
		if got := usrPath(name); got != want {
			t.Errorf("%s became %q, want %q", name, got, want)
		}
	}
}

// packageOf is a package's tar stream with these files.
func packageOf(t *testing.T, files ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, header := range files {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestALayerKeepsTheFirstOfEachPathAndSkipsDocuments(t *testing.T) {
	l := newLayer("opt/unwanted/")
	if err := l.dir("var", 0o700, 999); err != nil {
		t.Fatal(err)
	}
	err := l.packageFiles(packageOf(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "./var/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "./bin/a", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeLink, Name: "./bin/b", Linkname: "./bin/a"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/a/copyright"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./opt/unwanted/x"},
	))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := l.finish()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*tar.Header{}
	for in := tar.NewReader(content); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found[header.Name] = header
	}
	if len(found) != 3 || found["var/"].Uid != 999 || found["usr/bin/a"] == nil || found["usr/bin/b"].Linkname != "usr/bin/a" {
		t.Errorf("the layer has %v", found)
	}
}

func TestTheSameFilesMakeTheSameImage(t *testing.T) {
	var digests []string
	for range 2 {
		made, err := Busybox(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		digest, err := made.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %v", digests)
	}
}

func TestUnknownImagesAreRefused(t *testing.T) {
	if _, err := Make(t.Context(), "windows"); err == nil {
		t.Error("made an image of windows")
	}
}
