package actors_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// accepting counts the events that are accepted by themselves.
type accepting struct {
	*storetest.Faulty
	alone atomic.Int64
}

func (a *accepting) AcceptEvent(ev workflow.Event, done func(*workflow.EventReceipt, bool, error)) {
	a.alone.Add(1)
	a.Faulty.AcceptEvent(ev, done)
}

// listening starts on "rain" and waits for "go".
func listening(change func(*workflow.Definition)) *workflow.Definition {
	return waiting("listening", func(d *workflow.Definition) {
		d.Triggers = []workflow.Trigger{{Name: "rain"}}
		if change != nil {
			change(d)
		}
	})
}

// rained makes a system to which one event came: then it is known that no wait has
// the event's name. rain sends another and says how many were accepted by themselves.
func rained(t *testing.T, defs ...*workflow.Definition) (w *world, s *actors.System, store *accepting, rain func(id string) (*workflow.EventReceipt, bool, error, int64)) {
	w = newWorld(t, defs...)
	store = &accepting{Faulty: storetest.NewFaulty(w.store, 1, storetest.Odds{})}
	s, stop := w.start(store)
	t.Cleanup(func() {
		defer time.Sleep(2 * time.Second) // virtual, see bubble
		stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	rain = func(id string) (*workflow.EventReceipt, bool, error, int64) {
		before := store.alone.Load()
		r, known, err := s.Event(t.Context(), workflow.Event{ID: id, Name: "rain", ReceivedAt: stamp().At, Source: "api"})
		time.Sleep(time.Second) // virtual
		synctest.Wait()
		return r, known, err, store.alone.Load() - before
	}
	if _, _, err, alone := rain("first"); err != nil || alone != 1 {
		t.Fatalf("the first event: %v, %d accepted by themselves", err, alone)
	}
	return w, s, store, rain
}

func TestAnEventOfOneTriggerIsAcceptedWithItsStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := listening(nil)
		w, _, _, rain := rained(t, def)
		r, known, err, alone := rain("e")
		if err != nil || known || alone != 0 {
			t.Fatalf("known %v, %v, %d accepted by themselves", known, err, alone)
		}
		stored := w.fate("e", workflow.FateConsumed)
		first := w.fate("first", workflow.FateConsumed)
		for _, r := range []*workflow.EventReceipt{r, stored, first} {
			var steps []string
			for _, s := range r.Steps {
				steps = append(steps, s.What)
			}
			exec := actors.DerivedID(r.Event.ID, def.ID, 0)
			if len(r.Deliveries) != 1 || r.Deliveries[0].ExecID != exec || r.Deliveries[0].Outcome != "started" ||
				r.Counts != (workflow.Counts{Started: 1}) || !slices.Equal(steps, []string{"accepted", "consumed"}) {
				t.Errorf("the receipt of %s: %+v", r.Event.ID, r)
			}
			if got := w.status(exec); got != workflow.Waiting {
				t.Errorf("%s is %s", exec, got)
			}
		}
		if r, known, err, _ = rain("e"); err != nil || !known || r.Fate != workflow.FateConsumed {
			t.Errorf("a repeat: %+v, known %v, %v", r, known, err)
		}
		books, err := w.store.Books(t.Context())
		if want := (workflow.Tally{Accepted: 2, Consumed: 2}); err != nil || len(books) != 1 || books[0].Tally != want {
			t.Errorf("the books: %+v, %v", books, err)
		}
	})
}

func TestAnEventReachesAWaitThatOpenedSinceNobodyWaited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wet := waiting("wet", func(d *workflow.Definition) { d.Awaits, d.Tasks[0].Wait.Name = []string{"rain"}, literal("rain") })
		w, s, _, rain := rained(t, listening(nil), wet)
		if err := w.begin(s, wet, "x"); err != nil {
			t.Fatal(err)
		}
		if _, _, err, alone := rain("e"); err != nil || alone != 1 {
			t.Fatalf("%v, %d accepted by themselves", err, alone)
		}
		if r := w.fate("e", workflow.FateConsumed); r.Counts != (workflow.Counts{Started: 1, Delivered: 1}) || w.status("x") != workflow.Success {
			t.Fatalf("it reached %+v, and the wait is %s", r.Counts, w.status("x"))
		}
		for i, want := range []int64{1, 0} { // the look for waits finds none any more
			if _, _, err, alone := rain(fmt.Sprint("more", i)); err != nil || alone != want {
				t.Fatalf("%v, %d accepted by themselves", err, alone)
			}
		}
	})
}

