package actors_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// letter waits until a message has a dead letter.
func (w *world) letter(kind workflow.MessageKind, exec, id string) (l *workflow.DeadLetter) {
	w.t.Helper()
	w.eventually(func() bool {
		var err error
		if l, err = w.store.Letter(w.t.Context(), workflow.LetterID(kind, exec, id)); err != nil && !errors.Is(err, persistence.ErrNotFound) {
			w.t.Fatal(err)
		}
		return err == nil
	}, func() string { return fmt.Sprintf("%s has no dead letter", id) })
	return l
}

// noLetter fails the test when a message has a dead letter.
func (w *world) noLetter(kind workflow.MessageKind, exec, id string) {
	w.t.Helper()
	if l, err := w.store.Letter(w.t.Context(), workflow.LetterID(kind, exec, id)); !errors.Is(err, persistence.ErrNotFound) {
		w.t.Fatalf("there is a dead letter of %s: %+v, %v", id, l, err)
	}
}

// book is the row of a name.
func (w *world) book(name string) workflow.Tally {
	w.t.Helper()
	rows, err := w.store.Books(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, row := range rows {
		if !row.Balanced() {
			w.t.Fatalf("the books of %q do not balance: %+v", row.Name, row.Tally)
		}
		if row.Name == name {
			return row.Tally
		}
	}
	return workflow.Tally{}
}

// settled waits until the fan-out of an event is finished.
func (w *world) settled(id string) *workflow.EventReceipt {
	w.t.Helper()
	return w.fate(id, workflow.FateConsumed, workflow.FateExpired, workflow.FateDead)
}

func (w *world) event(s *actors.System, id, name string) {
	w.t.Helper()
	if _, _, err := s.Event(w.t.Context(), workflow.Event{ID: id, Name: name, Payload: workflow.Value(`{"n":1}`), ReceivedAt: stamp().At}); err != nil {
		w.t.Fatal(err)
	}
}

// A signal that no wait took when its execution ended is a dead letter with the
// commit that ended it; redelivering it is refused, and it stays.
func TestASignalThatDiesLeavesALetterInTheSameCommit(t *testing.T) {
	def := waiting("two", func(d *workflow.Definition) { d.Awaits = append(d.Awaits, "other") })
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signal(s, "x", "kept", "other"); err != nil {
		t.Fatal(err)
	}
	if got := w.book("other"); got != (workflow.Tally{Accepted: 1, Buffered: 1}) {
		t.Fatalf("books %+v", got)
	}
	if _, err := w.signal(s, "x", "s", "go"); err != nil {
		t.Fatal(err)
	}
	l, err := w.store.Letter(t.Context(), workflow.LetterID(workflow.KindSignal, "x", "kept")) // at once: it is of the same commit
	if err != nil || l.Cause != workflow.CauseFinished || !l.Accepted || l.Near == nil || !strings.Contains(l.Near.Reason, "no wait") || l.WorkflowID != "two" {
		t.Fatalf("%+v, %v", l, err)
	}
	if got := w.book("other"); got != (workflow.Tally{Accepted: 1, Dead: 1}) {
		t.Fatalf("books %+v", got)
	}
	if _, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{}); code(err) != workflow.CodeFinished {
		t.Fatalf("redelivered to a finished execution: %v", err)
	}
	w.letter(workflow.KindSignal, "x", "kept")
	if n, err := s.Discard(t.Context(), []string{l.ID}); n != 1 || err != nil {
		t.Fatalf("discarded %d, %v", n, err)
	}
	if _, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{}); code(err) != workflow.CodeNoLetter {
		t.Fatalf("redelivered what was discarded: %v", err)
	}
}

