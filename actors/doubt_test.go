package actors_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// TestWhatFollowsACommitWhoseAnswerWasLost: the start is in the store and its
// sender heard that it failed. Its task is done all the same, and its timer fires,
// without a restart and whether the sender tries again or not.
func TestWhatFollowsACommitWhoseAnswerWasLost(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Lost, storetest.Refused} {
		bubble(t, func(t *testing.T) {
			work := &workflow.Definition{ID: "work", Hash: "work-hash", Roots: []string{"do"}, Tasks: []*workflow.Task{
				{ID: "do", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("x")}},
			}}
			timed := waiting("timed", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("1m") })
			w := newWorld(t, work.Link(), timed)
			faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
			s, stop := w.start(faulty)
			defer func() {
				stop()
				if err := faulty.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, def := range []*workflow.Definition{work, timed} {
				faulty.Script(fault)
				if err := w.begin(s, def, def.ID); code(err) != workflow.CodeStoreUnavailable {
					t.Fatalf("the sender of a start was told %v", err)
				}
				synctest.Wait()
			}
			time.Sleep(2 * time.Minute) // virtual
			synctest.Wait()
			for _, id := range []string{"work", "timed"} {
				snapshot, err := w.store.Load(t.Context(), id)
				if fault == storetest.Lost && (err != nil || !snapshot.State.Status.Finished()) {
					t.Errorf("%s does not go on: %+v, %v", id, snapshot, err)
				}
				if fault == storetest.Refused && err == nil {
					t.Errorf("%s is there, and its start was refused", id)
				}
			}
		})
	}
}

// TestAnEventWhoseAnswerWasLostIsFannedOut, also when its sender does not try again.
func TestAnEventWhoseAnswerWasLostIsFannedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("listening", func(d *workflow.Definition) { d.Triggers = []workflow.Trigger{{Name: "rain"}} })
		w := newWorld(t, def)
		faulty := storetest.NewFaulty(w.store, 1, storetest.Odds{})
		s, stop := w.start(faulty)
		defer func() {
			stop()
			if err := faulty.Close(); err != nil {
				t.Error(err)
			}
		}()
		faulty.Script(storetest.Lost)
		_, _, err := s.Event(t.Context(), workflow.Event{ID: "e", Name: "rain", ReceivedAt: stamp().At})
		if code(err) != workflow.CodeStoreUnavailable {
			t.Fatalf("the sender was told %v", err)
		}
		time.Sleep(time.Minute) // virtual
		synctest.Wait()
		if r, err := w.store.Event(t.Context(), "e"); err != nil || r.Fate != workflow.FateConsumed {
			t.Fatalf("its receipt says %+v, %v", r, err)
		}
	})
}

// unsighted is a store that loses sight of what it has, and says that it is not well
// until it sees it again.
type unsighted struct {
	persistence.Store
	next, ill atomic.Bool
}

func (f *unsighted) Submit(c *persistence.Commit) {
	if !f.next.CompareAndSwap(true, false) {
		f.Store.Submit(c)
		return
	}
	f.ill.Store(true)
	copied := *c
	copied.Done = func(error) { c.Done(f.Health()) }
	f.Store.Submit(&copied)
}

func (f *unsighted) Load(ctx context.Context, execID string) (*persistence.Snapshot, error) {
	if f.ill.Load() {
		return nil, persistence.ErrNotFound
	}
	return f.Store.Load(ctx, execID)
}

func (f *unsighted) Health() error {
	if f.ill.Load() {
		return persistence.ErrUnavailable
	}
	return f.Store.Health()
}

// TestWhatIsNotFoundInAnIllStoreIsLookedForAgain: an execution whose start was not
// answered and that is not there goes on when the store is well and it is there.
func TestWhatIsNotFoundInAnIllStoreIsLookedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		work := &workflow.Definition{ID: "work", Hash: "work-hash", Roots: []string{"do"}, Tasks: []*workflow.Task{
			{ID: "do", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("x")}},
		}}
		w := newWorld(t, work.Link())
		store := &unsighted{Store: w.store}
		s, stop := w.start(store)
		defer func() {
			stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		store.next.Store(true)
		if err := w.begin(s, work, "work"); code(err) != workflow.CodeStoreUnavailable {
			t.Fatalf("the sender of a start was told %v", err)
		}
		time.Sleep(time.Minute) // virtual
		store.ill.Store(false)
		time.Sleep(time.Minute) // virtual
		synctest.Wait()
		if snapshot, err := w.store.Load(t.Context(), "work"); err != nil || !snapshot.State.Status.Finished() {
			t.Errorf("it does not go on: %+v, %v", snapshot, err)
		}
	})
}
