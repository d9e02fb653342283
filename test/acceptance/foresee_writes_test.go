package acceptance

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/workflow"
)

// sealed is a store that may not be written to while it is shut.
type sealed struct {
	persistence.Store
	t    *testing.T
	shut bool
}

func (s *sealed) write(what string) {
	if s.shut {
		s.t.Errorf("%s was called during a dry run", what)
	}
}

func (s *sealed) Submit(c *persistence.Commit) {
	s.write("Submit")
	s.Store.Submit(c)
}

func (s *sealed) AcceptEvent(ev workflow.Event, done func(*workflow.EventReceipt, bool, error)) {
	s.write("AcceptEvent")
	s.Store.AcceptEvent(ev, done)
}

func (s *sealed) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	s.write("SettleEvent")
	s.Store.SettleEvent(was, r, done)
}

func (s *sealed) KeepLetters(letters []workflow.DeadLetter, done func(error)) {
	s.write("KeepLetters")
	s.Store.KeepLetters(letters, done)
}

func (s *sealed) PutDocument(ctx context.Context, kind, id string, body []byte) error {
	s.write("PutDocument")
	return s.Store.PutDocument(ctx, kind, id, body)
}

// content is everything that the store can be asked, as text.
func content(t *testing.T, s persistence.Store) string {
	t.Helper()
	ctx := t.Context()
	var b strings.Builder
	keep := func(what string, v any, err error) {
		if err != nil {
			t.Fatal(what, err)
		}
		fmt.Fprintf(&b, "%s: %s\n", what, workflow.ValueOf(v))
	}
	executions, err := s.Executions(ctx, workflow.Query{Limit: 1000})
	keep("executions", executions, err)
	for _, e := range executions.Items {
		records, err := s.Records(ctx, e.ExecID, 0, 1000)
		keep("records", records, err)
	}
	waits, err := s.Waits(ctx, workflow.WaitQuery{Limit: 1000})
	keep("waits", waits, err)
	due, err := s.Due(ctx, math.MaxInt64, nil, 1000)
	keep("due", due, err)
	events, err := s.OpenEvents(ctx, "", 1000)
	keep("events", events, err)
	books, err := s.Books(ctx)
	keep("books", books, err)
	letters, err := s.Letters(ctx, workflow.LetterQuery{Limit: 1000})
	keep("letters", letters, err)
	working, err := s.Working(ctx, "", 1000)
	keep("working", working, err)
	return b.String()
}

// metrics are the counts of signals, events and commits.
func metrics(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() != nil {
				fmt.Fprintf(&b, "%s %v\n", f.GetName(), m)
			}
		}
	}
	return b.String()
}

// TestADryRunWritesNothing asks for forecasts of everything that can happen and
// looks whether the store, its counts, the node's memory and its metrics are
// afterwards what they were.
func TestADryRunWritesNothing(t *testing.T) {
	lived(t, 8, func(l *life) {
		if l.r.IntN(3) > 0 {
			_, _ = l.run.Begin(l.ctx, l.start())
			_, _ = l.run.Signal(l.ctx, l.signal())
			l.pass()
			return
		}
		shut := &sealed{Store: l.store, t: l.t, shut: true}
		registry := prometheus.NewRegistry()
		node, err := runtime.New(runtime.Options{Store: shut, Registry: registry, Logger: slog.New(slog.NewTextHandler(l.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "dry"})
		if err != nil {
			l.t.Fatal(err)
		}
		shut.shut = false // its definitions are stored already, or are now
		if err := node.Deploy(l.ctx, l.project); err != nil {
			l.t.Fatal(err)
		}
		shut.shut = true
		before, stats, counts := content(l.t, l.store), l.store.Stats(), metrics(l.t, registry)
		for range 20 {
			node.ForeseeSignals(l.ctx, []workflow.Signal{l.signal(), l.signal()})
			if _, err := node.ForeseeStart(l.ctx, l.start()); err != nil {
				l.t.Fatal(err)
			}
			ev := workflow.Event{ID: "e", Name: []string{"a", "b", "began", "nobody"}[l.r.IntN(4)], Payload: l.signal().Payload}
			again := ev
			again.ID = "f"
			if _, err := node.ForeseeEvents(l.ctx, []workflow.Event{ev, again}); err != nil {
				l.t.Fatal(err)
			}
			node.ForeseeTogether(l.ctx, l.together())
			_, _ = node.Why(l.ctx, l.exec())
			l.run.ForeseeSignals(l.ctx, []workflow.Signal{l.signal()}) // the node that lives
		}
		synctest.Wait()
		if after := content(l.t, l.store); after != before {
			l.t.Fatalf("the store was\n%s\nand is\n%s", before, after)
		}
		if after := l.store.Stats(); !reflect.DeepEqual(after, stats) {
			l.t.Fatalf("the store counted %+v and counts %+v", stats, after)
		}
		if after := metrics(l.t, registry); after != counts {
			l.t.Fatalf("the metrics were\n%s\nand are\n%s", counts, after)
		}
	})
}