// A signal that expired is redelivered with the same receipt, once.
func TestAnExpiredSignalIsRedeliveredWithItsReceipt(t *testing.T) {
	def := waiting("two", func(d *workflow.Definition) {
		d.Awaits = append(d.Awaits, "later")
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "second", Kind: workflow.Wait, After: []string{"hold"}, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("later")}}})
	})
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	at := stamp()
	_, err := s.Ask(t.Context(), &actors.Deliver{ExecID: "x", Input: workflow.Signalled{Stamp: at,
		Signal: workflow.Signal{ID: "brief", ExecID: "x", Name: "later", Payload: workflow.Value(`{"n":1}`), ReceivedAt: at.At, ExpiresAt: at.At + 20, Source: "api"}}})
	if err != nil {
		t.Fatal(err)
	}
	l := w.letter(workflow.KindSignal, "x", "brief")
	if l.Cause != workflow.CauseExpired || string(l.Payload) != `{"n":1}` || w.book("later") != (workflow.Tally{Accepted: 1, Expired: 1}) {
		t.Fatalf("%+v, books %+v", l, w.book("later"))
	}
	stop()
	s, stop = w.start(w.store)
	defer stop()
	if _, err := w.signal(s, "x", "s", "go"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{})
	if err != nil || r.Answer.Outcome != workflow.Delivered || r.MessageID != "brief" {
		t.Fatalf("%+v, %v", r, err)
	}
	w.noLetter(workflow.KindSignal, "x", "brief")
	receipt, err := w.store.Receipt(t.Context(), "brief", "x")
	var what []string
	for _, step := range receipt.Steps {
		what = append(what, step.What)
	}
	if err != nil || receipt.Fate != workflow.FateConsumed || strings.Join(what, " ") != "accepted buffered expired redelivered consumed" || receipt.Answer.Outcome != workflow.KeptForWait {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if got := w.book("later"); got != (workflow.Tally{Accepted: 1, Consumed: 1}) || w.consumed("x")["brief"] != 1 {
		t.Fatalf("books %+v", got)
	}
	if _, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{}); code(err) != workflow.CodeNoLetter {
		t.Fatalf("redelivered twice: %v", err)
	}
}

// A refused signal keeps its refusal, leaves a letter, is in no book, and has a
// receipt once it is redelivered and accepted.
func TestARefusedSignalLeavesALetterAndIsNotInTheBooks(t *testing.T) {
	def := waiting("loop", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	if _, err := w.signal(s, "x", "early", "go"); code(err) != workflow.CodeNoExecution {
		t.Fatal(err)
	}
	l := w.letter(workflow.KindSignal, "x", "early")
	if l.Accepted || l.Cause != workflow.CauseNoExecution || w.book("go") != (workflow.Tally{}) {
		t.Fatalf("%+v, books %+v", l, w.book("go"))
	}
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signal(s, "x", "typo", "goo"); code(err) != workflow.CodeNeverAwaited {
		t.Fatal(err)
	}
	if l := w.letter(workflow.KindSignal, "x", "typo"); l.Cause != workflow.CauseNeverAwaited || l.WorkflowID != "loop" {
		t.Fatalf("%+v", l)
	}
	r, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{})
	if err != nil || r.Answer.Outcome != workflow.Delivered || w.book("go") != (workflow.Tally{Accepted: 1, Consumed: 1}) {
		t.Fatalf("%+v, %v, books %+v", r, err, w.book("go"))
	}
	w.noLetter(workflow.KindSignal, "x", "early")
	if _, err := w.signal(s, "x", "late", "go"); code(err) != workflow.CodeFinished {
		t.Fatal(err)
	}
	if l := w.letter(workflow.KindSignal, "x", "late"); l.Near == nil || l.Near.Wait != "hold/1" || !strings.Contains(l.Near.Reason, "was satisfied") || l.Near.Closed == 0 {
		t.Fatalf("the letter does not say that a wait closed before: %+v", l)
	}
}

