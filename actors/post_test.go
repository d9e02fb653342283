package actors_test

import (
	"context"
	"fmt"
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
