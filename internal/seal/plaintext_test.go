package seal

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const canary = "canary-5f1d9c"

// holders are all types that keep something in the clear, as they would stand
// in somebody's struct.
func holders(t *testing.T) map[string]any {
	t.Helper()
	p := plaintext(t, canary)
	unlock := UnlockKey{secret: plaintext(t, strings.Repeat(canary, 4)[:unlockKeySize])}
	kek, err := DeriveKEK("c1", unlock, make([]byte, SaltSize), MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSealer(plaintext(t, strings.Repeat(canary, 4)[:aesKeySize]))
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := ParseEnvelopeKey(plaintext(t, strings.Repeat(canary, 4)[:32]))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"*Plaintext": p, "Plaintext": *p, "UnlockKey": unlock, "*UnlockKey": &unlock, "*KEK": kek,
		"*Ring": &Ring{keys: []dataKey{{"id", s}}}, "*EnvelopeKey": envelope, "*Envelopes": &Envelopes{sealer: s},
	}
}

func TestNothingPrintsWhatItHolds(t *testing.T) {
	verbs := strings.Fields("v +v #v s q x X d o b c U e g t p 5.3s -20v T")
	for name, v := range holders(t) {
		var printed []string
		for _, verb := range verbs {
			printed = append(printed, fmt.Sprintf("%"+verb, v))
		}
		in := struct {
			Name  string
			Value any
		}{"in a struct", v}
		printed = append(printed, fmt.Sprint(v), fmt.Sprintln(v), fmt.Sprintf("%v %+v %#v", in, in, in),
			fmt.Sprintf("%v", []any{v}), fmt.Sprintf("%v", map[string]any{"k": v}), fmt.Errorf("with %v", v).Error())
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
			b, _ := marshal(in)
			printed = append(printed, string(b))
			b, _ = marshal(v)
			printed = append(printed, string(b))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v, "in", in)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, "in", in)
		_ = gob.NewEncoder(&log).Encode(v)
		printed = append(printed, log.String())
		for _, s := range printed {
			if strings.Contains(s, canary) || strings.Contains(s, fmt.Sprintf("%x", canary)) ||
				strings.Contains(s, fmt.Sprint([]byte(canary)[:4])[1:]) {
				t.Errorf("%s: %s", name, s)
			}
		}
		for i, verb := range verbs {
			// fmt answers these two by itself: an address, and the type's name.
			if verb != "p" && verb != "T" && printed[i] != redactedText {
				t.Errorf("%s prints %q for %%%s", name, printed[i], verb)
			}
		}
		if got := slog.AnyValue(v).Resolve(); got.Kind() != slog.KindString || got.String() != redactedText {
			t.Errorf("%s gives log handlers %v", name, got)
		}
		if b, err := json.Marshal(in); err != nil || !strings.Contains(string(b), `"Value":"[redacted]"`) {
			t.Errorf("%s in JSON: %s %v", name, b, err)
		}
		if !strings.Contains(log.String(), "v=[redacted]") || !strings.Contains(log.String(), `"v":"[redacted]"`) {
			t.Errorf("%s in logs: %s", name, log.String())
		}
	}
}

// == on any of them would be neither constant in time nor a comparison of what
// they hold; types that are not comparable do not compile with it.
func TestNothingThatHoldsAKeyIsComparable(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[Plaintext](), reflect.TypeFor[UnlockKey](), reflect.TypeFor[KEK](),
		reflect.TypeFor[Ring](), reflect.TypeFor[EnvelopeKey](), reflect.TypeFor[Envelopes](),
	} {
		if typ.Comparable() {
			t.Errorf("%v compiles with ==", typ)
		}
	}
}

func TestEqual(t *testing.T) {
	a := plaintext(t, "same")
	for value, want := range map[string]bool{"same": true, "sane": false, "same ": false, "": false} {
		if got := a.Equal(plaintext(t, value)); got != want {
			t.Errorf("Equal(%q) = %v", value, got)
		}
	}
}

