package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/backup/bundle"
)

const state = "this stands for a database"

func backup(t testing.TB) ([]byte, *warrenv1.BackupInfo) {
	t.Helper()
	sum := sha256.Sum256([]byte(state))
	info := &warrenv1.BackupInfo{
		Format: bundle.Format, ClusterId: "c1", UnlockKeyFingerprint: "0123456789abcdef",
		CreatedAt: timestamppb.Now(), Version: "v1", Index: 7, Size: uint64(len(state)), Sha256: sum[:],
	}
	var b bytes.Buffer
	if err := bundle.Write(&b, info, strings.NewReader(state)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

func TestABackupComesBackAsItWas(t *testing.T) {
	file, info := backup(t)
	var got bytes.Buffer
	read, err := bundle.Read(bytes.NewReader(file), &got, nil)
	if err != nil || got.String() != state || !proto.Equal(read, info) {
		t.Errorf("got %v, %q, %v", read, got.String(), err)
	}
}

func TestABackupThatIsNotWantedIsNotRead(t *testing.T) {
	file, _ := backup(t)
	no := errors.New("no")
	var got bytes.Buffer
	if _, err := bundle.Read(bytes.NewReader(file), &got, func(*warrenv1.BackupInfo) error { return no }); !errors.Is(err, no) || got.Len() > 0 {
		t.Errorf("read %d bytes: %v", got.Len(), err)
	}
}

func TestDamageIsFound(t *testing.T) {
	file, _ := backup(t)
	for cut := range bytes.Index(file, []byte(state)) + len(state) {
		if _, err := bundle.Read(bytes.NewReader(file[:cut]), io.Discard, nil); !errors.Is(err, bundle.ErrDamaged) && !errors.Is(err, bundle.ErrNoBackup) {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
	}
	flipped := bytes.Clone(file)
	at := bytes.Index(flipped, []byte(state))
	flipped[at] ^= 1
	if _, err := bundle.Read(bytes.NewReader(flipped), io.Discard, nil); !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("a flipped bit: %v", err)
	}
	if _, err := bundle.Read(strings.NewReader("PK"), io.Discard, nil); !errors.Is(err, bundle.ErrNoBackup) {
		t.Errorf("another file: %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	_, info := backup(t)
	info.Format++
	var b bytes.Buffer
	if err := bundle.Write(&b, info, strings.NewReader(state)); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Read(&b, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "newer Warren") {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	file, _ := backup(f)
	f.Add(file)
	f.Add(file[:600])
	f.Add([]byte("not an archive"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var got bytes.Buffer
		info, err := bundle.Read(bytes.NewReader(file), &got, nil)
		if err != nil {
			return
		}
		if sum := sha256.Sum256(got.Bytes()); !bytes.Equal(sum[:], info.GetSha256()) {
			t.Error("accepted with another checksum")
		}
	})
}
