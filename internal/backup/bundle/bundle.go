// Package bundle is the file of a cluster's backup: a tar archive, so that any
// machine can look into it.
//
//	backup.json   what it is: BackupInfo, with the checksum of the other
//	warren.db     the state, as it lies in a manager's data directory
//
// A copy of warren.db that a person has made by hand is a backup too, of which
// nothing is known before it is opened.
package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Format is the form of what Write gives.
const Format = 1

const (
	infoName  = "backup.json"
	stateName = "warren.db"
	maxInfo   = 64 << 10
)

var (
	// ErrNoBackup says that a file is none of Warren's.
	ErrNoBackup = errors.New("it is no backup of a cluster")
	// ErrDamaged says that a backup is cut short or was changed.
	ErrDamaged = errors.New("the backup is damaged")
)

// Write writes a backup: info first, then info.Size bytes of the state.
func Write(w io.Writer, info *warrenv1.BackupInfo, state io.Reader) error {
	text, err := protojson.MarshalOptions{Multiline: true}.Marshal(info)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, part := range []struct {
		name    string
		size    int64
		content io.Reader
	}{{infoName, int64(len(text)), bytes.NewReader(text)}, {stateName, int64(info.GetSize()), state}} {
		at := info.GetCreatedAt().AsTime()
		header := &tar.Header{Name: part.name, Mode: 0o600, Size: part.size, ModTime: at.Truncate(time.Second), Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if n, err := io.Copy(archive, part.content); err != nil {
			return fmt.Errorf("write %s: %w", part.name, err)
		} else if n != part.size {
			return fmt.Errorf("write %s: %d bytes of %d came", part.name, n, part.size)
		}
	}
	return archive.Close()
}

// Read reads a backup: what it is, and then its state into w. Nothing that was
// written to w may be used unless the error is nil: ErrNoBackup, ErrDamaged, or
// one of r or w. accept, which may be nil, is asked before anything is written.
func Read(r io.Reader, w io.Writer, accept func(*warrenv1.BackupInfo) error) (*warrenv1.BackupInfo, error) {
	archive := tar.NewReader(r)
	info, err := readInfo(archive)
	if err != nil {
		return nil, err
	}
	if accept != nil {
		if err := accept(info); err != nil {
			return info, err
		}
	}
	header, err := archive.Next()
	if err != nil || header.Name != stateName || header.Size != int64(info.GetSize()) {
		return info, fmt.Errorf("%w: its %s is missing or cut short", ErrDamaged, stateName)
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), archive); errors.Is(err, io.ErrUnexpectedEOF) {
		return info, fmt.Errorf("%w: it is cut short", ErrDamaged)
	} else if err != nil {
		return info, err
	}
	if !bytes.Equal(hash.Sum(nil), info.GetSha256()) {
		return info, fmt.Errorf("%w: its checksum does not fit", ErrDamaged)
	}
	return info, nil
}

func readInfo(archive *tar.Reader) (*warrenv1.BackupInfo, error) {
	header, err := archive.Next()
	if err != nil || header.Name != infoName || header.Size > maxInfo {
		return nil, ErrNoBackup
	}
	text, err := io.ReadAll(io.LimitReader(archive, maxInfo))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	info := &warrenv1.BackupInfo{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("%w: its %s cannot be read", ErrDamaged, infoName)
	}
	if info.GetFormat() > Format {
		return nil, fmt.Errorf("the backup was made by a newer Warren (%s, format %d; this one knows up to %d): use that version",
			info.GetVersion(), info.GetFormat(), Format)
	}
	return info, nil
}
