package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// receipts: by signal and execution, by signal alone, the newest writing of each.
func receipts(f *fixture) {
	_, err := f.Receipt(f.ctx, "s1", "e1")
	f.is("receipt of nothing", err, persistence.ErrNotFound)
	states := map[string]*workflow.State{}
	for _, id := range []string{"e2", "e1", "e3"} {
		c := first(sample(id))
		c.Receipts = []workflow.Receipt{receiptOf("s1", id, workflow.FateBuffered), receiptOf("s-"+id, id, workflow.FateConsumed)}
		states[id] = f.must(c)
	}
	moved := receiptOf("s1", "e2", workflow.FateConsumed)
	moved.By, moved.Source = "key", "api"
	moved.Answer.ExpiresAt, moved.Answer.Reason = begin+9, `amount is "5" <&>`
	moved.Steps = append(moved.Steps, workflow.Step{At: begin + 5, What: "consumed", Wait: "hold0/1", Record: 7, Reason: "line\nline"})
	c := next(states["e2"], 1, nil)
	c.Receipts = []workflow.Receipt{moved}
	f.must(c)
	for range 2 {
		got, err := f.Receipt(f.ctx, "s1", "e2")
		f.is("receipt", err, nil)
		same(f, "receipt that moved", got, &moved)
		all, err := f.Receipts(f.ctx, "s1", "", 10)
		f.is("receipts", err, nil)
		same(f, "receipts of one signal", all, []workflow.Receipt{receiptOf("s1", "e1", workflow.FateBuffered), moved, receiptOf("s1", "e3", workflow.FateBuffered)})
		some, err := f.Receipts(f.ctx, "s1", "", 2)
		f.is("receipts", err, nil)
		same(f, "receipts up to two", len(some), 2)
		rest, err := f.Receipts(f.ctx, "s1", "e2", 10)
		f.is("receipts", err, nil)
		same(f, "receipts after one", rest, all[2:])
		none, err := f.Receipts(f.ctx, "s", "", 10)
		f.is("receipts", err, nil)
		same(f, "receipts of the beginning of an id", none, nil)
		_, err = f.Receipt(f.ctx, "s-e1", "e2")
		f.is("receipt of another execution", err, persistence.ErrNotFound)
		f.reopen()
	}
}

// eventsAtWork: what an execution remembers of an event is all there again after a
// restart: that one wait has taken it while the processor of another works on it.
// Its receipt is written once more when that is done.
func eventsAtWork(f *fixture) {
	event := workflow.Signal{ID: "ev", Name: "approve", Payload: workflow.Value(`{"n":1}`), Source: workflow.FromEvent, ReceivedAt: begin}
	c := first(sample("e1"))
	c.Now.Buffer = []workflow.Buffered{{Signal: event, Transient: true, Taken: true, Reason: "it was taken"}, {Signal: event, Transient: true}, {Signal: event}}
	held := receiptOf("ev", "e1", workflow.FateBuffered)
	held.Source = workflow.FromEvent
	held.Steps = append(held.Steps, workflow.Step{At: begin, What: "consumed", Wait: "one/1", Record: 2})
	c.Receipts = []workflow.Receipt{held}
	s := f.must(c)
	f.reopen()
	same(f, "state while a processor works", f.load("e1").State, s)

	done := held
	done.Fate, done.Was = workflow.FateConsumed, workflow.FateBuffered
	done.Steps = append(done.Steps[:len(done.Steps):len(done.Steps)], workflow.Step{At: begin + 1, What: "consumed", Wait: "two/1", Record: 3})
	over := next(s, 1, func(now *workflow.State) { now.Buffer = nil })
	over.Receipts = []workflow.Receipt{done}
	now := f.must(over)
	f.reopen()
	same(f, "state when it is done", f.load("e1").State, now)
	got, err := f.Receipt(f.ctx, "ev", "e1")
	f.is("receipt", err, nil)
	done.Was = ""
	same(f, "receipt", got, &done)
	rows, err := f.Books(f.ctx)
	f.is("books", err, nil)
	same(f, "the books, in which an event is counted where it was accepted", rows, nil)
}

