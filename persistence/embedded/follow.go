package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// following writes the rows of lost ranges that follow from others, and marks those
// that others name: an execution that is listed, and whose state is lost, is damaged.
type following struct {
	s    *Store
	lost []pebble.KeyRange
	rows reader
	ops      // to apply, behind the header of a batch
	from ops // room for the rows that follow from one

	anew, marked int
}

// The families whose rows follow from those of another.
var (
	ofStates = []byte{famWorkflow, famWait, famKeyed, famCorrelation, famTimer, famWorking, famKey, famLabel, famUnique, famFinished}
	ofEvents = []byte{famOpen, famSettled, famKept, famExpiring}
)

// follow goes through all rows that others follow from. frame is the last one of the
// journal that the rows have.
func (m *mending) follow(frame uint64) error {
	fs := m.s.fs
	if len(m.lost) > 0 {
		f := &following{s: m.s, lost: m.lost, rows: sorted{m.s.db.pebble}}
		f.begin()
		for _, step := range []func() error{f.states, f.signals, f.events, f.letters, func() error { return f.meta(frame) }, f.apply,
			f.markStates, f.markEvents, f.markReceipts, f.markLetters, f.apply} {
			if err := step(); err != nil {
				return err
			}
		}
		if !m.s.flush() {
			return m.s.patience.lastCause()
		}
		m.s.timers.arm(math.MinInt64) // those that are back may be earlier than all since
		m.s.timers.armed()
		f.report()
	}
	if err := fs.Remove(fs.PathJoin(m.s.dir, mendingFile)); err != nil && m.s.unmended() {
		return err
	}
	return syncDir(fs, m.s.dir)
}

// report says what became of what was lost. Where rows lay that nothing else names, only
// this tells of them.
func (f *following) report() {
	for _, r := range f.lost {
		f.s.log.Error("stored bytes between two rows are damaged; what is named elsewhere is called damaged, restore it from a backup",
			"from", placeOf(r.Start), "to", placeOf(r.End))
	}
	f.s.log.Warn("rows that were lost are written anew where they follow from others, and marked where others name them", "anew", f.anew, "marked", f.marked)
}

// placeOf names a row for a person: its family and the first part of its key.
func placeOf(key []byte) string {
	if len(key) == 0 {
		return "the first row"
	}
	p := parts{Rest: key[1:]}
	id := p.ID()
	if p.Err != nil {
		id = fmt.Sprintf("%q", key[1:])
	}
	name, found := familyNames[key[0]]
	if !found {
		name = "an entry"
	}
	return name + " of " + id
}

// familyNames are what a person calls the rows of a family; those of the others are
// entries of lists.
var familyNames = map[byte]string{
	famState: "the state", famRecord: "a record", famReceipt: "a receipt", famEvent: "the receipt", famDocument: "a document",
	famBook: "the book", famLetter: "the dead letter",
}

func (f *following) begin() {
	f.ops.reset()
	f.ops.buf = append(f.ops.buf, make([]byte, batchHeader)...)
}

// apply writes what was gathered.
func (f *following) apply() error {
	if f.ops.count == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(f.ops.buf[batchCount:], f.ops.count)
	err := f.s.again(bytes.Clone(f.ops.buf))
	f.begin()
	return err
}

// touches reports whether rows of a family were lost.
func (f *following) touches(families ...byte) bool {
	return slices.ContainsFunc(families, func(family byte) bool {
		return f.overlaps([]byte{family}, []byte{family + 1})
	})
}

func (f *following) overlaps(from, to []byte) bool {
	return slices.ContainsFunc(f.lost, func(r pebble.KeyRange) bool {
		return bytes.Compare(r.Start, to) < 0 && bytes.Compare(from, r.End) < 0
	})
}

func (f *following) contains(key []byte) bool { return f.overlaps(key, next(key)) }

// put writes a row that may have been lost.
func (f *following) put(key, value []byte) error {
	if !f.contains(key) {
		return nil
	}
	f.anew++
	f.ops.set(bytes.Clone(key), value)
	if len(f.ops.buf) >= maxGroupBytes {
		return f.apply()
	}
	return nil
}

// putAll writes those rows of from that may have been lost, and empties it.
func (f *following) putAll() error {
	var err error
	for b := f.from.buf; len(b) > 0 && err == nil; {
		kind := b[0]
		var key, value []byte
		key, b = lengthed(b[1:])
		if kind != opDelete {
			value, b = lengthed(b)
		}
		if kind == opSet {
			err = f.put(key, value)
		}
	}
	f.from.reset()
	return err
}

// mark marks the row of a key, unless it is there.
func (f *following) mark(key []byte) error {
	if !f.contains(key) {
		return nil
	}
	_, found, err := f.rows.get(key, nil)
	if found || err != nil {
		return err
	}
	f.marked++
	f.ops.set(key, persistence.LostRow)
	return nil
}

// each goes through the rows of a family.
func (f *following) each(family byte, row func(p *parts, value []byte) error) error {
	prefix := []byte{family}
	return scan(context.Background(), f.rows, prefix, prefix, func(rest, value []byte) (bool, error) {
		return true, row(&parts{Rest: rest}, value)
	})
}

// states writes what follows from the states, and marks what is missing of their records.
func (f *following) states() error {
	if !f.touches(append(slices.Clone(ofStates), famRecord)...) {
		return nil
	}
	var c persistence.Changes
	return f.each(famState, func(p *parts, value []byte) error {
		exec := p.ID()
		snapshot, err := persistence.DecodeSnapshot(exec, value)
		if err != nil {
			return nil // it is called damaged by whoever reads it
		}
		c.Derive(nil, snapshot.State)
		f.from.changes(exec, &c)
		if workflow.Working(snapshot.State) {
			f.from.set(key1(f.from.key[:0], famWorking, exec), nil)
		}
		return errors.Join(f.putAll(), f.records(exec, snapshot.State.Seq))
	})
}

