package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Options say how a store is opened. The zero Options are right for production.
type Options struct {
	// FS holds the files; nil for the disk. A vfs.NewMem makes the store forget
	// everything at the end of the process, and say so by its Durability.
	FS vfs.FS

	// Log hears of failures and of their end; nil drops them.
	Log *slog.Logger

	// Salvage opens a folder whose journal is damaged: everything before the
	// damage is kept, the rest of the journal is moved aside and is forgotten.
	Salvage bool

	// SegmentBytes is the room of one segment of the journal, in bytes; zero for
	// the usual. It is there for tests, which turn segments over quickly.
	SegmentBytes int64
}

// Store is the embedded store. It implements persistence.Store.
type Store struct {
	dir        string
	sorted     string // the folder of the sorted rows
	fs         vfs.FS
	log        *slog.Logger
	durability workflow.Durability
	epoch      uint64
	format     uint64 // that was found

	lock     io.Closer
	db       *rows
	rowLog   *rowLog
	turns    *scheduler
	patience *patience
	queue    *persistence.Queue[*write]
	timers   floor

	unawaited unawaited
	damaged   persistence.DamagedEvents

	running bool                  // the writer was started
	fault   atomic.Pointer[fault] // nil while writes are expected to succeed
	written chan struct{}         // closed when the writer ended
	closing chan struct{}         // closed when Close began

	// Of the writer alone.
	journal *journal
	recent  recent
	group   group
	frame   int // the most that one may have: maxFrame but in tests
	absent  absent
	books   books
	letters letters
	kept    kept
	waits   int64
	hold    time.Duration // before the next probe
	probeAt *time.Timer

	janitor *janitor
	stats   counters

	gate   sync.RWMutex // held for reading by every read, for writing by the end of Close
	closed bool
	once   sync.Once
	ended  error // of Close
}

var _ interface {
	persistence.Store
	persistence.Sole
} = (*Store)(nil)

// counters are what Stats tells.
type counters struct {
	commits, conflicts, groups, grouped, failures atomic.Uint64
	dropped                                       atomic.Uint64
	waits, letters, kept                          atomic.Int64
}

// fault is why nothing is written now.
type fault struct {
	err   error
	final bool // only a restart helps
}

// Open opens the store in a folder, making the folder when it is not there. It
// holds the folder exclusively until Close. The error is *Damage when the
// journal lost what was acknowledged.
func Open(dir string, o Options) (*Store, error) {
	fs := o.FS
	if fs == nil {
		fs = vfs.Default
	}
	s := &Store{
		dir: dir, fs: fs,
		log:        cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		durability: workflow.Fsync,
		turns:      newScheduler(),
		patience:   newPatience(fs),
		queue:      persistence.NewQueue[*write](maxQueued, maxQueuedBytes, errFull),
		timers:     newFloor(),
		written:    make(chan struct{}),
		closing:    make(chan struct{}),
		probeAt:    time.NewTimer(time.Hour),
		recent:     newRecent(),
		group:      newGroup(),
		frame:      maxFrame,
		absent:     newAbsent(),
	}
	s.probeAt.Stop()
	s.damaged.Log = s.log
	segment := o.SegmentBytes
	if _, memory := vfs.Root(fs).(*vfs.MemFS); memory {
		s.durability = workflow.Memory
		segment = cmp.Or(segment, firstSegmentBytes)
	}
	if err := s.open(cmp.Or(segment, segmentBytes), o.Salvage); err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", dir, err)
	}
	return s, nil
}

