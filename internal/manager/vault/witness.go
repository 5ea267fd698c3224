package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// Witness returns a code for a row of the database: HMAC-SHA-256 with a key
// that is derived from the CA's private key, which outlives the data keys, so
// that no row has to be vouched for again when those are rotated.
func (v *Vault) Witness(key string, row []byte) ([]byte, error) {
	var secret []byte
	err := v.with(func(k *keys) error {
		ca, err := k.ca.MarshalKey()
		if err != nil {
			return err
		}
		defer ca.Destroy()
		secret, err = hkdf.Key(sha256.New, ca.Bytes(), nil, "warren witness v1 "+v.clusterID, sha256.Size)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	mac := hmac.New(sha256.New, secret)
	// The length keeps a key's end from passing for a row's beginning.
	fmt.Fprintf(mac, "%d %s", len(key), key)
	mac.Write(row)
	return mac.Sum(nil), nil
}