// records marks where records of an execution are missing, of which the last one has
// the number seq. Those that were folded away are not.
func (f *following) records(exec string, seq uint64) error {
	prefix := key1(nil, famRecord, exec)
	if seq == 0 || !f.overlaps(prefix, afterAll(prefix)) {
		return nil
	}
	var missing []uint64
	next := uint64(1)
	err := scan(context.Background(), f.rows, prefix, prefix, func(rest, value []byte) (bool, error) {
		p := parts{Rest: rest}
		first := p.Number()
		if first > next {
			missing = append(missing, next)
		}
		next = first + 1
		if row, err := persistence.DecodeRecordsUnder(exec, value); err == nil && len(row) > 0 {
			next = row[len(row)-1].Seq + 1
		}
		return true, p.End()
	})
	if next <= seq {
		missing = append(missing, next)
	}
	for _, first := range missing {
		if key := recordKey(nil, exec, first); first+workflow.MaxRecords > seq || first <= stayingRecords {
			err = errors.Join(err, f.mark(key))
		}
	}
	return err
}

// signals writes where the receipts of signals lie.
func (f *following) signals() error {
	if !f.touches(famSignal) {
		return nil
	}
	err := f.each(famRecord, func(p *parts, value []byte) error {
		exec, first := p.ID(), p.Number()
		place := binary.AppendUvarint(nil, first)
		var putting error
		damaged := persistence.ReceiptsUnder(value, func(signal, _ string) error {
			putting = errors.Join(putting, f.put(key2(nil, famSignal, signal, exec), place))
			return nil
		})
		if damaged != nil {
			return p.Err
		}
		return errors.Join(p.Err, putting)
	})
	if err != nil {
		return err
	}
	return f.each(famReceipt, func(p *parts, _ []byte) error {
		exec, signal := p.ID(), p.ID()
		return errors.Join(p.End(), f.put(key2(nil, famSignal, signal, exec), nil))
	})
}

// events writes what follows from the receipts of events.
func (f *following) events() error {
	if !f.touches(ofEvents...) {
		return nil
	}
	return f.each(famEvent, func(p *parts, value []byte) error {
		if r, err := decodeEvent(p.ID(), value); err == nil {
			f.from.event(r)
		}
		return f.putAll()
	})
}

// letters writes the list of the dead letters.
func (f *following) letters() error {
	if !f.touches(famLetterAt) {
		return nil
	}
	return f.each(famLetter, func(_ *parts, value []byte) error {
		l, err := persistence.DecodeDeadLetter(value)
		if err != nil {
			return nil
		}
		var w write
		w.letter(l)
		f.from.buf = append(f.from.buf, w.ops.buf...)
		return f.putAll()
	})
}

// meta writes what the store knows of itself, and the books as far as they are known.
func (f *following) meta(frame uint64) error {
	s := f.s
	err := errors.Join(
		f.put(keyEpoch, binary.BigEndian.AppendUint64(nil, s.epoch)),
		f.put(keyFormat, binary.BigEndian.AppendUint32(nil, formatNow)),
		f.put(keyApplied, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, frame), uint64(s.waits))))
	for name, row := range s.books.rows {
		err = errors.Join(err, f.put(key1(nil, famBook, name), appendTally(nil, &row.now)))
	}
	return err
}

// markStates marks the executions that are listed without a state.
func (f *following) markStates() error {
	if !f.touches(famState) {
		return nil
	}
	return f.each(famWorkflow, func(p *parts, _ []byte) error {
		p.ID() // workflow
		p.ID() // status
		p.Past()
		exec := p.ID()
		return errors.Join(p.End(), f.mark(stateKey(nil, exec)))
	})
}

// markEvents marks the events that are named without a receipt.
func (f *following) markEvents() error {
	if !f.touches(famEvent) {
		return nil
	}
	mark := func(p *parts) error {
		id := p.ID()
		return errors.Join(p.End(), f.mark(key1(nil, famEvent, id)))
	}
	err := f.each(famOpen, func(p *parts, _ []byte) error { return mark(p) })
	for _, family := range []byte{famSettled, famExpiring} {
		err = errors.Join(err, f.each(family, func(p *parts, _ []byte) error {
			p.Instant()
			return mark(p)
		}))
	}
	return err
}

// markReceipts marks the receipts of signals that are named and are nowhere, with the
// rows of records in which they lay.
func (f *following) markReceipts() error {
	if !f.touches(famReceipt, famRecord) {
		return nil
	}
	return f.each(famSignal, func(p *parts, place []byte) error {
		signal, exec := p.ID(), p.ID()
		if err := p.End(); err != nil {
			return err
		}
		if first, n := binary.Uvarint(place); n > 0 {
			return f.mark(recordKey(nil, exec, first))
		}
		return f.mark(key2(nil, famReceipt, exec, signal))
	})
}

// markLetters marks the dead letters that are listed and are nowhere.
func (f *following) markLetters() error {
	if !f.touches(famLetter) {
		return nil
	}
	return f.each(famLetterAt, func(p *parts, _ []byte) error {
		p.Past()
		id := p.ID()
		return errors.Join(p.End(), f.mark(key1(nil, famLetter, id)))
	})
}
