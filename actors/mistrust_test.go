package actors_test

import (
	"log/slog"
	"testing"
	"testing/synctest"

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
				peers := new(solo)
				peers.owns.Store(true)
				before := actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: busy{w}, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
				if err := before.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				owner := w.startPeer(w.store)
				defer func() {
					if err := before.Stop(t.Context()); err != nil {
						t.Error(err)
					}
					if err := owner.Stop(t.Context()); err != nil {
						t.Error(err)
					}
				}()
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
