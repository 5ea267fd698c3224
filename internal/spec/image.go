package spec

import (
	"github.com/distribution/reference"
)

// ImageName resolves what a user typed as Docker does: postgres:15 becomes
// docker.io/library/postgres:15, a name without tag or digest gets :latest,
// and a digest wins over a tag beside it.
func ImageName(ref string) (canonical string, err error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", invalid(KindImage, ref, "image %q is not a valid name: %v", ref, err).
			WithHint("write it as NAME, NAME:TAG or HOST/NAME:TAG, for example postgres:15")
	}
	return named.String(), nil
}

// ImageRegistry returns the registry host of an image: docker.io for postgres:15.
func ImageRegistry(ref string) (host string, err error) {
	canonical, err := ImageName(ref)
	if err != nil {
		return "", err
	}
	named, err := reference.ParseNormalizedNamed(canonical)
	if err != nil {
		return "", invalid(KindImage, ref, "image %q is not a valid name: %v", ref, err)
	}
	return reference.Domain(named), nil
}
