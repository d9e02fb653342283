package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// group is what one sync makes durable, while it is built.
type group struct {
	frame  []byte // room for the frame's header, pebble's batch header, operations
	count  uint32
	writes uint64
	grew   int64                             // open waits more than before
	due    workflow.Instant                  // the earliest timer armed, zero for none
	states map[string]stateRow               // of executions that the group writes; zero for one it forgets
	claims map[string]string                 // holders of unique keys that the group gives or, "", takes away; by the row's key
	events map[string]*workflow.EventReceipt // that the group writes; nil for one it forgets
	asking string                            // event that was found so by the last commit that takes it from its fan-out
	docs   map[string][]byte                 // documents that the group writes, by the row's key; nil for one it deletes
	opened []string                          // names of waits that it opens
	begun  []string                          // executions that it begins
	ops    ops                               // room for operations that the writer makes
	row    []byte                            // room for a row that is read
	key    []byte                            // and for its key
}

// stateRow is the row of an execution's state, with its stamp; without the row when
// it has finished.
type stateRow struct {
	stamp stamp
	row   []byte
}

func newGroup() group {
	return group{states: map[string]stateRow{}, claims: map[string]string{}, events: map[string]*workflow.EventReceipt{}, docs: map[string][]byte{}}
}

func (g *group) reset() {
	if cap(g.frame) > keepFrame {
		g.frame = nil
	}
	g.frame = append(g.frame[:0], make([]byte, frameHeader+batchHeader)...)
	g.count, g.writes, g.grew, g.due, g.asking = 0, 0, 0, 0, ""
	clear(g.states)
	clear(g.claims)
	clear(g.events)
	clear(g.docs)
	g.opened, g.begun = g.opened[:0], g.begun[:0]
	g.ops.reset()
}

// reset begins a group. What the last one would have changed, had it been
// written, was taken back or taken over by now.
func (s *Store) reset() {
	s.group.reset()
	s.look()
	s.books.undo()
	s.letters.undo()
	s.kept.undo()
}

// add takes operations into the group.
func (g *group) add(o *ops) {
	g.frame = append(g.frame, o.buf...)
	g.count += o.count
}

// run is the writer: the only goroutine that writes.
func (s *Store) run() {
	defer close(s.written)
	var items []*write
	for {
		var closed bool
		s.yield()
		items, closed = s.queue.Take(items)
		if len(items) > 0 {
			s.writeAll(items)
			clear(items)
			continue
		}
		if closed {
			return
		}
		select {
		case <-s.queue.Wake:
		case <-s.rowLog.harmed.wake:
			s.mend(s.journal.next - 1)
		case <-s.probeAt.C:
			s.probe()
		}
	}
}

// yield lets whoever is ready to submit go first, for as long as that makes the
// queue grow: under load groups become larger and syncs fewer, and an idle node
// loses nothing, because nobody is there to go first.
func (s *Store) yield() {
	for before, yields := -1, 0; yields < maxYields; yields++ {
		now := s.queue.Waiting()
		if now == 0 || now == before {
			return
		}
		before = now
		runtime.Gosched()
	}
}

// writeAll writes the items, as many of them together as the bounds allow.
func (s *Store) writeAll(items []*write) {
	for len(items) > 0 {
		s.reset()
		n, room := 0, persistence.Room{}
		for n < len(items) && n < maxGroup && (n == 0 || len(s.group.frame)+items[n].Weight() <= maxGroupBytes) {
			room.Add(s.queue.Room(items[n]))
			items[n].err = s.judge(items[n])
			n++
		}
		s.finish(items[:n], s.commit())
		s.queue.Answered(room)
		items = items[n:]
	}
}

// finish answers everybody in a group.
func (s *Store) finish(items []*write, err error) {
	if err != nil {
		s.stats.failures.Add(1)
	}
	for _, w := range items {
		verdict := w.err
		switch {
		case err != nil:
			verdict = err
		case verdict == nil && w.kind == writeCommit:
			s.stats.commits.Add(1)
		case errors.Is(verdict, persistence.ErrConflict):
			s.stats.conflicts.Add(1)
		}
		w.answer(verdict)
	}
}

