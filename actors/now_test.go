package actors_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// chain does one task after another with an executor.
func chain(executor string, next string) *workflow.Definition {
	task := func(id string, after ...string) *workflow.Task {
		return &workflow.Task{ID: id, Kind: workflow.Basic, After: after, Work: &workflow.Work{Executor: executor, Request: literal(id)}}
	}
	d := &workflow.Definition{ID: executor, Hash: executor + "-hash", Roots: []string{"a"}, Tasks: []*workflow.Task{task("a"), task("b", "a")}}
	if next != "" {
		d.Tasks[1].OnSuccess = literal(next)
	}
	return d.Link()
}

func TestWorkWithoutAnEffectIsPartOfTheTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pure, tool := chain("pure", ""), chain("tool", "")
		w := newWorld(t, pure, tool)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		var histories [2][]string
		var commits [2]uint64
		for i, def := range []*workflow.Definition{pure, tool} {
			before := w.store.Stats().Commits
			if err := w.begin(s, def, def.ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // virtual
			synctest.Wait()
			commits[i] = w.store.Stats().Commits - before
			records, err := w.store.Records(t.Context(), def.ID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				histories[i] = append(histories[i], r.Type+" "+r.Task)
			}
			if got := w.status(def.ID); got != workflow.Success {
				t.Errorf("%s is %s", def.ID, got)
			}
		}
		if commits != [2]uint64{1, 3} {
			t.Errorf("%d commits within the turn and %d through the pool", commits[0], commits[1])
		}
		if !slices.Equal(histories[0], histories[1]) {
			t.Errorf("the history is %v and through the pool %v", histories[0], histories[1])
		}
		working, err := w.store.Working(t.Context(), "", 10)
		if err != nil || len(working) != 0 {
			t.Errorf("at work: %v, %v", working, err)
		}
	})
}

// TestWorkThatGoesRoundCanBeStopped although none of it waits for anything.
func TestWorkThatGoesRoundCanBeStopped(t *testing.T) {
	round := chain("pure", "a")
	w := newWorld(t, round)
	defer w.store.Close()
	s, stop := w.start(w.store)
	defer stop()
	if err := w.begin(s, round, "x"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Ask(t.Context(), &actors.Deliver{ExecID: "x", Input: workflow.CancelAsked{Stamp: stamp()}})
	if err != nil || r.State.Status != workflow.Canceled {
		t.Fatalf("%+v, %v", r, err)
	}
}
