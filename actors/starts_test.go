package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// unique is a workflow of one wait whose executions have unique keys.
func unique() *workflow.Definition {
	return waiting("keyed", func(d *workflow.Definition) { d.Key = &workflow.KeySpec{Unique: true} })
}

// open is a store that stays open when whoever uses it closes it.
type open struct{ persistence.Store }

func (open) Close() error { return nil }

// beginWith starts an execution of a key together with a signal; "" for neither.
func (w *world) beginWith(s *actors.System, def *workflow.Definition, id, key, signal, name string) (actors.Reply, error) {
	in := workflow.Started{Stamp: stamp(), ExecID: id, WorkflowID: def.ID, Definition: def.Hash, Key: key, Origin: &workflow.Origin{Type: "api", SignalID: signal}}
	if refusal := def.Mark(&in, nil); refusal != nil {
		w.t.Fatal(refusal)
	}
	d := &actors.Deliver{ExecID: id, Definition: def, Input: in}
	if signal != "" {
		d.Signal = &workflow.Signal{ID: signal, ExecID: id, Name: name, ReceivedAt: in.At, Source: "api"}
	}
	return s.Ask(w.t.Context(), d)
}

func TestAStartAndItsSignalAreOneCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		faulty := storetest.NewFaulty(open{w.store}, 1, storetest.Odds{})
		defer faulty.Close()
		s, stop := w.start(faulty)
		defer stop()
		// Refused by the store: neither is there. Lost: both are, and the repeat says so.
		faulty.Script(storetest.Refused)
		if _, err := w.beginWith(s, def, "x", "", "s", "go"); code(err) != workflow.CodeStoreUnavailable {
			t.Fatalf("a start that the store refused: %v", err)
		}
		if _, err := w.store.Load(t.Context(), "x"); !errors.Is(err, persistence.ErrNotFound) {
			t.Fatalf("it is there: %v", err)
		}
		faulty.Script(storetest.Lost)
		if _, err := w.beginWith(s, def, "x", "", "s", "go"); code(err) != workflow.CodeStoreUnavailable {
			t.Fatalf("a start whose answer was lost: %v", err)
		}
		synctest.Wait()
		r, err := w.beginWith(s, def, "x", "", "s", "go")
		if err != nil || !r.Answer.Duplicate || r.Answer.Outcome != workflow.Delivered || r.State.Trigger.SignalID != "s" {
			t.Fatalf("the repeat: %+v, %v", r.Answer, err)
		}
		snapshot, err := w.store.Load(t.Context(), "x")
		if err != nil || snapshot.State.Version != 2 || snapshot.State.Status != workflow.Success {
			t.Fatalf("the state: %+v, %v", snapshot, err)
		}
		if got := w.consumed("x"); len(got) != 1 || got["s"] != 1 {
			t.Fatalf("consumed: %v", got)
		}
	})
}

func TestARefusedSignalUndoesItsStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		// Both in one turn with a plain start: the refused one leaves no trace.
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i, name := range []string{"gone", "go", "gone"} {
			wg.Go(func() { _, errs[i] = w.beginWith(s, def, "x", "", fmt.Sprint("s", i), name) })
		}
		wg.Wait()
		if errs[1] != nil {
			t.Fatalf("the good one: %v", errs[1])
		}
		for _, i := range []int{0, 2} {
			if c := code(errs[i]); c != workflow.CodeNeverAwaited && c != workflow.CodeFinished {
				t.Fatalf("a signal that nobody awaits: %v", errs[i])
			}
		}
		if _, err := w.beginWith(s, def, "y", "", "s", "gone"); code(err) != workflow.CodeNeverAwaited {
			t.Fatalf("a signal that nobody awaits: %v", err)
		}
		if _, err := w.signal(s, "y", "t", "go"); code(err) != workflow.CodeNoExecution {
			t.Fatalf("it started: %v", err)
		}
		if got := w.consumed("x"); len(got) != 1 || got["s1"] != 1 {
			t.Fatalf("consumed: %v", got)
		}
	})
}

func TestOfManyStartsOfAKeyOneWinsAndTheOthersAreToldWho(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := unique()
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		const starters = 32
		var wg sync.WaitGroup
		var mu sync.Mutex
		winners, holders := map[string]bool{}, map[string]bool{}
		for i := range starters {
			wg.Go(func() {
				id := fmt.Sprint("x", i)
				_, err := w.beginWith(s, def, id, "k", "", "")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					winners[id] = true
				} else {
					holders[actors.Holder(err)] = true
				}
			})
		}
		wg.Wait()
		if len(winners) != 1 || len(holders) != 1 {
			t.Fatalf("%v won, the others were told %v", winners, holders)
		}
		for id := range winners {
			if !holders[id] {
				t.Fatalf("%s won, the others were told %v", id, holders)
			}
		}
		// Who came for one of the losers finds no execution, and the loser may try
		// again under its id once the key is free.
		loser := "x0"
		if winners[loser] {
			loser = "x1"
		}
		if _, err := w.signal(s, loser, "s", "go"); code(err) != workflow.CodeNoExecution {
			t.Fatalf("a signal to one that lost: %v", err)
		}
		for id := range winners {
			if _, err := w.signal(s, id, "s", "go"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.beginWith(s, def, loser, "k", "t", "go"); err != nil {
			t.Fatalf("the start after the end of the holder: %v", err)
		}
	})
}

