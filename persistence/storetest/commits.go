package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// versions: a commit is written only from the version that is stored.
func versions(f *fixture) {
	_, err := f.Load(f.ctx, "e1")
	f.is("load before the start", err, persistence.ErrNotFound)
	s := f.must(first(sample("e1")))
	same(f, "state after the start", f.load("e1").State, s)
	f.is("start again", f.commit(first(sample("e1"))), persistence.ErrConflict)

	later := next(s, 2, nil)
	later.Was = next(s, 0, nil).Now
	later.Expect++
	later.Now.Version++
	f.is("commit from a version to come", f.commit(later), persistence.ErrConflict)
	s2 := f.must(next(s, 2, waiting("approve")))
	f.is("commit from a version that is gone", f.commit(next(s, 1, nil)), persistence.ErrConflict)
	f.is("start of what runs", f.commit(first(sample("e1"))), persistence.ErrConflict)
	same(f, "state at the end", f.load("e1").State, s2)

	jump := next(s2, 3, nil)
	jump.Now.Version += 7
	s9 := f.must(jump)
	f.reopen()
	same(f, "state after opening again", f.load("e1").State, s9)
	f.must(next(s9, 1, nil))
}

// lineage: a version is no identity. An owner whose commit was refused, and who
// has already submitted the next one on top of it, must not find the version of
// somebody else's commit and take it for its own.
func lineage(f *fixture) {
	begin := first(sample("e1"))
	begin.ID = 1
	s := f.must(begin)
	mine, others := next(s, 1, nil), next(s, 2, waiting("approve"))
	mine.Parent, mine.ID = 1, 2
	others.Parent, others.ID = 1, 3
	same(f, "versions of both", mine.Now.Version, others.Now.Version)
	stored := f.must(others)
	f.is("commit of who came second", f.commit(mine), persistence.ErrConflict)

	ahead := next(mine.Now, 1, nil)
	ahead.Parent, ahead.ID = 2, 4
	f.is("commit on top of the refused one", f.commit(ahead), persistence.ErrConflict)
	same(f, "state", f.load("e1").State, stored)
	same(f, "commit", f.load("e1").Commit, uint64(3))
	f.reopen()
	f.is("commit on top of the refused one, after opening again", f.commit(ahead), persistence.ErrConflict)
	on := next(stored, 1, nil)
	on.Parent, on.ID = 3, 5
	f.must(on)
}

// epochs: who belongs to an older owner than the last writer is refused.
func epochs(f *fixture) {
	c := first(sample("e1"))
	c.Epoch = 5
	s := f.must(c)
	if got := f.load("e1").Epoch; got != 5 {
		f.Fatalf("stored epoch is %d, want 5", got)
	}
	stale := next(s, 1, nil)
	stale.Epoch = 4
	f.is("commit of an older epoch", f.commit(stale), persistence.ErrConflict)
	same := next(s, 1, nil)
	same.Epoch = 5
	s = f.must(same)
	young := next(s, 1, nil)
	young.Epoch = 9
	s = f.must(young)
	f.reopen()
	again := next(s, 1, nil)
	again.Epoch = 5
	f.is("commit of the owner before", f.commit(again), persistence.ErrConflict)
	again.Epoch = 9
	f.must(again)
	if got := f.load("e1").Epoch; got != 9 {
		f.Fatalf("stored epoch is %d, want 9", got)
	}
}

// refusals: a refused commit leaves nothing behind.
func refusals(f *fixture) {
	s := f.must(first(sample("e1")))
	c := next(s, 3, waiting("approve"))
	c.Now.Timers = []workflow.Timer{{ID: "t1", Kind: workflow.TimerSleep, Of: "charge", Due: begin}}
	c.Receipts = []workflow.Receipt{receiptOf("s1", "e1", workflow.FateConsumed)}
	c.Events = []workflow.Event{eventOf("ev1")}
	c.Working = true
	c.Epoch = 0
	f.is("commit of an older epoch", f.commit(c), persistence.ErrConflict)
	f.nothingOf(c)
	f.reopen()
	f.nothingOf(c)
	same(f, "state after the refusal", f.load("e1").State, s)
}

// nothingOf fails the test when anything of a refused commit of e1 is there.
func (f *fixture) nothingOf(c *persistence.Commit) {
	f.Helper()
	rs, err := f.Records(f.ctx, c.ExecID, c.Was.Seq, 10)
	f.is("records", err, nil)
	same(f, "records of the refused commit", rs, nil)
	ws, err := f.Waits(f.ctx, workflow.WaitQuery{Limit: 10})
	f.is("waits", err, nil)
	same(f, "waits of the refused commit", ws.Items, nil)
	due, err := f.Due(f.ctx, begin+1000, nil, 10)
	f.is("due", err, nil)
	same(f, "timers of the refused commit", due, nil)
	_, err = f.Receipt(f.ctx, "s1", c.ExecID)
	f.is("receipt of the refused commit", err, persistence.ErrNotFound)
	_, err = f.Event(f.ctx, "ev1")
	f.is("event of the refused commit", err, persistence.ErrNotFound)
	ids, err := f.Working(f.ctx, "", 10)
	f.is("working", err, nil)
	same(f, "working of the refused commit", ids, nil)
}