// open does the work of Open, and undoes it when it fails half-way.
func (s *Store) open(segment int64, salvage bool) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.undo())
		}
	}()
	pieces := s.fs.PathJoin(s.dir, "journal")
	s.sorted = s.fs.PathJoin(s.dir, "rows")
	for _, dir := range []string{s.dir, s.sorted, pieces} {
		if err := makeDir(s.fs, dir); err != nil {
			return err
		}
	}
	if s.lock, err = lockDir(s.fs, s.dir); err != nil {
		return err
	}
	if err := dropOldSpares(s.fs, pieces); err != nil {
		return err
	}
	if err := errors.Join(checkManifest(s.fs, s.log, s.sorted), dropOptions(s.fs, s.sorted)); err != nil {
		return err
	}
	s.rowLog = &rowLog{log: s.log, harmed: newHarmed(), gaveUp: make(chan struct{}), onFail: func(err error) { s.stop(err); s.patience.giveUp(err) }}
	db, err := openSorted(s.patience, s.sorted, s.rowLog, s.turns)
	if err != nil {
		return err
	}
	s.db = newRows(db, s.unsorted)
	found, err := s.recover(pieces, salvage)
	if err != nil {
		return err
	}
	if err := s.openJournal(pieces, segment, found); err != nil {
		return err
	}
	s.running = true
	s.db.mended = s.awaitMending
	go s.run()
	if err := s.beginEpoch(context.Background()); err != nil {
		return err
	}
	s.patience.opened()
	return nil
}

// recover brings the rows to where the journal ends.
func (s *Store) recover(pieces string, salvage bool) (replayed, error) {
	known, err := readMeta(s.db, s.log)
	if err != nil {
		return replayed{}, err
	}
	found, err := replay(s.fs, s.log, pieces, known.applied, s.again)
	var damage *Damage
	if salvage && errors.As(err, &damage) {
		found, err = s.salvage(pieces, damage)
	}
	if err != nil {
		return found, err
	}
	now, err := readMeta(s.db, s.log)
	s.epoch, s.format, s.waits = max(known.epoch, now.epoch)+1, now.format, now.waits
	if err == nil {
		err = s.openLists()
	}
	if err == nil && (s.rowLog.harmed.any() || s.unmended()) {
		s.mend(found.next - 1)
		err = s.openLists()
	}
	return found, err
}

// openLists reads what the writer keeps in memory of the rows.
func (s *Store) openLists() (err error) {
	if s.waits == unknownWaits {
		s.waits = countWaits(s.db)
	}
	s.stats.waits.Store(s.waits)
	if s.books, err = openBooks(s.db, s.log); err != nil {
		return err
	}
	if s.letters, err = openLetters(s.db, s.log); err != nil {
		return err
	}
	s.stats.letters.Store(s.letters.kept())
	s.kept, err = openKept(s.db)
	s.stats.kept.Store(int64(s.kept.total))
	return err
}

// salvage keeps what was read before the damage and moves the rest aside.
func (s *Store) salvage(pieces string, damage *Damage) (replayed, error) {
	s.log.Error("the journal is damaged, the rest of it is moved aside", "error", damage)
	if !s.flush() {
		return replayed{}, fmt.Errorf("what was read before the damage could not be kept: %w", s.patience.lastCause())
	}
	if err := setAside(s.fs, pieces, damage); err != nil {
		return replayed{}, fmt.Errorf("move the damaged journal aside: %w", err)
	}
	known, err := readMeta(s.db, s.log)
	if err != nil {
		return replayed{}, err
	}
	return replay(s.fs, s.log, pieces, known.applied, s.again)
}

// again applies a frame that the synced rows do not have.
func (s *Store) again(payload []byte) error {
	b := new(pebble.Batch)
	if err := b.SetRepr(payload); err != nil {
		return fmt.Errorf("a frame that is whole is no batch: %w", err)
	}
	return s.db.pebble.Apply(b, pebble.NoSync)
}

// openJournal begins a new segment behind what was found.
func (s *Store) openJournal(pieces string, segment int64, found replayed) error {
	handle, err := s.fs.OpenDir(pieces)
	if err != nil {
		return err
	}
	s.journal = &journal{
		fs: s.fs, dir: pieces, handle: handle, capacity: segment, direct: newDirect(s.fs),
		cur: found.last, offset: int64(found.end), next: found.next,
	}
	if err := s.journal.rotate(0); err != nil {
		return err
	}
	s.log.Debug("the journal is open", "folder", pieces, "past_the_page_cache", s.journal.past)
	s.patience.setOnFull(s.giveUpSpares)
	s.janitor = newJanitor(s.log, s.db, s.journal)
	if len(found.numbers) == 0 {
		return nil
	}
	s.janitor.seal(found.numbers...)
	return nil
}

