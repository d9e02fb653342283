package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// errEnough ends an export of which the caller has seen enough.
var errEnough = errors.New("enough was seen")

// Export shows everything that the store remembers, as of one moment.
func (s *Store) Export(ctx context.Context) iter.Seq2[persistence.Item, error] {
	return func(yield func(persistence.Item, error) bool) {
		if err := s.begin(ctx); err != nil {
			yield(persistence.Item{}, err)
			return
		}
		defer s.leave()
		rows, err := newView(s.db)
		if err != nil {
			yield(persistence.Item{}, err)
			return
		}
		x := &export{ctx: ctx, rows: rows, yield: yield}
		err = rows.close(x.all())
		if pebble.IsCorruptionError(err) {
			s.awaitMending()
			err = fmt.Errorf("%w: a file of rows was found to be damaged; it is mended with what can be read of it now: try again", persistence.ErrUnavailable)
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(persistence.Item{}, err)
		}
	}
}

// export is one that is under way.
type export struct {
	ctx   context.Context
	rows  *view
	yield func(persistence.Item, error) bool

	exec  string // whose records are shown
	first uint64 // of them
}

// show shows an item, or what is damaged.
func (x *export) show(it persistence.Item, err error) error {
	if !x.yield(it, err) {
		return errEnough
	}
	return nil
}

func (x *export) all() error {
	for _, family := range []struct {
		prefix byte
		show   func(p *parts, value []byte) error
	}{
		{famState, x.execution}, {famRecord, x.records}, {famReceipt, x.receipt},
		{famEvent, x.event}, {famDocument, x.document}, {famLetter, x.letter},
	} {
		prefix := []byte{family.prefix}
		err := scan(x.ctx, x.rows, prefix, prefix, func(rest, value []byte) (bool, error) {
			return true, family.show(&parts{Rest: rest}, value)
		})
		if err != nil {
			return err
		}
	}
	return x.books()
}

func (x *export) execution(p *parts, value []byte) error {
	exec := p.ID()
	if err := p.End(); err != nil {
		return err
	}
	snapshot, err := persistence.DecodeSnapshot(exec, value)
	if err != nil {
		return x.show(persistence.Item{}, err)
	}
	_, works, err := x.rows.get(key1(nil, famWorking, exec), nil)
	if err != nil {
		return unavailable("read execution", exec, err)
	}
	return x.show(persistence.ExecutionItem(snapshot.State, snapshot.Commit, works), nil)
}

func (x *export) records(p *parts, value []byte) error {
	exec, number := p.ID(), p.Number()
	if err := p.End(); err != nil {
		return err
	}
	records, err := persistence.DecodeRecordsUnder(exec, value)
	if err == nil {
		err = x.within(exec, number, value)
	}
	if errors.Is(err, errEnough) || errors.Is(err, persistence.ErrUnavailable) {
		return err
	}
	if err != nil {
		return x.show(persistence.Item{}, &persistence.Corrupt{ExecID: exec, Cause: "a row of its records: " + err.Error()})
	}
	if exec != x.exec {
		x.exec, x.first = exec, folding(x.rows.base, exec)
	}
	if number < x.first {
		return nil
	}
	return x.show(persistence.RecordsItem(exec, records), nil)
}

// within shows the receipts that lie in a row of records.
func (x *export) within(exec string, number uint64, value []byte) error {
	return persistence.ReceiptsUnder(value, func(signal, row string) error {
		return x.receiptAt(exec, signal, binary.AppendUvarint(nil, number), []byte(row))
	})
}

func (x *export) receipt(p *parts, value []byte) error {
	exec, signal := p.ID(), p.ID()
	if err := p.End(); err != nil {
		return err
	}
	return x.receiptAt(exec, signal, nil, value)
}

