package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// verify checks that a BoltDB file hangs together: every page that can be
// reached is within the file, used once, and well formed, and keys ascend.
// BoltDB itself maps the file and trusts it, so a cut or overwritten file would
// kill the process instead of giving an error. It reads the file only.
//
// The layout is BoltDB's, little endian on every machine Warren runs on: a page
// has a header of 16 bytes (id 8, flags 2, count 2, overflow 4), then its
// elements; pages 0 and 1 are meta pages, the valid one with the higher
// transaction ID counts.
func verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return verifyPages(f, info.Size())
}

const (
	pageHeader    = 16
	branchElement = 16
	leafElement   = 16
	bucketHeader  = 16
	metaBytes     = 64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	leafIsBucket = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)

	maxDepth = 64
)

type pages struct {
	file     io.ReaderAt
	pageSize uint64
	// end is the number of pages in use.
	end  uint64
	used map[uint64]bool
}

func verifyPages(file io.ReaderAt, size int64) error {
	p, root, freelist, err := readMeta(file, size)
	if err != nil {
		return err
	}
	if freelist != noFreelist {
		page, err := p.read(freelist)
		if err != nil {
			return err
		}
		if page.flags != flagFreelist {
			return fmt.Errorf("page %d is no freelist", freelist)
		}
	}
	return p.tree(root, nil, nil, 0)
}

// readMeta finds the meta page that counts.
func readMeta(file io.ReaderAt, size int64) (*pages, uint64, uint64, error) {
	var best []byte
	var at int64
	for _, offset := range metaOffsets {
		raw := make([]byte, metaBytes)
		if _, err := file.ReadAt(raw, offset+pageHeader); err != nil || !validMeta(raw) {
			continue
		}
		if best == nil || txid(raw) > txid(best) {
			best, at = raw, offset
		}
	}
	if best == nil {
		return nil, 0, 0, errors.New("it has no valid meta page")
	}
	le := binary.LittleEndian
	p := &pages{file: file, pageSize: uint64(le.Uint32(best[8:])), end: le.Uint64(best[40:]), used: map[uint64]bool{0: true, 1: true}}
	if p.pageSize < 512 || p.pageSize > 1<<16 || p.pageSize&(p.pageSize-1) != 0 || (at != 0 && uint64(at) != p.pageSize) {
		return nil, 0, 0, fmt.Errorf("its page size is %d", p.pageSize)
	}
	if p.end > uint64(size)/p.pageSize {
		return nil, 0, 0, fmt.Errorf("it is cut short: %d bytes of at least %d pages", size, p.end)
	}
	return p, le.Uint64(best[16:]), le.Uint64(best[32:]), nil
}

// metaOffsets are where the two meta pages may be: the second one's place
// depends on the page size, which a damaged first one no longer tells.
var metaOffsets = []int64{0, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16}

func validMeta(raw []byte) bool {
	le := binary.LittleEndian
	if le.Uint32(raw) != boltMagic || le.Uint32(raw[4:]) != boltVersion {
		return false
	}
	hash := fnv.New64a()
	hash.Write(raw[:56])
	return hash.Sum64() == le.Uint64(raw[56:])
}

func txid(raw []byte) uint64 { return binary.LittleEndian.Uint64(raw[48:]) }

type page struct {
	flags, count uint16
	raw          []byte
}

// read reads a page with its overflow pages and marks them used.
func (p *pages) read(id uint64) (page, error) {
	if id < 2 || id >= p.end {
		return page{}, fmt.Errorf("page %d is outside of the file", id)
	}
	header := make([]byte, pageHeader)
	if _, err := p.file.ReadAt(header, int64(id*p.pageSize)); err != nil {
		return page{}, err
	}
	le := binary.LittleEndian
	overflow := uint64(le.Uint32(header[12:]))
	if le.Uint64(header) != id || overflow >= p.end-id {
		return page{}, fmt.Errorf("page %d is not where it should be", id)
	}
	for n := id; n <= id+overflow; n++ {
		if p.used[n] {
			return page{}, fmt.Errorf("page %d is used twice", n)
		}
		p.used[n] = true
	}
	raw := make([]byte, (overflow+1)*p.pageSize)
	if _, err := p.file.ReadAt(raw, int64(id*p.pageSize)); err != nil {
		return page{}, err
	}
	return page{le.Uint16(header[8:]), le.Uint16(header[10:]), raw}, nil
}

