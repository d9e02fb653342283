package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Fault is what happens to one write or read.
type Fault int

// The faults. Every one but Conflict and None answers persistence.ErrUnavailable.
const (
	None     Fault = iota // nothing: the store does what it is asked
	Refused               // the write is not made, and its answer says that it failed
	Lost                  // the write is made, but its answer says that it failed
	Delayed               // the write is made, its answer comes late
	Conflict              // the write is not made, and its answer says that another owner was there
)

// Odds say how likely each fault is, between 0 and 1, when none is scripted.
type Odds struct {
	Refused, Lost, Delayed, Conflict float64 // of a write
	Reads                            float64 // of a read to fail
	Delay                            time.Duration
}

// ErrFault is the cause inside every failure that Faulty makes up.
var ErrFault = errors.New("a fault that a test asked for")

// maxScript bounds the faults that wait for their turn.
const maxScript = 10_000

// Faulty is a store that fails on purpose. Answers stay in the order of the
// writes, as the contract says, late ones too. It is safe for many goroutines.
type Faulty struct {
	persistence.Store

	mu      sync.Mutex
	rng     *rand.Rand
	odds    Odds
	script  []Fault
	counts  map[Fault]int
	down    error
	answers chan func() // in the order of the writes
	ended   chan struct{}
	gate    sync.RWMutex // held for writing when no answer can be queued any more
	closed  bool
	once    sync.Once
	closing error
}

// NewFaulty wraps a store. The seed decides which faults happen by odds; equal
// seeds and equal calls give equal faults.
func NewFaulty(s persistence.Store, seed uint64, odds Odds) *Faulty {
	f := &Faulty{
		Store: s, rng: rand.New(rand.NewPCG(seed, seed)), odds: odds, counts: map[Fault]int{},
		answers: make(chan func(), maxScript), ended: make(chan struct{}),
	}
	go func() {
		defer close(f.ended)
		for answer := range f.answers {
			answer()
		}
	}()
	return f
}

// Script says what happens to the next writes, in order; after them the odds decide again.
func (f *Faulty) Script(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = append(f.script, faults...)[:min(len(f.script)+len(faults), maxScript)]
}

// SetOdds changes the odds; the zero Odds heal the store.
func (f *Faulty) SetOdds(o Odds) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odds = o
}

// Break makes every write and read fail with a cause until it is called with nil.
func (f *Faulty) Break(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = cause
}

// Count is how often a fault happened.
func (f *Faulty) Count(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[fault]
}

// decide draws what happens to a write.
func (f *Faulty) decide() (Fault, time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault, cause := None, ErrFault
	switch {
	case f.down != nil:
		fault, cause = Refused, f.down
	case len(f.script) > 0:
		fault, f.script = f.script[0], f.script[1:]
	default:
		p := f.rng.Float64()
		for _, o := range []struct {
			fault Fault
			odds  float64
		}{{Refused, f.odds.Refused}, {Lost, f.odds.Lost}, {Delayed, f.odds.Delayed}, {Conflict, f.odds.Conflict}} {
			if p < o.odds {
				fault = o.fault
				break
			}
			p -= o.odds
		}
	}
	f.counts[fault]++
	return fault, f.odds.Delay, cause
}

// write passes a write on, or not, and answers as the fault says. It keeps the
// order: the answer of the store is waited for by the one who answers.
func (f *Faulty) write(pass func(done func(error)), answer func(error)) {
	fault, delay, cause := f.decide()
	if fault == Refused || fault == Conflict {
		err := fmt.Errorf("%w: %w", persistence.ErrUnavailable, cause)
		if fault == Conflict {
			err = fmt.Errorf("%w: %w", persistence.ErrConflict, cause)
		}
		f.later(func() { answer(err) })
		return
	}
	real := make(chan error, 1)
	pass(func(err error) { real <- err })
	f.later(func() {
		err := <-real
		if fault == Delayed {
			time.Sleep(delay)
		}
		if fault == Lost && err == nil {
			err = fmt.Errorf("%w: the answer was lost: %w", persistence.ErrUnavailable, cause)
		}
		answer(err)
	})
}

