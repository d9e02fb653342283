package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// A node may stand still at any place and go on much later: these tests stop it where it
// does harm, have another one do its work meanwhile, and let it go on.

// halting is the store of a node that stands still in the next call of a kind.
type halting struct {
	persistence.Store
	mu sync.Mutex
	at map[string]*halt
}

type halt struct{ reached, goOn chan struct{} }

func newHalting(store persistence.Store) *halting {
	return &halting{Store: store, at: map[string]*halt{}}
}

// halts makes the node stand still in the next call of that kind.
func (s *halting) halts(call string) *halt {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &halt{make(chan struct{}), make(chan struct{})}
	s.at[call] = h
	return h
}

func (s *halting) come(call string) {
	s.mu.Lock()
	h := s.at[call]
	delete(s.at, call)
	s.mu.Unlock()
	if h != nil {
		close(h.reached)
		<-h.goOn
	}
}

func (s *halting) KeyPaths(ctx context.Context, name string) ([]string, error) {
	s.come("before it reads who waits")
	return s.Store.KeyPaths(ctx, name)
}

func (s *halting) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	page, err := s.Store.Waits(ctx, q)
	if len(page.Items) > 0 {
		s.come("when it has read who waits")
	}
	return page, err
}

func (s *halting) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	r, err := s.Store.Event(ctx, id)
	s.come("when it has read the receipt")
	return r, err
}

func (s *halting) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	s.come("before it reads what is left over")
	return s.Store.OpenEvents(ctx, after, limit)
}

func (s *halting) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	s.come("before it settles")
	s.Store.SettleEvent(was, r, done)
}

// startPeer starts a node of several that all believe that they own everything.
func (w *world) startPeer(store persistence.Store) *actors.System {
	w.t.Helper()
	return w.startPeerWith(store, w)
}

// startPeerWith does it with a node whose work somebody else does.
func (w *world) startPeerWith(store persistence.Store, hands actors.Hands) *actors.System {
	w.t.Helper()
	peers := new(solo)
	peers.owns.Store(true)
	s := actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: hands, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// settles gives everybody the time to do what there is to do.
func settles() {
	time.Sleep(2 * time.Second) // virtual, and no read that stands still is too late by then
	synctest.Wait()
}

// told is a receipt as text.
func told(r *workflow.EventReceipt) string { return string(workflow.ValueOf(r)) }

// hesitant waits for "go", then for "on", and then for "go" again.
func hesitant() *workflow.Definition {
	return waiting("hesitant", func(d *workflow.Definition) {
		d.Awaits = []string{"go", "on"}
		d.Tasks[0].OnSuccess = literal("rest")
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "rest", Kind: workflow.Wait, OnSuccess: literal("hold"), Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("on")}}})
	})
}

