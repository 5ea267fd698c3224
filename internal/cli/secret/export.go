package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secretfile"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// exporting is what a person says of an export.
type exporting struct {
	all, plaintext, yes, force bool
	output, passphraseFile     string
	recipients                 []string
}

func newExport(s *command.Shell) *cobra.Command {
	var f exporting
	cmd := &cobra.Command{
		Use:   "export NAME... | --all",
		Short: "Write secrets, with their values, to a sealed file",
		Long: `Write secrets with their values, versions, labels and namespaces to a file that
only its owner may read, sealed under a passphrase, or to the holders of age keys
(age-keygen makes them). The values are sealed on their way to this program too.
The audit log tells who exported what.

The file is JSON; its payload can also be opened with age itself:
  jq -r .payload secrets-backup.json | base64 -d | age -d`,
		Example: `  warren secret export --all --output secrets-backup.json
  warren secret export db-password api-key --output two.json --passphrase-file pass.txt
  warren secret export --all --output secrets.json --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p`,
		ValidArgsFunction: command.Complete(s, Noun, true),
	}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := f.check(cmd, names); err != nil {
			return err
		}
		to, err := f.sealing(s)
		if err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, names []string) error {
			return f.run(ctx, s, c, names, to)
		})(cmd, names)
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "all secrets of all namespaces")
	flags.StringVar(&f.output, "output", "", "`FILE` to write")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "take the passphrase from the first line of the file at `PATH`, instead of asking")
	flags.StringArrayVar(&f.recipients, "recipient", nil, "seal to the holder of this age key instead: `age1…` (repeatable)")
	flags.BoolVar(&f.plaintext, "plaintext", false, "do not encrypt: whoever reads the file has all values")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask whether --plaintext is meant")
	flags.BoolVar(&f.force, "force", false, "replace the file if it exists")
	return cmd
}

func (f *exporting) check(cmd *cobra.Command, names []string) error {
	ways := 0
	for _, given := range []bool{f.plaintext, f.passphraseFile != "", len(f.recipients) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case !f.all && len(names) == 0:
		return command.Usagef(cmd, "which secrets are to be exported? Give their names, or --all")
	case f.all && len(names) > 0:
		return command.Usagef(cmd, "give names or --all, not both")
	case f.output == "":
		return command.Usagef(cmd, "where to? Give --output FILE")
	case ways > 1:
		return command.Usagef(cmd, "give only one of --passphrase-file, --recipient and --plaintext")
	}
	if !f.force {
		return free(f.output)
	}
	return nil
}

// sealing is what the file is sealed with.
func (f *exporting) sealing(s *command.Shell) (*secretfile.Sealing, error) {
	switch {
	case f.plaintext:
		return secretfile.Plain(), f.confirm(s)
	case len(f.recipients) > 0:
		to, err := secretfile.WithRecipients(f.recipients...)
		if err != nil {
			return nil, &command.Usage{Message: err.Error(), Hint: "age-keygen makes a key and prints its public half"}
		}
		return to, nil
	}
	passphrase, err := passphraseFrom(s, f.passphraseFile, true)
	if err != nil {
		return nil, err
	}
	defer passphrase.Destroy()
	return secretfile.WithPassphrase(passphrase)
}

// confirm asks whether values may lie in a file in the clear. Unlike other
// questions this one is not passed over where nobody can answer.
func (f *exporting) confirm(s *command.Shell) error {
	if f.yes {
		return nil
	}
	if !command.Terminal(s.In) {
		return &command.Usage{
			Message: "--plaintext writes all values in the clear, and there is nobody to ask whether that is meant",
			Hint:    "leave it out, or add --yes",
		}
	}
	var ask command.Confirmation
	return ask.Ask(context.Background(), s, "Write all values in the clear to "+f.output+"?")
}

func (f *exporting) run(ctx context.Context, s *command.Shell, c *client.Client, names []string, to *secretfile.Sealing) error {
	var versions, secrets int
	err := s.Wait(ctx, "Exporting secrets", func(ctx context.Context) error {
		return save(f.output, f.force, func(w io.Writer) (err error) {
			versions, secrets, err = export(ctx, s.Now(), c, names, w, to)
			return err
		})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "%d secrets (%d versions) exported to %s, %s\n", secrets, versions, f.output, f.sealedTo())
	return err
}

func (f *exporting) sealedTo() string {
	switch {
	case f.plaintext:
		return "in the clear"
	case len(f.recipients) > 0:
		return fmt.Sprintf("sealed to %d age keys", len(f.recipients))
	}
	return "sealed under the passphrase"
}

// export writes what the manager sends. It is sealed to a key of this call, and
// opened and written one value at a time.
func export(ctx context.Context, at time.Time, c *client.Client, names []string, w io.Writer, to *secretfile.Sealing) (versions, secrets int, err error) {
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return 0, 0, err
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return 0, 0, err
	}
	defer key.Destroy()
	out, err := secretfile.NewWriter(w, cluster.GetId(), at.UTC(), to)
	if err != nil {
		return 0, 0, err
	}
	r := &warrenv1.ExportSecretsRequest{Names: names, SealingKey: key.PublicKey()}
	stream, err := c.Secrets.ExportSecrets(ctx, r)
	for err == nil {
		var e *warrenv1.ExportedSecret
		if e, err = stream.Recv(); err == nil {
			err = add(out, key, cluster.GetId(), e)
		}
	}
	if !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	versions, secrets = out.Counted()
	if secrets == 0 {
		return 0, 0, &client.Error{Code: client.NotFound, Message: "there are no secrets to export", Hint: "warren secret list"}
	}
	return versions, secrets, out.Close()
}

func add(out *secretfile.Writer, key *seal.EnvelopeKey, clusterID string, exported *warrenv1.ExportedSecret) error {
	m, v := exported.GetSecret().GetMeta(), exported.GetVersion()
	e := &secretfile.Entry{
		Namespace: m.GetNamespace(), Name: m.GetName(), Labels: m.GetLabels(),
		Lifetime: exported.GetSecret().GetLifetime().GetSeconds(), Keep: exported.GetSecret().GetKeep(),
		Version: v.GetNumber(), CreatedAt: v.GetCreatedAt().AsTime(), CreatedBy: v.GetCreatedBy(), CopyOf: v.GetCopyOf(),
	}
	if v.GetExpiresAt() != nil {
		e.ExpiresAt = v.GetExpiresAt().AsTime()
	}
	defer e.Destroy()
	for _, item := range exported.GetItems() {
		info := seal.ToExportInfo(clusterID, m.GetNamespace(), m.GetId(), v.GetNumber(), item.GetKey())
		value, err := key.Open(info, item.GetCiphertext())
		if err != nil {
			return fmt.Errorf("%s %s, version %d: %w", spec.KindSecret, m.GetName(), v.GetNumber(), err)
		}
		e.Items = append(e.Items, secretfile.Item{Key: item.GetKey(), Value: value})
	}
	return out.Add(e)
}
