package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Opener opens a store on the same data every time. The one opened before is
// closed by then.
type Opener func() (persistence.Store, error)

// answerLimit is how long a test waits for an answer of a store before it calls
// the store stuck.
const answerLimit = 30 * time.Second

// checks are the contract, piece by piece.
var checks = map[string]func(*fixture){
	"versions":           versions,
	"lineage":            lineage,
	"epochs":             epochs,
	"refusals":           refusals,
	"pipelined":          pipelined,
	"broken pipeline":    brokenPipeline,
	"whole or not":       wholeOrNot,
	"invalid commits":    invalidCommits,
	"strange ids":        strangeIDs,
	"large state":        largeState,
	"records":            records,
	"folding":            folding,
	"executions":         executions,
	"execution filters":  executionFilters,
	"pages that move":    pagesThatMove,
	"bad cursors":        badCursors,
	"waits":              waits,
	"waits that change":  waitsThatChange,
	"unique keys":        uniqueKeys,
	"keys in a race":     keysInARace,
	"keys after a crash": keysReopened,
	"keys and labels":    keysAndLabels,
	"correlation":        correlation,
	"correlation pages":  correlationPages,
	"correlation moves":  correlationMoves,
	"kept events":        keptEvents,
	"kept and taken":     keptTaken,
	"kept and undecided": keptUndecided,
	"kept in a race":     keptInARace,
	"kept and released":  keptReleased,
	"kept for waits":     keptForWaits,
	"timers":             timers,
	"timers come and go": timersComeAndGo,
	"working":            working,
	"receipts":           receipts,
	"events":             events,
	"events of commits":  eventsOfCommits,
	"events at once":     eventsAtOnce,
	"events and starts":  eventsAndStarts,
	"unawaited":          unawaited,
	"events at work":     eventsAtWork,
	"events decided":     eventsDecided,
	"events fanned":      eventsFanned,
	"books of signals":   booksOfSignals,
	"books of events":    booksOfEvents,
	"books of nothing":   booksOfNothing,
	"books of all names": booksOfAllNames,
	"letters":            letters,
	"letter pages":       letterPages,
	"letters of commits": lettersOfCommits,
	"letters of events":  lettersOfEvents,
	"letters go":         lettersGo,
	"letter bounds":      letterBounds,
	"documents":          documents,
	"replacing":          replacing,
	"sweep executions":   sweepExecutions,
	"sweep events":       sweepEvents,
	"closing":            closing,
	"giving up":          givingUp,
	"opening again":      openingAgain,
	"owners in a race":   ownersInARace,
	"many at once":       manyAtOnce,
	"stats":              stats,
}

// Run checks that a store keeps the contract. fresh is called once for each test
// and returns an opener of data of its own, empty at first.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(newFixture(t, fresh(t)))
		})
	}
	t.Run("copies", func(t *testing.T) {
		t.Parallel()
		copies(newFixture(t, fresh(t)), fresh(t))
	})
}

// fixture is a store under test.
type fixture struct {
	*testing.T
	persistence.Store
	open Opener
	ctx  context.Context
}

func newFixture(t *testing.T, open Opener) *fixture {
	f := &fixture{T: t, open: open, ctx: t.Context()}
	f.start()
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

func (f *fixture) start() {
	f.Helper()
	s, err := f.open()
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	f.Store = s
}

// reopen closes the store and opens it on the same data.
func (f *fixture) reopen() {
	f.Helper()
	if err := f.Store.Close(); err != nil {
		f.Fatalf("close: %v", err)
	}
	f.start()
}

// submit submits a commit and returns where its answer comes. A second answer fails the test.
func (f *fixture) submit(c *persistence.Commit) <-chan error {
	return submitTo(f.T, f.Store, c)
}

func submitTo(t reporter, s persistence.Store, c *persistence.Commit) <-chan error {
	answer := make(chan error, 1)
	var answers atomic.Int32
	copied := *c
	copied.Done = func(err error) {
		if answers.Add(1) > 1 {
			t.Errorf("Done of execution %q, version %d, was called again", c.ExecID, c.Now.Version)
			return
		}
		answer <- err
	}
	s.Submit(&copied)
	return answer
}

// reporter is what a check needs of a test, or of one try of a property.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func wait[T any](t reporter, answer <-chan T) T {
	t.Helper()
	select {
	case v := <-answer:
		return v
	case <-time.After(answerLimit):
		t.Fatalf("no answer of the store within %v", answerLimit)
		panic("unreachable")
	}
}

// commit submits a commit and returns its answer.
func (f *fixture) commit(c *persistence.Commit) error {
	f.Helper()
	return wait(f.T, f.submit(c))
}

// must commits what has to succeed and returns the state after.
func (f *fixture) must(c *persistence.Commit) *workflow.State {
	f.Helper()
	if err := f.commit(c); err != nil {
		f.Fatalf("commit of %q, version %d to %d: %v", c.ExecID, c.Expect, c.Now.Version, err)
	}
	return c.Now
}

// load loads what has to be there.
func (f *fixture) load(id string) *persistence.Snapshot {
	f.Helper()
	s, err := f.Load(f.ctx, id)
	if err != nil {
		f.Fatalf("load %q: %v", id, err)
	}
	return s
}