// events: an id is accepted once; what is open is listed until its fate is final.
func events(f *fixture) {
	_, err := f.Event(f.ctx, "ev1")
	f.is("event before", err, persistence.ErrNotFound)
	for _, id := range []string{"ev2", "ev1", "ev3"} {
		r, known, err := f.accept(eventOf(id))
		f.is("accept", err, nil)
		same(f, "known", known, false)
		same(f, "receipt", r, persistence.Accepted(eventOf(id)))
	}
	settled := persistence.Accepted(eventOf("ev2"))
	settled.Fate = workflow.FateConsumed
	settled.Steps = append(settled.Steps, workflow.Step{At: begin + 3, What: "consumed"})
	settled.Deliveries = []workflow.Delivery{{Kind: "wait", ExecID: "e1", WaitID: "hold0/1", Outcome: "delivered", At: begin + 3}}
	f.settle(settled)
	part := persistence.Accepted(eventOf("ev3"))
	part.Deliveries = []workflow.Delivery{{Kind: "trigger", WorkflowID: "orders", ExecID: "e9", Outcome: "started", At: begin + 1}}
	f.settle(part)

	other := eventOf("ev2")
	other.Payload = workflow.Value(`{"another":"body"}`)
	for range 2 {
		r, known, err := f.accept(other)
		f.is("accept again", err, nil)
		same(f, "known", known, true)
		same(f, "receipt of what was there", r, settled)
		got, err := f.Event(f.ctx, "ev3")
		f.is("event", err, nil)
		same(f, "event that is still fanned out", got, part)
		f.reopen()
	}
	open, err := f.OpenEvents(f.ctx, "", 10)
	f.is("open events", err, nil)
	same(f, "open events", open, []*workflow.EventReceipt{persistence.Accepted(eventOf("ev1")), part})
	open, err = f.OpenEvents(f.ctx, "ev1", 10)
	f.is("open events", err, nil)
	same(f, "open events after one", open, []*workflow.EventReceipt{part})
	open, err = f.OpenEvents(f.ctx, "", 1)
	f.is("open events", err, nil)
	same(f, "open events, one", len(open), 1)

	again := *settled // redelivered
	again.Fate = workflow.FateAccepted
	f.settle(&again)
	open, err = f.OpenEvents(f.ctx, "ev1", 10)
	f.is("open events", err, nil)
	same(f, "open events after one was opened again", open, []*workflow.EventReceipt{&again, part})
}

// eventsOfCommits: what a commit emits is accepted with it, unless its id is known.
func eventsOfCommits(f *fixture) {
	known := eventOf("ev1")
	known.Source = "first"
	_, _, err := f.accept(known)
	f.is("accept", err, nil)
	c := first(sample("e1"))
	c.Events = []workflow.Event{eventOf("ev1"), eventOf("ev2"), eventOf("ev2")}
	s := f.must(c)
	got, err := f.Event(f.ctx, "ev1")
	f.is("event", err, nil)
	same(f, "event that was known", got, persistence.Accepted(known))
	r, isKnown, err := f.accept(eventOf("ev2"))
	f.is("accept", err, nil)
	same(f, "known", isKnown, true)
	same(f, "event of the commit", r, persistence.Accepted(eventOf("ev2")))
	r.Fate = workflow.FateDead
	f.settle(r)
	c = next(s, 1, nil)
	c.Events = []workflow.Event{eventOf("ev2"), eventOf("ev3")}
	f.must(c)
	open, err := f.OpenEvents(f.ctx, "", 10)
	f.is("open events", err, nil)
	same(f, "open events", open, []*workflow.EventReceipt{persistence.Accepted(known), persistence.Accepted(eventOf("ev3"))})
}

