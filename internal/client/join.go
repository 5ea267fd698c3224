package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

// JoinOptions say who asks to be let in, and where.
type JoinOptions struct {
	// Manager is one or more host:port, with commas between them.
	Manager string
	Token   pki.Token
	// Key is the asker's own; it does not leave this process.
	Key *pki.Key
	// Name of a node; people are named by their token.
	Name string
	// Role of a node: WORKER or MANAGER; a person's is the token's.
	Role warrenv1.Role
	// Address is where others reach a manager that joins, host:port.
	Address string
}

// Admission is what somebody got who was let in.
type Admission struct {
	ClusterID string
	// ID and Name are the node's or the person's.
	ID, Name string
	Role     warrenv1.Role
	// Managers are the addresses of all managers, host:port.
	Managers []string
	// Bundle has the certificate; its key is the caller's to destroy.
	Bundle pki.Bundle
	// UnlockKey opens the cluster's keys; nil unless a manager joined. It is
	// the caller's to destroy.
	UnlockKey *seal.Plaintext
	// Autolock: that key is not to be kept on a disk.
	Autolock bool
}

// Join trades a token for a certificate. The manager must be one of the
// cluster whose CA the token names; only then it is told the token's secret.
// The same key may ask again: it gets the same member's certificate.
func Join(ctx context.Context, o JoinOptions) (*Admission, error) {
	var failures []failure
	for _, named := range strings.Split(o.Manager, ",") {
		a, err := parseAddress(strings.TrimSpace(named))
		if err == nil && a.network != "tcp" {
			err = badAddress(named, "joining takes the address that other machines use")
		}
		if err != nil {
			return nil, err
		}
		admission, err := joinAt(ctx, a, o)
		if err == nil || ctx.Err() != nil {
			return admission, err
		}
		if answer := (*Error)(nil); errors.As(err, &answer) && answer.Code != Unreachable {
			return nil, err
		}
		failures = append(failures, failure{a, err})
	}
	return nil, notJoined(failures)
}

// notJoined names every address that was tried.
func notJoined(failures []failure) error {
	e := &Error{Code: Unreachable, Hint: "check --manager: it wants the HOST:PORT of a manager, as `warren node list` shows it there"}
	var told []string
	for _, f := range failures {
		told = append(told, fmt.Sprintf("%s (%s)", f.at, cause(f.err)))
		e.cause = f.err
	}
	e.Message = "no manager of the token's cluster at " + strings.Join(told, " nor at ")
	if errors.Is(e.cause, pki.ErrOtherCluster) {
		e.Code, e.Hint = Denied, "take a token of that cluster, or the address of a manager of the token's"
	}
	return e
}

func joinAt(ctx context.Context, a address, o JoinOptions) (*Admission, error) {
	conn, err := connectWith(ctx, a, credentials.NewTLS(pki.JoinTLS(o.Token)), Options{})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request, err := o.Key.Request()
	if err != nil {
		return nil, err
	}
	envelope, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return nil, err
	}
	answer, err := warrenv1.NewJoiningClient(conn).Join(ctx, &warrenv1.JoinRequest{
		TokenId: o.Token.ID, TokenSecret: o.Token.Secret, CertificateRequest: request,
		Name: o.Name, Address: o.Address, Role: o.Role, SealingKey: envelope.PublicKey(),
	})
	if err != nil {
		return nil, err
	}
	return admission(answer, o, envelope, a)
}

// admission checks the answer: the certificate must be for our key.
func admission(answer *warrenv1.JoinResponse, o JoinOptions, envelope *seal.EnvelopeKey, at address) (*Admission, error) {
	bundle, err := pki.NewBundle(answer.GetCaCertificate(), answer.GetCertificate(), o.Key)
	if err != nil {
		return nil, err
	}
	credential, err := bundle.Parse()
	if err != nil {
		bundle.Key.Destroy()
		return nil, fmt.Errorf("the manager at %s gave no good certificate: %w", at, err)
	}
	a := &Admission{
		ClusterID: credential.Identity().ClusterID, ID: answer.GetId(), Name: answer.GetName(), Role: answer.GetRole(),
		Managers: answer.GetManagers(), Bundle: bundle, Autolock: answer.GetAutolock(),
	}
	if !slices.Contains(a.Managers, at.target) {
		a.Managers = append(a.Managers, at.target)
	}
	if sealed := answer.GetSealedUnlockKey(); sealed != nil {
		if a.UnlockKey, err = envelope.Open(seal.ToManagerInfo(a.ClusterID, a.ID), sealed); err != nil {
			bundle.Key.Destroy()
			return nil, fmt.Errorf("the unlock key that the manager at %s sent: %w", at, err)
		}
	}
	return a, nil
}

// NewToken makes a token for the cluster and has it noted; the manager learns
// its hash only. The request's ID and hash are filled in.
func (c *Client) NewToken(ctx context.Context, r *warrenv1.CreateTokenRequest) (pki.Token, *warrenv1.JoinToken, error) {
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return pki.Token{}, nil, err
	}
	token, err := pki.NewToken(cluster.GetCaCertificate())
	if err != nil {
		return pki.Token{}, nil, err
	}
	r.Id, r.Hash = token.ID, token.Hash()
	row, err := c.Joining.CreateToken(ctx, r)
	return token, row, err
}
