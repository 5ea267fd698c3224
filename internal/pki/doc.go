// Package pki says who is who: the cluster's certificate authority, the
// identities in its certificates, the TLS configurations that demand them, and
// the directories that certificates are kept in.
//
// An identity is one URI for each role in the certificate's subject
// alternative names,
//
//	warren://<cluster-id>/<role>/<name>
//
// and nothing else of a certificate is ever used to decide what its holder may
// do. Host names are no identities: a client is satisfied by any manager of
// the cluster, wherever it listens.
package pki
