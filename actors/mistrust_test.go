package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// busy begins every task and never ends one.
type busy struct{ *world }

func (busy) Run(workflow.RunTask, func(workflow.Input)) {}

// TestANewOwnerTakesWhatTheOneBeforeHasBegun: it has read the execution when it became
// the owner, or has been the owner once before and committed, and the owner before
// commits once more, with a task that it begins. Its result comes to the new owner; or,
// when the node goes first, the new owner is told to do what is outstanding.
func TestANewOwnerTakesWhatTheOneBeforeHasBegun(t *testing.T) {
	done := workflow.TaskDone{Task: "do", Run: 1, Attempt: 1}
	for name, c := range map[string]struct {
		again bool // the new owner has begun the execution
		input workflow.Input
	}{
		"its result comes home":                       {input: done},
		"its node has gone with it":                   {},
		"its result comes to one who was it before":   {again: true, input: done},
		"it has gone, and one who was it is it again": {again: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				def := waiting("w", func(d *workflow.Definition) {
					d.Tasks[0].OnSuccess = literal("do")
					d.Tasks = append(d.Tasks, &workflow.Task{
						ID: "do", Kind: workflow.Basic, OnSuccess: literal("hold"), Work: &workflow.Work{Executor: "tool", Request: literal("x")},
					})
				})
				w := newWorld(t, def)
				defer w.store.Close()
				before := w.startPeerWith(w.store, busy{w})
				owner := w.startPeer(w.store)
				defer stops(t, before, owner)
				first := before
				if c.again {
					first = owner
				}
				if err := w.begin(first, def, "x"); err != nil {
					t.Fatal(err)
				}
				owner.Tell(&actors.Deliver{ExecID: "x", Reply: func(actors.Reply) {}})
				synctest.Wait()
				if _, err := w.signal(before, "x", "s1", "go"); err != nil {
					t.Fatal(err)
				}
				if got := w.status("x"); got != workflow.Running {
					t.Fatalf("the task has not begun: the execution is %s", got)
				}
				if c.again {
					if err := owner.Rebalance(t.Context(), false); err != nil {
						t.Fatal(err)
					}
				}
				if done, ok := c.input.(workflow.TaskDone); ok {
					done.Stamp = stamp()
					c.input = done
				}
				owner.Tell(&actors.Deliver{ExecID: "x", Input: c.input, Reply: func(actors.Reply) {}})
				settles()
				if got := w.status("x"); got != workflow.Waiting {
					t.Errorf("the execution is %s, want it to wait again", got)
				}
			})
		})
	}
}

// stops ends nodes.
func stops(t *testing.T, nodes ...*actors.System) {
	t.Helper()
	for _, s := range nodes {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestANewOwnerTakesATimerOfTheOneBefore: the owner before commits once more and begins
// a wait with a deadline, and his alarm comes to the new owner.
func TestANewOwnerTakesATimerOfTheOneBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", func(d *workflow.Definition) {
			d.Awaits = append(d.Awaits, "on")
			d.Tasks[0].OnSuccess = literal("rest")
			d.Tasks = append(d.Tasks, &workflow.Task{
				ID: "rest", Kind: workflow.Wait, Timeout: literal("1s"), OnTimeout: "hold",
				Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("on")}},
			})
		})
		w := newWorld(t, def)
		defer w.store.Close()
		before, owner := w.startPeer(w.store), w.startPeer(w.store)
		defer stops(t, owner)
		if err := w.begin(before, def, "x"); err != nil {
			t.Fatal(err)
		}
		owner.Tell(&actors.Deliver{ExecID: "x", Reply: func(actors.Reply) {}})
		synctest.Wait()
		if _, err := w.signal(before, "x", "s1", "go"); err != nil {
			t.Fatal(err)
		}
		stops(t, before) // his own alarms are silent now
		snapshot, err := w.store.Load(t.Context(), "x")
		if err != nil || len(snapshot.State.Timers) != 1 {
			t.Fatalf("the deadline is not there: %v", err)
		}
		timer := snapshot.State.Timers[0]
		time.Sleep(time.Second) // virtual, and it is in memory still
		owner.Tell(&actors.Deliver{ExecID: "x", Input: workflow.TimerFired{Stamp: stamp(), Timer: timer.ID}, Reply: func(actors.Reply) {}})
		settles()
		if snapshot, err = w.store.Load(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if waits := snapshot.State.Waits; len(waits) != 1 || waits[0].Task != "hold" {
			t.Errorf("the deadline has passed, and it waits for %+v", waits)
		}
	})
}
