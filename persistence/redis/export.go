package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

var (
	errEnough = errors.New("enough was seen")
	errNoRow  = errors.New("it is listed, but there is no row of it")
)

// Export shows everything that the store remembers. It is read bit by bit, so at
// the end it is an error when the store was written meanwhile: its nodes have to be
// stopped.
func (s *Store) Export(ctx context.Context) iter.Seq2[persistence.Item, error] {
	return func(yield func(persistence.Item, error) bool) {
		if err := s.begin(ctx); err != nil {
			yield(persistence.Item{}, err)
			return
		}
		defer s.gate.leave()
		x := &export{store: s, ctx: ctx, yield: yield, taken: map[string]bool{}}
		if err := x.all(); err != nil && !errors.Is(err, errEnough) {
			yield(persistence.Item{}, err)
		}
	}
}

// export is one that is under way.
type export struct {
	store *Store
	ctx   context.Context
	yield func(persistence.Item, error) bool
	taken map[string]bool // events of which a receipt in an outbox is damaged
}

// show shows an item, or what is damaged.
func (x *export) show(it persistence.Item, err error) error {
	if !x.yield(it, err) {
		return errEnough
	}
	return nil
}

func (x *export) all() error {
	before, err := x.store.written(x.ctx)
	if err != nil {
		return err
	}
	if err := x.store.settled(x.ctx); err != nil {
		return err
	}
	for _, p := range x.store.parts {
		if err := x.outboxes(p); err != nil {
			return err
		}
	}
	for _, p := range x.store.parts {
		for _, show := range []func(*partition) error{x.executions, x.events, x.documents, x.letters} {
			if err := show(p); err != nil {
				return err
			}
		}
	}
	if err := x.books(); err != nil {
		return err
	}
	after, err := x.store.written(x.ctx)
	if err == nil && after != before {
		err = fmt.Errorf("the store was written %d times while it was read: stop its nodes first", after-before)
	}
	return err
}

// written is how often the store was written so far.
func (s *Store) written(ctx context.Context) (int64, error) {
	counts := make([]*goredis.StringCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			counts[i] = pipe.HGet(ctx, p.mark, fieldWrites)
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return 0, unavailable(ctx, "read the marks of store", s.prefix, err)
	}
	var sum int64
	for _, c := range counts {
		n, _ := strconv.ParseInt(c.Val(), 10, 64) // absent in a new store
		sum += n
	}
	return sum, nil
}

// each walks an index of a partition.
func (x *export) each(p *partition, index string, show func(m *parts) error) error {
	c := x.store.walk([]*partition{p}, bounds{"-", "+"}, mostChunk, index)
	for {
		e, ok := c.next(x.ctx)
		if !ok {
			return c.err
		}
		if err := show(&parts{Rest: e.member}); err != nil {
			return err
		}
	}
}

// executions shows the executions of a partition, each with its records and receipts.
func (x *export) executions(p *partition) error {
	return x.each(p, keyStatus, func(m *parts) error {
		m.ID()
		m.Past()
		exec := m.ID()
		if err := m.End(); err != nil {
			return err
		}
		if err := x.execution(p, exec); err != nil {
			return err
		}
		if err := x.records(p, exec); err != nil {
			return err
		}
		return x.receipts(p, exec)
	})
}

func (x *export) execution(p *partition, exec string) error {
	var row *goredis.StringCmd
	var works *goredis.FloatCmd
	_, err := x.store.client.reads.Pipelined(x.ctx, func(pipe goredis.Pipeliner) error {
		row = pipe.Get(x.ctx, p.keyOf(keyState, exec))
		works = pipe.ZScore(x.ctx, p.key(keyWorking), string(member1(exec)))
		return nil
	})
	if errors.Is(row.Err(), goredis.Nil) {
		return x.show(persistence.Item{}, &persistence.Corrupt{ExecID: exec, Cause: "it is listed, but there is no snapshot of it"})
	}
	if err != nil && !errors.Is(err, goredis.Nil) {
		return unavailable(x.ctx, "read execution", exec, err)
	}
	snapshot, err := decodeState(exec, row.Val())
	if err != nil {
		return x.show(persistence.Item{}, err)
	}
	return x.show(persistence.ExecutionItem(snapshot.State, snapshot.Commit, works.Err() == nil), nil)
}