// A flood of refused signals is cut to the rate; what is cut is counted.
func TestAFloodOfRefusedSignalsIsBounded(t *testing.T) {
	w := newWorld(t)
	s, stop := w.start(w.store)
	const flood = 3 * actors.LetterBurst
	for i := range flood {
		if _, err := w.signal(s, "nobody", fmt.Sprint(i), "go"); code(err) != workflow.CodeNoExecution {
			t.Fatal(err)
		}
	}
	stop()
	kept := w.store.Stats().Letters
	if kept == 0 || kept > 2*actors.LetterBurst || int64(s.LettersDropped())+kept != flood {
		t.Fatalf("of %d, %d are kept and %d were dropped", flood, kept, s.LettersDropped())
	}
}

// An event that nobody takes says why, and what it missed nearly; it can be
// redelivered when somebody listens.
func TestADeadEventSaysWhatItMissedNearly(t *testing.T) {
	no := waiting("picky", func(d *workflow.Definition) {
		d.Awaits = []string{"paid"}
		d.Tasks[0].Wait = &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Condition: condition(func(*workflow.Scope) bool { return false })}}
	})
	loop := waiting("once", func(d *workflow.Definition) { d.Tasks[0].Wait.Name = literal("go") })
	w := newWorld(t, no, loop)
	s, stop := w.start(w.store)
	for id, def := range map[string]*workflow.Definition{"p": no, "o": loop} {
		if err := w.begin(s, def, id); err != nil {
			t.Fatal(err)
		}
	}
	w.event(s, "e1", "piad")
	if r := w.settled("e1"); r.Cause != workflow.CauseUnmatched || r.Near == nil || r.Near.Name != "paid" {
		t.Fatalf("a name one edit away: %+v", r)
	}
	w.event(s, "e2", "paid")
	if r := w.settled("e2"); r.Cause != workflow.CauseNotTaken || r.Near == nil || r.Near.ExecID != "p" || r.Near.Wait != "hold/1" {
		t.Fatalf("a condition that is false: %+v", r)
	}
	if _, err := w.signal(s, "o", "s", "go"); err != nil {
		t.Fatal(err)
	}
	w.event(s, "e3", "go")
	if r := w.settled("e3"); r.Cause != workflow.CauseUnmatched || r.Near == nil || r.Near.ExecID != "o" || !strings.Contains(r.Near.Reason, "satisfied") {
		t.Fatalf("a wait that has just closed: %+v", r)
	}
	if got := w.book("go"); got != (workflow.Tally{Accepted: 2, Consumed: 1, Dead: 1}) {
		t.Fatalf("books %+v", got)
	}
	stop()
	s, stop = w.start(w.store)
	defer stop()
	if err := w.begin(s, loop, "o2"); err != nil {
		t.Fatal(err)
	}
	l := w.letter(workflow.KindEvent, "", "e3")
	if r, err := s.Redeliver(t.Context(), l.ID, workflow.Redeliverer{By: "grace", From: "192.0.2.9"}); err != nil || r.Fate != workflow.FateAccepted {
		t.Fatalf("%+v, %v", r, err)
	}
	r := w.settled("e3")
	if i := slices.IndexFunc(r.Steps, func(s workflow.Step) bool { return s.What == "redelivered" }); i < 0 || r.Steps[i].By != "grace" || r.Steps[i].From != "192.0.2.9" {
		t.Fatalf("who redelivered it: %+v", r.Steps)
	}
	if r.Fate != workflow.FateConsumed || r.Cause != "" || r.Near != nil || w.status("o2") != workflow.Success {
		t.Fatalf("%+v", r)
	}
	w.noLetter(workflow.KindEvent, "", "e3")
	if got := w.book("go"); got != (workflow.Tally{Accepted: 2, Consumed: 2}) {
		t.Fatalf("books %+v", got)
	}
}