// eventsAtOnce: of many who bring the same event at once, one is the first.
func eventsAtOnce(f *fixture) {
	const senders, ids = 16, 20
	var mu sync.Mutex
	firsts := map[string]int{}
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range ids {
				ev := eventOf(fmt.Sprintf("ev%d", i))
				ev.Source = fmt.Sprintf("sender %d", sender)
				answer := make(chan error, 1)
				f.AcceptEvent(ev, func(r *workflow.EventReceipt, known bool, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err == nil && !known {
						firsts[ev.ID+" "+r.Event.Source]++
					}
					answer <- err
				})
				if err := <-answer; err != nil {
					f.Errorf("accept: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if len(firsts) != ids {
		f.Fatalf("%d events have %d first ones: %v", ids, len(firsts), firsts)
	}
	for i := range ids {
		r, err := f.Event(f.ctx, fmt.Sprintf("ev%d", i))
		f.is("event", err, nil)
		if firsts[r.Event.ID+" "+r.Event.Source] != 1 {
			f.Errorf("event %q is stored as that of %s, who was not told so", r.Event.ID, r.Event.Source)
		}
	}
}

// documents: small named things, by kind.
func documents(f *fixture) {
	_, err := f.Document(f.ctx, "keys", "a")
	f.is("document before", err, persistence.ErrNotFound)
	for _, id := range []string{"b", "a", "c"} {
		f.is("put", f.PutDocument(f.ctx, "keys", id, []byte("body of "+id)), nil)
	}
	f.is("put of another kind", f.PutDocument(f.ctx, "key", "a", []byte{0, 1, 255}), nil)
	f.is("put of an empty one", f.PutDocument(f.ctx, "keys", "d", []byte{}), nil)
	f.is("put again", f.PutDocument(f.ctx, "keys", "b", []byte("new")), nil)
	f.is("delete", f.PutDocument(f.ctx, "keys", "c", nil), nil)
	f.is("delete what is not there", f.PutDocument(f.ctx, "keys", "z", nil), nil)
	for range 2 {
		got, err := f.Document(f.ctx, "keys", "b")
		f.is("document", err, nil)
		same(f, "document", string(got), "new")
		got, err = f.Document(f.ctx, "keys", "d")
		f.is("empty document", err, nil)
		if got == nil {
			f.Fatal("an empty document is nil, which means deleted")
		}
		_, err = f.Document(f.ctx, "keys", "c")
		f.is("deleted document", err, persistence.ErrNotFound)
		all, err := f.Documents(f.ctx, "keys", "", 10)
		f.is("documents", err, nil)
		same(f, "documents", all, []persistence.Document{{ID: "a", Body: []byte("body of a")}, {ID: "b", Body: []byte("new")}, {ID: "d"}})
		some, err := f.Documents(f.ctx, "keys", "a", 1)
		f.is("documents", err, nil)
		same(f, "documents after one", some, []persistence.Document{{ID: "b", Body: []byte("new")}})
		other, err := f.Documents(f.ctx, "key", "", 10)
		f.is("documents", err, nil)
		same(f, "documents of another kind", other, []persistence.Document{{ID: "a", Body: []byte{0, 1, 255}}})
		f.reopen()
	}
}

// replacing: a document is written back only while it is what was read.
func replacing(f *fixture) {
	put := func(what string, was, body []byte, want error) {
		f.Helper()
		f.is(what, f.ReplaceDocument(f.ctx, "kind", "id", was, body), want)
	}
	put("replace what is not there", []byte("x"), []byte("y"), persistence.ErrConflict)
	put("make", nil, []byte{}, nil)
	put("make again", nil, []byte("y"), persistence.ErrConflict)
	put("replace an empty one", []byte{}, []byte("one"), nil)
	put("replace as if it were empty", []byte{}, []byte("two"), persistence.ErrConflict)
	put("replace", []byte("one"), []byte("two"), nil)
	put("replace by the same", []byte("two"), []byte("two"), nil)
	f.reopen()
	put("replace what it was", []byte("one"), []byte("three"), persistence.ErrConflict)
	got, err := f.Document(f.ctx, "kind", "id")
	f.is("document", err, nil)
	same(f, "document", string(got), "two")
	f.is("put", f.PutDocument(f.ctx, "kind", "id", []byte("put")), nil)
	put("replace what was put over", []byte("two"), []byte("four"), persistence.ErrConflict)
	put("delete what it was", []byte("two"), nil, persistence.ErrConflict)
	put("delete", []byte("put"), nil, nil)
	put("delete what is gone", []byte("put"), nil, persistence.ErrConflict)
	all, err := f.Documents(f.ctx, "kind", "", 10)
	f.is("documents", err, nil)
	same(f, "documents", len(all), 0)
	replacingInRaces(f)
}

// replacingInRaces: of those who change one document at once nobody's change is lost.
func replacingInRaces(f *fixture) {
	const writers, each = 8, 10
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := 0; n < each; {
				was, err := f.Document(f.ctx, "kind", "log")
				if err != nil && !errors.Is(err, persistence.ErrNotFound) {
					f.Error(err)
					return
				}
				err = f.ReplaceDocument(f.ctx, "kind", "log", was, append(slices.Clone(was), byte(i)))
				switch {
				case err == nil:
					n++
				case !errors.Is(err, persistence.ErrConflict):
					f.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	body, err := f.Document(f.ctx, "kind", "log")
	f.is("document", err, nil)
	counts := map[byte]int{}
	for _, b := range body {
		counts[b]++
	}
	for i := range writers {
		same(f, "changes that are there", counts[byte(i)], each)
	}
}