// pipelined: an owner may submit without waiting, and is answered in order.
func pipelined(f *fixture) {
	const count = 200
	s := sample("e1")
	answers := []<-chan error{f.submit(first(s))}
	for range count {
		c := next(s, 1, nil)
		answers = append(answers, f.submit(c))
		s = c.Now
	}
	for i, answer := range answers {
		if err := wait(f.T, answer); err != nil {
			f.Fatalf("commit %d: %v", i, err)
		}
	}
	same(f, "state at the end", f.load("e1").State, s)
	rs, err := f.Records(f.ctx, "e1", 0, count+10)
	f.is("records", err, nil)
	same(f, "records", rs, history(0, s.Seq))
}

// brokenPipeline: what follows a refused commit is refused too.
func brokenPipeline(f *fixture) {
	s := f.must(first(sample("e1")))
	bad := next(s, 1, nil)
	bad.Epoch = 0
	after := next(bad.Now, 1, nil)
	last := next(after.Now, 1, nil)
	answers := []<-chan error{f.submit(bad), f.submit(after), f.submit(last)}
	good := f.submit(next(s, 5, nil))
	for i, answer := range answers {
		f.is(fmt.Sprintf("commit %d of a broken row", i), wait(f.T, answer), persistence.ErrConflict)
	}
	f.is("commit from what is stored", wait(f.T, good), nil)
	if got := f.load("e1").State.Seq; got != s.Seq+5 {
		f.Fatalf("last record is %d, want %d", got, s.Seq+5)
	}
}

// wholeOrNot: a commit shows all that it holds, and all of it is there after
// opening again.
func wholeOrNot(f *fixture) {
	s := f.must(first(sample("e1")))
	c := next(s, 3, waiting("approve", "cancel"))
	c.Now.Timers = []workflow.Timer{{ID: "t1", Kind: workflow.TimerDeadline, Of: "hold0/1", Due: begin + 50}}
	c.Receipts = []workflow.Receipt{receiptOf("s1", "e1", workflow.FateConsumed), receiptOf("s2", "e1", workflow.FateBuffered)}
	c.Events = []workflow.Event{eventOf("ev1"), eventOf("ev2")}
	c.Working = true
	f.must(c)
	for range 2 {
		f.wholeOf(c)
		f.reopen()
	}
}

func (f *fixture) wholeOf(c *persistence.Commit) {
	f.Helper()
	same(f, "state", f.load(c.ExecID).State, c.Now)
	rs, err := f.Records(f.ctx, c.ExecID, c.Was.Seq, 10)
	f.is("records", err, nil)
	same(f, "records", rs, c.Records)
	ws, err := f.Waits(f.ctx, workflow.WaitQuery{Limit: 10})
	f.is("waits", err, nil)
	var want []workflow.WaitRow
	for _, w := range c.Now.Waits {
		want = append(want, workflow.WaitRow{ExecID: c.ExecID, WorkflowID: c.Now.WorkflowID, OpenWait: w})
	}
	same(f, "waits", ws.Items, want)
	due, err := f.Due(f.ctx, begin+1000, nil, 10)
	f.is("due", err, nil)
	same(f, "timers", due, []persistence.Due{{ExecID: c.ExecID, Timer: "t1", At: begin + 50}})
	for _, r := range c.Receipts {
		got, err := f.Receipt(f.ctx, r.SignalID, c.ExecID)
		f.is("receipt", err, nil)
		same(f, "receipt", got, &r)
	}
	for _, ev := range c.Events {
		got, err := f.Event(f.ctx, ev.ID)
		f.is("event", err, nil)
		same(f, "event", got, persistence.Accepted(ev))
	}
	ids, err := f.Working(f.ctx, "", 10)
	f.is("working", err, nil)
	same(f, "working", ids, []string{c.ExecID})
}

// invalidCommits: what cannot be a commit is refused and not written.
func invalidCommits(f *fixture) {
	s := f.must(first(sample("e1")))
	for what, c := range map[string]*persistence.Commit{
		"no state":               {ExecID: "e2", Epoch: 1},
		"another one's state":    {ExecID: "e2", Epoch: 1, Now: sample("e3")},
		"no id":                  first(sample("")),
		"an id that is too long": first(sample(strings.Repeat("x", workflow.MaxNameBytes+1))),
		"no later version":       {ExecID: "e1", Expect: 1, Epoch: 1, Was: s, Now: s},
		"no state before":        {ExecID: "e1", Expect: 1, Epoch: 1, Now: next(s, 1, nil).Now},
	} {
		answer := make(chan error, 1)
		c.Done = func(err error) { answer <- err }
		f.Submit(c)
		if err := wait(f.T, answer); err == nil || errors.Is(err, persistence.ErrConflict) {
			f.Errorf("commit with %s: got error %v, want one that is no conflict", what, err)
		}
	}
	page, err := f.Executions(f.ctx, workflow.Query{Limit: 10})
	f.is("executions", err, nil)
	same(f, "executions", page.Items, []*workflow.State{s})
	f.is("health after invalid commits", f.Health(), nil)
}

