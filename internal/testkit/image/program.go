package image

import (
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Program is an image of that name with nothing but one static program, which
// is read from path.
func Program(name, path string) (Image, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Image{}, err
	}
	l := newLayer()
	if err := l.system(); err != nil {
		return Image{}, err
	}
	if err := l.file("program", 0o755, string(text)); err != nil {
		return Image{}, err
	}
	whole, err := l.finish()
	if err != nil {
		return Image{}, err
	}
	return assemble(name, v1.Config{Entrypoint: []string{"/program"}}, whole)
}
