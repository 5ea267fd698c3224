package secretfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Opened is an export whose key fits.
type Opened struct {
	Header
	body       *body
	identities []age.Identity
}

// Open reads an export and checks that what should open it does, before
// anything else is done. The errors are ErrForeign, ErrDamaged, ErrKey, and
// those of the opener.
func Open(file []byte, with Opener) (*Opened, error) {
	b, err := parse(file)
	if err != nil {
		return nil, err
	}
	o := &Opened{Header: b.Header, body: b}
	if b.Key != nil {
		if o.identities, err = with.identities(b.Key); err != nil {
			return nil, err
		}
	}
	// A file that is damaged far behind is refused here too.
	return o, o.Each(func(*Entry) error { return nil })
}

// Each goes through the entries in their order. They are wiped once do returns.
func (o *Opened) Each(do func(*Entry) error) error {
	r, err := o.reader()
	if err != nil {
		return err
	}
	d := json.NewDecoder(r)
	if err := array(d, '['); err != nil {
		return err
	}
	n, secrets, last := 0, 0, ""
	for ; d.More(); n++ {
		e, err := read(d)
		if err != nil {
			return fmt.Errorf("%w: entry %d cannot be read", ErrDamaged, n+1)
		}
		if name := e.Namespace + "/" + e.Name; name != last {
			last = name
			secrets++
		}
		err = do(e)
		e.Destroy()
		if err != nil {
			return err
		}
	}
	if err := array(d, ']'); err != nil {
		return err
	}
	// What is left tells whether age's last chunk is authentic.
	if rest, err := io.ReadAll(io.MultiReader(d.Buffered(), r)); err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return ErrDamaged
	}
	if n != o.Entries || secrets != o.Secrets {
		return fmt.Errorf("%w: it should have %d versions of %d secrets, and has %d of %d", ErrDamaged, o.Entries, o.Secrets, n, secrets)
	}
	return nil
}

func (o *Opened) reader() (io.Reader, error) {
	if o.Key == nil {
		return bytes.NewReader(o.body.Data), nil
	}
	r, err := age.Decrypt(bytes.NewReader(o.body.Payload), o.identities...)
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return nil, fmt.Errorf("%w: %s", ErrKey, o.Key.Fingerprint)
	}
	if err != nil {
		return nil, ErrDamaged
	}
	return r, nil
}

// array takes the beginning or the end of the entries.
func array(d *json.Decoder, want json.Delim) error {
	if token, err := d.Token(); err != nil || token != want {
		return ErrDamaged
	}
	return nil
}