// TestWhatTheShortWayCannotSayTheLongOneDoes: a filter that is false or breaks, a
// key that is taken, an execution that is there.
func TestWhatTheShortWayCannotSayTheLongOneDoes(t *testing.T) {
	hold := true
	filter := condition(func(*workflow.Scope) bool { return hold })
	for name, c := range map[string]struct {
		def  *workflow.Definition
		then func(w *world, s *actors.System, def *workflow.Definition)
		fate workflow.Fate
		want workflow.Counts
	}{
		"false": {listening(func(d *workflow.Definition) { d.Triggers[0].Filter = filter }),
			func(*world, *actors.System, *workflow.Definition) { hold = false }, workflow.FateDead, workflow.Counts{Ignored: 1}},
		"breaks": {listening(func(d *workflow.Definition) {
			d.Triggers[0].Filter = condition(func(s *workflow.Scope) bool { return string(s.Payload) == "{}" && !panics(hold) })
		}), func(*world, *actors.System, *workflow.Definition) { hold = false }, workflow.FateDead, workflow.Counts{Failed: 1}},
		"taken": {listening(func(d *workflow.Definition) {
			d.Key = &workflow.KeySpec{Unique: true, Value: literal("one")}
		}), func(*world, *actors.System, *workflow.Definition) {}, workflow.FateDead, workflow.Counts{Ignored: 1}},
		"there": {listening(nil), func(w *world, s *actors.System, def *workflow.Definition) {
			if err := w.begin(s, def, actors.DerivedID("e", def.ID, 0)); err != nil {
				w.t.Fatal(err)
			}
		}, workflow.FateConsumed, workflow.Counts{Started: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hold = true
				w, s, _, rain := rained(t, c.def)
				c.then(w, s, c.def)
				if _, known, err, alone := rain("e"); err != nil || known || alone != 1 {
					t.Fatalf("known %v, %v, %d accepted by themselves", known, err, alone)
				}
				if r := w.fate("e", c.fate); r.Counts != c.want {
					t.Fatalf("it reached %+v: %+v", r.Counts, r)
				}
			})
		})
	}
}

func panics(not bool) bool {
	if !not {
		panic("a defect of the test")
	}
	return false
}

// TestAnEventWithItsStartIsThereWholeOrNotAtAll: whatever its sender was told, a
// repeat leaves one execution and one event.
func TestAnEventWithItsStartIsThereWholeOrNotAtAll(t *testing.T) {
	for fault, want := range map[storetest.Fault]struct {
		code   string
		stored bool
		known  bool // to the repeat
	}{
		storetest.Refused:  {workflow.CodeStoreUnavailable, false, false},
		storetest.Lost:     {workflow.CodeStoreUnavailable, true, true},
		storetest.Conflict: {code(nil), true, true}, // it went the long way
	} {
		bubble(t, func(t *testing.T) {
			def := listening(nil)
			w, _, store, rain := rained(t, def)
			store.Script(fault)
			if _, _, err, _ := rain("e"); code(err) != want.code {
				t.Fatalf("fault %d: its sender was told %v", fault, err)
			}
			_, err := w.store.Event(t.Context(), "e")
			_, started := w.store.Load(t.Context(), actors.DerivedID("e", def.ID, 0))
			if (err == nil) != want.stored || (started == nil) != want.stored {
				t.Fatalf("the event: %v, its execution: %v", err, started)
			}
			if _, known, err, _ := rain("e"); err != nil || known != want.known {
				t.Fatalf("the repeat: known %v, %v", known, err)
			}
			w.fate("e", workflow.FateConsumed)
			all, err := w.store.Executions(t.Context(), workflow.Query{Limit: 10})
			if err != nil || len(all.Items) != 2 {
				t.Fatalf("%d executions, %v", len(all.Items), err)
			}
		})
	}
}

var _ persistence.Sole = (*accepting)(nil)
