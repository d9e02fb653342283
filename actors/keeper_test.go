package actors_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// TestAClusterThatChangesOffersWhatIsKept: what a node that died was to offer is
// offered by the one that owns the event then.
func TestAClusterThatChangesOffersWhatIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		if err := w.begin(s, def, "x"); err != nil {
			t.Fatal(err)
		}
		stop()
		at := stamp().At
		ev := workflow.Event{ID: "ev", Name: "go", Source: "test", ReceivedAt: at, ExpiresAt: at + 3_600_000}
		kept := persistence.Accepted(ev)
		kept.Fate = workflow.FateBuffered
		done := make(chan error, 2)
		w.store.AcceptEvent(ev, func(_ *workflow.EventReceipt, _ bool, err error) { done <- err })
		w.store.SettleEvent(workflow.StandsAsking, kept, func(err error) { done <- err })
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		peers := new(solo)
		s = actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		fate := func() workflow.Fate {
			time.Sleep(time.Minute) // virtual
			r, err := w.store.Event(t.Context(), "ev")
			if err != nil {
				t.Fatal(err)
			}
			return r.Fate
		}
		if err := s.Rebalance(t.Context(), false); err != nil || fate() != workflow.FateBuffered {
			t.Errorf("who does not own the event offers it: %v", err)
		}
		peers.owns.Store(true)
		if err := s.Rebalance(t.Context(), true); err != nil || fate() != workflow.FateConsumed {
			t.Errorf("the new owner does not offer it: %v", err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
