package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// newest are the rows that were written last, until pebble takes them sorted. A
// place among sorted rows is searched, at the cost of many misses of the cache; a
// hash finds it with one or two, and a row that is written again meanwhile is
// written once. It holds bytes without pointers, which the garbage collector need
// not walk. It answers what the row of a key is; whoever scans has it drained first.
type newest struct {
	seed    maphash.Seed
	slots   []uint64 // upper half of the key's hash, number of the entry from 1; zero for none
	entries []entry
	arena   arena
	ranges  []span
	count   [256]uint32 // entries and spans by family
	written uint32      // operations taken

	order []ranked // room for sorting
}

// entry is where the key of a row lies, and behind it the row.
type entry struct {
	at   uint32
	room uint32 // of the row
	size uint32 // of the row; or gone, or void
	last uint32 // operation that wrote it
	key  uint32 // size of the key

	family byte // that the key begins with
	born   bool // no older row has the key
}

// What the size of a row says that is not there.
const (
	gone = 1<<32 - 1 - iota // it was deleted
	void                    // it was deleted, and no older row has the key
)

// span is a range of keys that was deleted.
type span struct {
	from, to []byte
	last     uint32 // operation that did it
}

func newNewest() *newest {
	return &newest{seed: maphash.MakeSeed(), slots: make([]uint64, firstSlots)}
}

// reset makes it empty and keeps its room.
func (n *newest) reset() {
	clear(n.slots)
	n.entries, n.ranges, n.written = n.entries[:0], nil, 0
	n.arena.reset()
	n.count = [256]uint32{}
}

// take takes operations, in pebble's batch representation without its header.
func (n *newest) take(b []byte) {
	for len(b) > 0 {
		kind := b[0]
		var key, value []byte
		key, b = lengthed(b[1:])
		if kind != opDelete {
			value, b = lengthed(b)
		}
		n.written++
		switch kind {
		case opSet:
			n.put(key, value, uint32(len(value)))
		case opDelete:
			n.put(key, nil, gone)
		case opDeleteRange:
			n.drop(key, value)
		}
	}
}

// lengthed takes what begins with its length from the front of b.
func lengthed(b []byte) (what, rest []byte) {
	size, n := binary.Uvarint(b)
	b = b[n:]
	return b[:size], b[size:]
}

func (n *newest) put(key, value []byte, size uint32) {
	hash := uint32(maphash.Bytes(n.seed, key))
	at, e := n.find(key, hash)
	if e == nil {
		n.count[key[0]]++
		n.entries = append(n.entries, entry{key: uint32(len(key)), family: key[0], born: size != gone && briefly[key[0]]})
		n.slots[at] = uint64(hash)<<32 | uint64(len(n.entries))
		e = &n.entries[len(n.entries)-1]
		e.at, e.room = n.arena.add(key, value), uint32(len(value))
		if 2*len(n.entries) > len(n.slots) {
			n.grow()
		}
	} else if uint32(len(value)) <= e.room {
		copy(n.arena.at(e.at, len(key)+len(value))[len(key):], value)
	} else {
		e.at, e.room = n.arena.add(key, value), uint32(len(value))
	}
	if size == gone && e.born {
		size = void
	}
	e.size, e.last = size, n.written
}

// find returns the slot of a key and its entry, or nil and the slot where it belongs.
func (n *newest) find(key []byte, hash uint32) (uint32, *entry) {
	mask := uint32(len(n.slots) - 1)
	at := hash & mask
	for ; n.slots[at] != 0; at = (at + 1) & mask {
		if uint32(n.slots[at]>>32) != hash {
			continue
		}
		if e := &n.entries[uint32(n.slots[at])-1]; string(n.keyOf(e)) == string(key) {
			return at, e
		}
	}
	return at, nil
}