// is fails the test when err is not the wanted one; a nil want is for success.
func (f *fixture) is(what string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

// same fails the test when two values differ; nil and empty slices do not.
func same[T any](t reporter, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}

// begin is the moment at which the samples begin.
const begin = workflow.Instant(1_700_000_000_000)

// sample is a new execution that runs.
func sample(id string) *workflow.State {
	return &workflow.State{
		ExecID: id, WorkflowID: "orders", Definition: "d41d8cd98f00b204",
		Version: 1, Seq: 1, Status: workflow.Running,
		Input:     workflow.Value(`{"order":"A-17","amount":12.5}`),
		CreatedAt: begin, UpdatedAt: begin,
		Tasks: []workflow.TaskState{{
			ID: "charge", Kind: workflow.Basic, Run: 1, Attempt: 1, Status: workflow.Running,
			Request: workflow.Value(`{"tool":"charge"}`), CreatedAt: begin, UpdatedAt: begin,
		}},
	}
}

// first is the commit that creates an execution.
func first(s *workflow.State) *persistence.Commit {
	return &persistence.Commit{ExecID: s.ExecID, Epoch: 1, Now: s, Records: history(0, s.Seq)}
}

// next is the commit after was, with a number of records, of what change makes of it.
func next(was *workflow.State, records uint64, change func(now *workflow.State)) *persistence.Commit {
	now := *was
	now.Version++
	now.Seq += records
	now.UpdatedAt++
	now.Tasks, now.Waits, now.Timers = slices.Clone(was.Tasks), slices.Clone(was.Waits), slices.Clone(was.Timers)
	if change != nil {
		change(&now)
	}
	return &persistence.Commit{
		ExecID: was.ExecID, Expect: was.Version, Epoch: 1, Was: was, Now: &now,
		Records: history(was.Seq, now.Seq),
	}
}

// history is the records after one number up to another.
func history(after, to uint64) []workflow.Record {
	var rs []workflow.Record
	for seq := after + 1; seq <= to; seq++ {
		rs = append(rs, workflow.Record{
			Seq: seq, At: begin + workflow.Instant(seq), Type: workflow.TaskStarted, Task: "charge",
			Reason: fmt.Sprintf("record %d", seq), Data: workflow.Value(fmt.Sprintf(`{"n":%d}`, seq)),
		})
	}
	return rs
}

// waiting makes a state wait for signals of those names.
func waiting(names ...string) func(*workflow.State) {
	return func(s *workflow.State) {
		s.Status = workflow.Waiting
		s.Waits = nil
		for i, name := range names {
			s.Waits = append(s.Waits, workflow.OpenWait{
				ID: fmt.Sprintf("hold%d/1", i), Task: fmt.Sprintf("hold%d", i), Name: name,
				Condition: `signal.payload.ok == true`, OpenedAt: s.CreatedAt,
			})
		}
	}
}

// ended makes a state a finished one.
func ended(at workflow.Instant) func(*workflow.State) {
	return func(s *workflow.State) {
		s.Status, s.FinishedAt = workflow.Success, at
		s.Output = workflow.Value(`{"done":true}`)
		s.Waits, s.Timers = nil, nil
	}
}

// receiptOf is a receipt of a signal to an execution.
func receiptOf(signal, exec string, fate workflow.Fate) workflow.Receipt {
	return workflow.Receipt{
		SignalID: signal, ExecID: exec, Name: "approve", Digest: "00ff", Fate: fate,
		Answer: workflow.Answer{SignalID: signal, Outcome: workflow.Delivered, Status: workflow.Running},
		Steps:  []workflow.Step{{At: begin, What: "accepted", Record: 2}},
		At:     begin,
	}
}

// eventOf is an event.
func eventOf(id string) workflow.Event {
	return workflow.Event{ID: id, Name: "order.paid", Payload: workflow.Value(`{"order":"A-17"}`), Source: "api", ReceivedAt: begin}
}

// accept accepts an event and returns what the store answers.
func (f *fixture) accept(ev workflow.Event) (*workflow.EventReceipt, bool, error) {
	f.Helper()
	type answer struct {
		receipt *workflow.EventReceipt
		known   bool
		err     error
	}
	answers := make(chan answer, 1)
	f.AcceptEvent(ev, func(r *workflow.EventReceipt, known bool, err error) { answers <- answer{r, known, err} })
	a := wait(f.T, answers)
	return a.receipt, a.known, a.err
}

// settle replaces an event's receipt.
func (f *fixture) settle(r *workflow.EventReceipt) {
	f.Helper()
	stored, err := f.Event(f.ctx, r.Event.ID)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		f.Fatal(err)
	}
	if err := f.decide(stored.Standing(), r); err != nil {
		f.Fatalf("settle event %q: %v", r.Event.ID, err)
	}
}

// decide replaces an event's receipt by somebody who believes that it stands so.
func (f *fixture) decide(was workflow.Standing, r *workflow.EventReceipt) error {
	f.Helper()
	answer := make(chan error, 1)
	f.SettleEvent(was, r, func(err error) { answer <- err })
	return wait(f.T, answer)
}