// receiptAt shows a receipt, unless a newer one of its signal lies elsewhere.
func (x *export) receiptAt(exec, signal string, place, row []byte) error {
	now, found, err := x.rows.get(key2(nil, famSignal, signal, exec), nil)
	if err != nil {
		return unavailable("read the receipt of signal", signal, err)
	}
	if !found || !bytes.Equal(now, place) {
		return nil
	}
	r, err := persistence.DecodeReceiptUnder(exec, signal, row)
	if err != nil {
		return x.show(persistence.Item{}, &persistence.Corrupt{ExecID: exec, Cause: fmt.Sprintf("the receipt of signal %q: %v", signal, err)})
	}
	return x.show(persistence.ReceiptItem(r), nil)
}

func (x *export) event(p *parts, value []byte) error {
	id := p.ID()
	if err := p.End(); err != nil {
		return err
	}
	r, err := decodeEvent(id, value)
	if err != nil {
		return x.show(persistence.Item{}, err)
	}
	return x.show(persistence.EventItem(r), nil)
}

func (x *export) document(p *parts, value []byte) error {
	kind, id := p.ID(), p.ID()
	if err := p.End(); err != nil {
		return err
	}
	if bytes.Equal(value, persistence.LostRow) {
		return x.show(persistence.Item{}, damagedDocument(kind, id))
	}
	return x.show(persistence.DocumentItem(kind, id, append([]byte{}, value...)), nil)
}

func (x *export) letter(p *parts, value []byte) error {
	id := p.ID()
	if err := p.End(); err != nil {
		return err
	}
	l, err := persistence.DecodeDeadLetter(value)
	if err != nil {
		return x.show(persistence.Item{}, fmt.Errorf("%w: dead letter %q: %w: %w", persistence.ErrUnavailable, id, persistence.ErrDamaged, err))
	}
	return x.show(persistence.LetterItem(l), nil)
}

// books shows the row of the rest last.
func (x *export) books() error {
	rows, err := readBooks(x.ctx, x.rows)
	if err != nil {
		return x.show(persistence.Item{}, fmt.Errorf("read the books: %w", err))
	}
	if len(rows) > 0 && rows[0].Rest {
		rows = append(rows[1:], rows[0])
	}
	for _, r := range rows {
		if err := x.show(persistence.BookItem(r), nil); err != nil {
			return err
		}
	}
	return nil
}

// Import takes one item of an export into an empty store.
func (s *Store) Import(it persistence.Item, done func(error)) {
	w := newWrite(writeRows)
	w.done = done
	err := s.importing(w, it)
	switch {
	case err != nil:
		w.answer(err)
	case it.Kind == persistence.ItemExecution:
		// It was submitted.
	default:
		s.push(w)
	}
}

// importing adds an item to a write; an execution is a commit, which is submitted.
func (s *Store) importing(w *write, it persistence.Item) error {
	switch it.Kind {
	case persistence.ItemExecution:
		c, err := it.Execution()
		if err != nil {
			return err
		}
		c.Done = w.done
		s.Submit(c)
	case persistence.ItemRecords:
		records, err := it.Records()
		if err != nil {
			return err
		}
		w.turn(it.A, 0, 0, records, nil)
	case persistence.ItemReceipt:
		r, err := it.Receipt()
		if err != nil {
			return err
		}
		w.ops.receipts([]workflow.Receipt{*r})
	case persistence.ItemEvent:
		r, err := it.Event()
		if err != nil {
			return err
		}
		w.ops.event(r)
	case persistence.ItemDocument:
		w.set(key2(w.key[:0], famDocument, it.A, it.B), it.Row)
	case persistence.ItemBook:
		row, err := it.Book()
		if err != nil {
			return err
		}
		w.kind = writeBooks
		// The books write their row behind this one; a group without operations is none.
		w.val = appendTally(w.val[:0], &row.Tally)
		w.set(key1(w.key[:0], famBook, row.Name), w.val)
		w.tally = append(w.tally, persistence.Entry{Name: row.Name, Tally: row.Tally})
	case persistence.ItemLetter:
		l, err := it.Letter()
		if err != nil {
			return err
		}
		w.kind = writeLetters
		w.keep([]workflow.DeadLetter{*l})
	default:
		return fmt.Errorf("an item %s: a newer release wrote it", it)
	}
	return nil
}
