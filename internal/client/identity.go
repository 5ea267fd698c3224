package client

import (
	"net"

	"github.com/cuemby/warren/internal/pki"
	"google.golang.org/grpc/credentials"
)

// certificate proves who is calling with what the caller's home has for the
// manager's cluster.
func certificate(a address, homeDir string) (credentials.TransportCredentials, error) {
	home, err := homeOf(homeDir)
	if err != nil {
		return nil, err
	}
	config, err := home.ClientTLS()
	if err != nil {
		return nil, withoutCertificate(a, err)
	}
	return credentials.NewTLS(config), nil
}

// homeOf is the home that has the caller's certificates, the caller's own when
// no other is named.
func homeOf(dir string) (*pki.Home, error) {
	if dir == "" {
		return pki.UserHome()
	}
	return pki.NewHome(dir), nil
}

// withoutCertificate decides what to tell somebody who has no certificate at
// all: on a machine where no manager runs yet, that is the news.
func withoutCertificate(a address, err error) error {
	d := net.Dialer{Timeout: connectTimeout}
	conn, unreachable := d.Dial(a.network, a.target)
	if unreachable != nil {
		return unreachable
	}
	conn.Close()
	return err
}
