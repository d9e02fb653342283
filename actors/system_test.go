package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// literal and condition are expressions written in Go.
type literal string

func (l literal) Render(*workflow.Scope) (workflow.Value, error) {
	return workflow.ValueOf(string(l)), nil
}

type condition func(*workflow.Scope) bool

func (c condition) Source() string { return "a condition of the test" }

func (c condition) Judge(s *workflow.Scope) workflow.Verdict {
	return workflow.Verdict{Holds: c(s), Reason: "it is false"}
}

// waiting is a workflow of one wait for "go", then whatever follows.
func waiting(id string, change func(*workflow.Definition)) *workflow.Definition {
	d := &workflow.Definition{ID: id, Hash: id + "-hash", Roots: []string{"hold"}, Awaits: []string{"go"}, Tasks: []*workflow.Task{
		{ID: "hold", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go")}}},
	}}
	if change != nil {
		change(d)
	}
	return d.Link()
}

// world is a store with one or more systems on it.
type world struct {
	t     *testing.T
	store persistence.Store
	defs  map[string]*workflow.Definition
	mu    sync.Mutex
	ran   map[string]int // attempts by key
	fail  map[string]bool
}

func newWorld(t *testing.T, defs ...*workflow.Definition) *world {
	t.Helper()
	store, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, defs: make(map[string]*workflow.Definition), ran: make(map[string]int), fail: make(map[string]bool)}
	for _, d := range defs {
		w.defs[d.Hash] = d
	}
	return w
}

func (w *world) Version(hash string) (*workflow.Definition, error) {
	if d := w.defs[hash]; d != nil {
		return d, nil
	}
	return nil, errors.New("no such version")
}

func (w *world) Listeners(event string) (found []actors.Listener) {
	for _, d := range w.defs {
		for i, t := range d.Triggers {
			if t.Name == event {
				found = append(found, actors.Listener{Definition: d, Index: i})
			}
		}
	}
	return found
}

func (w *world) Names() (names []string) {
	for _, d := range w.defs {
		names = append(names, d.Awaits...)
		for _, t := range d.Triggers {
			names = append(names, t.Name)
		}
	}
	return names
}

func (w *world) Waiters(name string) (ids []string) {
	for _, d := range w.defs {
		if d.MayAwait(name) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// Run does every task at once, in another goroutine.
func (w *world) Run(job workflow.RunTask, done func(workflow.Input)) {
	w.mu.Lock()
	w.ran[job.Key()]++
	w.mu.Unlock()
	go done(workflow.TaskDone{Stamp: workflow.Stamp{At: workflow.InstantOf(time.Now())}, Task: job.Task, Run: job.Run, Attempt: job.Attempt})
}

// Now does the work of no task but "pure", and gives its request back.
func (w *world) Now(job workflow.RunTask) (workflow.Input, bool) {
	return workflow.TaskDone{Stamp: stamp(), Task: job.Task, Run: job.Run, Attempt: job.Attempt, Output: job.Request}, job.Executor == "pure"
}

func (w *world) Cancel(workflow.CancelTask) {}

type silent struct{}

func (silent) Signal(string) {}
func (silent) Event(string)  {}
func (silent) Committed(string, *workflow.State, *workflow.State, []workflow.Record, time.Duration) {
}
func (silent) Turn(int, time.Duration) {}
func (silent) Quarantined(string)      {}
func (silent) Buried(workflow.Cause)   {}
func (silent) LettersDropped(int)      {}

// bubble runs a test in virtual time. It leaves time for the library's log of
// messages that reached nobody, whose timer runs for a second after the last.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(2 * time.Second) // virtual
		test(t)
	})
}

