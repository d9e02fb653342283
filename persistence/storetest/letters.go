package storetest

import (
	"fmt"
	"strings"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// letterOf is a dead letter of a refused signal.
func letterOf(id string, at workflow.Instant) workflow.DeadLetter {
	return workflow.DeadLetter{
		ID: id, Kind: workflow.KindSignal, MessageID: "s-" + id, ExecID: "e1", WorkflowID: "orders", Name: "approve",
		Payload: workflow.Value(`{"ok":"<&>"}`), CorrelationID: "A-17", Source: "api", By: "key", Force: true, ReceivedAt: at - 3, ExpiresAt: at + 9,
		Cause: workflow.CauseFinished, Reason: "execution e1 has finished",
		Near: &workflow.NearMiss{Name: "approved", ExecID: "e1", Wait: "hold/1", Closed: at - 2000, Reason: "it closed two seconds earlier"}, At: at,
	}
}

// keepLetters keeps letters and waits for the answer.
func (f *fixture) keepLetters(kept ...workflow.DeadLetter) error {
	f.Helper()
	answer := make(chan error, 1)
	f.KeepLetters(kept, func(err error) { answer <- err })
	return wait(f.T, answer)
}

// lettersOf lists the ids of the letters of a query, in pages of a size.
func (f *fixture) lettersOf(q workflow.LetterQuery, size int) []string {
	f.Helper()
	var ids []string
	q.Limit = size
	for {
		page, err := f.Letters(f.ctx, q)
		f.is("letters", err, nil)
		if len(page.Items) > size {
			f.Fatalf("asked for %d letters, got %d", size, len(page.Items))
		}
		for _, l := range page.Items {
			if l.Payload != nil {
				f.Fatalf("letter %q is listed with its payload", l.ID)
			}
			ids = append(ids, l.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
}

// letters: kept whole, replaced by one of the same id, listed by what is asked for.
func letters(f *fixture) {
	_, err := f.Letter(f.ctx, "l1")
	f.is("letter before", err, persistence.ErrNotFound)
	other := letterOf("l2", begin+2)
	other.Kind, other.Name, other.Cause, other.ExecID, other.WorkflowID, other.Near = workflow.KindEvent, "paid", workflow.CauseUnmatched, "", "bills", nil
	f.is("keep", f.keepLetters(letterOf("l1", begin+1), other, letterOf("l3", begin+3)), nil)
	again := letterOf("l1", begin+9)
	again.Reason, again.Payload = "again", workflow.Value(`{"other":1}`)
	f.is("keep again", f.keepLetters(letterOf("l1", begin+7), again), nil)
	for range 2 {
		got, err := f.Letter(f.ctx, "l1")
		f.is("letter", err, nil)
		same(f, "letter", got, &again)
		got, err = f.Letter(f.ctx, "l2")
		f.is("letter", err, nil)
		same(f, "other letter", got, &other)
		page, err := f.Letters(f.ctx, workflow.LetterQuery{Limit: 1})
		f.is("letters", err, nil)
		listed := again
		listed.Payload = nil
		same(f, "letter as listed", page.Items, []*workflow.DeadLetter{&listed})
		for what, c := range map[string]struct {
			q    workflow.LetterQuery
			want []string
		}{
			"all": {workflow.LetterQuery{}, []string{"l1", "l3", "l2"}}, "name": {workflow.LetterQuery{Name: "paid"}, []string{"l2"}},
			"cause": {workflow.LetterQuery{Cause: workflow.CauseFinished}, []string{"l1", "l3"}}, "execution": {workflow.LetterQuery{ExecID: "e1"}, []string{"l1", "l3"}},
			"workflow": {workflow.LetterQuery{WorkflowID: "bills"}, []string{"l2"}}, "kind": {workflow.LetterQuery{Kind: workflow.KindEvent}, []string{"l2"}},
			"since": {workflow.LetterQuery{Since: begin + 3}, []string{"l1", "l3"}}, "both": {workflow.LetterQuery{Name: "paid", ExecID: "e1"}, nil},
		} {
			same(f, "letters by "+what, f.lettersOf(c.q, 10), c.want)
		}
		same(f, "letters that are kept", f.Stats().Letters, 3)
		f.reopen()
	}
}

// letterPages: pages neither repeat nor skip a letter because others come and go.
func letterPages(f *fixture) {
	var want []string
	for i := range 20 {
		l := letterOf(fmt.Sprintf("l%02d", i), begin+workflow.Instant(i/3)) // some of one moment
		f.is("keep", f.keepLetters(l), nil)
	}
	for i := 6; i >= 0; i-- {
		for j := range 20 {
			if j/3 == i {
				want = append(want, fmt.Sprintf("l%02d", j))
			}
		}
	}
	for size := 1; size <= 21; size++ {
		same(f, fmt.Sprintf("pages of %d", size), f.lettersOf(workflow.LetterQuery{}, size), want)
	}
	page, err := f.Letters(f.ctx, workflow.LetterQuery{Limit: 5})
	f.is("letters", err, nil)
	f.is("keep", f.keepLetters(letterOf("young", begin+99)), nil)
	_, err = f.DropLetters(f.ctx, []string{want[4]})
	f.is("drop", err, nil)
	page, err = f.Letters(f.ctx, workflow.LetterQuery{Limit: 5, Cursor: page.Next})
	f.is("letters", err, nil)
	same(f, "first of the second page", page.Items[0].ID, want[5])
	for _, cursor := range []string{"x", "AAAA", "!"} {
		if _, err := f.Letters(f.ctx, workflow.LetterQuery{Cursor: cursor}); err == nil {
			f.Errorf("the cursor %q is taken", cursor)
		}
	}
}

// lettersOfCommits: they are kept and dropped with the commit, or not at all.
func lettersOfCommits(f *fixture) {
	s := f.must(first(sample("e1")))
	dead := letterOf("l1", begin+1)
	dead.Accepted = true
	c := next(s, 1, nil)
	c.Dead = []workflow.DeadLetter{dead, letterOf("l2", begin+2)}
	stale := *c
	stale.Epoch = 0
	f.is("refused commit", f.commit(&stale), persistence.ErrConflict)
	same(f, "letters of a refused commit", f.lettersOf(workflow.LetterQuery{}, 10), nil)
	same(f, "counted letters", f.Stats().Letters, 0)
	s = f.must(c)
	f.reopen()
	same(f, "letters of a commit", f.lettersOf(workflow.LetterQuery{}, 10), []string{"l2", "l1"})

	stale = *next(s, 1, nil)
	stale.Epoch, stale.Revived = 0, []string{"l1"}
	f.is("refused commit", f.commit(&stale), persistence.ErrConflict)
	same(f, "letters after a refused revival", f.lettersOf(workflow.LetterQuery{}, 10), []string{"l2", "l1"})
	c = next(s, 1, nil)
	c.Revived = []string{"l1", "l2", "nobody"}
	again := dead
	again.At = begin + 5
	c.Dead = []workflow.DeadLetter{again} // it died again at once
	f.must(c)
	for range 2 {
		same(f, "letters after a revival", f.lettersOf(workflow.LetterQuery{}, 10), []string{"l1"})
		got, err := f.Letter(f.ctx, "l1")
		f.is("letter", err, nil)
		same(f, "letter that died again", got, &again)
		_, err = f.Letter(f.ctx, "l2")
		f.is("letter that was revived", err, persistence.ErrNotFound)
		f.reopen()
	}
}

// lettersOfEvents: an event that is settled as dead leaves its letter, and takes
// it back when it is settled otherwise.
func lettersOfEvents(f *fixture) {
	ev := eventOf("ev1")
	_, _, err := f.accept(ev)
	f.is("accept", err, nil)
	r := persistence.Accepted(ev)
	r.Fate, r.Cause, r.Reason = workflow.FateDead, workflow.CauseUnmatched, "nobody listens"
	r.Near = &workflow.NearMiss{Name: "order.payed", Reason: "a name one edit away"}
	r.Steps = append(r.Steps, workflow.Step{At: begin + 7, What: "dead"})
	f.settle(r)
	want := workflow.LetterOfEvent(r)
	for range 2 {
		got, err := f.Letter(f.ctx, want.ID)
		f.is("letter", err, nil)
		same(f, "letter of the event", got, &want)
		stored, err := f.Event(f.ctx, "ev1")
		f.is("event", err, nil)
		same(f, "receipt", stored, r)
		f.reopen()
	}
	f.settle(r)
	same(f, "letters", f.lettersOf(workflow.LetterQuery{}, 10), []string{want.ID})
	r.Fate = workflow.FateAccepted
	f.settle(r)
	same(f, "letters after it was opened again", f.lettersOf(workflow.LetterQuery{}, 10), nil)
}

// lettersGo: discarded ones, and old ones, the oldest first.
func lettersGo(f *fixture) {
	for i := range 6 {
		l := letterOf(fmt.Sprintf("l%d", i), begin+workflow.Instant(i))
		l.Accepted = i%2 == 0
		f.is("keep", f.keepLetters(l), nil)
	}
	n, err := f.DropLetters(f.ctx, []string{"l3", "nobody", "l3"})
	f.is("drop", err, nil)
	same(f, "dropped", n, 1)
	n, err = f.DropLetters(f.ctx, nil)
	f.is("drop nothing", err, nil)
	same(f, "dropped", n, 0)
	f.reopen()
	for _, step := range []struct {
		before      workflow.Instant
		limit, want int
	}{{begin, 10, 0}, {begin + 3, 2, 2}, {begin + 3, 10, 1}, {begin + 3, 10, 0}} {
		n, err := f.SweepLetters(f.ctx, step.before, step.limit)
		f.is("sweep", err, nil)
		same(f, "swept", n, step.want)
	}
	for range 2 {
		same(f, "letters that are left", f.lettersOf(workflow.LetterQuery{}, 10), []string{"l5", "l4"})
		same(f, "counted letters", f.Stats().Letters, 2)
		_, err := f.Letter(f.ctx, "l0")
		f.is("swept letter", err, persistence.ErrNotFound)
		f.reopen()
	}
	same(f, "letters dropped for want of room", f.Stats().LettersDropped, 0)
}

// letterBounds: too many drop the oldest of their sort, by number and by bytes.
func letterBounds(f *fixture) {
	const more = 7
	fill := func(prefix string, count int, change func(*workflow.DeadLetter)) {
		f.Helper()
		for begun := 0; begun < count; begun += 500 {
			var batch []workflow.DeadLetter
			for i := begun; i < min(begun+500, count); i++ {
				l := letterOf(fmt.Sprintf("%s%05d", prefix, i), begin+workflow.Instant(i))
				change(&l)
				batch = append(batch, l)
			}
			f.is("keep", f.keepLetters(batch...), nil)
		}
	}
	fill("accepted", 3, func(l *workflow.DeadLetter) { l.Accepted, l.Name = true, "mine" })
	fill("refused", workflow.MaxRefusedLetters+more, func(l *workflow.DeadLetter) { l.Payload = nil })
	for range 2 {
		same(f, "accepted ones", len(f.lettersOf(workflow.LetterQuery{Name: "mine"}, 10)), 3)
		same(f, "kept", f.Stats().Letters, workflow.MaxRefusedLetters+3)
		for i := range more + 1 {
			_, err := f.Letter(f.ctx, fmt.Sprintf("refused%05d", i))
			if i < more {
				f.is("letter that is too many", err, persistence.ErrNotFound)
			} else {
				f.is("letter that is not", err, nil)
			}
		}
		if f.Stats().LettersDropped != 0 {
			same(f, "dropped", f.Stats().LettersDropped, more)
		}
		f.reopen()
	}
	large := workflow.Value(`"` + strings.Repeat("x", 1<<20) + `"`)
	for i := range 20 {
		l := letterOf(fmt.Sprintf("large%02d", i), begin+workflow.Instant(1_000_000+i))
		l.Payload = large
		f.is("keep", f.keepLetters(l), nil)
	}
	kept := f.lettersOf(workflow.LetterQuery{Name: "approve"}, 100)
	same(f, "large letters within 16 MiB, and nothing older", len(kept), 15)
	same(f, "the oldest of them", kept[len(kept)-1], "large05")
	same(f, "accepted ones", len(f.lettersOf(workflow.LetterQuery{Name: "mine"}, 10)), 3)
}
