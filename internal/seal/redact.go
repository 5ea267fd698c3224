package seal

import (
	"fmt"
	"io"
	"log/slog"
)

const redactedText = "[redacted]"

// redacted is embedded in every type that holds key material or a value: the
// type then prints as [redacted] through every verb of fmt, in JSON, in text
// and in log/slog, and comparing two of them with == does not compile, since
// that would neither run in constant time nor compare what they hold.
type redacted struct{ _ [0]func() }

// Format implements fmt.Formatter, which outranks every other way of printing.
func (redacted) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redactedText) }

// String implements fmt.Stringer for those who call it by hand.
func (redacted) String() string { return redactedText }

// GoString implements fmt.GoStringer.
func (redacted) GoString() string { return redactedText }

// MarshalText implements encoding.TextMarshaler; encoding/gob and YAML
// libraries use it too.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

// MarshalJSON implements json.Marshaler.
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedText + `"`), nil }

// LogValue implements slog.LogValuer.
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }
