package embedded

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// reader is what rows are read through: the rows as they are, or a view.
type reader interface {
	// get copies the row of a key behind dst, false when there is none.
	get(key, dst []byte) ([]byte, bool, error)

	// NewIter returns an iterator over a part of one family.
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

// sorted are the rows that pebble has.
type sorted struct{ db *pebble.DB }

func (s sorted) get(key, dst []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

func (s sorted) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) { return s.db.NewIter(o) }

// rows are all rows: those that were written last by their hash, the others sorted
// by a pebble. A row that is drained is in pebble before it leaves the newest, so
// whoever asks the newest first, then those that are being drained, then pebble
// never misses one.
type rows struct {
	pebble *pebble.DB
	failed func(error) // is told why the rows cannot be drained
	mended func()      // returns when the damaged ones that were found are mended; nil while nobody would

	mending  sync.RWMutex // held for reading by who begins to read from pebble, see Store.mend
	draining sync.Mutex   // one drains at a time
	spare    *newest      // empty, with the room of those before; nil for none

	mu     sync.RWMutex
	newest *newest
	older  *newest // being drained; nil for none
}

func newRows(db *pebble.DB, failed func(error)) *rows {
	return &rows{pebble: db, failed: failed, newest: newNewest()}
}

// show makes operations visible, all at once, and reports whether the newest rows
// should be drained.
func (r *rows) show(operations []byte) (many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest.take(operations)
	return r.newest.arena.used >= newestBytes
}

// get waits until rows that turn out to be damaged are mended, and looks again.
func (r *rows) get(key, dst []byte) ([]byte, bool, error) {
	row, found, err := r.look(key, dst)
	if r.mended != nil && pebble.IsCorruptionError(err) {
		r.mended()
		return r.look(key, dst)
	}
	return row, found, err
}

// look is get for the writer, who mends what is damaged.
func (r *rows) look(key, dst []byte) ([]byte, bool, error) {
	r.mu.RLock()
	row, found, known := r.newest.get(key, dst)
	if !known && r.older != nil {
		row, found, known = r.older.get(key, dst)
	}
	r.mu.RUnlock()
	if known {
		return row, found, nil
	}
	r.mending.RLock()
	defer r.mending.RUnlock()
	return sorted{r.pebble}.get(key, dst)
}

// NewIter sees everything that was shown before. It drains what is in the way.
func (r *rows) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if r.pending(o.LowerBound[0]) {
		if err := r.drain(); err != nil {
			return nil, err
		}
	}
	return r.walk(o)
}

// walk sees what was drained.
func (r *rows) walk(o *pebble.IterOptions) (*pebble.Iterator, error) {
	r.mending.RLock()
	defer r.mending.RUnlock()
	return r.pebble.NewIter(o)
}

// pending reports whether pebble lacks rows of a family.
func (r *rows) pending(family byte) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.newest.count[family] > 0 || r.older != nil && r.older.count[family] > 0
}

// drain hands everything that was shown before to pebble.
func (r *rows) drain() error {
	r.draining.Lock()
	defer r.draining.Unlock()
	if r.older != nil { // an earlier attempt failed
		if err := r.sort(); err != nil {
			return err
		}
	}
	if !r.turn() {
		return nil
	}
	return r.sort()
}

// turn begins new newest rows, unless there are none.
func (r *rows) turn() bool {
	if r.spare == nil {
		r.spare = newNewest()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest.written == 0 {
		return false
	}
	r.older, r.newest, r.spare = r.newest, r.spare, nil
	return true
}

// sort hands the older rows to pebble.
func (r *rows) sort() error {
	b := new(pebble.Batch)
	err := b.SetRepr(r.older.batch())
	if err == nil {
		err = r.pebble.Apply(b, pebble.NoSync)
	}
	if err != nil {
		// It is in the journal and will be there after a restart, but it cannot be
		// sorted now: only going through the journal again puts both together.
		err = fmt.Errorf("sort what is in the journal: %w; restart the node", err)
		r.failed(err)
		return err
	}
	drained := r.older
	r.mu.Lock()
	r.older = nil
	r.mu.Unlock()
	drained.reset()
	r.spare = drained
	return nil
}

// rest drains everything and gives up the room for it.
func (r *rows) rest() {
	if r.drain() != nil {
		return // failed was told
	}
	r.draining.Lock()
	defer r.draining.Unlock()
	r.spare = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest.written == 0 {
		r.newest = newNewest()
	}
}

// flush has everything that was shown before written to files and synced, and
// returns what is closed then.
func (r *rows) flush() (<-chan struct{}, error) {
	if err := r.drain(); err != nil {
		return nil, err
	}
	return r.pebble.AsyncFlush()
}
