// Command pack compresses a helper program for embedding: it writes NAME.zst
// and NAME.sum into a directory.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pack DIRECTORY PROGRAM…")
		os.Exit(2)
	}
	for _, program := range os.Args[2:] {
		if err := pack(os.Args[1], program); err != nil {
			fmt.Fprintf(os.Stderr, "pack %s: %v\n", program, err)
			os.Exit(1)
		}
	}
}

func pack(dir, program string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	// The window is memory that the first start of a node needs.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(4<<20))
	if err != nil {
		return err
	}
	defer encoder.Close()
	path := filepath.Join(dir, filepath.Base(program))
	sum := fmt.Sprintf("%x %d\n", sha256.Sum256(content), len(content))
	if err := os.WriteFile(path+".sum", []byte(sum), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path+".zst", encoder.EncodeAll(content, nil), 0o644)
}