// giveUpSpares gives the rows the room that the journal keeps ready, on a disk that
// is full: once the rows are synced, whole segments come back.
func (s *Store) giveUpSpares() {
	if err := s.journal.dropSpares(); err != nil {
		s.log.Warn("the spare segments could not be removed", "error", err)
	}
}

// undo releases what an opening that failed has taken.
func (s *Store) undo() error {
	var err error
	s.queue.Close()
	if s.running {
		<-s.written
	}
	close(s.patience.closing)
	if s.janitor != nil {
		s.janitor.stop()
	}
	if s.journal != nil {
		err = s.journal.close(false)
	}
	if s.db != nil {
		err = errors.Join(err, s.db.pebble.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Epoch is this opening's number.
func (s *Store) Epoch() uint64 { return s.epoch }

// Durability is workflow.Fsync on a disk and workflow.Memory in memory.
func (s *Store) Durability() workflow.Durability { return s.durability }

// Health says why writes are refused now; it wraps persistence.ErrUnavailable.
func (s *Store) Health() error {
	if f := s.fault.Load(); f != nil {
		return f.err
	}
	return nil
}

// Stats describes the work of the store so far.
func (s *Store) Stats() persistence.Stats {
	st := persistence.Stats{
		Commits:   s.stats.commits.Load(),
		Conflicts: s.stats.conflicts.Load(),
		Groups:    s.stats.groups.Load(),
		Grouped:   s.stats.grouped.Load(),
		Failures:  s.stats.failures.Load(),
		Waits:     max(-1, s.stats.waits.Load()),

		Kept:           s.stats.kept.Load(),
		Letters:        s.stats.letters.Load(),
		LettersDropped: s.stats.dropped.Load(),
	}
	if s.enter() == nil {
		defer s.leave()
		// Pebble's own figure would wait for a manifest that cannot be written.
		st.DiskBytes = folderBytes(s.fs, s.journal.dir) + folderBytes(s.fs, s.sorted)
	}
	return st
}

// Rest gives up the memory that makes the store fast under load. A node that has
// little to do calls it.
func (s *Store) Rest() {
	if s.enter() != nil {
		return
	}
	defer s.leave()
	s.recent.forget()
	s.db.rest()
}

// unsorted stops the store when the newest rows could not be drained, and says so once.
func (s *Store) unsorted(err error) {
	if f := s.fault.Load(); f == nil || !f.final {
		s.log.Error("the store stops writing", "error", err)
		s.stop(err)
	}
}

// Close finishes queued commits, syncs the rows and releases the folder. What
// cannot be synced within a few seconds stays in the journal for the next opening.
func (s *Store) Close() error {
	s.once.Do(func() { s.ended = s.close() })
	return s.ended
}

func (s *Store) close() error {
	s.queue.Close()
	close(s.closing)
	<-s.written
	clean := s.flush()
	close(s.patience.closing)
	s.janitor.stop()

	s.gate.Lock()
	defer s.gate.Unlock()
	s.closed = true
	err := s.db.pebble.Close()
	err = errors.Join(err, s.journal.close(clean && err == nil))
	err = errors.Join(err, s.lock.Close())
	if err != nil {
		return fmt.Errorf("close the store in %s: %w", s.dir, err)
	}
	return nil
}

// flush syncs all rows and reports whether that succeeded in time.
func (s *Store) flush() bool {
	flushed, err := s.db.flush()
	if err != nil {
		s.log.Warn("the rows are not synced; the journal has them", "error", err)
		return false
	}
	select {
	case <-flushed:
		return true
	case <-time.After(closeLimit):
		s.log.Warn("the rows are not synced in time; the journal has them", "error", s.patience.lastCause())
		return false
	}
}

// enter begins a read; leave ends it.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return persistence.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }
