package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The books of a partition count what its own messages did: a signal's receipt
// and an event are each in one partition, so every partition balances by itself,
// and so does their sum.

// rest is the name of the row of the names that have none of their own.
const rest = ""

// The columns of the books that a fate stands in, as scripts know them.
const (
	columnBuffered = "b"
	columnConsumed = "c"
	columnExpired  = "x"
	columnDead     = "d"
)

func columnOf(f workflow.Fate) string {
	switch f {
	case workflow.FateConsumed:
		return columnConsumed
	case workflow.FateExpired:
		return columnExpired
	case workflow.FateDead:
		return columnDead
	}
	return columnBuffered
}

// eventRow is what is stored of an event.
func eventRow(r *workflow.EventReceipt) []byte {
	return persistence.AppendEventReceipt([]byte(columnOf(r.Fate)), r)
}

// account adds entries to the books.
func (o *ops) account(entries []persistence.Entry) {
	for i := range entries {
		e := &entries[i]
		o.add("A", keyBooks, []byte(e.Name))
		o.args = append(o.args, workflow.MaxBookNames, e.Accepted, e.Consumed, e.Buffered, e.Expired, e.Dead)
	}
}

// eventAccepted counts an event that is accepted by this script.
func (o *ops) eventAccepted(r *workflow.EventReceipt) {
	e := persistence.Entry{Name: r.Event.Name}
	e.Move("", r.Fate)
	o.account([]persistence.Entry{e})
}

// eventMoved counts that an event goes from what is stored of it to what it is now.
func (o *ops) eventMoved(r *workflow.EventReceipt) {
	o.add("M", keyBooks, []byte(r.Event.Name))
	o.args = append(o.args, workflow.MaxBookNames, o.key(o.part.key(keyEvents)), r.Event.ID, columnOf(r.Fate))
}

// Books returns the books, the row of the rest last. Each partition is read as of
// one moment.
func (s *Store) Books(ctx context.Context) ([]workflow.BookRow, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	rows := make([]*goredis.MapStringStringCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			rows[i] = pipe.HGetAll(ctx, p.key(keyBooks))
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(ctx, "read the books of store", s.prefix, err)
	}
	sum := map[string]workflow.Tally{}
	for _, r := range rows {
		for name, text := range r.Val() {
			t, err := decodeTally(text)
			if err != nil {
				return nil, fmt.Errorf("%w: the row of %q in the books: %w", persistence.ErrUnavailable, name, err)
			}
			t.Add(sum[name])
			sum[name] = t
		}
	}
	var out []workflow.BookRow
	for name, t := range sum {
		out = append(out, workflow.BookRow{Name: name, Rest: name == rest, Tally: t})
	}
	slices.SortFunc(out, func(a, b workflow.BookRow) int {
		if a.Rest != b.Rest { // the row of the rest comes last
			return map[bool]int{true: 1, false: -1}[a.Rest]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

func decodeTally(text string) (workflow.Tally, error) {
	var t workflow.Tally
	numbers := strings.Fields(text)
	to := [...]*int64{&t.Accepted, &t.Consumed, &t.Buffered, &t.Expired, &t.Dead}
	if len(numbers) != len(to) {
		return t, fmt.Errorf("%q is not five numbers", text)
	}
	for i, n := range numbers {
		var err error
		if *to[i], err = strconv.ParseInt(n, 10, 64); err != nil {
			return t, err
		}
	}
	return t, nil
}
