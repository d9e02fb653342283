package storetest

import (
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// moved is a receipt of a signal that goes from one fate to another.
func moved(signal, exec, name string, was, now workflow.Fate) workflow.Receipt {
	r := receiptOf(signal, exec, now)
	r.Name, r.Was = name, was
	return r
}

// tallied is a row of the books.
func tallied(name string, accepted, consumed, buffered, expired, dead int64) workflow.BookRow {
	return workflow.BookRow{Name: name, Tally: workflow.Tally{
		Accepted: accepted, Consumed: consumed, Buffered: buffered, Expired: expired, Dead: dead}}
}

// balance fails the test when the books are not these, or do not balance.
func (f *fixture) balance(what string, want ...workflow.BookRow) {
	f.Helper()
	got, err := f.Books(f.ctx)
	f.is(what, err, nil)
	same(f, what, got, want)
	for _, row := range got {
		if !row.Balanced() {
			f.Fatalf("%s: the row of %q does not balance: %+v", what, row.Name, row.Tally)
		}
	}
}

// booksOfSignals: what a commit moves is counted with it, from the fate that it
// had before; a refused commit counts nothing.
func booksOfSignals(f *fixture) {
	f.balance("empty books")
	c := first(sample("e1"))
	c.Receipts = []workflow.Receipt{
		moved("s1", "e1", "pay", "", workflow.FateConsumed), moved("s2", "e1", "pay", "", workflow.FateBuffered),
		moved("s3", "e1", "approve", "", workflow.FateBuffered), moved("s4", "e1", "pay", "", workflow.FateBuffered),
	}
	s := f.must(c)
	f.balance("after the first", tallied("approve", 1, 0, 1, 0, 0), tallied("pay", 3, 1, 2, 0, 0))

	stale := next(s, 1, nil)
	stale.Epoch = 0
	stale.Receipts = []workflow.Receipt{moved("s2", "e1", "pay", workflow.FateBuffered, workflow.FateConsumed), moved("s9", "e1", "new", "", workflow.FateDead)}
	f.is("refused commit", f.commit(stale), persistence.ErrConflict)
	f.balance("after a refused one", tallied("approve", 1, 0, 1, 0, 0), tallied("pay", 3, 1, 2, 0, 0))

	f.reopen()
	c = next(s, 1, nil)
	delivered := moved("ev1", "e1", "pay", "", workflow.FateConsumed)
	delivered.Source = workflow.FromEvent
	c.Receipts = []workflow.Receipt{
		moved("s2", "e1", "pay", workflow.FateBuffered, workflow.FateExpired), moved("s3", "e1", "approve", workflow.FateBuffered, workflow.FateDead),
		moved("s4", "e1", "pay", workflow.FateBuffered, workflow.FateBuffered), delivered,
	}
	s = f.must(c)
	c = next(s, 1, ended(begin+5))
	c.Receipts = []workflow.Receipt{moved("s4", "e1", "pay", workflow.FateBuffered, workflow.FateConsumed), moved("s2", "e1", "pay", workflow.FateExpired, workflow.FateBuffered)}
	f.must(c)
	for range 2 {
		f.balance("at the end", tallied("approve", 1, 0, 0, 0, 1), tallied("pay", 3, 2, 1, 0, 0))
		f.reopen()
	}
	n, err := f.Sweep(f.ctx, begin+10, 10)
	f.is("sweep", err, nil)
	same(f, "swept", n, 1)
	f.balance("after a sweep", tallied("approve", 1, 0, 0, 0, 1), tallied("pay", 3, 2, 1, 0, 0))
}

// booksOfEvents: an event is buffered while it is fanned out, and counted once
// however often it comes or is settled.
func booksOfEvents(f *fixture) {
	for _, id := range []string{"ev1", "ev2", "ev1"} {
		_, _, err := f.accept(eventOf(id))
		f.is("accept", err, nil)
	}
	c := first(sample("e1"))
	c.Events = []workflow.Event{eventOf("ev2"), eventOf("ev3"), eventOf("ev3")}
	f.must(c)
	f.balance("accepted", tallied("order.paid", 3, 0, 3, 0, 0))
	settle := func(id string, fate workflow.Fate) {
		r := persistence.Accepted(eventOf(id))
		r.Fate = fate
		f.settle(r)
	}
	settle("ev1", workflow.FateDead)
	settle("ev2", workflow.FateConsumed)
	settle("ev2", workflow.FateConsumed)
	f.reopen()
	settle("ev2", workflow.FateConsumed)
	f.balance("settled", tallied("order.paid", 3, 1, 1, 0, 1))
	settle("ev1", workflow.FateAccepted) // redelivered
	f.balance("opened again", tallied("order.paid", 3, 1, 2, 0, 0))
	settle("ev1", workflow.FateConsumed)
	settle("ev3", workflow.FateAccepted)
	_, err := f.Sweep(f.ctx, begin+10, 10)
	f.is("sweep", err, nil)
	f.balance("swept", tallied("order.paid", 3, 2, 1, 0, 0))
	_, known, err := f.accept(eventOf("ev1"))
	f.is("accept what was swept", err, nil)
	same(f, "known", known, false)
	settle("ev9", workflow.FateDead) // of which the store knew nothing
	f.balance("at the end", tallied("order.paid", 5, 2, 2, 0, 1))
}

// booksOfNothing: what moves nothing makes no row.
func booksOfNothing(f *fixture) {
	c := first(sample("e1"))
	c.Receipts = []workflow.Receipt{moved("s1", "e1", "pay", workflow.FateConsumed, workflow.FateConsumed)}
	f.must(c)
	f.is("letter", f.keepLetters(letterOf("l1", begin)), nil)
	f.is("document", f.PutDocument(f.ctx, "kind", "id", []byte("body")), nil)
	f.balance("books")
}

// booksOfAllNames: the names beyond the bound share a row, which balances, too;
// a name stays in the row in which it was first counted.
func booksOfAllNames(f *fixture) {
	const more = 5
	s := sample("e1")
	c := first(s)
	for i := range workflow.MaxBookNames {
		c.Receipts = append(c.Receipts, moved(fmt.Sprint("s", i), "e1", fmt.Sprintf("name%05d", i), "", workflow.FateBuffered))
	}
	s = f.must(c)
	c = next(s, 1, nil)
	for i := workflow.MaxBookNames; i < workflow.MaxBookNames+more; i++ {
		c.Receipts = append(c.Receipts, moved(fmt.Sprint("s", i), "e1", fmt.Sprintf("name%05d", i), "", workflow.FateBuffered))
	}
	s = f.must(c)
	f.reopen()
	c = next(s, 1, nil)
	c.Receipts = []workflow.Receipt{
		moved("s0", "e1", "name00000", workflow.FateBuffered, workflow.FateConsumed),
		moved("x", "e1", fmt.Sprintf("name%05d", workflow.MaxBookNames+1), workflow.FateBuffered, workflow.FateDead),
	}
	f.must(c)
	rows, err := f.Books(f.ctx)
	f.is("books", err, nil)
	same(f, "rows", len(rows), workflow.MaxBookNames+1)
	same(f, "the first row", rows[0], tallied("name00000", 1, 1, 0, 0, 0))
	rest := tallied("", more, 0, more-1, 0, 1)
	rest.Rest = true
	same(f, "the row of the rest", rows[len(rows)-1], rest)
}