// start brings a system to life on a store, which may be a faulty one.
func (w *world) start(store persistence.Store) (*actors.System, func()) {
	w.t.Helper()
	s := actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: w, Observer: silent{}, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return s, func() {
		if err := s.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) begin(s *actors.System, def *workflow.Definition, id string) error {
	_, err := s.Ask(w.t.Context(), &actors.Deliver{ExecID: id, Definition: def, Input: workflow.Started{
		Stamp: stamp(), ExecID: id, WorkflowID: def.ID, Definition: def.Hash}})
	return err
}

func (w *world) signal(s *actors.System, exec, id, name string) (actors.Reply, error) {
	at := stamp()
	return s.Ask(w.t.Context(), &actors.Deliver{ExecID: exec, Input: workflow.Signalled{Stamp: at,
		Signal: workflow.Signal{ID: id, ExecID: exec, Name: name, ReceivedAt: at.At, Source: "api"}}})
}

func (w *world) status(id string) workflow.Status {
	w.t.Helper()
	snapshot, err := w.store.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return snapshot.State.Status
}

// consumed counts the records of consumed signals by their id.
func (w *world) consumed(exec string) map[string]int {
	w.t.Helper()
	counts := make(map[string]int)
	for after := uint64(0); ; {
		records, err := w.store.Records(w.t.Context(), exec, after, 500)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(records) == 0 {
			return counts
		}
		for _, r := range records {
			if r.Type == workflow.SignalConsumed {
				counts[r.Signal]++
			}
			after = r.Seq
		}
	}
}

func stamp() workflow.Stamp { return workflow.Stamp{At: workflow.InstantOf(time.Now())} }

func code(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return fmt.Sprint(err)
}

// looping is a workflow whose wait opens again after each signal.
func looping() *workflow.Definition {
	return waiting("loop", func(d *workflow.Definition) { d.Tasks[0].OnSuccess = literal("hold") })
}

func TestNothingIsAcknowledgedThatTheStoreDidNotTake(t *testing.T) {
	def := looping()
	w := newWorld(t, def)
	faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
	s, stop := w.start(faulty)
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	faulty.Script(storetest.Refused)
	if _, err := w.signal(s, "x", "s1", "go"); code(err) != workflow.CodeStoreUnavailable {
		t.Fatalf("the write failed and the sender was told %v", err)
	}
	r, err := w.signal(s, "x", "s1", "go")
	if err != nil || r.Answer.Outcome != workflow.Delivered || r.Answer.Duplicate {
		t.Fatalf("after the store healed: %+v, %v", r.Answer, err)
	}
	faulty.Script(storetest.Lost)
	if _, err := w.signal(s, "x", "s2", "go"); code(err) != workflow.CodeStoreUnavailable {
		t.Fatalf("the answer was lost and the sender was told %v", err)
	}
	r, err = w.signal(s, "x", "s2", "go")
	if err != nil || !r.Answer.Duplicate {
		t.Fatalf("the write whose answer was lost is not recognised: %+v, %v", r.Answer, err)
	}
	stop()
	if got := w.consumed("x"); got["s1"] != 1 || got["s2"] != 1 {
		t.Fatalf("consumed %v", got)
	}
}

// blind is a store whose receipts cannot be read for a while.
type blind struct {
	persistence.Store
	closed atomic.Bool
}

func (b *blind) Receipt(ctx context.Context, signalID, execID string) (*workflow.Receipt, error) {
	if b.closed.Load() {
		return nil, persistence.ErrUnavailable
	}
	return b.Store.Receipt(ctx, signalID, execID)
}

// A kept signal is consumed by a turn that some other signal began. When its
// receipt cannot be read then, the turn is not committed: the receipt would say
// "buffered" for ever.
func TestAReceiptThatCannotBeReadStopsTheTurn(t *testing.T) {
	def := waiting("two", func(d *workflow.Definition) {
		d.Awaits = append(d.Awaits, "later")
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "second", Kind: workflow.Wait, After: []string{"hold"}, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("later")}}})
	})
	w := newWorld(t, def)
	first, stop := w.start(w.store)
	if err := w.begin(first, def, "x"); err != nil {
		t.Fatal(err)
	}
	if r, err := w.signal(first, "x", "kept", "later"); err != nil || r.Answer.Outcome != workflow.KeptForWait {
		t.Fatalf("the early signal: %+v, %v", r.Answer, err)
	}
	stop()
	store := &blind{Store: w.store}
	s, stop := w.start(store)
	defer stop()
	minted := func() error {
		at := stamp()
		_, err := s.Ask(t.Context(), &actors.Deliver{ExecID: "x", Input: workflow.Signalled{Stamp: at,
			Signal: workflow.Signal{ID: "m", ExecID: "x", Name: "go", ReceivedAt: at.At, Source: "api", Minted: true}}})
		return err
	}
	store.closed.Store(true)
	if err := minted(); code(err) != workflow.CodeStoreUnavailable {
		t.Fatalf("the receipt of the kept signal cannot be read, and the sender was told %v", err)
	}
	if w.status("x") != workflow.Waiting || len(w.consumed("x")) != 0 {
		t.Fatal("the turn was committed")
	}
	store.closed.Store(false)
	if err := minted(); err != nil {
		t.Fatal(err)
	}
	if r, err := w.store.Receipt(t.Context(), "kept", "x"); err != nil || r.Fate != workflow.FateConsumed || w.status("x") != workflow.Success {
		t.Fatalf("the kept signal is %+v, %v", r, err)
	}
}

