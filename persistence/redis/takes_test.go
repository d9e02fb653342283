package redis

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/workflow"
)

// keptApart keeps an event whose partition is another than that of an execution, and
// returns its receipt once that has taken it.
func keptApart(t *testing.T, s *Store, exec string) *workflow.EventReceipt {
	t.Helper()
	ev := workflow.Event{ID: apart(s, exec, "ev"), Name: "paid", ReceivedAt: 1, ExpiresAt: 1 << 50}
	kept := persistence.Accepted(ev)
	kept.Fate = workflow.FateBuffered
	accepted, settled := make(chan error, 1), make(chan error, 1)
	s.AcceptEvent(ev, func(_ *workflow.EventReceipt, _ bool, err error) { accepted <- err })
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	s.SettleEvent(workflow.StandsAsking, kept, func(err error) { settled <- err })
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	taken := *kept
	taken.Fate = workflow.FateConsumed
	return &taken
}

// leftClaim writes a claim as a node leaves it that dies before its commit.
func leftClaim(t *testing.T, s *Store, r *workflow.EventReceipt, exec string, commit uint64, age time.Duration) {
	t.Helper()
	made := uint64(time.Now().Add(-age).UnixMilli())
	value := append(ordered.Number(ordered.Number(nil, commit), made), exec...)
	if err := s.client.reads.HSet(t.Context(), s.home(r.Event.ID).key(keyTakers), r.Event.ID, value).Err(); err != nil {
		t.Fatal(err)
	}
}

func taking(s *Store, exec string, version, id uint64, r *workflow.EventReceipt) *persistence.Commit {
	c := stepOf(s, exec, version, id)
	c.Taken = []*workflow.EventReceipt{r}
	return c
}

// TestAClaimThatWasLeftIsFreed: a node dies between its claim and its commit. The
// event is kept for others once that is certain, and the commit, should it still
// come, is refused.
func TestAClaimThatWasLeftIsFreed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.Addr, "")
	r := keptApart(t, s, "dead")
	for _, exec := range []string{"dead", "other"} {
		if err := commitTo(t, s, stepOf(s, exec, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	leftClaim(t, s, r, "dead", 7, 0)
	if err := commitTo(t, s, taking(s, "other", 2, 2, r)); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("an event that somebody is just taking: %v", err)
	}
	over := *r
	over.Fate = workflow.FateExpired
	released := make(chan error, 1)
	s.ReleaseEvent(&over, func(err error) { released <- err })
	if err := <-released; !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("an event that somebody is just taking is released: %v", err)
	}
	late := prepared(t, s, taking(s, "dead", 2, 7, r))
	leftClaim(t, s, r, "dead", 7, time.Hour)
	next := opened(t, server.Addr, "") // an opening repairs, and so does the look of each second
	if err := commitTo(t, next, taking(next, "other", 2, 2, r)); err != nil {
		t.Fatalf("an event whose claim was left: %v", err)
	}
	late.taken = nil // it was claimed long ago
	if err := s.await(t.Context(), late); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("a commit that comes after its claim was freed: %v, want a conflict", err)
	}
	consumedOnce(t, next, r)
}

// consumedOnce checks that an event was taken, and that the books say so once.
func consumedOnce(t *testing.T, s *Store, r *workflow.EventReceipt) {
	t.Helper()
	got, err := s.Event(t.Context(), r.Event.ID)
	if err != nil || got.Fate != workflow.FateConsumed {
		t.Errorf("the event is %+v, %v", got, err)
	}
	page, err := s.Kept(t.Context(), workflow.KeptQuery{Name: "paid"})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("kept are %v, %v", page.Items, err)
	}
	books, err := s.Books(t.Context())
	if err != nil || len(books) != 1 || books[0].Accepted != 1 || books[0].Consumed != 1 || !books[0].Balanced() {
		t.Errorf("the books are %+v, %v", books, err)
	}
	for _, p := range s.parts {
		for _, key := range []string{keyTakers, keyTaken} {
			if n := s.client.reads.HLen(t.Context(), p.key(key)).Val(); n != 0 {
				t.Errorf("%d entries are left in %s", n, p.key(key))
			}
		}
	}
}

// TestATakeIsBroughtHome: a node dies behind its commit. The event is taken from that
// moment on: it is not offered, expires not and is not taken again; and another node
// brings the receipt, once.
func TestATakeIsBroughtHome(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.Addr, "")
	r := keptApart(t, s, "e")
	if err := commitTo(t, s, stepOf(s, "e", 1, 1)); err != nil {
		t.Fatal(err)
	}
	w := prepared(t, s, taking(s, "e", 2, 2, r))
	w.taken = nil // so that nothing happens behind it
	leftClaim(t, s, r, "e", 2, time.Hour)
	// The writer stands still meanwhile: its look of each second would bring it home.
	standing, goOn := make(chan struct{}), make(chan struct{})
	still := stepOf(s, "f", 1, 1)
	still.Done = func(error) { close(standing); <-goOn }
	s.Submit(still)
	<-standing
	s.send(t.Context(), []*write{w})
	if w.fate != written {
		t.Fatalf("the commit: %v", w.err)
	}
	got, err := s.Event(t.Context(), r.Event.ID)
	if err != nil || got.Fate != workflow.FateConsumed {
		t.Errorf("right behind the commit the event is %+v, %v", got, err)
	}
	if due, err := s.Expiring(t.Context(), 1<<51, nil, 10); err != nil || len(due) != 0 {
		t.Errorf("right behind the commit there expire %v, %v", due, err)
	}
	close(goOn)
	other := opened(t, server.Addr, "")
	consumedOnce(t, other, r)
	if err := commitTo(t, other, taking(other, "f", 2, 2, r)); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("taking it again: %v", err)
	}
	consumedOnce(t, other, r)
}

// TestTakesWhoseAnswerIsLost cuts the connection at each step of a take.
func TestTakesWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"take", "commit", "held"} {
		server := redistest.Start(t)
		proxy := redistest.Between(t, server.Addr)
		s := opened(t, proxy.Addr, "")
		r := keptApart(t, s, "e")
		if err := commitTo(t, s, stepOf(s, "e", 1, 1)); err != nil {
			t.Fatal(err)
		}
		cut := false
		proxy.CutAfter(func(request []byte) bool {
			if cut || !bytes.Contains(request, []byte("evalsha")) || !bytes.Contains(request, []byte("\r\n"+step+"\r\n")) {
				return false
			}
			cut = true
			return true
		})
		if err := commitTo(t, s, taking(s, "e", 2, 2, r)); err != nil {
			t.Errorf("the answer of %s is lost: %v", step, err)
		}
		if consumedOnce(t, s, r); !cut {
			t.Errorf("no connection was cut at %s", step)
		}
	}
}
