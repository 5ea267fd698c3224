package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secretfile"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var onConflict = map[string]warrenv1.OnConflict{
	"fail":   warrenv1.OnConflict_ON_CONFLICT_FAIL,
	"skip":   warrenv1.OnConflict_ON_CONFLICT_SKIP,
	"update": warrenv1.OnConflict_ON_CONFLICT_UPDATE,
}

func newImport(s *command.Shell) *cobra.Command {
	var (
		file, passphraseFile, conflict string
		identities                     []string
	)
	cmd := &cobra.Command{
		Use:   "import --file FILE",
		Short: "Make secrets of a file that was exported",
		Long: `Make secrets of a file that was exported: all of them in one moment, or none. The
whole file is opened and checked before anything is sent. Where a name is taken,
nothing is imported, unless --on-conflict says otherwise: skip leaves that secret
as it is, update gives it the file's newest value as a new version.`,
		Example: `  warren secret import --file secrets-backup.json
  warren secret import --file secrets-backup.json --passphrase-file pass.txt --on-conflict skip
  warren secret import --file secrets.json --identity key.txt`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		how, known := onConflict[conflict]
		if !known {
			return command.Usagef(cmd, "--on-conflict is fail, skip or update, not %q", conflict)
		}
		if file == "" {
			return command.Usagef(cmd, "which file? Give --file FILE")
		}
		with, err := opener(s, passphraseFile, identities)
		if err != nil {
			return err
		}
		exported, err := open(file, with)
		if err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var answer *warrenv1.ImportSecretsResponse
			err := s.Wait(ctx, fmt.Sprintf("Importing %d secrets", exported.Secrets), func(ctx context.Context) (err error) {
				answer, err = send(ctx, c, how, exported)
				return err
			})
			if err != nil {
				return err
			}
			return imported(s, *format, answer)
		})(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "file", "", "`FILE` that was exported")
	flags.StringVar(&conflict, "on-conflict", "fail", "what to do where a name is taken: fail, skip or update")
	flags.StringVar(&passphraseFile, "passphrase-file", "", "take the passphrase from the file at `PATH`, instead of asking")
	flags.StringArrayVar(&identities, "identity", nil, "file at `PATH` with the age identity that opens the file (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("on-conflict", cobra.FixedCompletions([]string{"fail", "skip", "update"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func open(path string, with secretfile.Opener) (*secretfile.Opened, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	o, err := secretfile.Open(raw, with)
	hint := ""
	switch {
	case errors.Is(err, secretfile.ErrForeign):
		hint = "warren secret export writes one"
	case errors.Is(err, secretfile.ErrDamaged):
		hint = "take another copy of it; nothing was imported"
	case errors.Is(err, secretfile.ErrKey):
		hint = "nothing was imported; --passphrase-file PATH or --identity PATH gives another key"
	}
	if hint != "" {
		return nil, &client.Error{Code: client.Failed, Message: fmt.Sprintf("%s cannot be imported: %v", path, err), Hint: hint}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return o, nil
}

// send sends each value, sealed to the cluster.
func send(ctx context.Context, c *client.Client, how warrenv1.OnConflict, exported *secretfile.Opened) (*warrenv1.ImportSecretsResponse, error) {
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return nil, err
	}
	envelopes, err := seal.NewEnvelopes(cluster.GetSealingKey())
	if err != nil {
		return nil, err
	}
	defer envelopes.Destroy()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Secrets.ImportSecrets(ctx)
	if err != nil {
		return nil, err
	}
	errEnded := errors.New("the manager says why")
	err = stream.Send(&warrenv1.ImportSecretsRequest{OnConflict: how})
	if err == nil {
		err = exported.Each(func(e *secretfile.Entry) error {
			r, err := request(cluster.GetId(), envelopes, e)
			if err != nil {
				return err
			}
			if stream.Send(r) != nil {
				return errEnded
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, errEnded) {
		return nil, err
	}
	return stream.CloseAndRecv()
}

func request(clusterID string, envelopes *seal.Envelopes, e *secretfile.Entry) (*warrenv1.ImportSecretsRequest, error) {
	r := &warrenv1.ImportSecretsRequest{
		Secret:  &warrenv1.Secret{Meta: &warrenv1.Meta{Namespace: spec.Namespace(e.Namespace), Name: e.Name, Labels: e.Labels}, Keep: e.Keep},
		Version: &warrenv1.SecretVersion{Number: e.Version, CreatedAt: timestamppb.New(e.CreatedAt), CreatedBy: e.CreatedBy, CopyOf: e.CopyOf},
	}
	if e.Lifetime != 0 {
		r.Secret.Lifetime = &durationpb.Duration{Seconds: e.Lifetime}
	}
	if !e.ExpiresAt.IsZero() {
		r.Version.ExpiresAt = timestamppb.New(e.ExpiresAt)
	}
	for _, item := range e.Items {
		info := seal.ToClusterInfo(clusterID, r.Secret.Meta.Namespace, e.Name, item.Key)
		ciphertext, err := envelopes.Seal(info, item.Value)
		if err != nil {
			return nil, err
		}
		r.Items = append(r.Items, &warrenv1.SealedItem{Key: item.Key, Ciphertext: ciphertext})
	}
	return r, nil
}

// imported says of each secret what became of it.
func imported(s *command.Shell, format command.Format, answer *warrenv1.ImportSecretsResponse) error {
	if format == command.JSON || format == command.YAML {
		return format.Encode(s.Out, view.All(answer.GetSecrets(), view.NewImportedSecret))
	}
	var done []string
	for _, r := range answer.GetSecrets() {
		v := view.NewImportedSecret(r)
		fmt.Fprintln(s.Out, command.Visible(v.String()))
		done = append(done, v.Outcome)
	}
	slices.Sort(done)
	var counts []string
	for _, word := range slices.Compact(slices.Clone(done)) {
		n := 0
		for _, w := range done {
			if w == word {
				n++
			}
		}
		counts = append(counts, fmt.Sprintf("%d %s", n, word))
	}
	_, err := fmt.Fprintf(s.Out, "%d secrets: %s\n", len(done), strings.Join(counts, ", "))
	return err
}