func (x *export) records(p *partition, exec string) error {
	for begin := int64(0); ; begin += recordChunk {
		rows, err := x.store.client.reads.LRange(x.ctx, p.keyOf(keyRecords, exec), begin, begin+recordChunk-1).Result()
		if err != nil {
			return unavailable(x.ctx, "read the records of execution", exec, err)
		}
		for _, row := range rows {
			records, err := persistence.DecodeRecords([]byte(row[min(8, len(row)):]))
			if err == nil && (len(records) == 0 || binary.BigEndian.Uint64([]byte(row)) != records[0].Seq) {
				err = errors.New("its number is another one")
			}
			it := persistence.Item{}
			if err != nil {
				err = &persistence.Corrupt{ExecID: exec, Cause: "a row of its records: " + err.Error()}
			} else {
				it = persistence.RecordsItem(exec, records)
			}
			if err := x.show(it, err); err != nil {
				return err
			}
		}
		if len(rows) < recordChunk {
			return nil
		}
	}
}

// receipts shows those of one execution, which are read at once.
func (x *export) receipts(p *partition, exec string) error {
	rows, err := x.store.client.reads.HGetAll(x.ctx, p.keyOf(keyReceipts, exec)).Result()
	if err != nil {
		return unavailable(x.ctx, "read the receipts of execution", exec, err)
	}
	for signal, row := range rows {
		it := persistence.Item{}
		r, err := decodeReceipt(signal, exec, row)
		if err != nil {
			err = &persistence.Corrupt{ExecID: exec, Cause: fmt.Sprintf("the receipt of signal %q: %v", signal, err)}
		} else {
			it = persistence.ReceiptItem(r)
		}
		if err := x.show(it, err); err != nil {
			return err
		}
	}
	return nil
}

