package spec

import (
	"crypto/x509"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// RegistryHost checks host or host:port by building an image's name with it.
func RegistryHost(host string) error {
	p := invalid(KindRegistry, host, "registry %q is not a host name", host).
		WithHint("write it as HOST or HOST:PORT, without https:// and without a path")
	if host == "" || strings.Contains(host, "/") {
		return p
	}
	if got, err := ImageRegistry(host + "/library/probe"); err != nil || got != host {
		return p
	}
	return nil
}

// ValidateRegistry checks how to speak to a registry.
func ValidateRegistry(r *warrenv1.SetRegistryRequest) error {
	if err := RegistryHost(r.GetHost()); err != nil {
		return err
	}
	if (r.GetUsername() == "") != (r.GetPassword() == nil) {
		return invalid(KindRegistry, r.GetHost(), "a login at registry %q takes a user name and a password", r.GetHost()).
			WithHint("warren registry login %s --username NAME --password-stdin", r.GetHost())
	}
	if len(r.GetCaCertificate()) > 0 && !x509.NewCertPool().AppendCertsFromPEM(r.GetCaCertificate()) {
		return invalid(KindRegistry, r.GetHost(), "the CA certificate for registry %q is not PEM", r.GetHost())
	}
	return nil
}

// RegistrySecretName names the secret that keeps a registry's password.
func RegistrySecretName(host string) string {
	return "registry-" + strings.Map(func(c rune) rune {
		if notInFileName(c) {
			return '_'
		}
		return c
	}, strings.ToLower(host))
}