func TestManySignalsThroughAFaultyStore(t *testing.T) {
	def := looping()
	w := newWorld(t, def)
	faulty := storetest.NewFaulty(w.store, 7, storetest.Odds{Refused: 0.1, Lost: 0.1, Conflict: 0.1, Delayed: 0.1, Delay: time.Millisecond})
	s, stop := w.start(faulty)
	for w.begin(s, def, "x") != nil {
	}
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", sender, i)
				for {
					if _, err := w.signal(s, "x", id, "go"); err == nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	faulty.SetOdds(storetest.Odds{})
	stop()
	got := w.consumed("x")
	for sender := range senders {
		for i := range each {
			id := fmt.Sprintf("%d-%d", sender, i)
			if got[id] != 1 {
				receipt, err := w.store.Receipt(t.Context(), id, "x")
				t.Errorf("signal %s was acknowledged and applied %d times; its receipt: %+v, %v", id, got[id], receipt, err)
			}
		}
	}
}

// Two systems that both believe that they own an execution stand for two nodes
// in a partition: the store lets one commit, and no sender sees an error.
func TestTwoOwnersNeverApplyASignalTwice(t *testing.T) {
	def := looping()
	w := newWorld(t, def)
	one, stopOne := w.start(w.store)
	two, stopTwo := w.start(w.store)
	if err := w.begin(one, def, "x"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const each = 30
	for lane, s := range []*actors.System{one, two} {
		wg.Go(func() {
			for i := range each {
				for id := fmt.Sprintf("%d-%d", lane, i); ; {
					_, err := w.signal(s, "x", id, "go")
					if err == nil {
						break
					}
					if code(err) != workflow.CodeStoreUnavailable {
						t.Errorf("signal %s: %v", id, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	stopOne()
	stopTwo()
	got := w.consumed("x")
	if len(got) != 2*each {
		t.Fatalf("%d of %d signals were consumed", len(got), 2*each)
	}
	for id, n := range got {
		if n != 1 {
			t.Fatalf("signal %s was applied %d times", id, n)
		}
	}
}

func TestAPanicQuarantinesItsExecutionOnly(t *testing.T) {
	bad := waiting("bad", func(d *workflow.Definition) {
		d.Tasks[0].Wait.Condition = condition(func(*workflow.Scope) bool { panic("a defect of the test") })
	})
	good := waiting("good", nil)
	w := newWorld(t, bad, good)
	s, stop := w.start(w.store)
	for id, def := range map[string]*workflow.Definition{"b": bad, "g": good} {
		if err := w.begin(s, def, id); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := w.signal(s, "b", "s1", "go"); code(err) != workflow.CodeQuarantined {
			t.Fatalf("the broken execution answered %v", err)
		}
	}
	if _, err := w.signal(s, "g", "s1", "go"); err != nil {
		t.Fatalf("the other execution answered %v", err)
	}
	if cause, ill := s.Quarantined("b"); !ill || cause != "panic: a defect of the test" {
		t.Fatalf("quarantined=%t because of %q", ill, cause)
	}
	if w.status("b") != workflow.Waiting {
		t.Fatal("the broken execution changed")
	}
	stop()
}

func TestQuarantineIsRemembered(t *testing.T) {
	bad := waiting("bad", func(d *workflow.Definition) {
		d.Tasks[0].Wait.Condition = condition(func(*workflow.Scope) bool { panic("once") })
	})
	w := newWorld(t, bad)
	s, stop := w.start(w.store)
	if err := w.begin(s, bad, "b"); err != nil {
		t.Fatal(err)
	}
	_, _ = w.signal(s, "b", "s1", "go")
	stop()
	w.eventually(func() bool { // the document is written behind the answer
		docs, err := w.store.Documents(t.Context(), "quarantine", "", 1)
		return err != nil || len(docs) == 1
	}, func() string { return "the quarantine is not stored" })
	again, stop := w.start(w.store)
	defer stop()
	if _, ill := again.Quarantined("b"); !ill {
		t.Fatal("a restart forgot the quarantine")
	}
}

func TestATimerFiresOnceAndNeverEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("deadline", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("10m") })
		w := newWorld(t, def)
		// Every commit around the deadline fails once: the clock must come back to it.
		faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
		s, stop := w.start(faulty)
		if err := w.begin(s, def, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Minute - time.Millisecond)
		synctest.Wait()
		if got := w.status("x"); got != workflow.Waiting {
			t.Fatalf("a millisecond before the deadline it is %s", got)
		}
		faulty.Script(storetest.Refused)
		time.Sleep(actors.AlarmAgain + actors.AlarmWindow)
		synctest.Wait()
		if got := w.status("x"); got != workflow.TimedOut {
			t.Fatalf("after the deadline it is %s", got)
		}
		stop()
		if err := faulty.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnEventIsFannedOutAgainAfterACrash(t *testing.T) {
	listener := waiting("listener", func(d *workflow.Definition) { d.Triggers = []workflow.Trigger{{Name: "came"}, {Name: "came"}} })
	w := newWorld(t, listener)
	// The event is durable, and nobody has looked at it: the node died there.
	accepted := make(chan error, 1)
	w.store.AcceptEvent(workflow.Event{ID: "e", Name: "came", ReceivedAt: stamp().At}, func(_ *workflow.EventReceipt, _ bool, err error) { accepted <- err })
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s, stop := w.start(w.store)
		w.settled("e")
		if _, known, err := s.Event(t.Context(), workflow.Event{ID: "e", Name: "came"}); err != nil || !known {
			t.Fatalf("the event again: known=%t, %v", known, err)
		}
		stop()
	}
	page, err := w.store.Executions(t.Context(), workflow.Query{WorkflowID: "listener", Limit: 10})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("two triggers started %d executions, %v", len(page.Items), err)
	}
}

func TestOneEventReachesThousandsOfWaits(t *testing.T) {
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	const n = 3 * actors.FanoutWindow
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, _, err := s.Event(t.Context(), workflow.Event{ID: "e", Name: "go", ReceivedAt: stamp().At}); err != nil {
		t.Fatal(err)
	}
	w.settled("e")
	page, err := w.store.Executions(t.Context(), workflow.Query{Status: workflow.Success, Limit: n + 1})
	if err != nil || len(page.Items) != n {
		t.Fatalf("%d of %d waits were reached, %v", len(page.Items), n, err)
	}
}

func TestWorkThatACrashInterruptedIsIssuedAgain(t *testing.T) {
	def := (&workflow.Definition{ID: "work", Hash: "work-hash", Roots: []string{"call"}, Tasks: []*workflow.Task{
		{ID: "call", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("r")}},
	}}).Link()
	w := newWorld(t, def)
	state, records, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{Stamp: stamp(), ExecID: "x", WorkflowID: "work", Definition: "work-hash"})
	if err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	w.store.Submit(&persistence.Commit{ExecID: "x", Epoch: w.store.Epoch(), Now: &state, Records: records, Working: true, Done: func(err error) { committed <- err }})
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	_, stop := w.start(w.store)
	w.eventually(func() bool { return w.status("x") == workflow.Success }, func() string { return "the execution is " + string(w.status("x")) })
	stop()
	if w.ran["x/call/1.1"] != 1 {
		t.Fatalf("attempts: %v", w.ran)
	}
}
