package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// Format is how an answer is shown.
type Format string

// The formats of -o. Table and wide are for people and may gain columns; json
// and yaml are for programs, with exact numbers and times in UTC.
const (
	Table Format = "table"
	Wide  Format = "wide"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

var formats = []string{string(Table), string(Wide), string(JSON), string(YAML)}

// String, Set and Type make a Format a flag.
func (f *Format) String() string { return string(*f) }

// Set refuses what is no format.
func (f *Format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return fmt.Errorf("the formats are %s", strings.Join(formats, ", "))
	}
	*f = Format(s)
	return nil
}

// Type names the flag's value in help texts.
func (f *Format) Type() string { return "FORMAT" }

// BindFormat adds -o to a verb.
func BindFormat(cmd *cobra.Command) *Format {
	f := new(Format)
	*f = Table
	cmd.Flags().VarP(f, "output", "o", "output format: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// forProgram tells whether the format is read by programs.
func (f Format) forProgram() bool { return f == JSON || f == YAML }

// Encode writes a value for programs.
func (f Format) Encode(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if f == YAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
