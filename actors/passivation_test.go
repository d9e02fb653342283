package actors_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

func TestIdleExecutionsLeaveMemoryAndComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := looping()
		w := newWorld(t, def)
		s, stop := w.start(w.store)
		for i := range 100 {
			if err := w.begin(s, def, fmt.Sprint("x", i)); err != nil {
				t.Fatal(err)
			}
		}
		if live := s.Live(t.Context()); live != 100 {
			t.Fatalf("%d executions are in memory", live)
		}
		left := startAlone(t, w, s)
		time.Sleep(actors.IdleAfter + 3*actors.SweepEvery)
		if live := s.Live(t.Context()); live != 0 || s.Passivated() != 101 {
			t.Fatalf("%d idle executions are in memory, %d left it", live, s.Passivated())
		}
		for range 3 { // pools give up what they hold at the second collection
			runtime.GC()
		}
		if left.Value() != nil {
			t.Error("an execution that has left memory is still held by something")
		}
		if r, err := w.signal(s, "x7", "s", "go"); err != nil || r.Answer.Outcome != workflow.Delivered {
			t.Fatalf("a passivated execution answered %+v, %v", r.Answer, err)
		}
		stop()
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// startAlone starts an execution on a definition that nobody else has, so that it
// tells when the execution is gone.
func startAlone(t *testing.T, w *world, s *actors.System) weak.Pointer[workflow.Definition] {
	t.Helper()
	def := looping()
	if err := w.begin(s, def, "alone"); err != nil {
		t.Fatal(err)
	}
	return weak.Make(def)
}
