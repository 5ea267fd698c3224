package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Registry is how one registry is spoken to; its password is a secret.
type Registry struct {
	Host      string    `json:"host"`
	Username  string    `json:"username"`
	PlainHTTP bool      `json:"plain_http"`
	OwnCA     bool      `json:"own_ca"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewRegistry shows a registry.
func NewRegistry(r *warrenv1.Registry) Registry {
	return Registry{
		Host:      r.GetHost(),
		Username:  r.GetUsername(),
		PlainHTTP: r.GetPlainHttp(),
		OwnCA:     len(r.GetCaCertificate()) > 0,
		UpdatedAt: moment(r.GetUpdatedAt()),
	}
}

// Transport is what the way to the registry is protected by.
func (r Registry) Transport() string {
	switch {
	case r.PlainHTTP:
		return "plain http"
	case r.OwnCA:
		return "https, own CA"
	}
	return "https"
}
