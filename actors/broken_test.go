package actors_test

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// defective is an observer with a defect: it panics once at the end of a turn, when it is told.
type defective struct {
	silent
	once   sync.Once
	armed  chan struct{}
	breaks chan struct{}
}

func (b *defective) Turn(int, time.Duration) {
	select {
	case <-b.armed:
		b.once.Do(func() { <-b.breaks; panic("a defect of the test") })
	default:
	}
}

// TestWhatCameForASeatThatBrokeIsAnswered: it lay behind the message that broke it, and its
// sender has no bound of his own.
func TestWhatCameForASeatThatBrokeIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		o := &defective{armed: make(chan struct{}), breaks: make(chan struct{})}
		s := actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: o, Logger: slog.New(slog.DiscardHandler)})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.begin(s, def, "x"); err != nil {
			t.Fatal(err)
		}
		close(o.armed)
		s.Tell(&actors.Deliver{ExecID: "x"})
		synctest.Wait()
		answered := make(chan actors.Reply, 1)
		s.Tell(&actors.Deliver{ExecID: "x", Reply: func(r actors.Reply) { answered <- r }})
		close(o.breaks)
		settles()
		select {
		case r := <-answered:
			if r.Err != nil || r.State.Status != workflow.Waiting {
				t.Errorf("it is answered with %+v", r)
			}
		default:
			t.Error("it is not answered")
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// leaving is an observer in whom a fan-out that has settled its event stands still.
type leaving struct {
	silent
	once sync.Once
	dead func()
}

func (l *leaving) Event(outcome string) {
	if outcome == string(workflow.FateDead) {
		l.once.Do(l.dead)
	}
}

// TestAnEventIsRedeliveredBeforeItsFanOutHasLeft: the dead letter is there already.
func TestAnEventIsRedeliveredBeforeItsFanOutHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("w", nil)
		w := newWorld(t, def)
		defer w.store.Close()
		var s *actors.System
		o := &leaving{dead: func() {
			if err := w.begin(s, def, "x"); err != nil {
				t.Error(err)
			}
			if r, err := s.Redeliver(t.Context(), workflow.LetterID(workflow.KindEvent, "", "e"), workflow.Redeliverer{}); err != nil || r.Fate != workflow.FateAccepted {
				t.Errorf("redelivered: %+v, %v", r, err)
			}
			time.Sleep(time.Millisecond) // virtual: the router hears of it
		}}
		s = actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: w, Observer: o, Logger: slog.New(slog.DiscardHandler)})
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.post(s, "e", "", 0)
		settles()
		if r, err := w.store.Event(t.Context(), "e"); err != nil || r.Fate != workflow.FateConsumed || w.status("x") != workflow.Success {
			t.Errorf("the event is %+v, %v, and who waited for it is %s", r, err, w.status("x"))
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
