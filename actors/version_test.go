package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// shelf is a catalog whose versions cannot be had for a while.
type shelf struct {
	*world
	why  error
	shut atomic.Bool
}

func (s *shelf) Version(hash string) (*workflow.Definition, error) {
	if s.shut.Load() {
		return nil, fmt.Errorf("definition %.12s: %w", hash, s.why)
	}
	return s.world.Version(hash)
}

// TestAVersionThatCannotBeReadForAMoment: the store does not give the definition of an
// execution, whose sender is told to try again, and whose deadline comes as soon as the
// store does. A definition that is not there, or does not compile, is another matter.
func TestAVersionThatCannotBeReadForAMoment(t *testing.T) {
	for name, c := range map[string]struct {
		why   error
		code  string
		after workflow.Status
	}{
		"the store is not available": {fmt.Errorf("%w: the disk is gone", persistence.ErrUnavailable), workflow.CodeStoreUnavailable, workflow.TimedOut},
		"the store takes too long":   {context.DeadlineExceeded, workflow.CodeStoreUnavailable, workflow.TimedOut},
		"the store is closed":        {persistence.ErrClosed, workflow.CodeStoreUnavailable, workflow.TimedOut},
		"it is not there":            {persistence.ErrNotFound, workflow.CodeQuarantined, workflow.Waiting},
		"it does not compile":        {errors.New("line 1: it makes no sense"), workflow.CodeQuarantined, workflow.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { versionUnread(t, c.why, c.code, c.after) })
		})
	}
}

func versionUnread(t *testing.T, why error, want string, after workflow.Status) {
	def := waiting("deadline", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("1m") })
	w := newWorld(t, def)
	defer w.store.Close()
	s, stop := w.start(w.store)
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	stop()
	catalog := &shelf{world: w, why: why}
	catalog.shut.Store(true)
	s = actors.NewSystem(actors.Options{Store: w.store, Catalog: catalog, Hands: w, Observer: silent{}, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signal(s, "x", "s", "go"); code(err) != want {
		t.Errorf("its sender is told %v, want %s", err, want)
	}
	time.Sleep(2 * time.Minute) // virtual: the deadline comes meanwhile
	catalog.shut.Store(false)
	time.Sleep(actors.AlarmWindow)
	if got := w.status("x"); got != after {
		t.Errorf("the version can be read again, and the execution is %s, want %s", got, after)
	}
	stops(t, s)
	letters, err := w.store.Letters(t.Context(), workflow.LetterQuery{Limit: 10})
	if buried := want == workflow.CodeQuarantined; err != nil || len(letters.Items) == 1 != buried {
		t.Errorf("%d dead letters, %v, want one: %t", len(letters.Items), err, buried)
	}
}