// TestAFanOutThatStoodStillReachesNoLaterWait: another node has decided about the event
// meanwhile, each way that there is, and then a wait has opened.
func TestAFanOutThatStoodStillReachesNoLaterWait(t *testing.T) {
	decisions := map[string]struct {
		ttl     time.Duration
		waits   bool // somebody waits from the beginning
		paused  bool // and is paused
		taker   bool // somebody opens a wait for what is kept
		decided workflow.Fate
	}{
		"dead":                {decided: workflow.FateDead},
		"consumed":            {waits: true, decided: workflow.FateConsumed},
		"kept and then taken": {ttl: time.Hour, taker: true, decided: workflow.FateConsumed},
		"undecided":           {waits: true, paused: true, decided: workflow.FateAccepted},
	}
	for name, c := range decisions {
		for _, place := range []string{"before it reads who waits", "when it has read who waits", "when it has read the receipt"} {
			t.Run(name+", "+place, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					def, plain := hesitant(), waiting("plain", nil)
					w := newWorld(t, def, plain)
					defer w.store.Close()
					stalls := newHalting(w.store)
					slow, quick := w.startPeer(stalls), w.startPeer(w.store)
					begin := func(d *workflow.Definition, id string) {
						if err := w.begin(quick, d, id); err != nil {
							t.Fatal(err)
						}
					}
					signal := func(name string) {
						if _, err := w.signal(quick, "x", "signal-"+name, name); err != nil {
							t.Fatal(err)
						}
					}
					begin(def, "x")
					halted := stalls.halts(place)
					w.post(slow, "e", "", c.ttl)
					<-halted.reached
					signal("go") // nobody is in the wait any more that the slow node may have read
					if c.waits {
						begin(plain, "first")
					}
					if c.paused {
						w.steer(quick, "first", workflow.PauseAsked{Stamp: stamp()})
					}
					quick.CatchUp()
					settles()
					if c.taker {
						begin(plain, "first")
						settles()
					}
					decided := w.fate("e", c.decided)
					signal("on")
					close(halted.goOn)
					settles()
					if got := w.consumed("x"); got["e"] != 0 || w.status("x") != workflow.Waiting {
						t.Errorf("a wait that opened later took it: %v, %s", got, w.status("x"))
					}
					if again := w.fate("e", c.decided); told(again) != told(decided) {
						t.Errorf("its receipt was %s and is %s", told(decided), told(again))
					}
					if c.paused {
						w.steer(quick, "first", workflow.ResumeAsked{Stamp: stamp()})
						settles()
						if r := w.fate("e", workflow.FateConsumed); r.Counts != (workflow.Counts{Delivered: 1}) {
							t.Errorf("the one who had yet to decide: %+v", r)
						}
					}
					for _, s := range []*actors.System{slow, quick} {
						if err := s.Stop(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			})
		}
	}
}

// TestAFanOutThatStoodStillChangesNoReceipt: it found nobody and was about to say so
// when another one found somebody.
func TestAFanOutThatStoodStillChangesNoReceipt(t *testing.T) {
	for ttl, paused := range map[time.Duration]bool{0: false, time.Minute: false, time.Hour: true} {
		t.Run(fmt.Sprint(ttl), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				def := waiting("w", nil)
				w := newWorld(t, def)
				defer w.store.Close()
				stalls := newHalting(w.store)
				slow, quick := w.startPeer(stalls), w.startPeer(w.store)
				halted := stalls.halts("before it settles")
				w.post(slow, "e", "", ttl)
				<-halted.reached
				if err := w.begin(quick, def, "x"); err != nil {
					t.Fatal(err)
				}
				want := workflow.FateConsumed
				if paused {
					want = workflow.FateAccepted
					w.steer(quick, "x", workflow.PauseAsked{Stamp: stamp()})
				}
				quick.CatchUp()
				settles()
				decided := w.fate("e", want)
				close(halted.goOn)
				settles()
				if again := w.fate("e", want); told(again) != told(decided) {
					t.Errorf("its receipt was %s and is %s", told(decided), told(again))
				}
				page, err := w.store.Letters(t.Context(), workflow.LetterQuery{Limit: 10})
				if err != nil || len(page.Items) != 0 {
					t.Errorf("%d dead letters, %v", len(page.Items), err)
				}
				for _, s := range []*actors.System{slow, quick} {
					if err := s.Stop(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestWhatIsKeptWasTakenByNobody: one node is about to keep an event that it found nobody
// for, when the other one brings it to a wait that has opened meanwhile.
func TestWhatIsKeptWasTakenByNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		one, other := newHalting(w.store), newHalting(w.store)
		a, b := w.startPeer(one), w.startPeer(other)
		reads, keeps := one.halts("before it reads who waits"), other.halts("before it settles")
		w.post(a, "e", "", time.Hour)
		<-reads.reached
		b.CatchUp()
		<-keeps.reached
		if err := w.begin(b, def, "during"); err != nil {
			t.Fatal(err)
		}
		settles2 := one.halts("before it settles")
		close(reads.goOn)
		<-settles2.reached
		if w.status("during") != workflow.Success {
			t.Fatal("the test does not get there")
		}
		close(keeps.goOn)
		settles()
		if err := w.begin(b, def, "after"); err != nil {
			t.Fatal(err)
		}
		settles()
		close(settles2.goOn)
		settles()
		r := w.fate("e", workflow.FateConsumed)
		if w.status("after") != workflow.Waiting || len(r.Deliveries) != 1 || r.Deliveries[0].ExecID != "during" || r.Counts != (workflow.Counts{Delivered: 1}) {
			t.Errorf("the later one is %s, the receipt says %+v", w.status("after"), r)
		}
		for _, s := range []*actors.System{a, b} {
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestOneNodeFansAnEventOutOnce: while the router reads what is left over, it is told of
// an event that it finds there, too, and that fan-out has ended before it hears the rest.
func TestOneNodeFansAnEventOutOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w := newWorld(t, def)
		defer w.store.Close()
		store := newHalting(w.store)
		first := store.halts("before it reads what is left over")
		s, stop := w.start(store)
		<-first.reached
		w.post(s, "e", "A", time.Hour)
		second := store.halts("before it reads what is left over")
		close(first.goOn)
		<-second.reached
		settles()
		w.fate("e", workflow.FateBuffered)
		again := store.halts("before it reads who waits")
		close(second.goOn)
		settles()
		for i := range 8 {
			if err := w.beginOrder(s, def, fmt.Sprint("x", i), "A"); err != nil {
				t.Fatal(err)
			}
		}
		settles()
		close(again.goOn)
		settles()
		select {
		case <-again.reached:
			t.Error("it was fanned out twice")
		default:
		}
		if taken := consumers(w, 8); len(taken) != 1 {
			t.Errorf("taken by %v", taken)
		}
		stop()
	})
}

// TestADeadLetterGoesOutOnce: two people redeliver it, and one of them is slow.
func TestADeadLetterGoesOutOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		store := newHalting(w.store)
		s, stop := w.start(store)
		w.post(s, "e", "", 0)
		w.fate("e", workflow.FateDead)
		letter := workflow.LetterID(workflow.KindEvent, "", "e")
		halted := store.halts("before it settles")
		answer := make(chan workflow.Redelivery, 1)
		go func() {
			r, err := s.Redeliver(t.Context(), letter, workflow.Redeliverer{})
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		<-halted.reached
		if err := w.begin(s, def, "before"); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Redeliver(t.Context(), letter, workflow.Redeliverer{}); err != nil || r.Fate != workflow.FateAccepted {
			t.Fatalf("it is %s, %v", r.Fate, err)
		}
		w.fate("e", workflow.FateConsumed)
		if err := w.begin(s, def, "after"); err != nil {
			t.Fatal(err)
		}
		close(halted.goOn)
		if r := <-answer; r.Fate != workflow.FateConsumed {
			t.Errorf("the slow one hears that it is %s", r.Fate)
		}
		settles()
		if w.status("before") != workflow.Success || w.status("after") != workflow.Waiting {
			t.Errorf("before it is %s, after it %s", w.status("before"), w.status("after"))
		}
		stop()
	})
}
