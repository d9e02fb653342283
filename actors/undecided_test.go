package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// steer pauses or resumes an execution.
func (w *world) steer(s *actors.System, id string, in workflow.Input) {
	w.t.Helper()
	if _, err := s.Ask(w.t.Context(), &actors.Deliver{ExecID: id, Input: in}); err != nil {
		w.t.Fatal(err)
	}
}

// undecided waits until so many waits have yet to decide about an event.
func (w *world) undecided(id string, want int) (r *workflow.EventReceipt) {
	w.t.Helper()
	w.eventually(func() bool {
		r = w.fate(id, workflow.FateAccepted)
		return r.Counts.Buffered == want
	}, func() string { return fmt.Sprintf("%d waits have yet to decide, wanted %d,", r.Counts.Buffered, want) })
	return r
}

// TestMoreWaitsHaveToDecideThanAReceiptLists has the event taken by most of them.
func TestMoreWaitsHaveToDecideThanAReceiptLists(t *testing.T) {
	const n, gone = actors.MaxDeliveries + 100, 30
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	for i := range n {
		id := fmt.Sprint("x", i)
		if err := w.begin(s, def, id); err != nil {
			t.Fatal(err)
		}
		w.steer(s, id, workflow.PauseAsked{Stamp: stamp()})
	}
	w.post(s, "e", "", 0)
	if r := w.undecided("e", n); len(r.Deliveries) != actors.MaxDeliveries || r.Counts != (workflow.Counts{Buffered: n}) {
		t.Errorf("%d deliveries, %+v", len(r.Deliveries), r.Counts)
	}
	for i := range n {
		id, in := fmt.Sprint("x", i), workflow.Input(workflow.ResumeAsked{Stamp: stamp()})
		if i < gone {
			in = workflow.CancelAsked{Stamp: stamp()}
		}
		w.steer(s, id, in)
	}
	r := w.fate("e", workflow.FateConsumed)
	stop()
	if r.Counts != (workflow.Counts{Delivered: n - gone, Passed: gone}) {
		t.Errorf("the receipt counts %+v", r.Counts)
	}
	for _, d := range r.Deliveries {
		if d.Outcome != "delivered" && d.Outcome != "passed" {
			t.Errorf("%+v", d)
		}
	}
	rows, err := w.store.Books(t.Context())
	if err != nil || len(rows) != 1 || rows[0].Tally != (workflow.Tally{Accepted: 1, Consumed: 1}) {
		t.Errorf("the books say %+v, %v", rows, err)
	}
}

// TestEventsThatAreUndecidedAreInNobodysWay: a node that comes up finds more of them
// than it fans out at a time, before one that nobody has been asked about.
func TestEventsThatAreUndecidedAreInNobodysWay(t *testing.T) {
	const n = actors.MaxFanouts + 100
	def := ordering()
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	for _, id := range []string{"a", "b"} {
		if err := w.beginOrder(s, def, id, id); err != nil {
			t.Fatal(err)
		}
		w.steer(s, id, workflow.PauseAsked{Stamp: stamp()})
	}
	for i := range n {
		w.post(s, fmt.Sprintf("e%04d", i), []string{"a", "b"}[i%2], 0)
	}
	for i := range n {
		w.undecided(fmt.Sprintf("e%04d", i), 1)
	}
	stop()
	left := make(chan error, 1)
	w.store.AcceptEvent(workflow.Event{ID: "left", Name: "go", ReceivedAt: stamp().At}, func(_ *workflow.EventReceipt, _ bool, err error) { left <- err })
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	_, stop = w.start(w.store)
	w.fate("left", workflow.FateDead)
	stop()
	if r := w.fate("e0000", workflow.FateAccepted); r.Counts.Buffered != 1 || len(r.Deliveries) != 1 {
		t.Errorf("it became %+v", r)
	}
}

// TestAnEventThatCannotBeReadIsLookedAtAgain: a wait has decided about it, and the store
// does not say at once which event it was.
func TestAnEventThatCannotBeReadIsLookedAtAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		store := &unreadable{Store: w.store}
		s, stop := w.start(store)
		if err := w.begin(s, def, "x"); err != nil {
			t.Fatal(err)
		}
		w.steer(s, "x", workflow.PauseAsked{Stamp: stamp()})
		w.post(s, "e", "", 0)
		w.undecided("e", 1)
		store.fails.Store(1)
		w.steer(s, "x", workflow.ResumeAsked{Stamp: stamp()})
		settles()
		if r, err := w.store.Event(t.Context(), "e"); err != nil || r.Fate != workflow.FateConsumed || store.fails.Load() != 0 {
			t.Errorf("the event is %+v, %v, and %d reads are still to fail", r, err, store.fails.Load())
		}
		stop()
	})
}

// unreadable fails to read an event so many times.
type unreadable struct {
	persistence.Store
	fails atomic.Int32
}

func (s *unreadable) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	if s.fails.Add(-1) >= 0 {
		return nil, fmt.Errorf("%w: a fault that the test asked for", persistence.ErrUnavailable)
	}
	s.fails.Store(0)
	return s.Store.Event(ctx, id)
}