// judge checks a write against what is stored, together with what the group
// holds so far, and takes it into the group when it may be written.
func (s *Store) judge(w *write) error {
	if s.fault.Load() != nil {
		return nil // commit refuses the whole group
	}
	g := &s.group
	switch w.kind {
	case writeCommit:
		return s.judgeCommit(w)
	case writeAccept:
		stored, err := s.eventNow(w.receipt.Event.ID)
		if err != nil {
			return err
		}
		if stored != nil {
			w.receipt, w.known = stored, true
			return nil
		}
		g.events[w.receipt.Event.ID] = w.receipt
		s.books.move(w.receipt.Event.Name, "", w.receipt.Fate)
	case writeSettle:
		if err := s.judgeSettle(w); err != nil {
			return err
		}
		g.writes++
		return nil
	case writeRelease:
		if err := s.judgeRelease(w); err != nil {
			return err
		}
	case writeReplace:
		if err := s.judgeReplace(w); err != nil {
			return err
		}
	case writeForget:
		return s.judgeForget(w)
	case writeDrop:
		s.judgeDrop(w)
	case writeOldLetters:
		s.judgeOldLetters(w)
	case writeBooks:
		s.books.count(w.tally)
	}
	if w.document != nil {
		g.docs[string(w.document)] = w.body
	}
	s.bury(w)
	g.writes++
	return nil
}

// judgeReplace refuses a document that is not what it was, as of the group so far.
func (s *Store) judgeReplace(w *write) error {
	now, decided := s.group.docs[string(w.document)]
	if !decided {
		row, found, err := s.db.look(w.document, nil)
		if err != nil {
			return unavailable("read document", string(w.document), err)
		}
		if found {
			now = append([]byte{}, row...)
		}
	}
	if (now == nil) != (w.was == nil) || !bytes.Equal(now, w.was) {
		return fmt.Errorf("a document changed since it was read: %w", persistence.ErrConflict)
	}
	return nil
}

// judgeEvent refuses a commit that brings its own event when that is known.
func (s *Store) judgeEvent(w *write) error {
	if w.receipt == nil {
		return nil
	}
	stored, err := s.eventNow(w.receipt.Event.ID)
	if err == nil && stored != nil {
		err = fmt.Errorf("event %q: %w", w.receipt.Event.ID, persistence.ErrKnown)
	}
	return err
}

func (s *Store) judgeCommit(w *write) error {
	g := &s.group
	now, err := s.stampNow(w.exec)
	if err != nil {
		return err
	}
	if now.Version != w.expect || now.Commit != w.parent || now.Epoch > w.stamp.Epoch {
		return fmt.Errorf("execution %q is at version %d by commit %x of epoch %d, the commit expects version %d by commit %x and is of epoch %d: %w",
			w.exec, now.Version, now.Commit, now.Epoch, w.expect, w.parent, w.stamp.Epoch, persistence.ErrConflict)
	}
	if err := s.judgeClaim(w); err != nil {
		return err
	}
	if err := s.judgeFanned(w); err != nil {
		return err
	}
	if err := s.judgeTaken(w); err != nil {
		return err
	}
	if err := s.judgeEvent(w); err != nil {
		return err
	}
	g.ops.reset()
	fresh := make([]*workflow.EventReceipt, 0, len(w.events))
	for i := range w.events {
		stored, err := s.eventNow(w.events[i].ID)
		if err != nil {
			return err
		}
		if stored == nil {
			r := persistence.Accepted(w.events[i])
			g.ops.accepted(r)
			fresh = append(fresh, r)
		}
	}
	for _, r := range fresh {
		if g.events[r.Event.ID] == nil { // else the commit brings it twice
			s.books.move(r.Event.Name, "", r.Fate)
		}
		g.events[r.Event.ID] = r
	}
	s.take(w)
	if r := w.receipt; r != nil {
		g.events[r.Event.ID] = r
		s.books.move(r.Event.Name, "", r.Fate)
	}
	w.offer = s.offers(w)
	s.books.count(w.tally)
	s.bury(w)
	g.add(&g.ops)
	g.note(w)
	return nil
}

