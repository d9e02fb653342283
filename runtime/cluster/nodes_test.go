//go:build !race || fleet

// Proto.Actor sets the logger of gRPC anew with every start, while connections of
// other nodes in the process read it, and the race detector reports that. Without
// the line above it reports nothing else.

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// TestEveryNodeTakesEveryRequest: whichever node is asked, the answer is the
// same, and a repeated signal gets its first receipt, which it would not if its
// payload had arrived as other bytes.
func TestEveryNodeTakesEveryRequest(t *testing.T) {
	def := waitingFor("w", "one", "two", "three")
	f := newFleet(t, 3, def)
	for i := range 30 {
		id := fmt.Sprint("x", i)
		if err := f.nodes[i%3].begin(def, id); err != nil {
			t.Fatal(err)
		}
		for j, name := range []string{"one", "two", "three"} {
			for again, n := range f.nodes {
				r, err := n.signal(id, fmt.Sprint("s", j), name)
				if err != nil || r.Answer.Outcome != workflow.Delivered || r.Answer.Duplicate != (again > 0) || r.Answer.WaitTask != fmt.Sprint("hold", j) {
					t.Fatalf("%s, signal %s by way of %s: %+v, %v", id, name, n.name, r.Answer, err)
				}
			}
		}
		if s := f.state(id); s.Status != workflow.Success {
			t.Fatalf("%s is %s", id, s.Status)
		}
	}
	_, err := f.nodes[0].signal("nobody", "s", "one")
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) || refusal.Code != workflow.CodeNoExecution {
		t.Fatalf("a signal to nobody: %v", err)
	}
}

// TestAnEventReachesEveryWaitOnEveryNode: its receipt has a delivery for each, also
// where the node that fans it out hears of them from another.
func TestAnEventReachesEveryWaitOnEveryNode(t *testing.T) {
	def := waitingFor("w", "go", "go")
	def.Tasks[1].After, def.Roots = nil, []string{"hold0", "hold1"}
	def.Link()
	f := newFleet(t, 2, def)
	const n = 20
	for i := range n {
		if err := f.nodes[0].begin(def, fmt.Sprint("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := f.nodes[1].system.Event(t.Context(), workflow.Event{ID: "e", Name: "go", Source: "api", ReceivedAt: stamp().At}); err != nil {
		t.Fatal(err)
	}
	var r *workflow.EventReceipt
	f.eventually("the event is consumed", func() bool {
		var err error
		r, err = f.store.Event(t.Context(), "e")
		return err == nil && r.Fate == workflow.FateConsumed
	})
	reached := map[string]bool{}
	for _, d := range r.Deliveries {
		reached[d.ExecID+" "+d.WaitID] = d.Outcome == "delivered"
	}
	for i := range n {
		id := fmt.Sprint("x", i)
		if s := f.state(id); s.Status != workflow.Success || !reached[id+" hold0/1"] || !reached[id+" hold1/1"] {
			t.Errorf("%s is %s, and the receipt says %+v", id, s.Status, r.Deliveries)
		}
	}
	if len(r.Deliveries) != 2*n || r.Counts != (workflow.Counts{Delivered: 2 * n}) {
		t.Errorf("%d deliveries, %+v", len(r.Deliveries), r.Counts)
	}
}

// TestTheReplyOfAStartHasItsState although another node made it.
func TestTheReplyOfAStartHasItsState(t *testing.T) {
	def := waitingFor("w", "one")
	f := newFleet(t, 2, def)
	n := f.other("x")
	r, err := n.system.Ask(t.Context(), &actors.Deliver{ExecID: "x", Definition: def, Input: workflow.Started{
		Stamp: stamp(), ExecID: "x", WorkflowID: "w", Definition: def.Hash}})
	if err != nil || r.State == nil || r.State.Status != workflow.Waiting {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = n.system.Ask(t.Context(), &actors.Deliver{ExecID: "x", Input: workflow.PauseAsked{Stamp: stamp()}})
	if err != nil || !r.State.Paused {
		t.Fatalf("%+v, %v", r.State, err)
	}
}

// load sends signals by way of the nodes that it is given, each to an execution
// of its own row, until it is stopped. Every signal must be answered once and well.
type load struct {
	*fleet
	stop  chan struct{}
	group sync.WaitGroup
	sent  atomic.Int64
	slow  atomic.Int64 // nanoseconds of the longest
}

const loadSignals = 8 // per execution

func (f *fleet) load(def *workflow.Definition, by ...*node) *load {
	l := &load{fleet: f, stop: make(chan struct{})}
	for w := range 12 {
		l.group.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("load-%d-%d", w, i)
				if err := by[(w+i)%len(by)].begin(def, id); err != nil {
					f.Errorf("start of %s: %v", id, err)
					return
				}
				for j := range loadSignals {
					began := time.Now()
					r, err := by[(w+i+j)%len(by)].signal(id, fmt.Sprint(id, "-", j), fmt.Sprint("go", j))
					if err != nil || r.Answer.Outcome != workflow.Delivered {
						f.Errorf("signal %d of %s: %+v, %v", j, id, r.Answer, err)
						return
					}
					l.sent.Add(1)
					l.slow.Store(max(l.slow.Load(), int64(time.Since(began))))
				}
				select {
				case <-l.stop:
					return
				default:
				}
			}
		})
	}
	return l
}

