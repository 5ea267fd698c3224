//go:build !race

package seal

import (
	"bytes"
	"strings"
	"testing"
)

func TestUsedPagesComeBackEmptyAndLocked(t *testing.T) {
	p := plaintext(t, canary)
	addr, stale := p.mem.pages.addr, p.Bytes()
	p.Destroy()
	if strings.Contains(string(stale), canary[:4]) {
		t.Error("the value is still in its memory")
	}
	q, err := NewPlaintext(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Destroy()
	if q.mem.pages.addr != addr {
		t.Error("a new page was mapped although one is spare")
	}
	if !q.Locked() || !bytes.Equal(q.Bytes(), make([]byte, 4096)) {
		t.Error("a used page is not as a new one")
	}
}

func TestSparePagesAreBounded(t *testing.T) {
	var all []*Plaintext
	for range keepPages + 10 {
		all = append(all, plaintext(t, canary))
	}
	for _, p := range all {
		p.Destroy()
	}
	if n := len(spare.free); n > keepPages {
		t.Errorf("%d pages are kept", n)
	}
}
