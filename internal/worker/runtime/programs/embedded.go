//go:build embed_helpers

package programs

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/klauspost/compress/zstd"
)

// Made by `make helpers`: NAME.zst, and NAME.sum with digest and size.
//
//go:embed *.zst *.sum
var packed embed.FS

func install(dir, name string) error {
	sum, err := packed.ReadFile(name + ".sum")
	if err != nil {
		return err
	}
	digest, size, err := parseSum(sum)
	if err != nil {
		return fmt.Errorf("read %s.sum: %w", name, err)
	}
	path := filepath.Join(dir, name)
	if same(path, size, digest) {
		return nil
	}
	compressed, err := packed.ReadFile(name + ".zst")
	if err != nil {
		return err
	}
	// What unpacking took is given back now, not in the course of minutes.
	defer debug.FreeOSMemory()
	return replace(path, func(temporary string) error { return unpack(compressed, temporary) })
}

func unpack(compressed []byte, path string) (err error) {
	in, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	// The digest is compared at the next start; half a file must not be run
	// after a crash before it.
	return out.Sync()
}
