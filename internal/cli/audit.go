package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secret"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func newAudit(s *command.Shell) *cobra.Command {
	var (
		r      warrenv1.ListAuditRequest
		since  string
		known  string
		verify bool
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what to secrets, and which node got which value",
		Long: `Show who created, changed, exported or deleted which secret, which node got
which version for which task, and who was let into the cluster, oldest first.
A record is made in the same moment as what it tells of, and each is chained to
the one before by a hash. With -o json there is one object per line.

--verify checks the whole chain and names the first record that was altered or
is missing. It prints a mark of the newest one: noted elsewhere and given to
--known later, it also shows a log that was written anew as a whole.`,
		Example: `  warren audit --secret db-password --since 7d
  warren audit --follow -o json
  warren audit --verify
  warren audit --verify --known 1042:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	call := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		if verify {
			return verifyAudit(ctx, s, c, known)
		}
		return listAudit(ctx, s, c, &r, *format)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if verify && (r.Follow || r.Secret != "" || since != "") {
			return command.Usagef(cmd, "--verify checks the whole audit log: give it without --secret, --since and --follow")
		}
		if known != "" && !verify {
			return command.Usagef(cmd, "--known goes with --verify")
		}
		if since != "" {
			t, err := parseSince(since, s.Now(), s.Zone)
			if err != nil {
				return command.Usagef(cmd, "--since %q is neither an age such as 2h or 3d nor a time such as 2025-10-08T10:00:00Z", since)
			}
			r.Since = timestamppb.New(t)
		}
		return call(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Secret, "secret", "", "only records about the secret `NAME`")
	flags.StringVar(&since, "since", "", "only what happened since `WHEN`: an age (2h, 3d) or a time")
	flags.BoolVarP(&r.Follow, "follow", "f", false, "go on until interrupted")
	flags.BoolVar(&verify, "verify", false, "check that no record was altered or left out")
	flags.StringVar(&known, "known", "", "a `MARK` that an earlier --verify printed")
	_ = cmd.RegisterFlagCompletionFunc("secret", command.Complete(s, secret.Noun, false))
	return cmd
}

func listAudit(ctx context.Context, s *command.Shell, c *client.Client, r *warrenv1.ListAuditRequest, format command.Format) error {
	stream, err := c.Audits.ListAudit(ctx, r)
	return eachEntry(stream, err, func(e *warrenv1.AuditEntry) error {
		if len(e.GetRecord()) == 0 {
			return nil
		}
		record, err := view.NewAudit(e)
		if err != nil {
			fmt.Fprintf(s.Err, "Warning: %v; try warren audit --verify\n", err)
			return nil
		}
		return writeAudit(s, format, record)
	})
}

type entryStream interface {
	Recv() (*warrenv1.AuditEntry, error)
}

// eachEntry does something with all entries of a stream.
func eachEntry(stream entryStream, err error, do func(*warrenv1.AuditEntry) error) error {
	for err == nil {
		var e *warrenv1.AuditEntry
		if e, err = stream.Recv(); err == nil {
			err = do(e)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func writeAudit(s *command.Shell, format command.Format, a view.Audit) error {
	switch format {
	case command.JSON:
		return json.NewEncoder(s.Out).Encode(a)
	case command.YAML:
		fmt.Fprintln(s.Out, "---")
		return format.Encode(s.Out, a)
	}
	line := fmt.Sprintf("%s  %s", a.Time.In(s.Zone).Format(time.DateTime), a)
	if format == command.Wide {
		line = fmt.Sprintf("%d  %s  %s", a.Sequence, line, a.ID)
	}
	_, err := fmt.Fprintln(s.Out, command.Visible(line))
	return err
}

func verifyAudit(ctx context.Context, s *command.Shell, c *client.Client, known string) error {
	chain := &client.AuditChain{}
	if known != "" {
		number, hash, err := parseMark(known)
		if err != nil {
			return err
		}
		chain.Know(number, hash)
	}
	head, err := c.Audits.GetAuditHead(ctx, &warrenv1.GetAuditHeadRequest{})
	if err != nil {
		return err
	}
	stream, err := c.Audits.ListAudit(ctx, &warrenv1.ListAuditRequest{})
	if err := eachEntry(stream, err, chain.Add); err != nil {
		return err
	}
	if err := chain.End(head.GetSequence(), head.GetKeep()); err != nil {
		return err
	}
	if chain.Last() == 0 {
		fmt.Fprintln(s.Out, "The audit log is empty.")
		return nil
	}
	fmt.Fprintf(s.Out, "Records %d to %d are as they were written.\nMark: %s\n", chain.First, chain.Last(), chain.Mark())
	return nil
}

// parseMark reads what AuditChain.Mark prints.
func parseMark(text string) (uint64, []byte, error) {
	number, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	h, err2 := hex.DecodeString(hash)
	if err != nil || err2 != nil || n == 0 || len(h) != seal.LinkSize {
		return 0, nil, &command.Usage{Message: fmt.Sprintf("%q is no mark of the audit log", text), Hint: "warren audit --verify prints one: NUMBER:HASH"}
	}
	return n, h, nil
}