func TestPlaintextFromWipesItsSource(t *testing.T) {
	source := []byte(canary)
	p, err := PlaintextFrom(source)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	if !bytes.Equal(source, make([]byte, len(canary))) {
		t.Errorf("the source holds %q", source)
	}
	if string(p.Bytes()) != canary || p.Len() != len(canary) {
		t.Errorf("it holds %q", p.Bytes())
	}
	if extended := p.Bytes(); cap(extended) != len(canary) {
		t.Error("append could write beyond the value")
	}
}

func TestDestroyIsIdempotentAndEmpties(t *testing.T) {
	p := plaintext(t, canary)
	p.Destroy()
	p.Destroy()
	if p.Bytes() != nil || p.Len() != 0 {
		t.Error("a destroyed value has bytes")
	}
	(*Plaintext)(nil).Destroy()
}

func TestEmptyAndNegativeSizes(t *testing.T) {
	if p := plaintext(t, ""); p.Len() != 0 {
		t.Error("an empty value has a length")
	}
	if _, err := NewPlaintext(-1); err == nil {
		t.Error("a negative size is accepted")
	}
}

// mapping returns the lines of /proc/self/smaps that describe the memory at an
// address.
func mapping(t *testing.T, addr uintptr) string {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	inside := false
	for line := range strings.Lines(string(smaps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= addr && addr < to
		}
		if inside {
			found.WriteString(line)
		}
	}
	return found.String()
}

func TestMemoryIsLockedAndLeftOutOfCoreDumpsAndForks(t *testing.T) {
	p := plaintext(t, canary)
	_, flags, _ := strings.Cut(mapping(t, uintptr(p.mem.pages.addr)), "VmFlags:")
	want := []string{"dd", "wf"}
	if p.Locked() {
		want = append(want, "lo")
	} else if CheckLock() == nil {
		t.Error("memory can be locked, but this is not")
	}
	for _, flag := range want {
		if !strings.Contains(flags, " "+flag) {
			t.Errorf("no %s in VmFlags:%s", flag, flags)
		}
	}
}

func TestForgottenValueIsGivenBack(t *testing.T) {
	p, err := NewPlaintext(3 << 20)
	if err != nil {
		t.Fatal(err)
	}
	addr := uintptr(p.mem.pages.addr)
	runtime.KeepAlive(p)
	// The collector's cleanup runs when it likes.
	for deadline := time.Now().Add(10 * time.Second); mapping(t, addr) != ""; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("its memory is still there")
		}
	}
}

func TestRefusedLockIsReportedAndNoError(t *testing.T) {
	var before syscall.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, (*unix.Rlimit)(&before)); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &none); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, (*unix.Rlimit)(&before))
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The limit does not bind whoever has CAP_IPC_LOCK. This thread gives
		// all capabilities away, and ends with the goroutine.
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var capabilities [2]unix.CapUserData
		if err := unix.Capset(&header, &capabilities[0]); err != nil {
			t.Error(err)
			return
		}
		p, err := NewPlaintext(2 * syscall.Getpagesize()) // no page that was locked before
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Destroy()
		if p.Locked() {
			t.Error("it claims to be locked")
		}
		if err := CheckLock(); err == nil || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK") {
			t.Errorf("CheckLock: %v", err)
		}
	}()
	<-done
}

func TestNoDumps(t *testing.T) {
	dumpable := func() uintptr {
		r, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
		return r
	}
	before := dumpable()
	defer syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, before, 0)
	if err := NoDumps(); err != nil || dumpable() != 0 {
		t.Errorf("dumpable %d, %v", dumpable(), err)
	}
}

// failAfter is a random source that ends.
type failAfter struct{ n int }

func (f *failAfter) Read(b []byte) (int, error) {
	if f.n < len(b) {
		return 0, errors.New("no randomness left")
	}
	f.n -= len(b)
	return len(b), nil
}
