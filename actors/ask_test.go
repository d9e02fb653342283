package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// holding is a store that holds the commits of some executions until it is told to
// let them go.
type holding struct {
	persistence.Store
	mu   sync.Mutex
	held map[string]chan *persistence.Commit // by execution
}

func (h *holding) hold(execID string) chan *persistence.Commit {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = make(map[string]chan *persistence.Commit)
	}
	h.held[execID] = make(chan *persistence.Commit, 1)
	return h.held[execID]
}

func (h *holding) Submit(c *persistence.Commit) {
	h.mu.Lock()
	held := h.held[c.ExecID]
	h.mu.Unlock()
	if held != nil {
		held <- c
		return
	}
	h.Store.Submit(c)
}

func (w *world) signalWithin(ctx context.Context, s *actors.System, exec, id string) (actors.Reply, error) {
	at := stamp()
	return s.Ask(ctx, &actors.Deliver{ExecID: exec, Input: workflow.Signalled{Stamp: at,
		Signal: workflow.Signal{ID: id, ExecID: exec, Name: "go", ReceivedAt: at.At, Source: "api"}}})
}

// TestALateReplyReachesNobodyElse: a sender gives up, and what its execution says
// afterwards is not taken for the reply of the next.
func TestALateReplyReachesNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		store := &holding{Store: w.store}
		s, stop := w.start(store)
		defer stop()
		for _, id := range []string{"first", "second"} {
			if err := w.begin(s, def, id); err != nil {
				t.Fatal(err)
			}
		}
		first, second := store.hold("first"), store.hold("second")
		ctx, giveUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := w.signalWithin(ctx, s, "first", "of-first")
			gone <- err
		}()
		late := <-first
		giveUp()
		var refusal *workflow.Refusal
		if err := <-gone; !errors.As(err, &refusal) || refusal.Code != workflow.CodeTimeout {
			t.Fatalf("whoever gave up is told %v", err)
		}
		replies := make(chan actors.Reply, 1)
		go func() {
			r, _ := w.signalWithin(t.Context(), s, "second", "of-second")
			replies <- r
		}()
		due := <-second
		if n := s.Admitted(); n != 2 {
			t.Errorf("%d are under way, not 2", n)
		}
		store.Store.Submit(late)
		synctest.Wait()
		if n := s.Admitted(); n != 1 {
			t.Errorf("the first is answered and %d are under way, not 1", n)
		}
		select {
		case r := <-replies:
			t.Errorf("the second was answered before its commit, with %+v", r.Answer)
			replies <- r
		default:
		}
		store.Store.Submit(due)
		if r := <-replies; r.Answer.SignalID != "of-second" || r.Answer.Outcome != workflow.Delivered {
			t.Fatalf("the second was answered with %+v", r.Answer)
		}
	})
}

// TestImpatientSendersGetTheirOwnReply has many senders of whom some give up.
func TestImpatientSendersGetTheirOwnReply(t *testing.T) {
	const senders, each = 8, 200
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range each {
				exec := fmt.Sprint("x", sender, "-", i)
				if err := w.begin(s, def, exec); err != nil {
					t.Error(err)
					return
				}
				id := fmt.Sprint(sender, "-", i)
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(200*time.Microsecond))
				if r, err := w.signalWithin(ctx, s, exec, id); err == nil && r.Answer.SignalID != id {
					t.Errorf("the sender of %s was answered with %+v", id, r.Answer)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	w.eventually(func() bool { return s.Admitted() == 0 }, func() string { return fmt.Sprintf("%d are under way", s.Admitted()) })
}