// An event that was kept for a while and expired is redelivered, too, and is kept
// as long as it asked for at first.
func TestAnExpiredEventIsRedelivered(t *testing.T) {
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	at := stamp().At
	if _, _, err := s.Event(t.Context(), workflow.Event{ID: "e", Name: "go", ReceivedAt: at, ExpiresAt: at + 20}); err != nil {
		t.Fatal(err)
	}
	if r := w.settled("e"); r.Fate != workflow.FateExpired || r.Cause != workflow.CauseExpired {
		t.Fatalf("%+v", r)
	}
	if got := w.book("go"); got != (workflow.Tally{Accepted: 1, Expired: 1}) {
		t.Fatalf("books %+v", got)
	}
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Redeliver(t.Context(), w.letter(workflow.KindEvent, "", "e").ID, workflow.Redeliverer{}); err != nil || r.Fate != workflow.FateAccepted {
		t.Fatalf("%+v, %v", r, err)
	}
	if r := w.settled("e"); r.Fate != workflow.FateConsumed || r.Event.ExpiresAt <= at+20 {
		t.Fatalf("%+v", r)
	}
	w.noLetter(workflow.KindEvent, "", "e")
	if got := w.book("go"); got != (workflow.Tally{Accepted: 1, Consumed: 1}) {
		t.Fatalf("books %+v", got)
	}
}

// Through a store that fails, and nodes that go, every accepted id has exactly
// one fate, and the books are what the receipts say.
func TestTheBooksBalanceThroughFaultsAndRestarts(t *testing.T) {
	def := waiting("life", func(d *workflow.Definition) {
		d.Awaits = []string{"go", "other", "end"}
		d.Tasks[0].OnSuccess = literal("hold")
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "last", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("end")}}})
		d.Roots = append(d.Roots, "last")
	})
	for seed := range uint64(4) {
		w := newWorld(t, def)
		rng := rand.New(rand.NewPCG(seed, 9))
		accepted := map[string]string{} // signal id -> name
		for round := range 4 {
			faulty := storetest.NewFaulty(w.store, seed*10+uint64(round), storetest.Odds{Refused: 0.1, Lost: 0.1, Conflict: 0.1})
			s, stop := w.start(faulty)
			for exec := range 3 {
				for w.begin(s, def, fmt.Sprint("x", exec)) != nil {
				}
			}
			for i := range 60 {
				exec, id := fmt.Sprint("x", rng.IntN(3)), fmt.Sprintf("%d-%d", round, i)
				name := []string{"go", "go", "other", "other", "end"}[rng.IntN(4+min(1, round/2))]
				if rng.IntN(4) == 0 {
					id = fmt.Sprintf("%d-%d", rng.IntN(round+1), rng.IntN(60))
				}
				r, err := w.signal(s, exec, id, name)
				if err == nil && !r.Answer.Duplicate {
					accepted[exec+"/"+id] = name
				}
				if rng.IntN(10) == 0 {
					page, err := w.store.Letters(t.Context(), workflow.LetterQuery{Limit: 1})
					if err == nil && len(page.Items) == 1 {
						_, _ = s.Redeliver(t.Context(), page.Items[0].ID, workflow.Redeliverer{})
					}
				}
			}
			faulty.SetOdds(storetest.Odds{})
			stop()
		}
		want := map[string]workflow.Tally{}
		for round := range 4 {
			for i := range 60 {
				receipts, err := w.store.Receipts(t.Context(), fmt.Sprintf("%d-%d", round, i), "", 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range receipts {
					delete(accepted, r.ExecID+"/"+r.SignalID)
					tally := want[r.Name]
					tally.Move("", r.Fate)
					want[r.Name] = tally
				}
			}
		}
		if len(accepted) > 0 {
			t.Fatalf("seed %d: accepted and without a receipt: %v", seed, accepted)
		}
		for _, name := range []string{"go", "other", "end"} {
			if got := w.book(name); got != want[name] {
				t.Fatalf("seed %d: the books of %s say %+v, the receipts %+v", seed, name, got, want[name])
			}
		}
	}
}
