package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// Signals come from several senders while the execution that they are for finishes
// and leaves memory: one of them ends it, and each sender hears what became of his.
func TestEverySenderIsAnsweredWhileExecutionsLeave(t *testing.T) {
	const executions, senders = 300, 6
	def := waiting("w", nil)
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var consumed, finished atomic.Int64
	for i := range executions {
		id := fmt.Sprint("x", i)
		if err := w.begin(s, def, id); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for k := range senders {
			all.Go(func() {
				in := workflow.Signalled{Stamp: stamp(), Signal: workflow.Signal{ID: fmt.Sprint(id, "-", k), ExecID: id, Name: "go", ReceivedAt: stamp().At}}
				switch r, err := s.Ask(ctx, &actors.Deliver{ExecID: id, Input: in}); {
				case err == nil && r.Answer.Outcome == workflow.Delivered:
					consumed.Add(1)
				case code(err) == workflow.CodeFinished:
					finished.Add(1)
				default:
					t.Errorf("signal %d to %s was answered %+v, %v", k, id, r.Answer, err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			break
		}
	}
	if consumed.Load() != executions || finished.Load() != executions*(senders-1) {
		t.Errorf("%d signals ended %d executions, %d found them finished", consumed.Load(), executions, finished.Load())
	}
	stop()
}

// The owner changes and changes back while senders signal executions, which are in
// memory, leave it or come back: every sender hears something, and nobody is left who
// cannot be reached.
func TestEverySenderIsAnsweredWhileOwnersChange(t *testing.T) {
	const executions, senders = 12, 6
	def := looping()
	w := newWorld(t, def)
	peers := new(solo)
	peers.owns.Store(true)
	s := actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range executions {
		if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	over := make(chan struct{})
	var all sync.WaitGroup
	var delivered, answered atomic.Int64
	for k := range senders {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				id := fmt.Sprint("x", (n+k)%executions)
				if r, err := w.signalWithin(ctx, s, id, fmt.Sprint(k, "-", n)); err == nil && r.Answer.Outcome == workflow.Delivered {
					delivered.Add(1)
				} else if code(err) == workflow.CodeTimeout {
					t.Errorf("signal %d to %s was not answered: %v", n, id, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for i := range 300 {
		peers.owns.Store(i%2 != 0)
		s.LetGo()
		for until := answered.Load() + 2*senders; answered.Load() < until && ctx.Err() == nil; {
			runtime.Gosched()
		}
	}
	close(over)
	all.Wait()
	for i := range executions {
		if r, err := w.signalWithin(ctx, s, fmt.Sprint("x", i), "last"); err != nil {
			t.Errorf("x%d answers %+v, %v", i, r.Answer, err)
		}
	}
	if delivered.Load() == 0 {
		t.Error("no signal was delivered meanwhile")
	}
	if err := s.Stop(ctx); err != nil {
		t.Errorf("it does not stop: %v", err)
	}
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
}
