package embedded

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// janitor gives up the segments whose rows are synced, keeps a spare ready, and
// knows how far the rows are behind.
type janitor struct {
	log     *slog.Logger
	db      *rows
	journal *journal
	eased   chan struct{} // has a token after something got better

	wake    chan struct{}
	spare   chan struct{}
	many    chan struct{} // has a token when the newest rows should be drained
	halt    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	sealed []sealed
	layers int32 // of unsorted rows
}

// sealed are full segments whose rows are synced when flushed is closed; nil until
// the janitor has begun with it.
type sealed struct {
	numbers []uint64
	flushed <-chan struct{}
}

func newJanitor(log *slog.Logger, db *rows, j *journal) *janitor {
	n := &janitor{
		log: log, db: db, journal: j,
		eased: make(chan struct{}, 1), wake: make(chan struct{}, 1), spare: make(chan struct{}, 1), many: make(chan struct{}, 1),
		halt: make(chan struct{}), stopped: make(chan struct{}),
	}
	go n.run()
	return n
}

// seal has the segments of those numbers given up once the rows of everything shown
// so far are synced: with the next sorting, or when so many wait for one. The writer
// calls it.
func (n *janitor) seal(numbers ...uint64) {
	n.mu.Lock()
	n.sealed = append(n.sealed, sealed{numbers: numbers})
	n.mu.Unlock()
	poke(n.wake)
}

// flush begins to sync the rows of the segments that were sealed since, if they are
// that many, and reports whether it did. When they cannot be sorted the store has
// stopped, and the segments stay for the next opening.
func (n *janitor) flush(least int) bool {
	n.mu.Lock()
	until := len(n.sealed)
	first := slices.IndexFunc(n.sealed, func(s sealed) bool { return s.flushed == nil })
	n.mu.Unlock()
	if first < 0 || until-first < least {
		return false
	}
	flushed, err := n.db.flush()
	if err != nil {
		n.log.Warn("the rows of full segments of the journal are not synced; the next opening goes through them", "error", err)
		flushed = make(chan struct{})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := first; i < until; i++ {
		n.sealed[i].flushed = flushed
	}
	return true
}

// drain sorts the newest rows, which are many, and has the rows of sealed segments
// synced with them.
func (n *janitor) drain() {
	if !n.flush(1) {
		_ = n.db.drain() // it tells the store why it cannot
	}
}

// relaxed reports whether the rows can take more.
func (n *janitor) relaxed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sealed) < maxBacklog && n.layers < maxLayers
}

// wantSpare says that the current segment will be full soon.
func (n *janitor) wantSpare() { poke(n.spare) }

// wantDrain says that the newest rows are many.
func (n *janitor) wantDrain() { poke(n.many) }

// poke leaves a token in a channel that has room for one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (n *janitor) stop() {
	close(n.halt)
	<-n.stopped
}

func (n *janitor) run() {
	defer close(n.stopped)
	tick := time.NewTicker(probeFirst)
	defer tick.Stop()
	for {
		n.flush(lateSegments)
		flushed, again := n.next()
		var retry <-chan time.Time
		if again {
			retry = tick.C
		}
		select {
		case <-n.halt:
			return
		case <-flushed:
			n.retire()
		case <-n.spare:
			n.makeSpare()
		case <-n.many:
			n.drain()
		case <-n.wake:
		case <-retry:
		}
		n.measure()
	}
}

// next returns what to wait for: the oldest sealed segments, and whether the
// layers must be looked at again.
func (n *janitor) next() (<-chan struct{}, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	again := n.layers >= maxLayers
	if len(n.sealed) == 0 {
		return nil, again
	}
	return n.sealed[0].flushed, again
}

// retire gives up the oldest sealed segments. A file that cannot be removed is
// skipped at the next opening, which removes it.
func (n *janitor) retire() {
	n.mu.Lock()
	oldest := n.sealed[0]
	n.sealed = n.sealed[1:]
	n.mu.Unlock()
	for _, number := range oldest.numbers {
		if err := n.journal.retire(number); err != nil {
			n.log.Warn("a segment of the journal that is not needed any more could not be removed", "segment", segmentName(number), "error", err)
		}
	}
}

// makeSpare keeps a spare ready; without one the writer makes one itself, or says why not.
func (n *janitor) makeSpare() {
	if err := n.journal.addSpare(); err != nil {
		n.log.Warn("no spare segment could be made", "error", err)
	}
}

func (n *janitor) measure() {
	layers := n.db.pebble.Metrics().Levels[0].Sublevels
	n.mu.Lock()
	n.layers = layers
	n.mu.Unlock()
	poke(n.eased)
}
