package storetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

func newFaulty(t *testing.T, seed uint64, odds storetest.Odds) *storetest.Faulty {
	t.Helper()
	s, err := embedded.Open("/data", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	f := storetest.NewFaulty(s, seed, odds)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func start(s persistence.Store, id string) <-chan error {
	answer := make(chan error, 1)
	s.Submit(&persistence.Commit{
		ExecID: id, Epoch: 1, Done: func(err error) { answer <- err },
		Now: &workflow.State{ExecID: id, Version: 1, Status: workflow.Running},
	})
	return answer
}

// TestFaultyPassesTheSuite: without faults the wrapper is a store like any other.
func TestFaultyPassesTheSuite(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Opener {
		fs := vfs.NewMem()
		return func() (persistence.Store, error) {
			s, err := embedded.Open("/data", embedded.Options{FS: fs})
			if err != nil {
				return nil, err
			}
			return storetest.NewFaulty(s, 1, storetest.Odds{}), nil
		}
	})
}

func TestFaultyScript(t *testing.T) {
	f := newFaulty(t, 1, storetest.Odds{})
	f.Script(storetest.None, storetest.Refused, storetest.Lost, storetest.Conflict)
	for i, want := range []struct {
		err    error
		stored bool
	}{{nil, true}, {persistence.ErrUnavailable, false}, {persistence.ErrUnavailable, true}, {persistence.ErrConflict, false}, {nil, true}} {
		id := fmt.Sprintf("e%d", i)
		if err := <-start(f, id); !errors.Is(err, want.err) {
			t.Errorf("write %d: got error %v, want %v", i, err, want.err)
		}
		_, err := f.Load(t.Context(), id)
		if stored := err == nil; stored != want.stored {
			t.Errorf("write %d: stored %v, want %v", i, stored, want.stored)
		}
	}
	f.Break(errors.New("unplugged"))
	if err := <-start(f, "e9"); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("write to a broken store: got error %v", err)
	}
	if _, err := f.Load(t.Context(), "e0"); !errors.Is(err, persistence.ErrUnavailable) || f.Health() == nil {
		t.Errorf("read of a broken store: got error %v, health %v", err, f.Health())
	}
	f.Break(nil)
	if err := <-start(f, "e9"); err != nil || f.Health() != nil {
		t.Errorf("write after the break: %v, health %v", err, f.Health())
	}
}

// TestFaultySeed: equal seeds fail alike, and about as often as the odds say.
func TestFaultySeed(t *testing.T) {
	odds := storetest.Odds{Refused: 0.2, Lost: 0.1, Delayed: 0.1, Conflict: 0.1}
	var runs [2]string
	for run := range runs {
		f := newFaulty(t, 42, odds)
		var answers []<-chan error
		for i := range 400 {
			answers = append(answers, start(f, fmt.Sprintf("e%d", i)))
		}
		for _, answer := range answers {
			err := <-answer
			runs[run] += fmt.Sprint(err == nil, errors.Is(err, persistence.ErrConflict), " ")
		}
		if n := f.Count(storetest.Refused); n < 40 || n > 120 {
			t.Errorf("%d of 400 writes were refused at odds of 0.2", n)
		}
	}
	if runs[0] != runs[1] {
		t.Error("two runs of one seed failed differently")
	}
}
