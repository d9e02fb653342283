package actors_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// broadcast is one of a name to everything that waits for it.
func broadcast(id, name string) workflow.Broadcast {
	return workflow.Broadcast{ID: id, Name: name, Filter: workflow.Filter{WaitingFor: name}, Rate: workflow.DefaultRate, CreatedAt: stamp().At}
}

// over waits, in virtual time, until a broadcast has finished.
func (w *world) over(s *actors.System, id string) *workflow.Broadcast {
	w.t.Helper()
	for range 100_000 {
		one, err := s.ReadBroadcast(w.t.Context(), id)
		if err == nil && one.State.Final() {
			return one
		}
		time.Sleep(10 * time.Millisecond) // virtual
	}
	w.t.Fatal("the broadcast does not end")
	return nil
}

// outcomes counts the targets of a broadcast by outcome.
func (w *world) outcomes(s *actors.System, id string) map[string]int {
	w.t.Helper()
	counts, seen := map[string]int{}, map[string]bool{}
	page, from, more := 0, 0, true
	for more {
		var targets []workflow.Target
		var err error
		if targets, page, from, more, err = s.Targets(w.t.Context(), id, "", page, from, 7); err != nil {
			w.t.Fatal(err)
		}
		for _, target := range targets {
			if seen[target.ExecID] {
				w.t.Fatalf("%s is listed twice", target.ExecID)
			}
			seen[target.ExecID] = true
			counts[target.Outcome]++
		}
	}
	return counts
}

func (w *world) beginMany(s *actors.System, def *workflow.Definition, n int) {
	w.t.Helper()
	for i := range n {
		if err := w.begin(s, def, fmt.Sprintf("x%04d", i)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// each holds every one of n executions against a count of consumed signals.
func (w *world) each(n, want int) {
	w.t.Helper()
	for i := range n {
		got := 0
		for _, times := range w.consumed(fmt.Sprintf("x%04d", i)) {
			got += times
		}
		if got != want {
			w.t.Fatalf("x%04d consumed %d signals, want %d", i, got, want)
		}
	}
}

func TestABroadcastReachesEachTargetOnceThroughCrashes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := looping()
		w := newWorld(t, def)
		defer w.store.Close()
		const many = 650
		s, stop := w.start(w.store)
		w.beginMany(s, def, many)
		stop()
		one := broadcast("b", "go")
		interrupted := 0
		for round := range 8 {
			faulty := storetest.NewFaulty(open{w.store}, uint64(round), storetest.Odds{})
			s, stop := w.start(faulty)
			faulty.SetOdds(storetest.Odds{Refused: 0.05, Lost: 0.05, Conflict: 0.05, Reads: 0.02})
			for {
				if _, _, err := s.Broadcast(t.Context(), one); err == nil {
					break
				}
			}
			// The node goes away in the middle of it, at another moment each time.
			time.Sleep(time.Duration(20+15*round) * time.Millisecond) // virtual
			faulty.SetOdds(storetest.Odds{})
			stop()
			if err := faulty.Close(); err != nil {
				t.Fatal(err)
			}
			if first, err := s.ReadBroadcast(t.Context(), "b"); err != nil {
				t.Fatal(err)
			} else if !first.State.Final() {
				interrupted++
			}
		}
		if interrupted < 3 {
			t.Fatalf("it was interrupted %d times only", interrupted)
		}
		s, stop = w.start(w.store)
		defer stop()
		end := w.over(s, "b")
		if end.State != workflow.BroadcastDone || end.Matched != many || end.Delivered != many || end.Pending() != 0 {
			t.Fatalf("the end: %+v", end)
		}
		if got := w.outcomes(s, "b"); got["delivered"] != many {
			t.Fatalf("outcomes: %v", got)
		}
		w.each(many, 1)
		if _, known, err := s.Broadcast(t.Context(), one); err != nil || !known {
			t.Fatalf("the same again: known=%t, %v", known, err)
		}
		one.Name = "other"
		if _, _, err := s.Broadcast(t.Context(), one); code(err) != workflow.CodeIDReused {
			t.Fatalf("another under the same id: %v", err)
		}
	})
}

func TestABroadcastIsCanceledInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		const many = 100
		w.beginMany(s, def, many)
		one := broadcast("b", "go")
		one.Rate = 10
		if _, _, err := s.Broadcast(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4500 * time.Millisecond) // virtual; ten go each second
		end, err := s.CancelBroadcast(t.Context(), "b", "enough")
		if err != nil || end.State != workflow.BroadcastCanceled || end.Reason != "enough" {
			t.Fatalf("cancel: %+v, %v", end, err)
		}
		if end.Delivered != 50 || end.Pending() != 50 {
			t.Fatalf("%d were delivered, %d are pending", end.Delivered, end.Pending())
		}
		if got := w.outcomes(s, "b"); got["delivered"] != 50 || got[""] != 50 {
			t.Fatalf("outcomes: %v", got)
		}
		if _, err := s.CancelBroadcast(t.Context(), "b", "again"); err != nil {
			t.Fatalf("cancel again: %v", err)
		}
		time.Sleep(time.Minute)
		if again, _ := s.ReadBroadcast(t.Context(), "b"); again.Delivered != 50 {
			t.Fatalf("it went on: %+v", again)
		}
		if err := s.SweepBroadcasts(t.Context(), stamp().At); err != nil {
			t.Fatal(err)
		}
		if gone, err := s.ReadBroadcast(t.Context(), "b"); gone != nil || err != nil {
			t.Fatalf("after the sweep: %+v, %v", gone, err)
		}
		if docs, err := w.store.Documents(t.Context(), "broadcast.targets", "", 10); len(docs) != 0 || err != nil {
			t.Fatalf("%d pages are left, %v", len(docs), err)
		}
	})
}

func TestABroadcastTellsWhatBecameOfEachTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def, other := waiting("w", nil), waiting("v", func(d *workflow.Definition) { d.Awaits = []string{"stop"} })
		w := newWorld(t, def, other)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		w.beginMany(s, def, 3)
		if err := w.begin(s, other, "never"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.signal(s, "x0000", "s", "go"); err != nil { // it has finished and is no target
			t.Fatal(err)
		}
		if n, sample, err := s.CountTargets(t.Context(), workflow.Filter{Status: workflow.Waiting}); n != 3 || len(sample) != 3 || err != nil {
			t.Fatalf("%d match, %v, %v", n, sample, err)
		}
		one := broadcast("b", "go")
		one.Filter = workflow.Filter{Status: workflow.Waiting}
		if _, _, err := s.Broadcast(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		end := w.over(s, "b")
		if end.State != workflow.BroadcastDone || end.Delivered != 2 || end.Refused != 1 {
			t.Fatalf("the end: %+v", end)
		}
		targets, _, _, _, err := s.Targets(t.Context(), "b", workflow.TargetRefused, 0, 0, 10)
		if err != nil || len(targets) != 1 || targets[0].ExecID != "never" || targets[0].Code != workflow.CodeNeverAwaited {
			t.Fatalf("refused: %+v, %v", targets, err)
		}
		receipt, err := w.store.Receipt(t.Context(), end.SignalID("x0001"), "x0001")
		if err != nil || receipt.Source != "broadcast:b" || receipt.Fate != workflow.FateConsumed {
			t.Fatalf("receipt: %+v, %v", receipt, err)
		}
		if _, _, err := s.Broadcast(t.Context(), broadcast("nobody", "gone")); err != nil {
			t.Fatal(err)
		}
		if end := w.over(s, "nobody"); end.State != workflow.BroadcastDone || end.Matched != 0 {
			t.Fatalf("to nobody: %+v", end)
		}
	})
}

// solo is a node of a cluster of which it owns all or nothing.
type solo struct{ owns atomic.Bool }

func (p *solo) Here(string) bool           { return p.owns.Load() }
func (p *solo) Deliver(d *actors.Deliver)  { d.Reply(actors.Reply{Err: errors.New("nobody is there")}) }
func (p *solo) Fan(string)                 {}
func (p *solo) Changed(string)             {}
func (p *solo) Watch(string)               {}
func (p *solo) Quarantined(string, string) {}

func TestOfManyNodesTheOwnerWorksOnABroadcast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		w.beginMany(s, def, 200)
		stop()
		peers := new(solo)
		s = actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		one := broadcast("b", "go")
		one.Rate = 10
		if _, _, err := s.Broadcast(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // virtual
		if at, _ := s.ReadBroadcast(t.Context(), "b"); at.State != workflow.BroadcastMatching {
			t.Fatalf("who does not own it works on it: %+v", at)
		}
		peers.owns.Store(true)
		time.Sleep(actors.LookForBroadcasts + 2500*time.Millisecond) // virtual
		// What the owner does not hear of it finds in the store: another node cancels.
		at, err := s.ReadBroadcast(t.Context(), "b")
		if err != nil || at.Delivered == 0 || at.State != workflow.BroadcastDelivering {
			t.Fatalf("the owner does not work on it: %+v, %v", at, err)
		}
		at.State, at.FinishedAt = workflow.BroadcastCanceled, stamp().At
		if err := w.store.PutDocument(t.Context(), "broadcast", "b", workflow.ValueOf(*at)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // virtual
		if end, _ := s.ReadBroadcast(t.Context(), "b"); end.State != workflow.BroadcastCanceled || end.Delivered != at.Delivered {
			t.Fatalf("it went on: %+v", end)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
