package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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

// sameOrder holds when the payload's order is that of the execution's input. It
// is a condition and the index of it.
type sameOrder struct{}

func (sameOrder) Source() string { return "signal.payload.order == workflow.input.order" }

func (sameOrder) Judge(s *workflow.Scope) workflow.Verdict {
	var signal struct{ Payload struct{ Order string } }
	if json.Unmarshal(s.Signal, &signal) != nil || signal.Payload.Order != order(s) {
		return workflow.Verdict{Reason: "another order"}
	}
	return workflow.Verdict{Holds: true}
}

func (sameOrder) Volatile() bool { return false }

func (sameOrder) Key(s *workflow.Scope) (path, key string) { return "/payload/order", order(s) }

func order(s *workflow.Scope) string {
	var input struct{ Order string }
	_ = json.Unmarshal(s.State.Input, &input)
	return input.Order
}

// ordering is a workflow that waits for "go" of its own order.
func ordering() *workflow.Definition {
	return waiting("ordering", func(d *workflow.Definition) {
		d.Tasks[0].Wait.Condition, d.Tasks[0].Wait.Index = sameOrder{}, sameOrder{}
	})
}

func (w *world) beginOrder(s *actors.System, def *workflow.Definition, id, order string) error {
	_, err := s.Ask(w.t.Context(), &actors.Deliver{ExecID: id, Definition: def, Input: workflow.Started{
		Stamp: stamp(), ExecID: id, WorkflowID: def.ID, Definition: def.Hash, Input: workflow.Value(fmt.Sprintf(`{"order":%q}`, order))}})
	return err
}

// post posts an event for an order; ttl 0 is for one that nobody keeps.
func (w *world) post(s *actors.System, id, order string, ttl time.Duration) {
	w.t.Helper()
	ev := workflow.Event{ID: id, Name: "go", Payload: workflow.Value(fmt.Sprintf(`{"order":%q}`, order)), ReceivedAt: stamp().At, Source: "api"}
	if ttl > 0 {
		ev.ExpiresAt = ev.ReceivedAt.Add(ttl)
	}
	if _, _, err := s.Event(w.t.Context(), ev); err != nil {
		w.t.Fatal(err)
	}
}

// patience is how long a test waits for something. Under the race detector pebble writes
// down a stack for every file that it looks into, so that what takes half a second
// without it takes half a minute beside other tests.
const patience = 2 * time.Minute

// eventually waits until something holds; it is told when that takes too long.
func (w *world) eventually(holds func() bool, told func() string) {
	w.t.Helper()
	for began := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("%s after %s", told(), patience)
		}
	}
}

// fate waits until an event has one of the fates, and returns its receipt.
func (w *world) fate(id string, fates ...workflow.Fate) (r *workflow.EventReceipt) {
	w.t.Helper()
	w.eventually(func() bool {
		var err error
		if r, err = w.store.Event(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
		return slices.Contains(fates, r.Fate)
	}, func() string {
		return fmt.Sprintf("event %s is %s because %q, wanted %v,", id, r.Fate, r.Reason, fates)
	})
	return r
}

// counting counts the rows of waits that are read.
type counting struct {
	persistence.Store
	rows atomic.Int64
}

func (c *counting) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	page, err := c.Store.Waits(ctx, q)
	c.rows.Add(int64(len(page.Items)))
	return page, err
}

func TestAnEventReadsItsMatchesAndNotTheOthers(t *testing.T) {
	def, plain := ordering(), waiting("plain", nil)
	w := newWorld(t, def, plain)
	store := &counting{Store: w.store}
	s, stop := w.start(store)
	for i := range 500 {
		if err := w.beginOrder(s, def, fmt.Sprint("x", i), fmt.Sprint("o", i)); err != nil {
			t.Fatal(err)
		}
	}
	for id, d := range map[string]*workflow.Definition{"same": def, "plain": plain} {
		if err := w.beginOrder(s, d, id, "o77"); err != nil {
			t.Fatal(err)
		}
	}
	w.post(s, "e", "o77", 0)
	r := w.fate("e", workflow.FateConsumed)
	stop()
	if r.Counts != (workflow.Counts{Delivered: 3}) || len(r.Deliveries) != 3 {
		t.Fatalf("the event reached %+v, %+v", r.Counts, r.Deliveries)
	}
	if n := store.rows.Load(); n != 3 {
		t.Fatalf("%d rows were read for 3 matches among 502 waits", n)
	}
	for id, want := range map[string]workflow.Status{"x77": workflow.Success, "same": workflow.Success, "plain": workflow.Success, "x78": workflow.Waiting} {
		if got := w.status(id); got != want {
			t.Errorf("%s is %s", id, got)
		}
	}
}

