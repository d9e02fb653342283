package actors_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// spoiled is a store in which the row of an event becomes damaged while the node runs. It
// lists the event still, as it did a moment before.
type spoiled struct {
	persistence.Store
	mu     sync.Mutex
	event  string
	settle string // one that becomes damaged once it is settled
	tries  int    // reads and writes of what is damaged
	rounds int    // reads of all open events
}

func (s *spoiled) spoil(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event = event
}

func (s *spoiled) try(event string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if event != s.event {
		return nil
	}
	s.tries++
	return fmt.Errorf("%w: event %q: %w", persistence.ErrUnavailable, event, persistence.ErrDamaged)
}

// tried is how often the event was read or written since the last time.
func (s *spoiled) tried() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, s.tries = s.tries, 0
	return n
}

// looked is the same of all open events.
func (s *spoiled) looked() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, s.rounds = s.rounds, 0
	return n
}

func (s *spoiled) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	if err := s.try(id); err != nil {
		return nil, err
	}
	return s.Store.Event(ctx, id)
}

func (s *spoiled) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	if err := s.try(r.Event.ID); err != nil {
		done(err)
		return
	}
	s.Store.SettleEvent(was, r, func(err error) {
		if r.Event.ID == s.settle {
			s.spoil(s.settle)
		}
		done(err)
	})
}

func (s *spoiled) ReleaseEvent(r *workflow.EventReceipt, done func(error)) {
	if err := s.try(r.Event.ID); err != nil {
		done(err)
		return
	}
	s.Store.ReleaseEvent(r, done)
}

func (s *spoiled) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	s.mu.Lock()
	s.rounds++
	s.mu.Unlock()
	return s.Store.OpenEvents(ctx, after, limit)
}

// pages is a log that can be read while it is written.
type pages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// of is what the log says of an event.
func (p *pages) of(event string) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(p.text.String()) {
		if strings.Contains(line, "event_id="+event+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// onSpoiled is a system on a store in which that event is damaged from now on.
func onSpoiled(t *testing.T, event string, defs ...*workflow.Definition) (*world, *spoiled, *actors.System, *pages) {
	t.Helper()
	w, log := newWorld(t, defs...), new(pages)
	store := &spoiled{Store: w.store, event: event}
	s := actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: w, Observer: silent{}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settles()
	store.looked()
	return w, store, s, log
}

// TestAKeptEventThatBecomesDamagedIsLeftAlone: it is not tried again and again, is named
// in the log once, and those behind it are taken and expire.
func TestAKeptEventThatBecomesDamagedIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w, store, s, log := onSpoiled(t, "none", def)
		defer w.store.Close()
		w.post(s, "bad", "A", time.Hour)
		w.fate("bad", workflow.FateBuffered)
		time.Sleep(time.Millisecond) // virtual
		w.post(s, "good", "A", 2*time.Hour)
		w.fate("good", workflow.FateBuffered)
		w.post(s, "last", "B", 3*time.Hour)
		settles()
		store.spoil("bad")
		s.FanOut("bad") // somebody has decided something of it
		settles()
		if n := store.tried(); n != 1 {
			t.Errorf("it was tried %d times when somebody had decided something of it", n)
		}
		if n := store.looked(); n != 0 {
			t.Errorf("all open events were read %d times for it", n)
		}
		if err := w.beginOrder(s, def, "x", "A"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // virtual
		if r, err := w.store.Event(t.Context(), "good"); err != nil || r.Fate != workflow.FateConsumed || w.status("x") != workflow.Success {
			t.Errorf("the one behind it is %+v, %v, and who waits for it is %s", r, err, w.status("x"))
		}
		if n := store.tried(); n != 1 {
			t.Errorf("it was tried %d times when it was offered", n)
		}
		time.Sleep(4 * time.Hour) // virtual
		if r, err := w.store.Event(t.Context(), "last"); err != nil || r.Fate != workflow.FateExpired {
			t.Errorf("one whose time is over is %+v, %v", r, err)
		}
		if n := store.tried(); n == 0 || n > 5 {
			t.Errorf("it was tried %d times when its time was over and that of another", n)
		}
		stops(t, s)
		if lines := log.of("bad"); len(lines) != 1 {
			t.Errorf("the log says of it %q, want one line", lines)
		}
	})
}

// TestAnEventThatIsDamagedAsSoonAsItIsKeptIsLeftAlone: its row cannot be read when it is
// to be offered for the first time.
func TestAnEventThatIsDamagedAsSoonAsItIsKeptIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, store, s, log := onSpoiled(t, "none")
		defer w.store.Close()
		store.settle = "bad"
		w.post(s, "bad", "A", time.Hour)
		time.Sleep(time.Minute) // virtual
		if n := store.tried(); n != 1 {
			t.Errorf("it was tried %d times within a minute", n)
		}
		stops(t, s)
		if lines := log.of("bad"); len(lines) != 1 {
			t.Errorf("the log says of it %q, want one line", lines)
		}
	})
}

// TestAnEventThatBecomesDamagedDuringItsFanOutIsLeftAlone: its receipt cannot be settled.
func TestAnEventThatBecomesDamagedDuringItsFanOutIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := ordering()
		w, store, s, log := onSpoiled(t, "bad", def)
		defer w.store.Close()
		if err := w.beginOrder(s, def, "x", "A"); err != nil {
			t.Fatal(err)
		}
		w.post(s, "bad", "A", 0)
		time.Sleep(time.Minute) // virtual
		if n := store.tried(); n != 1 {
			t.Errorf("it was tried %d times within a minute", n)
		}
		if n := store.looked(); n != 0 {
			t.Errorf("all open events were read %d times for it", n)
		}
		if got := w.status("x"); got != workflow.Success {
			t.Errorf("who waited for it is %s", got)
		}
		w.post(s, "good", "A", 0)
		settles()
		if r, err := w.store.Event(t.Context(), "good"); err != nil || r.Fate != workflow.FateDead {
			t.Errorf("the next one is %+v, %v", r, err)
		}
		stops(t, s)
		if lines := log.of("bad"); len(lines) != 1 {
			t.Errorf("the log says of it %q, want one line", lines)
		}
	})
}
