package actors_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// meddled is a store in which something happens right before a document of
// broadcasts is written.
type meddled struct {
	persistence.Store
	before atomic.Pointer[func(body []byte)]
}

func (m *meddled) ReplaceDocument(ctx context.Context, kind, id string, was, body []byte) error {
	if do := m.before.Load(); do != nil && kind == "broadcast" {
		(*do)(body)
	}
	return m.Store.ReplaceDocument(ctx, kind, id, was, body)
}

// TestACancelOutlivesTheSaveOfAPage: another node cancels a broadcast between the last
// look of the one that works on it and its writing down how far it got.
func TestACancelOutlivesTheSaveOfAPage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		w.beginMany(s, def, 100)
		stop()
		store := &meddled{Store: w.store}
		owner := new(solo)
		owner.owns.Store(true)
		s = actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: w, Observer: silent{}, Peers: owner, Logger: slog.New(slog.DiscardHandler)})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: silent{}, Peers: new(solo), Logger: slog.New(slog.DiscardHandler)})
		canceled := false
		meddle := func(body []byte) {
			var at workflow.Broadcast
			if json.Unmarshal(body, &at) != nil || at.Next != 2 || canceled {
				return
			}
			canceled = true
			if end, err := other.CancelBroadcast(t.Context(), "b", "enough"); err != nil || end.State != workflow.BroadcastCanceled {
				t.Errorf("cancel: %+v, %v", end, err)
			}
		}
		store.before.Store(&meddle)
		one := broadcast("b", "go")
		one.Rate = 10
		if _, _, err := s.Broadcast(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // virtual
		end, err := s.ReadBroadcast(t.Context(), "b")
		if err != nil || !canceled || end.State != workflow.BroadcastCanceled || end.Reason != "enough" {
			t.Fatalf("the cancel is lost: %+v, %v", end, err)
		}
		if got := w.outcomes(s, "b"); got["delivered"] != 20 || got[""] != 80 {
			t.Errorf("outcomes: %v", got)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestACancelReadsAgainWhatItWouldOverwrite is the other way around: the owner writes a
// page down while another node cancels.
func TestACancelReadsAgainWhatItWouldOverwrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.store.Close()
		store := &meddled{Store: w.store}
		other := actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: w, Observer: silent{}, Peers: new(solo), Logger: slog.New(slog.DiscardHandler)})
		at := broadcast("b", "go")
		at.State = workflow.BroadcastDelivering
		if err := w.store.PutDocument(t.Context(), "broadcast", "b", workflow.ValueOf(at)); err != nil {
			t.Fatal(err)
		}
		meddle := func([]byte) {
			if at.Next++; at.Next > 3 {
				return
			}
			at.Delivered += 10
			if err := w.store.PutDocument(t.Context(), "broadcast", "b", workflow.ValueOf(at)); err != nil {
				t.Error(err)
			}
		}
		store.before.Store(&meddle)
		end, err := other.CancelBroadcast(t.Context(), "b", "enough")
		if err != nil || end.State != workflow.BroadcastCanceled || end.Delivered != 30 || end.Next != 3 {
			t.Fatalf("the owner's page is lost: %+v, %v", end, err)
		}
	})
}