// tree checks the pages below id, whose keys must be at least low and below
// high (nil: no bound).
func (p *pages) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d lies too deep", id)
	}
	page, err := p.read(id)
	if err != nil {
		return err
	}
	switch page.flags {
	case flagBranch:
		return p.branch(id, page, low, high, depth)
	case flagLeaf:
		return p.leaf(id, page, low, high, depth)
	}
	return fmt.Errorf("page %d is of unknown kind %#x", id, page.flags)
}

func (p *pages) branch(id uint64, pg page, low, high []byte, depth int) error {
	le := binary.LittleEndian
	keys, children := [][]byte{}, []uint64{}
	for i := range int(pg.count) {
		at := pageHeader + i*branchElement
		if at+branchElement > len(pg.raw) {
			return fmt.Errorf("page %d has too many elements", id)
		}
		key, ok := slice(pg.raw, at, le.Uint32(pg.raw[at:]), le.Uint32(pg.raw[at+4:]))
		if !ok || !within(key, low, high) || (i > 0 && bytes.Compare(keys[i-1], key) >= 0) {
			return fmt.Errorf("page %d: key %d is wrong", id, i)
		}
		keys, children = append(keys, key), append(children, le.Uint64(pg.raw[at+8:]))
	}
	if len(keys) == 0 {
		return fmt.Errorf("page %d is a branch without children", id)
	}
	for i, child := range children {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if err := p.tree(child, keys[i], next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaf(id uint64, pg page, low, high []byte, depth int) error {
	le := binary.LittleEndian
	var last []byte
	for i := range int(pg.count) {
		at := pageHeader + i*leafElement
		if at+leafElement > len(pg.raw) {
			return fmt.Errorf("page %d has too many elements", id)
		}
		flags, pos := le.Uint32(pg.raw[at:]), le.Uint32(pg.raw[at+4:])
		keyLen, valueLen := le.Uint32(pg.raw[at+8:]), le.Uint32(pg.raw[at+12:])
		key, ok := slice(pg.raw, at, pos, keyLen)
		if !ok || !within(key, low, high) || (i > 0 && bytes.Compare(last, key) >= 0) {
			return fmt.Errorf("page %d: key %d is wrong", id, i)
		}
		last = key
		value, ok := slice(pg.raw, at+int(pos)+int(keyLen), 0, valueLen)
		if !ok {
			return fmt.Errorf("page %d: value %d is wrong", id, i)
		}
		if flags&leafIsBucket != 0 {
			if err := p.bucket(id, value, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket checks a nested bucket: a tree of its own, or one leaf page inline.
func (p *pages) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("page %d: a bucket is cut short", id)
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return p.tree(root, nil, nil, depth+1)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || binary.LittleEndian.Uint16(inline[8:]) != flagLeaf {
		return fmt.Errorf("page %d: an inline bucket is no leaf", id)
	}
	pg := page{flagLeaf, binary.LittleEndian.Uint16(inline[10:]), inline}
	return p.leaf(id, pg, nil, nil, depth+1)
}

// slice is raw[at+offset:][:length], if that is within raw.
func slice(raw []byte, at int, offset, length uint32) ([]byte, bool) {
	start := uint64(at) + uint64(offset)
	if start+uint64(length) > uint64(len(raw)) {
		return nil, false
	}
	return raw[start : start+uint64(length)], true
}

func within(key, low, high []byte) bool {
	return (low == nil || bytes.Compare(key, low) >= 0) && (high == nil || bytes.Compare(key, high) < 0)
}