// note remembers what a commit changes for those that come after it in the group, and
// for when it is shown.
func (g *group) note(w *write) {
	g.writes++
	state := stateRow{stamp: w.stamp}
	if !w.changes.Now.Status.Finished() {
		state.row = w.buf[w.row[0]:w.row[1]]
	}
	g.states[w.exec] = state
	if w.expect == 0 {
		g.begun = append(g.begun, w.exec)
	}
	if c := w.changes; c.Released != "" {
		g.claims[string(key2(nil, famUnique, c.Was.WorkflowID, c.Released))] = ""
	}
	if c := w.changes; c.Claimed != "" {
		g.claims[string(key2(nil, famUnique, c.Now.WorkflowID, c.Claimed))] = w.exec
	}
	g.grew += int64(w.waits)
	for i := range w.changes.Opened {
		g.opened = append(g.opened, w.changes.Opened[i].Name)
	}
	if w.earliest != 0 && (g.due == 0 || w.earliest < g.due) {
		g.due = w.earliest
	}
}

// judgeClaim refuses a commit whose unique key another execution has, as of the
// group so far.
func (s *Store) judgeClaim(w *write) error {
	c := w.changes
	if c.Claimed == "" {
		return nil
	}
	key := key2(nil, famUnique, c.Now.WorkflowID, c.Claimed)
	holder, decided := s.group.claims[string(key)]
	if !decided {
		row, _, err := s.db.look(key, nil)
		if err != nil {
			return unavailable("read the holder of key", c.Claimed, err)
		}
		holder = string(row)
	}
	if holder == "" || holder == w.exec {
		return nil
	}
	return &persistence.KeyTaken{WorkflowID: c.Now.WorkflowID, Key: c.Claimed, Holder: holder}
}

// stampNow is the stamp of an execution as of the group so far.
func (s *Store) stampNow(exec string) (stamp, error) {
	g := &s.group
	if row, ok := g.states[exec]; ok {
		return row.stamp, nil
	}
	if st, known := s.recent.stamp(exec); known {
		return st, nil
	}
	key := stateKey(g.key[:0], exec)
	g.key = key
	if s.absent.certain(key) {
		return stamp{}, nil
	}
	row, found, err := s.db.look(key, g.row[:0])
	if err != nil {
		return stamp{}, unavailable("read execution", exec, err)
	}
	g.row = row
	if !found {
		s.absent.missed()
		return stamp{}, nil
	}
	now, err := persistence.StampOf(exec, row)
	if err != nil {
		return stamp{}, err
	}
	return now, nil
}

// eventNow is the receipt of an event as of the group so far, nil for none.
func (s *Store) eventNow(id string) (*workflow.EventReceipt, error) {
	if r, ok := s.group.events[id]; ok {
		return r, nil
	}
	key := key1(s.group.key[:0], famEvent, id)
	s.group.key = key
	if s.absent.certain(key) {
		return nil, nil
	}
	row, found, err := s.db.look(key, nil)
	if err != nil {
		return nil, unavailable("read event", id, err)
	}
	if !found {
		s.absent.missed()
		return nil, nil
	}
	return decodeEvent(id, row)
}

func unavailable(what, id string, err error) error {
	return fmt.Errorf("%w: %s %q: %w", persistence.ErrUnavailable, what, id, err)
}

// commit makes the group durable and then visible. After an error it is neither,
// and none of it ever will be while this store is open.
func (s *Store) commit() error {
	if f := s.fault.Load(); f != nil {
		return f.err
	}
	if s.group.count == 0 {
		return nil
	}
	if err := s.seal(); err != nil {
		return err // the disk has nothing to do with it
	}
	if err := s.pressure(); err != nil {
		return s.fail(err)
	}
	if err := s.record(); err != nil {
		return s.fail(err)
	}
	s.show()
	return nil
}

// seal completes the group's frame. A frame that the journal does not take is refused,
// which is no failure of the disk: others go on writing.
func (s *Store) seal() error {
	g := &s.group
	var state [16]byte
	binary.BigEndian.PutUint64(state[:], s.journal.next)
	binary.BigEndian.PutUint64(state[8:], uint64(s.waitsAfter()))
	g.ops.reset()
	g.ops.set(append(g.ops.key[:0], keyApplied...), state[:])
	s.books.write(&g.ops)
	g.add(&g.ops)
	binary.LittleEndian.PutUint32(g.frame[frameHeader+batchCount:], g.count)
	if len(g.frame) > s.frame {
		return tooLarge(len(g.frame), s.frame)
	}
	return nil
}

func tooLarge(bytes, most int) error {
	return fmt.Errorf("%w: a write of %d bytes is larger than the %d that the journal takes at once", persistence.ErrUnavailable, bytes, most)
}