// Each way in which a listener can fail, beside listeners that do not.
func TestABadListenerTouchesNobodyElse(t *testing.T) {
	broken := condition(func(*workflow.Scope) bool { panic("a defect of the test") })
	bad := waiting("bad", func(d *workflow.Definition) { d.Tasks[0].Wait.Condition = broken })
	triggers := waiting("triggers", func(d *workflow.Definition) {
		d.Triggers = []workflow.Trigger{
			{Name: "go", Filter: broken}, {Name: "go", Schema: refusing{}},
			{Name: "go", Filter: condition(func(*workflow.Scope) bool { return false })}, {Name: "go"},
		}
	})
	good := waiting("good", nil)
	w := newWorld(t, bad, good, triggers)
	s, stop := w.start(w.store)
	for i := range 5 {
		for _, d := range []*workflow.Definition{bad, good} {
			if err := w.begin(s, d, fmt.Sprint(d.ID, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for round, want := range []workflow.Counts{
		{Started: 1, Delivered: 5, Ignored: 1, Refused: 6, Failed: 1},
		{Started: 1, Delivered: 1, Ignored: 1, Refused: 6, Failed: 1}, // the one that the first event started waits for the next
	} {
		id := fmt.Sprint("e", round)
		w.post(s, id, "", 0)
		r := w.fate(id, workflow.FateConsumed)
		// The one that the event starts may wait for its name before the fan-out has
		// read who does: it is passed by then, and not seen otherwise.
		if r.Counts.Passed = 0; r.Counts != want {
			t.Errorf("event %d reached %+v, wanted %+v: %+v", round, r.Counts, want, r.Deliveries)
		}
	}
	stop()
	for i := range 5 {
		if got := w.status(fmt.Sprint("good", i)); got != workflow.Success {
			t.Errorf("a good listener is %s", got)
		}
	}
}

type refusing struct{}

func (refusing) Default(v workflow.Value) workflow.Value { return v }
func (refusing) Check(workflow.Value) []workflow.Violation {
	return []workflow.Violation{{Pointer: "/order", Message: "nothing conforms"}}
}

// The node dies in the middle of a fan-out: some waits have the event, the others
// and the receipt do not. The next node finishes it, nobody has it twice, and the
// receipt tells of all.
func TestAFanOutThatACrashInterruptsReachesEverybodyOnce(t *testing.T) {
	for waits, def := range map[int]*workflow.Definition{1: waiting("w", nil), 2: waiting("w", together("second"))} {
		t.Run(fmt.Sprint(waits, " waits each"), func(t *testing.T) { interrupted(t, waits, def) })
	}
}

// together has more waits for "go" open beside the first one.
func together(ids ...string) func(*workflow.Definition) {
	return func(d *workflow.Definition) {
		for _, id := range ids {
			d.Roots = append(d.Roots, id)
			d.Tasks = append(d.Tasks, &workflow.Task{ID: id, Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go")}}})
		}
	}
}

func interrupted(t *testing.T, waits int, def *workflow.Definition) {
	const n = 200
	listener := waiting("listener", func(d *workflow.Definition) { d.Triggers = []workflow.Trigger{{Name: "go"}} })
	w := newWorld(t, def, listener)
	faulty := storetest.NewFaulty(w.store, 3, storetest.Odds{})
	s, stop := w.start(faulty)
	for i := range n {
		if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	// The event is accepted, a third of the commits come through, then the node dies.
	script := []storetest.Fault{storetest.None}
	for i := range 3 * n {
		script = append(script, []storetest.Fault{storetest.None, storetest.Refused, storetest.Lost}[i%3])
	}
	faulty.Script(script...)
	w.post(s, "e", "", 0)
	w.eventually(func() bool { return len(consumers(w, n)) >= n/4 }, func() string { return fmt.Sprintf("%d have it", len(consumers(w, n))) })
	faulty.Break(fmt.Errorf("the disk is gone"))
	stop()
	before := len(consumers(w, n))
	if r, err := w.store.Event(t.Context(), "e"); err != nil || r.Fate != workflow.FateAccepted {
		t.Fatalf("the fan-out was not interrupted: %+v, %v", r, err)
	}
	_, stop = w.start(w.store)
	r := w.fate("e", workflow.FateConsumed)
	stop()
	t.Logf("%d of %d had it before the crash", before, n)
	if r.Counts.Delivered != n*waits || r.Counts.Started != 1 || len(r.Deliveries) != n*waits+1 {
		t.Errorf("the receipt tells of %+v in %d deliveries", r.Counts, len(r.Deliveries))
	}
	told := map[string]bool{}
	for _, d := range r.Deliveries {
		told[d.ExecID+" "+d.WaitID] = true
	}
	if len(told) != len(r.Deliveries) {
		t.Errorf("%d deliveries tell of %d", len(r.Deliveries), len(told))
	}
	for i := range n {
		if got := w.consumed(fmt.Sprint("x", i)); got["e"] != waits {
			t.Errorf("execution %d consumed %v", i, got)
		}
	}
	page, err := w.store.Executions(t.Context(), workflow.Query{WorkflowID: "listener", Limit: 10})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("the trigger started %d executions, %v", len(page.Items), err)
	}
}

// TestAnEventReachesEveryWaitOfAnExecution has as many waits open as a page of them
// does not hold, so that the waits of one execution lie on two.
func TestAnEventReachesEveryWaitOfAnExecution(t *testing.T) {
	const n = 200
	def := waiting("w", func(d *workflow.Definition) {
		together("second", "picky")(d)
		d.Tasks[2].Wait.Condition = condition(func(*workflow.Scope) bool { return false })
	})
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	for i := range n {
		if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	w.post(s, "e", "", 0)
	r := w.fate("e", workflow.FateConsumed)
	stop()
	if r.Counts != (workflow.Counts{Delivered: 2 * n}) || len(r.Deliveries) != 2*n+actors.MaxPasses {
		t.Errorf("the receipt tells of %+v in %d deliveries", r.Counts, len(r.Deliveries))
	}
	said := map[string]int{}
	for _, d := range r.Deliveries {
		said[d.WaitID+" "+d.Outcome+" "+d.Reason]++
	}
	want := map[string]int{"hold/1 delivered ": n, "second/1 delivered ": n, "picky/1 passed it is false": actors.MaxPasses}
	if !maps.Equal(said, want) {
		t.Errorf("it says %v, want %v", said, want)
	}
	for i := range n {
		if got := w.consumed(fmt.Sprint("x", i)); got["e"] != 2 {
			t.Errorf("execution %d consumed %v", i, got)
		}
	}
	rows, err := w.store.Books(t.Context())
	if err != nil || len(rows) != 1 || rows[0].Tally != (workflow.Tally{Accepted: 1, Consumed: 1}) {
		t.Errorf("the books say %+v, %v", rows, err)
	}
}

// consumers are the executions that have finished.
func consumers(w *world, n int) (ids []string) {
	for i := range n {
		if id := fmt.Sprint("x", i); w.status(id) == workflow.Success {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestAReceiptListsSomeDeliveriesAndCountsAll(t *testing.T) {
	const n = actors.MaxDeliveries + 50
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	var wg sync.WaitGroup
	for lane := range 10 {
		wg.Go(func() {
			for i := lane; i < n; i += 10 {
				if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.post(s, "e", "", 0)
	if r := w.fate("e", workflow.FateConsumed); r.Counts.Delivered != n || len(r.Deliveries) != actors.MaxDeliveries {
		t.Fatalf("%+v counted, %d listed", r.Counts, len(r.Deliveries))
	}
}

func TestAnEventIsKeptForTheFirstWaitThatOpens(t *testing.T) {
	def := ordering()
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	w.post(s, "e", "A", time.Hour)
	w.fate("e", workflow.FateBuffered)
	// Nobody of these is meant.
	for i := range 3 {
		if err := w.beginOrder(s, def, fmt.Sprint("other", i), "B"); err != nil {
			t.Fatal(err)
		}
	}
	// Of those that are, one gets it, also when they come at once.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := w.beginOrder(s, def, fmt.Sprint("x", i), "A"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r := w.fate("e", workflow.FateConsumed)
	stop()
	if taken := consumers(w, 8); len(taken) != 1 || len(r.Deliveries) != 1 || r.Deliveries[0].ExecID != taken[0] || r.Deliveries[0].WaitID != "hold/1" {
		t.Fatalf("taken by %v, the receipt says %+v", taken, r.Deliveries)
	}
	if w.status("other1") != workflow.Waiting {
		t.Fatal("a wait for another order took it")
	}
}

func TestKeptEventsAreTakenInTheOrderInWhichTheyCame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		for i := range 3 {
			w.post(s, fmt.Sprint("e", i), "A", time.Hour)
			w.fate(fmt.Sprint("e", i), workflow.FateBuffered)
			time.Sleep(2 * time.Millisecond) // virtual, so that they came at different moments
		}
		for i := range 3 {
			if err := w.beginOrder(s, def, fmt.Sprint("x", i), "A"); err != nil {
				t.Fatal(err)
			}
			if r := w.fate(fmt.Sprint("e", i), workflow.FateConsumed); r.Deliveries[0].ExecID != fmt.Sprint("x", i) {
				t.Fatalf("event %d was taken by %+v", i, r.Deliveries)
			}
		}
		stop()
	})
}

func TestAKeptEventExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w := newWorld(t, def)
		faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
		s, stop := w.start(faulty)
		w.post(s, "late", "A", 2*time.Hour)
		w.post(s, "early", "A", time.Hour)
		time.Sleep(time.Hour - time.Second)
		if r := w.fate("early", workflow.FateBuffered, workflow.FateExpired); r.Fate != workflow.FateBuffered {
			t.Fatalf("a second before its end it is %s", r.Fate)
		}
		faulty.Script(storetest.Refused) // the end cannot be written at first
		time.Sleep(time.Minute)
		synctest.Wait()
		r := w.fate("early", workflow.FateExpired)
		if len(r.Steps) != 3 || r.Cause != workflow.CauseExpired {
			t.Fatalf("%+v", r)
		}
		if err := w.beginOrder(s, def, "x", "A"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.fate("late", workflow.FateConsumed)
		w.fate("early", workflow.FateExpired)
		stop()
		if err := faulty.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAKeptEventWhoseTimeIsOverHoldsUpNobody: its end cannot be written at first, and
// the next one is taken all the same.
func TestAKeptEventWhoseTimeIsOverHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w := newWorld(t, def)
		faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
		defer faulty.Close()
		s, stop := w.start(faulty)
		w.post(s, "over", "A", time.Hour)
		time.Sleep(time.Millisecond)
		w.post(s, "next", "A", 2*time.Hour)
		w.fate("next", workflow.FateBuffered)
		faulty.Script(storetest.Refused)
		time.Sleep(time.Hour + actors.RedeliverAfter/2)
		w.fate("over", workflow.FateBuffered)
		if err := w.beginOrder(s, def, "x", "A"); err != nil {
			t.Fatal(err)
		}
		w.fate("next", workflow.FateConsumed)
		w.fate("over", workflow.FateExpired)
		stop()
	})
}

// forgetful is a store whose owner dies between a commit and what it would do
// with the word that events are kept.
type forgetful struct{ persistence.Store }

func (f forgetful) Submit(c *persistence.Commit) {
	copied := *c
	copied.Kept = nil
	f.Store.Submit(&copied)
}

// Expiring returns nothing: what a node offers when it starts was offered before
// anybody waited.
func (forgetful) Expiring(context.Context, workflow.Instant, *workflow.EventReceipt, int) ([]*workflow.EventReceipt, error) {
	return nil, nil
}

func TestAKeptEventSurvivesTheNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w := newWorld(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		w.post(s, "e", "A", time.Hour)
		w.post(s, "short", "B", 50*time.Millisecond) // nobody waits for it
		w.fate("e", workflow.FateBuffered)
		w.fate("short", workflow.FateBuffered, workflow.FateExpired)
		stop()
		s, stop = w.start(forgetful{w.store})
		for i := range 2 {
			if err := w.beginOrder(s, def, fmt.Sprint("x", i), "A"); err != nil {
				t.Fatal(err)
			}
		}
		w.fate("e", workflow.FateBuffered)
		stop()
		time.Sleep(60 * time.Millisecond) // virtual
		_, stop = w.start(w.store)
		w.fate("e", workflow.FateConsumed)
		w.fate("short", workflow.FateExpired)
		stop()
		if taken := consumers(w, 2); len(taken) != 1 {
			t.Fatalf("taken by %v", taken)
		}
	})
}

// Through a store that fails, loses answers and says that others were there:
// every kept event ends in one execution, and no execution has two.
func TestKeptEventsThroughAFaultyStore(t *testing.T) {
	const n = 30
	def := ordering()
	w := newWorld(t, def)
	faulty := storetest.NewFaulty(w.store, 11, storetest.Odds{Refused: 0.1, Lost: 0.1, Conflict: 0.1, Delayed: 0.1, Delay: time.Millisecond, Reads: 0.05})
	s, stop := w.start(faulty)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			ev := workflow.Event{ID: fmt.Sprint("e", i), Name: "go", Payload: workflow.Value(`{"order":"A"}`), ReceivedAt: stamp().At, ExpiresAt: stamp().At.Add(time.Hour)}
			for {
				if _, _, err := s.Event(t.Context(), ev); err == nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range n {
		w.fate(fmt.Sprint("e", i), workflow.FateBuffered)
	}
	for i := range n {
		wg.Go(func() {
			for w.beginOrder(s, def, fmt.Sprint("x", i), "A") != nil {
			}
		})
	}
	wg.Wait()
	faulty.SetOdds(storetest.Odds{})
	taker := map[string]string{}
	for i := range n {
		id := fmt.Sprint("e", i)
		r := w.fate(id, workflow.FateConsumed)
		for _, d := range r.Deliveries {
			if d.Outcome == "delivered" {
				taker[d.ExecID] += id + " "
			}
		}
	}
	stop()
	for i := range n {
		if got := w.consumed(fmt.Sprint("x", i)); len(got) != 1 {
			t.Errorf("execution %d consumed %v; the receipts say %q", i, got, taker[fmt.Sprint("x", i)])
		}
	}
}