// strangeIDs: ids are any bytes; none reaches into another one's rows.
func strangeIDs(f *fixture) {
	ids := []string{
		"a", "a\x00", "a\x00\x01", "a\x00\xff", "a\x01", "a\xff", "a\xff\xff", "ab", "a/b", "a:b", "a b", "\x00", "\x00\x01", "\xff", "é", "\u2028",
		`"`, `\`, "{a}", "*", "a*", strings.Repeat("x", workflow.MaxNameBytes), strings.Repeat("\x00", workflow.MaxNameBytes),
	}
	for i, id := range ids {
		s := sample(id)
		s.Seq = uint64(i + 1)
		c := first(s)
		c.Receipts = []workflow.Receipt{receiptOf(id, id, workflow.FateConsumed), receiptOf("s", id, workflow.FateConsumed)}
		c.Working = true
		f.must(c)
		f.is("document", f.PutDocument(f.ctx, id, id, []byte{byte(i)}), nil)
	}
	f.reopen()
	for i, id := range ids {
		if got := f.load(id).State; got.ExecID != id || got.Seq != uint64(i+1) {
			f.Errorf("load %q: got %q with %d records", id, got.ExecID, got.Seq)
		}
		rs, err := f.Records(f.ctx, id, 0, 100)
		f.is("records", err, nil)
		same(f, "records of "+id, rs, history(0, uint64(i+1)))
		got, err := f.Receipts(f.ctx, id, "", 100)
		f.is("receipts", err, nil)
		if len(got) != 1 || got[0].ExecID != id || got[0].SignalID != id {
			f.Errorf("receipts of signal %q: got %v", id, got)
		}
		docs, err := f.Documents(f.ctx, id, "", 100)
		f.is("documents", err, nil)
		same(f, "documents of "+id, docs, []persistence.Document{{ID: id, Body: []byte{byte(i)}}})
	}
	all, err := f.Receipts(f.ctx, "s", "", 100)
	f.is("receipts of one signal", err, nil)
	if len(all) != len(ids) {
		f.Errorf("one signal to %d executions has %d receipts", len(ids), len(all))
	}
	working, err := f.Working(f.ctx, "", 100)
	f.is("working", err, nil)
	same(f, "working, in the order of ids", working, sorted(ids))
}

// largeState: a state far beyond the usual is stored whole.
func largeState(f *fixture) {
	s := sample("e1")
	s.Input = workflow.Value(`"` + string(bytes.Repeat([]byte("x"), 6<<20)) + `"`)
	f.must(first(s))
	small := f.must(first(sample("e2")))
	f.reopen()
	same(f, "large input", len(f.load("e1").State.Input), len(s.Input))
	same(f, "its neighbour", f.load("e2").State, small)
	f.must(next(s, 1, nil))
}

// records: history comes in pages, in order.
func records(f *fixture) {
	s := f.must(first(sample("e1")))
	for i := range uint64(10) {
		s = f.must(next(s, i%4, nil))
	}
	f.must(first(sample("e0")))
	f.must(first(sample("e2")))
	want := history(0, s.Seq)
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []workflow.Record
		for {
			var after uint64
			if len(got) > 0 {
				after = got[len(got)-1].Seq
			}
			page, err := f.Records(f.ctx, "e1", after, limit)
			f.is("records", err, nil)
			if len(page) > limit {
				f.Fatalf("asked for %d records, got %d", limit, len(page))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		same(f, fmt.Sprintf("records in pages of %d", limit), got, want)
	}
	none, err := f.Records(f.ctx, "nobody", 0, 10)
	f.is("records of nobody", err, nil)
	same(f, "records of nobody", none, nil)
}

// folding: an execution that goes on for years keeps the newest records, and
// says that older ones are gone.
func folding(f *fixture) {
	const step = 500
	s := f.must(first(sample("e1")))
	for s.Seq < workflow.MaxRecords+10*step {
		s = f.must(next(s, step, nil))
	}
	rs, err := f.Records(f.ctx, "e1", 0, 10)
	f.is("records", err, nil)
	if len(rs) != 10 || rs[0].Type != workflow.HistoryFolded {
		f.Fatalf("the first of %d records is %v, want one of type %s", len(rs), rs[0].Type, workflow.HistoryFolded)
	}
	kept := s.Seq - rs[0].Seq
	if kept > workflow.MaxRecords+4*step || kept < workflow.MaxRecords-4*step {
		f.Fatalf("%d records are kept, want about %d", kept, workflow.MaxRecords)
	}
	same(f, "the oldest that are kept", rs[1:], history(rs[0].Seq, rs[0].Seq+9))
	rs, err = f.Records(f.ctx, "e1", s.Seq-3, 10)
	f.is("records", err, nil)
	same(f, "the newest", rs, history(s.Seq-3, s.Seq))
	rs, err = f.Records(f.ctx, "e1", rs[0].Seq-10, 1)
	f.is("records", err, nil)
	if rs[0].Type == workflow.HistoryFolded {
		f.Fatal("a page behind the folded records says that records were folded")
	}
}