// record appends the group's frame to the journal.
func (s *Store) record() error {
	g := &s.group
	if !s.journal.fits(len(g.frame)) {
		if err := s.rotate(len(g.frame)); err != nil {
			return err
		}
	}
	before := s.journal.offset
	if err := s.journal.append(g.frame); err != nil {
		return err
	}
	if half := s.journal.room / 2; before < half && s.journal.offset >= half {
		s.janitor.wantSpare()
	}
	return nil
}

// rotate goes on in a new segment and has the rows of the old one synced.
func (s *Store) rotate(frame int) error {
	old := s.journal.cur.number
	if err := s.journal.rotate(frame); err != nil {
		return err
	}
	s.janitor.seal(old)
	return nil
}

// show applies the group to the rows: what is durable becomes visible.
func (s *Store) show() {
	g := &s.group
	if g.due != 0 {
		s.timers.arm(g.due)
	}
	if s.db.show(g.frame[frameHeader+batchHeader:]) {
		s.janitor.wantDrain()
	}
	s.timers.armed()
	s.unawaited.opened(g.opened)
	s.waits = s.waitsAfter()
	s.stats.waits.Store(s.waits)
	s.stats.dropped.Add(s.letters.dropped)
	s.stats.letters.Store(s.letters.kept())
	s.stats.kept.Store(int64(s.kept.total))
	s.books.shown()
	s.kept.shown()
	s.letters.shown()
	s.stats.groups.Add(1)
	s.stats.grouped.Add(g.writes)
	for exec, state := range g.states {
		s.recent.put(exec, state.stamp, state.row)
	}
	for _, exec := range g.begun {
		g.key = stateKey(g.key[:0], exec)
		s.absent.shown(g.key)
	}
	for id := range g.events {
		g.key = key1(g.key[:0], famEvent, id)
		s.absent.shown(g.key)
	}
}

// waitsAfter is how many waits are open after the group.
func (s *Store) waitsAfter() int64 {
	if s.waits == unknownWaits {
		return unknownWaits
	}
	return s.waits + s.group.grew
}

// pressure waits, for a bounded time, until the rows can take more.
func (s *Store) pressure() error {
	if s.janitor.relaxed() {
		return nil
	}
	limit := time.NewTimer(stallLimit)
	defer limit.Stop()
	for {
		select {
		case <-s.janitor.eased:
			if s.janitor.relaxed() {
				return nil
			}
		case <-limit.C:
			if cause := s.patience.lastCause(); cause != nil {
				return fmt.Errorf("the rows are behind the journal; the last error of theirs: %w", cause)
			}
			return errors.New("the rows are behind the journal: the disk is slower than the writes")
		}
	}
}

// fail begins a time without writes and returns what everybody is told.
func (s *Store) fail(err error) error {
	f := &fault{err: fmt.Errorf("%w: nothing was written: %w", persistence.ErrUnavailable, err)}
	if s.fault.CompareAndSwap(nil, f) {
		s.log.Error("the store refuses writes until the disk takes them again", "error", err)
	} else {
		f = s.fault.Load()
	}
	s.hold = probeFirst
	s.probeAt.Reset(s.hold)
	s.janitor.wantDrain() // full segments that wait for it hold room that a full disk lacks
	return f.err
}

// stop ends writing for good: only a restart helps.
func (s *Store) stop(err error) error {
	f := &fault{err: fmt.Errorf("%w: %w", persistence.ErrUnavailable, err), final: true}
	s.fault.Store(f)
	return f.err
}

// probe tries to write again after a failure.
func (s *Store) probe() {
	f := s.fault.Load()
	if f == nil || f.final {
		return
	}
	err := s.try()
	if err == nil && s.fault.CompareAndSwap(f, nil) {
		s.log.Info("the store takes writes again")
		return
	}
	s.hold = min(2*s.hold, probeLast)
	s.probeAt.Reset(s.hold)
}

// try writes a frame of its own, which says nothing but that it can be written.
func (s *Store) try() error {
	if !s.janitor.relaxed() {
		return errors.New("the rows are behind")
	}
	s.reset()
	err := s.seal()
	if err == nil {
		err = s.record()
	}
	if err != nil {
		return err
	}
	s.show()
	return nil
}