// TestKeysThroughAFaultyStore starts and ends executions of few keys through a
// store that fails, loses answers and is owned by others now and then, crashes in
// between, and looks whether ever two of a key lived at once.
func TestKeysThroughAFaultyStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := unique()
		w := newWorld(t, def)
		defer w.store.Close()
		for round := range 6 {
			faulty := storetest.NewFaulty(open{w.store}, uint64(round), storetest.Odds{Refused: 0.1, Lost: 0.1, Conflict: 0.1, Delayed: 0.1, Delay: time.Millisecond, Reads: 0.02})
			s, stop := w.start(faulty)
			var wg sync.WaitGroup
			for starter := range 8 {
				wg.Go(func() {
					for i := range 12 {
						w.liveOnce(s, def, fmt.Sprintf("x-%d-%d-%d", round, starter, i), fmt.Sprint("k", i%2))
					}
				})
			}
			wg.Wait()
			faulty.SetOdds(storetest.Odds{})
			stop()
			if err := faulty.Close(); err != nil {
				t.Fatal(err)
			}
			w.checkKeys(2)
		}
	})
}

// liveOnce starts an execution until it or another one has the key, and ends
// whichever that is with a signal.
func (w *world) liveOnce(s *actors.System, def *workflow.Definition, id, key string) {
	for range 50 {
		_, err := w.beginWith(s, def, id, key, "", "")
		holder := actors.Holder(err)
		if err == nil {
			holder = id
		}
		if holder == "" {
			time.Sleep(time.Millisecond) // virtual
			continue
		}
		_, err = w.signal(s, holder, "end-"+holder, "go")
		if err == nil && holder == id || code(err) == workflow.CodeFinished && holder == id {
			return
		}
	}
}

// checkKeys holds the rows of the keys against the executions: a key belongs to
// the one that lives, and the lives of its executions do not overlap.
func (w *world) checkKeys(keys int) {
	w.t.Helper()
	for k := range keys {
		key := fmt.Sprint("k", k)
		page, err := w.store.Executions(w.t.Context(), workflow.Query{WorkflowID: "keyed", Key: key, Limit: 1000})
		if err != nil || len(page.Items) == 0 {
			w.t.Fatalf("%d executions of the key %s, %v", len(page.Items), key, err)
		}
		live := ""
		for _, s := range page.Items {
			if s.Status.Finished() {
				continue
			}
			if live != "" {
				w.t.Fatalf("%s and %s both live with the key %s", live, s.ExecID, key)
			}
			live = s.ExecID
		}
		holder, err := w.store.Holder(w.t.Context(), "keyed", key)
		if holder != live || live == "" && !errors.Is(err, persistence.ErrNotFound) {
			w.t.Fatalf("the key %s is held by %q, %v, and %q lives", key, holder, err, live)
		}
	}
}

// An execution that finished while a signal looked for the holder of its key has
// lost nothing; a signal that was meant for it and nobody else is a dead letter.
func TestLookingForTheHolderOfAKeyLeavesNoDeadLetter(t *testing.T) {
	def := waiting("w", nil)
	w := newWorld(t, def)
	defer w.store.Close()
	for _, seeking := range []bool{true, false} {
		s, stop := w.start(w.store)
		if _, err := w.beginWith(s, def, "x", "", "s", "go"); err != nil {
			t.Fatal(err)
		}
		for _, exec := range []string{"x", "nobody"} {
			at := stamp()
			_, err := s.Ask(t.Context(), &actors.Deliver{ExecID: exec, Input: workflow.Signalled{Stamp: at,
				Signal: workflow.Signal{ID: "t", ExecID: exec, Name: "go", ReceivedAt: at.At, Seeking: seeking}}})
			if c := code(err); c != workflow.CodeFinished && c != workflow.CodeNoExecution {
				t.Fatal(err)
			}
		}
		stop() // writes the letters that are under way
		page, err := w.store.Letters(t.Context(), workflow.LetterQuery{Limit: 10})
		if seeking && len(page.Items) != 0 || !seeking && len(page.Items) != 2 || err != nil {
			t.Fatalf("seeking=%t: %d dead letters, %v", seeking, len(page.Items), err)
		}
	}
}

// looking counts how often all open events are read.
type looking struct {
	persistence.Store
	looks atomic.Int32
}

func (l *looking) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	l.looks.Add(1)
	return l.Store.OpenEvents(ctx, after, limit)
}

// TestAStartThatIsRefusedForItsKeyLeavesNothingInDoubt: the store has decided, and nobody
// has to look for what may have come of it.
func TestAStartThatIsRefusedForItsKeyLeavesNothingInDoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := unique()
		w := newWorld(t, def)
		defer w.store.Close()
		store := &looking{Store: w.store}
		s, stop := w.start(store)
		settles()
		before := store.looks.Load()
		for i := range 10 {
			if _, err := w.beginWith(s, def, fmt.Sprint("x", i), "k", "", ""); i > 0 && code(err) != workflow.CodeKeyTaken {
				t.Fatal(err)
			}
		}
		settles()
		if n := store.looks.Load() - before; n != 0 {
			t.Errorf("the open events were read %d times for 9 starts that were refused", n)
		}
		stop()
	})
}