func (n *newest) grow() {
	old := n.slots
	n.slots = make([]uint64, 2*len(old))
	mask := uint32(len(n.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := uint32(slot>>32) & mask
		for n.slots[at] != 0 {
			at = (at + 1) & mask
		}
		n.slots[at] = slot
	}
}

// drop takes a range of keys that is deleted. One that begins where an earlier one
// does and goes as far stands for both.
func (n *newest) drop(from, to []byte) {
	n.count[from[0]]++
	for i := range n.ranges {
		if r := &n.ranges[i]; bytes.Equal(r.from, from) && bytes.Compare(to, r.to) >= 0 {
			r.to, r.last = append(r.to[:0], to...), n.written
			return
		}
	}
	n.ranges = append(n.ranges, span{bytes.Clone(from), bytes.Clone(to), n.written})
}

// get copies the row of a key behind dst. known is false when older rows must be asked.
func (n *newest) get(key, dst []byte) (row []byte, found, known bool) {
	if len(n.entries)+len(n.ranges) == 0 {
		return dst, false, false
	}
	_, e := n.find(key, uint32(maphash.Bytes(n.seed, key)))
	var last uint32
	if e != nil {
		last = e.last
	}
	for i := range n.ranges {
		if r := &n.ranges[i]; r.from[0] == key[0] && r.last > last && r.covers(key) {
			return dst, false, true
		}
	}
	if e == nil || e.size >= void {
		return dst, false, e != nil
	}
	return append(dst, n.rowOf(e)...), true, true
}

func (r *span) covers(key []byte) bool {
	return bytes.Compare(r.from, key) <= 0 && bytes.Compare(key, r.to) < 0
}

func (n *newest) keyOf(e *entry) []byte { return n.arena.at(e.at, int(e.key)) }

func (n *newest) rowOf(e *entry) []byte {
	return n.arena.at(e.at, int(e.key)+int(e.size))[e.key:]
}

// batch returns everything in pebble's batch representation, in the order of the
// keys: the ranges first, and without the rows that they delete.
func (n *newest) batch() []byte {
	order := n.sorted()
	dead := n.covered(order)
	o := ops{buf: make([]byte, batchHeader, batchHeader+n.batchBytes())}
	for i := range n.ranges {
		o.deleteRange(n.ranges[i].from, n.ranges[i].to)
	}
	for i := range order {
		e := &n.entries[order[i].entry]
		switch {
		case e.size == void || dead != nil && dead[i]:
		case e.size == gone:
			o.delete(n.keyOf(e))
		default:
			o.set(n.keyOf(e), n.rowOf(e))
		}
	}
	binary.LittleEndian.PutUint32(o.buf[batchCount:], o.count)
	return o.buf
}

// batchBytes is about how much the rows are in pebble's batch representation: often
// half of what was written, because rows were written again and came and went.
func (n *newest) batchBytes() int {
	const around = 1 + 2*3 // the kind of operation, and two lengths as varints, as long as most are
	size := 0
	for i := range n.entries {
		switch e := &n.entries[i]; e.size {
		case void:
		case gone:
			size += around + int(e.key)
		default:
			size += around + int(e.key) + int(e.size)
		}
	}
	return size
}

// covered tells which of the sorted rows a later range deletes, nil for none.
func (n *newest) covered(order []ranked) []bool {
	if len(n.ranges) == 0 {
		return nil
	}
	dead := make([]bool, len(order))
	for i := range n.ranges {
		r := &n.ranges[i]
		first, _ := slices.BinarySearchFunc(order, r.from, func(at ranked, key []byte) int {
			return bytes.Compare(n.keyOf(&n.entries[at.entry]), key)
		})
		for j := first; j < len(order); j++ {
			e := &n.entries[order[j].entry]
			if bytes.Compare(n.keyOf(e), r.to) >= 0 {
				break
			}
			dead[j] = dead[j] || e.last < r.last
		}
	}
	return dead
}

// ranked is an entry while it is sorted, with eight bytes of its key.
type ranked struct {
	head  uint64
	entry uint32
}

// sorted returns the entries in the order of their keys, family by family. Those of
// one are sorted by eight bytes of their keys at a time, behind what all have in
// common, so that most comparisons look at nothing else: a multikey quicksort
// (Bentley and Sedgewick, 1997) that keeps them beside the entry. Whoever has the same
// bytes stays in the order in which the keys were written, and lie.
func (n *newest) sorted() []ranked {
	n.order = slices.Grow(n.order[:0], len(n.entries))[:len(n.entries)]
	var ends [256]int
	for i := range n.entries {
		ends[n.entries[i].family]++
	}
	begin := 0
	for family, size := range ends {
		ends[family] = begin
		begin += size
	}
	for i := range n.entries {
		end := &ends[n.entries[i].family]
		n.order[*end].entry = uint32(i)
		*end++
	}
	begin = 0
	for _, end := range ends {
		n.sort(n.order[begin:end], 1)
		begin = end
	}
	return n.order
}

// sort sorts entries whose keys have their first depth bytes in common.
func (n *newest) sort(part []ranked, depth int) {
	if len(part) <= fewKeys || !n.sortHeads(part, n.common(part, depth)) {
		slices.SortFunc(part, func(a, b ranked) int {
			return bytes.Compare(n.keyOf(&n.entries[a.entry]), n.keyOf(&n.entries[b.entry]))
		})
		return
	}
	for len(part) > 0 {
		same := 1
		for same < len(part) && part[same].head == part[0].head {
			same++
		}
		if same > 1 {
			n.sort(part[:same], depth)
		}
		part = part[same:]
	}
}

// sortHeads sorts entries by the eight bytes at that depth of their keys; false when
// those are the same, as they are of keys that differ only in zeros at their ends.
func (n *newest) sortHeads(part []ranked, depth int) bool {
	for i := range part {
		rest := n.keyOf(&n.entries[part[i].entry])[depth:]
		if len(rest) >= 8 {
			part[i].head = binary.BigEndian.Uint64(rest)
			continue
		}
		var head [8]byte
		copy(head[:], rest)
		part[i].head = binary.BigEndian.Uint64(head[:])
	}
	slices.SortFunc(part, func(a, b ranked) int {
		if a.head == b.head {
			return cmp.Compare(a.entry, b.entry)
		}
		return cmp.Compare(a.head, b.head)
	})
	return part[0].head != part[len(part)-1].head
}

// common is how many bytes the keys begin with in common, of which depth are known.
func (n *newest) common(part []ranked, depth int) int {
	first := n.keyOf(&n.entries[part[0].entry])
	same := len(first)
	for i := range part {
		key := n.keyOf(&n.entries[part[i].entry])
		same = min(same, len(key))
		if string(key[depth:same]) == string(first[depth:same]) {
			continue
		}
		for same = depth; key[same] == first[same]; same++ {
		}
	}
	return same
}

// arena is room for bytes, in pieces. A place is the number of its piece and the
// offset in it.
type arena struct {
	pieces [][]byte
	last   int // the piece that is being filled
	used   int
}

func (a *arena) reset() {
	for i := range a.pieces {
		a.pieces[i] = a.pieces[i][:0]
	}
	// What is larger than a piece has one of its own, which is not kept.
	a.pieces = slices.DeleteFunc(a.pieces, func(p []byte) bool { return cap(p) != pieceBytes })
	a.last, a.used = 0, 0
}

// add copies a key and its row to one place.
func (a *arena) add(key, row []byte) uint32 {
	need := len(key) + len(row)
	a.used += need
	if need > pieceBytes {
		a.pieces = append(a.pieces, append(append(make([]byte, 0, need), key...), row...))
		return uint32(len(a.pieces)-1) << pieceBits
	}
	for a.last < len(a.pieces) && cap(a.pieces[a.last])-len(a.pieces[a.last]) < need {
		a.last++
	}
	if a.last == len(a.pieces) {
		a.pieces = append(a.pieces, make([]byte, 0, pieceBytes))
	}
	p := &a.pieces[a.last]
	at := uint32(a.last)<<pieceBits | uint32(len(*p))
	*p = append(append(*p, key...), row...)
	return at
}

func (a *arena) at(at uint32, size int) []byte { return a.from(at)[:size] }

// from is at for who knows the size only when he has seen the beginning.
func (a *arena) from(at uint32) []byte {
	return a.pieces[at>>pieceBits][at&(pieceBytes-1):]
}
