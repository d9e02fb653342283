package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// twice is a workflow of two waits, of the name of the first one and of another.
func twice(id, name string) *workflow.Definition {
	return waiting(id, func(d *workflow.Definition) {
		d.Awaits = []string{name, name + "-later"}
		d.Tasks[0].Wait.Name = literal(name)
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "second", Kind: workflow.Wait, After: []string{"hold"}, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal(name + "-later")}}})
	})
}

// missed is what a dead event of a name says that it missed nearly, "" for nothing.
func (w *world) missed(s *actors.System, id, name string) string {
	w.t.Helper()
	w.event(s, id, name)
	r := w.settled(id)
	if r.Near == nil {
		return ""
	}
	ago := (r.Event.ReceivedAt.Time().Sub(r.Near.Closed.Time()) + time.Second/2).Truncate(time.Second)
	return fmt.Sprintf("%s of %s, %s ago", r.Near.Wait, r.Near.ExecID, ago)
}

// What has just closed is known to a node that was not there then, whether the
// execution goes on or has finished, however many came or ended after it; and it
// is the last one of its name.
func TestANodeThatStartsKnowsWhichWaitsHaveJustClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends, goes, never, crowd := waiting("ends", nil), twice("goes", "pay"), twice("never", "sign"), twice("crowd", "noise")
		w := newWorld(t, ends, goes, never, crowd)
		defer w.store.Close()
		s, stop := w.start(w.store)
		start := func(def *workflow.Definition, id string) {
			t.Helper()
			if err := w.begin(s, def, id); err != nil {
				t.Fatal(err)
			}
		}
		send := func(exec, name string) {
			t.Helper()
			if _, err := w.signal(s, exec, exec+name, name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		start(ends, "old")
		time.Sleep(time.Hour)
		for i := range actors.NearExecutions + 5 { // newer ones, none of them listens in the end
			start(ends, fmt.Sprint("newer", i))
			send(fmt.Sprint("newer", i), "go")
			start(crowd, fmt.Sprint("crowd", i))
		}
		start(goes, "g1")
		start(goes, "g2")
		start(never, "n")
		for _, id := range []string{"g1", "g2"} {
			send(id, "pay")
		}
		for _, id := range []string{"g1", "g2"} { // g1 changes after the wait of g2 closed
			if _, err := s.Ask(t.Context(), &actors.Deliver{ExecID: id, Input: workflow.PauseAsked{Stamp: stamp()}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for i := range actors.NearExecutions + 5 {
			send(fmt.Sprint("crowd", i), "noise")
			send(fmt.Sprint("crowd", i), "noise-later")
			if i == actors.NearExecutions-10 {
				send("old", "go")
			}
		}
		stop()
		s, stop = w.start(w.store)
		defer stop()
		for name, want := range map[string]string{
			"pay":   "hold/1 of g2, 3m34s ago",
			"noise": "hold/1 of crowd104, 2s ago",
			"go":    "hold/1 of old, 29s ago",
			"sign":  "",
		} {
			if got := w.missed(s, "late-"+name, name); got != want {
				t.Errorf("an event %s that came too late nearly met %q, want %q", name, got, want)
			}
		}
		send("n", "sign")
		if got, want := w.missed(s, "late", "sign"), "hold/1 of n, 1s ago"; got != want {
			t.Errorf("an event whose wait closed on this node nearly met %q, want %q", got, want)
		}
	})
}

// A flood of events that nobody wants does not make the node read all the time.
func TestAFloodOfDeadEventsLooksForFewClosedWaits(t *testing.T) {
	def := waiting("w", nil)
	w := newWorld(t, def)
	counted := &looked{Store: w.store}
	s, stop := w.start(counted)
	defer stop()
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signal(s, "x", "s", "go"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const flood = 50 * actors.NearLooks
	for i := range flood {
		w.event(s, fmt.Sprint(i), "go")
	}
	for i := range flood {
		if r := w.settled(fmt.Sprint(i)); r.Near == nil || r.Near.ExecID != "x" {
			t.Fatalf("event %d nearly met %+v", i, r.Near)
		}
	}
	most := int64(actors.NearLooks * (1 + time.Since(began).Seconds()))
	if n := counted.looks.Load(); n == 0 || n > most {
		t.Fatalf("%d events were looked for %d times, at most %d are due", flood, n, most)
	}
}

// looked counts how often somebody looks for what has just closed.
type looked struct {
	persistence.Store
	looks atomic.Int64
}

func (c *looked) LastFinished(ctx context.Context, limit int) ([]*workflow.State, error) {
	c.looks.Add(1)
	return c.Store.LastFinished(ctx, limit)
}