// later queues an answer; after Close it is given at once.
func (f *Faulty) later(answer func()) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.closed {
		answer()
		return
	}
	f.answers <- answer
}

// Submit passes a commit on, or not.
func (f *Faulty) Submit(c *persistence.Commit) {
	copied := *c
	f.write(func(done func(error)) {
		copied.Done = done
		f.Store.Submit(&copied)
	}, c.Done)
}

// Unawaited asks the store, when that is persistence.Sole.
func (f *Faulty) Unawaited(name string) bool {
	sole, ok := f.Store.(persistence.Sole)
	return ok && sole.Unawaited(name)
}

// AcceptEvent passes an event on, or not.
func (f *Faulty) AcceptEvent(ev workflow.Event, done func(*workflow.EventReceipt, bool, error)) {
	var stored *workflow.EventReceipt
	var known bool
	f.write(func(real func(error)) {
		f.Store.AcceptEvent(ev, func(r *workflow.EventReceipt, k bool, err error) {
			stored, known = r, k
			real(err)
		})
	}, func(err error) {
		if err != nil {
			done(nil, false, err)
			return
		}
		done(stored, known, nil)
	})
}

// SettleEvent passes a receipt on, or not.
func (f *Faulty) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	f.write(func(real func(error)) { f.Store.SettleEvent(was, r, real) }, done)
}

// ReleaseEvent passes a receipt on, or not.
func (f *Faulty) ReleaseEvent(r *workflow.EventReceipt, done func(error)) {
	f.write(func(real func(error)) { f.Store.ReleaseEvent(r, real) }, done)
}

// PutDocument passes a document on, or not.
func (f *Faulty) PutDocument(ctx context.Context, kind, id string, body []byte) error {
	answer := make(chan error, 1)
	f.write(func(real func(error)) { real(f.Store.PutDocument(ctx, kind, id, body)) }, func(err error) { answer <- err })
	return <-answer
}

// ReplaceDocument passes a document on, or not.
func (f *Faulty) ReplaceDocument(ctx context.Context, kind, id string, was, body []byte) error {
	answer := make(chan error, 1)
	f.write(func(real func(error)) { real(f.Store.ReplaceDocument(ctx, kind, id, was, body)) }, func(err error) { answer <- err })
	return <-answer
}

// Sweep passes on, or not.
func (f *Faulty) Sweep(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	return f.count(func() (int, error) { return f.Store.Sweep(ctx, before, limit) })
}

// count is a write that answers with a number.
func (f *Faulty) count(pass func() (int, error)) (int, error) {
	answer := make(chan error, 1)
	count := 0
	f.write(func(real func(error)) {
		n, err := pass()
		count = n
		real(err)
	}, func(err error) { answer <- err })
	if err := <-answer; err != nil {
		return 0, err
	}
	return count, nil
}

// KeepLetters passes dead letters on, or not.
func (f *Faulty) KeepLetters(letters []workflow.DeadLetter, done func(error)) {
	f.write(func(real func(error)) { f.Store.KeepLetters(letters, real) }, done)
}

// DropLetters passes on, or not.
func (f *Faulty) DropLetters(ctx context.Context, ids []string) (int, error) {
	return f.count(func() (int, error) { return f.Store.DropLetters(ctx, ids) })
}

// SweepLetters passes on, or not.
func (f *Faulty) SweepLetters(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	return f.count(func() (int, error) { return f.Store.SweepLetters(ctx, before, limit) })
}

// Health says when the store was broken by Break.
func (f *Faulty) Health() error {
	f.mu.Lock()
	down := f.down
	f.mu.Unlock()
	if down != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, down)
	}
	return f.Store.Health()
}

// Close closes the store below after all answers were given.
func (f *Faulty) Close() error {
	f.once.Do(func() {
		f.closing = f.Store.Close()
		f.gate.Lock()
		f.closed = true
		close(f.answers)
		f.gate.Unlock()
		<-f.ended
	})
	return f.closing
}

// read fails a read, or not.
func (f *Faulty) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, f.down)
	}
	if f.odds.Reads > 0 && f.rng.Float64() < f.odds.Reads {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, ErrFault)
	}
	return nil
}
