package embedded

import (
	"errors"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
)

// absent knows of keys of executions and events that there is no row: nearly every
// start is of a new one, and to find that out among the sorted rows takes a look at
// each layer of them. It remembers the keys that there are in Bloom filters, so of a
// few it does not know.
//
// It knows nothing until a walk over the rows has told it what was there before. A
// walk begins when enough was looked for in vain, and what is shown from then on is
// remembered beside it. Only the writer uses it.
type absent struct {
	seed   maphash.Seed
	before *keySet // rows that were there when the walk began; nil while it is not known
	since  *keySet // rows that were shown since; nil when no walk has begun
	walked chan *keySet
	vain   int // lookups in vain while nothing is known
	after  int // so many of them make a walk worth its while
}

func newAbsent() absent { return absent{seed: maphash.MakeSeed(), after: firstWalkAfter} }

// certain reports that no row has the key.
func (a *absent) certain(key []byte) bool {
	if a.before == nil {
		return false
	}
	hash := maphash.Bytes(a.seed, key)
	return !a.before.has(hash) && !a.since.has(hash)
}

// missed notes that there was no row of a key of which that was not certain.
func (a *absent) missed() {
	if a.since == nil {
		a.vain++
	}
}

// shown remembers the key of a row that has just become visible.
func (a *absent) shown(key []byte) {
	if a.since != nil && !a.since.put(maphash.Bytes(a.seed, key)) {
		a.giveUp(a.since.keys)
	}
}

// giveUp forgets everything. The next walk is worth its while when as much was
// looked for in vain as it has to go over.
func (a *absent) giveUp(keys int) {
	a.before, a.since, a.walked = nil, nil, nil
	a.vain, a.after = 0, max(keys, a.after)
}

// look begins a walk when it is time, and takes what one has found. Everything that
// was written is shown when it is called.
func (s *Store) look() {
	a := &s.absent
	switch {
	case a.since == nil && a.vain >= a.after:
		a.since, a.walked = new(keySet), make(chan *keySet, 1)
		go s.walk(a.seed, a.walked)
	case a.since != nil && a.before == nil:
		select {
		case found := <-a.walked:
			if a.before = found; found.full {
				a.giveUp(found.keys)
			}
		default:
		}
	}
}

// walk tells which rows of executions and events there are. What it cannot read it
// does not know of: others say why.
func (s *Store) walk(seed maphash.Seed, found chan<- *keySet) {
	keys := new(keySet)
	for _, family := range [...]byte{famState, famEvent} {
		if s.keysOf(family, seed, keys) != nil {
			keys.full = true
		}
	}
	found <- keys
}

// keysOf puts all keys of a family into a set.
func (s *Store) keysOf(family byte, seed maphash.Seed, keys *keySet) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{family}, UpperBound: []byte{family + 1}})
	if err != nil {
		return err
	}
	for ok, n := it.First(), 1; ok && !keys.full; ok, n = it.Next(), n+1 {
		keys.put(maphash.Bytes(seed, it.Key()))
		if n%contextEvery == 0 && s.ending() {
			keys.full = true
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// ending reports whether Close began.
func (s *Store) ending() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// keySet is a set of hashes of keys that may think that it has one more than it
// has. It grows by Bloom filters, each four times as large as the one before.
type keySet struct {
	filters []filter
	keys    int
	full    bool // some are missing
}

// filter is a Bloom filter all of whose bits for one key are in the same line of the
// processor's cache.
type filter struct {
	lines [][8]uint64
	room  int // for so many keys
}

// put adds a key; false when there is no room.
func (k *keySet) put(hash uint64) bool {
	if k.full || k.has(hash) {
		return !k.full
	}
	if n := len(k.filters); n == 0 || k.filters[n-1].room == 0 {
		if n == maxFilters {
			k.full = true
			return false
		}
		lines := firstFilterBytes / 64 << (2 * n)
		k.filters = append(k.filters, filter{lines: make([][8]uint64, lines), room: lines * 512 / bitsPerKey})
	}
	f := &k.filters[len(k.filters)-1]
	line := f.line(hash)
	for at := range bitsOf(hash) {
		line[at>>6] |= 1 << (at & 63)
	}
	f.room--
	k.keys++
	return true
}

func (k *keySet) has(hash uint64) bool {
	for i := len(k.filters) - 1; i >= 0; i-- {
		if k.filters[i].has(hash) {
			return true
		}
	}
	return false
}

func (f *filter) has(hash uint64) bool {
	line := f.line(hash)
	for at := range bitsOf(hash) {
		if line[at>>6]&(1<<(at&63)) == 0 {
			return false
		}
	}
	return true
}

func (f *filter) line(hash uint64) *[8]uint64 {
	return &f.lines[(hash>>32)*uint64(len(f.lines))>>32]
}

// bitsOf are the bits of a key in its line. The multiplication (by the golden ratio)
// makes them differ among the keys of one line.
func bitsOf(hash uint64) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		hash *= 0x9E3779B97F4A7C15
		for range bitsSet {
			if !yield(hash >> 55) {
				return
			}
			hash <<= 9
		}
	}
}
