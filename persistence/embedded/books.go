package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// books are the tallies by name, of the writer alone. They are all in memory,
// so counting reads nothing, and each name that a group touches is one row of
// it, however many of its messages the group moves.
type books struct {
	rows    map[string]*bookRow
	touched []*bookRow // by the group
}

type bookRow struct {
	name    string
	now     workflow.Tally // as it is durable
	change  workflow.Tally // by the group
	touched bool
	fresh   bool // the group makes the row
}

// rest is the name of the row of the names that have none of their own.
const rest = ""

// count adds what a write of the group does.
func (b *books) count(entries []persistence.Entry) {
	for i := range entries {
		b.row(entries[i].Name).change.Add(entries[i].Tally)
	}
}

// move counts one message of the group.
func (b *books) move(name string, from, to workflow.Fate) {
	if from != to {
		b.row(name).change.Move(from, to)
	}
}

// row finds the row that counts a name, or makes it.
func (b *books) row(name string) *bookRow {
	r := b.rows[name]
	if r == nil && name != rest && (b.rows[rest] != nil || len(b.rows) >= workflow.MaxBookNames) {
		// Once a name was counted in the row of the rest it stays there, whatever
		// the bound will be: its later moves must meet its first one.
		return b.row(rest)
	}
	if r == nil {
		r = &bookRow{name: name, fresh: true}
		b.rows[name] = r
	}
	if !r.touched {
		r.touched = true
		b.touched = append(b.touched, r)
	}
	return r
}

// write adds the rows that the group changes, whole.
func (b *books) write(o *ops) {
	for _, r := range b.touched {
		sum := r.now
		sum.Add(r.change)
		o.val = appendTally(o.val[:0], &sum)
		o.set(key1(o.key[:0], famBook, r.name), o.val)
	}
}

// shown takes the group's changes as durable.
func (b *books) shown() {
	for _, r := range b.touched {
		r.now.Add(r.change)
		r.change, r.touched, r.fresh = workflow.Tally{}, false, false
	}
	b.touched = b.touched[:0]
}

// undo forgets what a group would have changed that was not written.
func (b *books) undo() {
	for _, r := range b.touched {
		r.change, r.touched = workflow.Tally{}, false
		if r.fresh {
			delete(b.rows, r.name)
		}
	}
	b.touched = b.touched[:0]
}

func appendTally(dst []byte, t *workflow.Tally) []byte {
	for _, n := range [...]int64{t.Accepted, t.Consumed, t.Buffered, t.Expired, t.Dead} {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

var errTally = errors.New("a row of the books that this store does not write")

func decodeTally(row []byte) (workflow.Tally, error) {
	var t workflow.Tally
	for _, to := range [...]*int64{&t.Accepted, &t.Consumed, &t.Buffered, &t.Expired, &t.Dead} {
		n, size := binary.Varint(row)
		if size <= 0 {
			return t, errTally
		}
		*to, row = n, row[size:]
	}
	return t, nil
}

// readBooks reads all rows, that of the rest first because its name is "".
func readBooks(ctx context.Context, r reader) ([]workflow.BookRow, error) {
	var out []workflow.BookRow
	prefix := []byte{famBook}
	err := scan(ctx, r, prefix, prefix, func(tail, value []byte) (bool, error) {
		p := parts{Rest: tail}
		row := workflow.BookRow{Name: p.ID()}
		var err error
		row.Rest = row.Name == rest
		if row.Tally, err = decodeTally(value); err == nil {
			err = p.End()
		}
		out = append(out, row)
		return true, err
	})
	return out, err
}

// openBooks reads the books into memory. What is damaged is counted from
// nothing again: each row still balances then.
func openBooks(r reader, log *slog.Logger) (books, error) {
	b := books{rows: map[string]*bookRow{}}
	rows, err := readBooks(context.Background(), r)
	for _, row := range rows {
		b.rows[row.Name] = &bookRow{name: row.Name, now: row.Tally}
	}
	if pebble.IsCorruptionError(err) {
		log.Error("some rows of the books are damaged and are counted from nothing", "error", err)
		err = nil
	}
	return b, err
}

// Books returns the books as of one moment, the row of the rest last.
func (s *Store) Books(ctx context.Context) ([]workflow.BookRow, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	rows, err := newView(s.db)
	if err != nil {
		return nil, err
	}
	out, err := readBooks(ctx, rows)
	if err = rows.close(err); err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	if len(out) > 0 && out[0].Rest {
		out = append(out[1:], out[0])
	}
	return out, nil
}

// judgeSettle counts a settled event by the fate that is stored, and keeps or
// drops its dead letter.
func (s *Store) judgeSettle(w *write) error {
	g := &s.group
	id := w.receipt.Event.ID
	stands, was, err := s.standingNow(id)
	if err != nil {
		return err
	}
	if stands != w.stood && (w.stood != workflow.StandsUndecided || stands != workflow.StandsAsking) { // a release before could not tell these two
		return moved(id, stands)
	}
	if was == workflow.FateBuffered || w.receipt.Fate == workflow.FateBuffered {
		if err := s.judgeKeeping(was, w.receipt); err != nil {
			return err
		}
	}
	s.books.move(w.receipt.Event.Name, was, w.receipt.Fate)
	g.events[id] = w.receipt
	s.bury(w)
	return nil
}

func moved(id string, stands workflow.Standing) error {
	return fmt.Errorf("event %q is %q by now: %w", id, stands, persistence.ErrConflict)
}

// judgeFanned refuses a commit that takes an event from a fan-out which is overtaken.
func (s *Store) judgeFanned(w *write) error {
	g := &s.group
	for _, id := range w.fanned {
		if _, changed := g.events[id]; id == g.asking && !changed {
			continue // one event goes to many waits
		}
		stands, _, err := s.standingNow(id)
		if err != nil {
			return err
		}
		if stands != workflow.StandsAsking {
			return moved(id, stands)
		}
		g.asking = id
	}
	return nil
}

// standingNow is how an event stands as of the group so far, and its fate. Nearly
// always it is open, which one look tells.
func (s *Store) standingNow(id string) (workflow.Standing, workflow.Fate, error) {
	if r, ok := s.group.events[id]; ok {
		return standing(r)
	}
	row, open, err := s.db.look(key1(s.group.ops.key[:0], famOpen, id), s.group.row[:0])
	s.group.row = row
	switch {
	case err != nil:
		return "", "", unavailable("read event", id, err)
	case open && len(row) > 0:
		return workflow.StandsUndecided, workflow.FateAccepted, nil
	case open:
		return workflow.StandsAsking, workflow.FateAccepted, nil
	}
	r, err := s.eventNow(id)
	if err != nil {
		return "", "", err
	}
	return standing(r)
}

func standing(r *workflow.EventReceipt) (workflow.Standing, workflow.Fate, error) {
	if r == nil {
		return workflow.StandsNowhere, "", nil
	}
	return r.Standing(), r.Fate, nil
}
