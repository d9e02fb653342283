package actors

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// letters keeps the dead letters of refused messages. The refusal does not wait
// for it: whoever floods a node with what nobody wants costs it a bounded rate of
// small writes and no more. What is beyond the rate is dropped, and counted.
type letters struct {
	system  *System
	waiting chan workflow.DeadLetter
	quit    chan struct{}
	ended   chan struct{}
	dropped atomic.Uint64

	mu    sync.Mutex
	count credit // of letters that may be kept now
	bytes credit // and of their payload
}

func newLetters(s *System) *letters {
	return &letters{
		system: s, waiting: make(chan workflow.DeadLetter, LetterBacklog), quit: make(chan struct{}), ended: make(chan struct{}),
		count: credit{rate: LetterRate, burst: LetterBurst}, bytes: credit{rate: LetterRateBytes, burst: LetterBurstBytes},
	}
}

// refused keeps a signal that an execution refused; s is nil when there is no
// such execution. What was a dead letter before stays the one it was.
func (l *letters) refused(in workflow.Signalled, s *workflow.State, r *workflow.Refusal) {
	if in.OnlyIfMatched || in.Signal.Redelivered || !workflow.Buries(r.Code) {
		return
	}
	if gone := r.Code == workflow.CodeFinished || r.Code == workflow.CodeNoExecution; gone && in.Signal.Seeking {
		return
	}
	if !l.may(len(in.Signal.Payload)) {
		l.drop(1)
		return
	}
	select {
	case l.waiting <- workflow.LetterOfRefusal(s, in.Signal, r, in.At):
	default:
		l.drop(1)
	}
}

// refused keeps the message of a delivery that met no execution, or a broken one.
func (s *System) refused(d *Deliver, state *workflow.State, r *workflow.Refusal) {
	if in, ok := d.Input.(workflow.Signalled); ok {
		s.letters.refused(in, state, r)
	}
}

// unbury takes back the letter of a signal that this very turn has made; reviving
// drops the one that the store has.
func (f *fold) unbury(signalID string) (letterID string) {
	id := workflow.LetterID(workflow.KindSignal, f.id, signalID)
	f.dead = slices.DeleteFunc(f.dead, func(l workflow.DeadLetter) bool { return l.ID == id })
	return id
}

func (l *letters) drop(n int) {
	l.dropped.Add(uint64(n))
	l.system.Observer.LettersDropped(n)
}

// may takes one letter of a size from what the rate allows.
func (l *letters) may(size int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	present := time.Now()
	if !l.count.has(1, present) || !l.bytes.has(float64(size), present) {
		return false
	}
	l.count.take(1)
	l.bytes.take(float64(size))
	return true
}

// run writes what has gathered, one write at a time, until stop.
func (l *letters) run() {
	defer close(l.ended)
	for {
		select {
		case first := <-l.waiting:
			l.write(first)
		case <-l.quit:
			for {
				select {
				case first := <-l.waiting:
					l.write(first)
				default:
					return
				}
			}
		}
	}
}

// stop ends run when everything that waits is written.
func (l *letters) stop(ctx context.Context) {
	close(l.quit)
	select {
	case <-l.ended:
	case <-ctx.Done():
	}
}

func (l *letters) write(first workflow.DeadLetter) {
	batch := []workflow.DeadLetter{first}
	for more := true; more && len(batch) < LetterBatch; {
		select {
		case next := <-l.waiting:
			batch = append(batch, next)
		default:
			more = false
		}
	}
	for i := range batch {
		if batch[i].Cause == workflow.CauseFinished {
			batch[i].Near = l.system.closedOf(&batch[i])
		}
	}
	written := make(chan error, 1)
	l.system.Store.KeepLetters(batch, func(err error) { written <- err })
	if err := <-written; err != nil {
		l.system.Logger.Warn("dead letters of refused messages could not be kept", "letters", len(batch), "err", err)
		l.drop(len(batch))
		return
	}
	for i := range batch {
		l.system.Observer.Buried(batch[i].Cause)
	}
}

// bury says of an event that nobody took why, and what it missed nearly.
func (f *fanout) bury() {
	r := f.receipt
	at := now()
	r.Cause, r.Near = f.cause(), f.near(at)
	r.Steps = append(r.Steps, workflow.Step{At: at, What: "dead", Reason: r.Reason})
	f.system.Observer.Buried(r.Cause)
}

func (f *fanout) cause() workflow.Cause {
	broken := 0
	for _, d := range f.receipt.Deliveries {
		if d.Outcome != "ignored" && d.Outcome != "passed" {
			broken++
		}
	}
	switch {
	case broken > f.invalid:
		return workflow.CauseListenerFailed
	case f.invalid > 0:
		return workflow.CausePayloadInvalid
	case f.receipt.Counts.Passed > 0 || len(f.receipt.Deliveries) > 0:
		return workflow.CauseNotTaken
	}
	return workflow.CauseUnmatched
}

// near finds what almost took the event: the last listener that did not, a wait
// that has just closed, or a name that is spelled nearly so.
func (f *fanout) near(at workflow.Instant) *workflow.NearMiss {
	ev := &f.receipt.Event
	if f.missed != nil {
		if def, err := f.system.Catalog.Version(f.missed.Definition); err == nil {
			sig := workflow.Signal{ID: ev.ID, Name: ev.Name, Payload: ev.Payload, CorrelationID: ev.CorrelationID, ReceivedAt: ev.ReceivedAt}
			if near := workflow.Missed(def, f.missed, sig); near != nil {
				return near
			}
		}
	}
	for _, d := range f.receipt.Deliveries {
		if d.Reason != "" {
			return &workflow.NearMiss{ExecID: d.ExecID, Wait: d.WaitID, Reason: "the " + d.Kind + " of " + d.WorkflowID + " " + d.Outcome + " it: " + d.Reason}
		}
	}
	if near := f.system.lastClosed(ev.Name, at); near != nil {
		return near
	}
	if near := workflow.Nearest(ev.Name, f.system.Catalog.Names()); near != "" {
		return workflow.NearName(near, ev.Name)
	}
	return nil
}

// noLetter is the refusal of a dead letter that is not there.
func noLetter(id string) *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeNoLetter,
		Message: "there is no dead letter " + quote(id),
		Hint:    "it was redelivered, discarded or dropped meanwhile; GET /api/v0/deadletters lists those that are kept",
		Details: map[string]any{"id": id},
	}
}

// reopens reports whether a signal takes up its dead letter: what became of it
// before may be taken back, and it is the same one.
func reopens(first *workflow.Receipt, sig *workflow.Signal) bool {
	return sig.Redelivered && (first.Fate == workflow.FateDead || first.Fate == workflow.FateExpired) && first.Digest == sig.Digest()
}