// end stops the load and checks that every signal was consumed once.
func (l *load) end() {
	l.Helper()
	close(l.stop)
	l.group.Wait()
	page, err := l.store.Executions(l.Context(), workflow.Query{WorkflowID: "load", Limit: 100_000})
	if err != nil {
		l.Fatal(err)
	}
	consumed := 0
	for _, s := range page.Items {
		records, err := l.store.Records(l.Context(), s.ExecID, 0, 1000)
		if err != nil {
			l.Fatal(err)
		}
		seen := map[string]int{}
		for _, r := range records {
			if r.Type == workflow.SignalConsumed {
				seen[r.Signal]++
				consumed++
			}
		}
		for id, times := range seen {
			if times != 1 {
				l.Errorf("%s: signal %s was consumed %d times", s.ExecID, id, times)
			}
		}
	}
	if int64(consumed) != l.sent.Load() {
		l.Errorf("%d signals were acknowledged and %d consumed", l.sent.Load(), consumed)
	}
	l.Logf("%d signals, the longest took %v, %d commits were refused", l.sent.Load(), time.Duration(l.slow.Load()), l.store.Stats().Conflicts)
}

// hold lets a load run until that many more signals were answered.
func (l *load) hold(more int64) {
	l.Helper()
	goal := l.sent.Load() + more
	l.eventually("the load goes on", func() bool { return l.sent.Load() >= goal || l.Failed() })
}

func loadDefinition() *workflow.Definition {
	names := make([]string, loadSignals)
	for i := range names {
		names[i] = fmt.Sprint("go", i)
	}
	return waitingFor("load", names...)
}

// TestNoRequestFailsWhileNodesComeAndGo: a node joins, another leaves as it
// should, under load by way of those that stay.
func TestNoRequestFailsWhileNodesComeAndGo(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 2, def)
	l := f.load(def, f.nodes[0], f.nodes[1])
	l.hold(500)
	third := f.add()
	l.hold(500)
	f.settled(3)
	third.stop()
	l.hold(500)
	f.settled(2)
	l.end()
}

// TestANodeThatLosesItsPlaceComesBack: its lease is taken from it under load.
// It owns nothing from then on, joins as another member, and nobody who asked
// anything of any node sees an error.
func TestANodeThatLosesItsPlaceComesBack(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 3, def)
	l := f.load(def, f.nodes...)
	for range 3 {
		l.hold(300)
		before := f.nodes[1].cluster.Report(t.Context()).Self
		if err := client(t, f.redis).ZRem(t.Context(), "{cluster}:leases", before).Err(); err != nil {
			t.Fatal(err)
		}
		f.eventually("it is a member again, another one", func() bool {
			self := f.nodes[1].cluster.Report(t.Context()).Self
			return self != "" && self != before
		})
		f.settled(3)
	}
	l.end()
}

// TestTwoOwnersTakeTurns: an execution moves to and fro, and each owner can
// commit although the other has been there since.
func TestTwoOwnersTakeTurns(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 1, def)
	const id = "wanderer"
	if err := f.nodes[0].begin(def, id); err != nil {
		t.Fatal(err)
	}
	owners := map[string]bool{}
	for j := range loadSignals {
		if j%2 == 1 {
			f.add()
			f.settled(2)
		} else if j > 0 {
			f.nodes[len(f.nodes)-1].stop()
			f.settled(1)
		}
		owners[f.owner(id).name] = true
		if _, err := f.nodes[0].signal(id, fmt.Sprint("s", j), fmt.Sprint("go", j)); err != nil {
			t.Fatalf("signal %d, owned by %s: %v", j, f.owner(id).name, err)
		}
	}
	if s := f.state(id); s.Status != workflow.Success {
		t.Fatalf("it is %s", s.Status)
	}
	t.Logf("owners: %v", owners)
}

// TestDeadlinesAreHonoured: when nobody is there to take a request its sender
// hears at its deadline, not seconds later.
func TestDeadlinesAreHonoured(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 1, def)
	f.redis.Kill() // the node loses its place and cannot come back
	f.eventually("it owns nothing", func() bool { return !f.nodes[0].cluster.Here("x") })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := f.nodes[0].system.Ask(ctx, &actors.Deliver{ExecID: "x", Input: workflow.PauseAsked{Stamp: stamp()}})
	if took := time.Since(began); err == nil || took > 2*time.Second {
		t.Fatalf("after %v: %v", took, err)
	}
	f.redis.Restart()
	f.eventually("it is back", func() bool { return f.nodes[0].cluster.Here("x") })
}
