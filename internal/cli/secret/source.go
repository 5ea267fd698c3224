package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// item is one value of a secret; the key is empty for a secret that is one
// file.
type item struct {
	key   string
	value *seal.Plaintext
}

// source is where a secret's value comes from: exactly one of them.
type source struct {
	literals []string
	files    []string
	stdin    bool
}

func (src *source) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&src.literals, "from-literal", nil,
		"`KEY=VALUE`: the secret is the VALUE. Prefer --from-stdin: others can see an argument in the list of processes and in the shell's history. Repeated, the secret is a directory with one file per KEY")
	flags.StringArrayVar(&src.files, "from-file", nil,
		"the secret is what the file at `PATH` contains. Repeated, as KEY=PATH, the secret is a directory with one file per KEY")
	flags.BoolVar(&src.stdin, "from-stdin", false, "the secret is what is piped in")
}

// given counts the sources.
func (src *source) given(cmd *cobra.Command) (given int) {
	for _, flag := range []string{"from-literal", "from-file", "from-stdin"} {
		if cmd.Flags().Changed(flag) {
			given++
		}
	}
	return given
}

// check asks for exactly one source.
func (src *source) check(cmd *cobra.Command) error {
	switch given := src.given(cmd); {
	case given == 0:
		return command.Usagef(cmd, "the secret has no value: give --from-literal, --from-file or --from-stdin")
	case given > 1:
		return command.Usagef(cmd, "the secret has two values: give only one of --from-literal, --from-file and --from-stdin")
	}
	return nil
}

// read returns the values; the caller destroys them.
func (src *source) read(name string, s *command.Shell) ([]item, error) {
	switch {
	case len(src.literals) > 0:
		return readLiterals(name, src.literals)
	case src.stdin && command.Terminal(s.In):
		return typed(name, s)
	case src.stdin:
		return one(name, s.In)
	}
	if len(src.files) > 1 {
		return readFiles(name, src.files)
	}
	value, err := readFile(name, src.files[0])
	return []item{{value: value}}, err
}

func readFile(name, path string) (*seal.Plaintext, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the value of secret %q: %w", name, err)
	}
	defer f.Close()
	return readValue(name, f)
}

// readFiles reads one value from each of several files, given as KEY=PATH.
func readFiles(name string, args []string) (items []item, err error) {
	defer func() {
		if err != nil {
			destroy(items)
		}
	}()
	var total uint64
	for _, arg := range args {
		key, path, found := strings.Cut(arg, "=")
		if !found {
			return items, &command.Usage{
				Message: fmt.Sprintf("--from-file %s: one of several files needs a key", arg),
				Hint:    "--from-file KEY=" + arg,
			}
		}
		value, err := readFile(name, path)
		if err != nil {
			return items, err
		}
		items = append(items, item{key, value})
		total += uint64(value.Len())
	}
	return items, spec.SecretSize(name, total)
}

// typed asks the person at the terminal, without showing what is typed.
func typed(name string, s *command.Shell) ([]item, error) {
	text, err := s.AskSecret(fmt.Sprintf("Value of secret %q (not shown, ends with Enter): ", name))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return one(name, bytes.NewReader(text))
}

func one(name string, r io.Reader) ([]item, error) {
	value, err := readValue(name, r)
	if err != nil {
		return nil, err
	}
	return []item{{value: value}}, nil
}

// readValue reads one value into protected memory. It stops one byte behind
// the limit, so that an endless stream is refused rather than read.
func readValue(name string, r io.Reader) (*seal.Plaintext, error) {
	buffer, err := seal.NewPlaintext(spec.MaxSecretBytes + 1)
	if err != nil {
		return nil, err
	}
	defer buffer.Destroy()
	n, err := io.ReadFull(r, buffer.Bytes())
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read the value of secret %q: %w", name, err)
	}
	if err := spec.SecretSize(name, uint64(n)); err != nil {
		return nil, err
	}
	value, err := seal.NewPlaintext(n)
	if err != nil {
		return nil, err
	}
	copy(value.Bytes(), buffer.Bytes())
	return value, nil
}

func readLiterals(name string, literals []string) (items []item, err error) {
	defer func() {
		if err != nil {
			destroy(items)
		}
	}()
	var total uint64
	for _, literal := range literals {
		key, text, err := spec.ParseLiteral(literal)
		if err != nil {
			return items, err
		}
		value, err := seal.PlaintextFrom([]byte(text))
		if err != nil {
			return items, err
		}
		items = append(items, item{key, value})
		total += uint64(value.Len())
	}
	if len(items) == 1 {
		items[0].key = "" // a single value is a file, whatever its key is called
	}
	return items, spec.SecretSize(name, total)
}

func destroy(items []item) {
	for _, i := range items {
		i.value.Destroy()
	}
}