// outboxes shows what is damaged in those of a partition; all else was carried home.
func (x *export) outboxes(p *partition) error {
	for _, box := range []string{keyOutbox, keyTaken} {
		rows, err := x.store.client.reads.HGetAll(x.ctx, p.key(box)).Result()
		if err != nil {
			return unavailable(x.ctx, "read the outbox of partition", p.base, err)
		}
		for id, row := range rows {
			if box == keyTaken {
				_, _, err = decodeTake(id, row)
			} else {
				_, err = decodeEvent(id, row)
			}
			if err == nil {
				continue // it came meanwhile, which is an error at the end
			}
			x.taken[id] = x.taken[id] || box == keyTaken
			if err := x.show(persistence.Item{}, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// events shows those of a partition, by the three indexes in which each stands once. One
// that was taken, and whose receipt is damaged, is not shown as if it were kept.
func (x *export) events(p *partition) error {
	show := func(m *parts, behind bool) error {
		if behind {
			m.Instant()
		}
		id := m.ID()
		if err := m.End(); err != nil {
			return err
		}
		if x.taken[id] {
			return nil
		}
		row, err := x.store.client.reads.HGet(x.ctx, p.key(keyEvents), id).Result()
		if errors.Is(err, goredis.Nil) {
			return x.show(persistence.Item{}, persistence.DamagedEvent(id, errNoRow))
		}
		if err != nil {
			return unavailable(x.ctx, "read event", id, err)
		}
		r, err := decodeEvent(id, row)
		if err != nil {
			return x.show(persistence.Item{}, err)
		}
		return x.show(persistence.EventItem(r), nil)
	}
	if err := x.each(p, keyOpen, func(m *parts) error { return show(m, false) }); err != nil {
		return err
	}
	if err := x.each(p, keyExpiring, func(m *parts) error { return show(m, true) }); err != nil {
		return err
	}
	return x.each(p, keySettled, func(m *parts) error { return show(m, true) })
}

func (x *export) documents(p *partition) error {
	return x.rows(p, keyDocuments, []string{keyDocumentIDs}, func(m *parts, body string) (string, persistence.Item, error) {
		kind, id := m.ID(), m.ID()
		return fmt.Sprintf("%s %q", kind, id), persistence.DocumentItem(kind, id, []byte(body)), m.End()
	})
}

func (x *export) letters(p *partition) error {
	return x.rows(p, keyLetters, []string{keyRefused, keyAccepted}, func(m *parts, row string) (string, persistence.Item, error) {
		m.Past()
		name := fmt.Sprintf("dead letter %q", m.ID())
		l, err := persistence.DecodeDeadLetter([]byte(row))
		if err != nil {
			return name, persistence.Item{}, err
		}
		return name, persistence.LetterItem(l), nil
	})
}

// rows walks indexes of a partition with the rows of their members. An item comes with
// its name, for when it is damaged.
func (x *export) rows(p *partition, rows string, indexes []string, item func(m *parts, row string) (string, persistence.Item, error)) error {
	c := x.store.walk([]*partition{p}, bounds{"-", "+"}, recordChunk, indexes...).with(rowsScript, rows)
	for {
		e, ok := c.next(x.ctx)
		if !ok {
			return c.err
		}
		name, it, err := item(&parts{Rest: e.member}, e.row)
		if !e.some {
			err = errNoRow
		}
		if err != nil {
			it, err = persistence.Item{}, fmt.Errorf("%w: %s: %w: %w", persistence.ErrUnavailable, name, persistence.ErrDamaged, err)
		}
		if err := x.show(it, err); err != nil {
			return err
		}
	}
}

func (x *export) books() error {
	rows, err := x.store.Books(x.ctx)
	if err != nil {
		return x.show(persistence.Item{}, err)
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
	w := &write{kind: writeRows, done: done}
	err := s.importing(w, it)
	switch {
	case err != nil:
		w.refuse(err)
	case it.Kind == persistence.ItemExecution, it.Kind == persistence.ItemLetter:
		// It was submitted.
	default:
		s.push(w)
	}
}

// plain begins a write without a condition.
func (w *write) plain(p *partition, subject string) {
	w.part = p
	w.begin(p.key(subject), "none")
}

// importing adds an item to a write. An execution is a commit, and a dead letter is
// kept, as any other; both are submitted.
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
		w.plain(s.home(it.A), keyRecords+it.A)
		w.records(it.A, 0, 0, records)
	case persistence.ItemReceipt:
		r, err := it.Receipt()
		if err != nil {
			return err
		}
		w.plain(s.home(it.A), keyReceipts+it.A)
		w.ops.receipt(r)
	case persistence.ItemEvent:
		r, err := it.Event()
		if err != nil {
			return err
		}
		w.plain(s.home(it.A), keyEvents)
		w.keeps = r.Fate == workflow.FateBuffered
		w.ops.event(r, eventRow(r))
	case persistence.ItemDocument:
		w.plain(s.home(it.A), keyDocuments)
		w.document(it.A, it.B, it.Row)
	case persistence.ItemBook:
		row, err := it.Book()
		if err != nil {
			return err
		}
		w.plain(s.parts[0], keyBooks)
		w.account([]persistence.Entry{{Name: row.Name, Tally: row.Tally}})
	case persistence.ItemLetter:
		l, err := it.Letter()
		if err != nil {
			return err
		}
		s.KeepLetters([]workflow.DeadLetter{*l}, w.done)
	default:
		return fmt.Errorf("an item %s: a newer release wrote it", it)
	}
	return nil
}
