//go:build !race || fleet

// Proto.Actor sets the logger of gRPC anew with every start, while connections of
// other nodes in the process read it, and the race detector reports that. Without
// the line above it reports nothing else.

package cluster_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/workflow"
)

// working is a workflow of one task, then a wait.
func working() *workflow.Definition {
	d := &workflow.Definition{ID: "work", Hash: "work-hash", Roots: []string{"do"}, Awaits: []string{"go"}, Tasks: []*workflow.Task{
		{ID: "do", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("x")}},
	}}
	return d.Link()
}

// crash ends a node as the death of its process would.
func (n *node) crash() {
	n.cluster.Crash()
	n.cluster = nil
}

// finished waits for the end of an execution.
func (f *fleet) finished(id string) {
	f.Helper()
	f.eventually(id+" finishes", func() bool {
		s, err := f.store.Load(f.Context(), id)
		return err == nil && s.State.Status == workflow.Success
	})
}

// TestTheWorkOfADeadNodeIsDoneByAnother, and its executions answer again.
func TestTheWorkOfADeadNodeIsDoneByAnother(t *testing.T) {
	work, load := working(), loadDefinition()
	f := newFleet(t, 3, work, load)
	victim := f.nodes[1]
	victim.hold = make(chan struct{}) // it begins its tasks and never ends them
	const count = 30
	for i := range count {
		for _, def := range []*workflow.Definition{work, load} {
			if err := f.nodes[0].begin(def, fmt.Sprint(def.ID, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.eventually("every task has begun", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.ran) == count
	})
	began := time.Now()
	victim.crash()
	for i := range count {
		if _, err := f.nodes[0].signal(fmt.Sprint("load", i), fmt.Sprint("s", i), "go0"); err != nil {
			t.Fatalf("signal %d after %v: %v", i, time.Since(began), err)
		}
	}
	t.Logf("all answer again after %v", time.Since(began))
	for i := range count {
		f.finished(fmt.Sprint("work", i))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	moved := 0
	for key, by := range f.ran {
		if by[0] == victim.name {
			moved++
			if len(by) < 2 || by[len(by)-1] == victim.name {
				t.Errorf("%s was done by %v", key, by)
			}
		}
	}
	if moved == 0 {
		t.Error("the node that died had nothing to do: this proves nothing")
	}
}

// TestANodeThatJoinsRepeatsNothing: what the others have begun goes on there,
// and its result finds the new owner.
func TestANodeThatJoinsRepeatsNothing(t *testing.T) {
	work := working()
	f := newFleet(t, 2, work)
	for _, n := range f.nodes {
		n.hold = make(chan struct{})
	}
	const count = 30
	for i := range count {
		if err := f.nodes[0].begin(work, fmt.Sprint("work", i)); err != nil {
			t.Fatal(err)
		}
	}
	third := f.add()
	f.settled(3)
	moved := 0
	for i := range count {
		if third.cluster.Here(fmt.Sprint("work", i)) {
			moved++
		}
	}
	for _, n := range f.nodes[:2] {
		close(n.hold)
	}
	for i := range count {
		f.finished(fmt.Sprint("work", i))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, by := range f.ran {
		if len(by) != 1 {
			t.Errorf("%s was done by %v", key, by)
		}
	}
	if moved == 0 {
		t.Error("nothing moved to the third node: this proves nothing")
	}
}

// TestTimersFireOnceWhoeverOwnsThem: deadlines pass while their executions move.
func TestTimersFireOnceWhoeverOwnsThem(t *testing.T) {
	def := waitingFor("w", "never")
	def.Tasks[0].Timeout = literal("1500ms")
	f := newFleet(t, 2, def)
	const count = 60
	for i := range count {
		if err := f.nodes[i%2].begin(def, fmt.Sprint("w", i)); err != nil {
			t.Fatal(err)
		}
	}
	third := f.add()
	f.settled(3)
	third.crash()
	for i := range count {
		id := fmt.Sprint("w", i)
		f.eventually(id+" times out", func() bool { return f.state(id).Status.Finished() })
		records, err := f.store.Records(t.Context(), id, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		fired := 0
		for _, r := range records {
			if r.Type == (workflow.TimerFired{}).Kind() {
				fired++
			}
		}
		if fired != 1 {
			t.Errorf("the timer of %s fired %d times", id, fired)
		}
	}
}

// TestEventsFanOutOnce: whichever node accepts an event, every trigger starts
// one execution, every wait hears of it, and its receipt comes to its end.
func TestEventsFanOutOnce(t *testing.T) {
	started, listening := working(), waitingFor("listening", "rain")
	started.Triggers = []workflow.Trigger{{Name: "rain"}}
	f := newFleet(t, 3, started, listening)
	for i := range 9 {
		if err := f.nodes[i%3].begin(listening, fmt.Sprint("l", i)); err != nil {
			t.Fatal(err)
		}
	}
	const count = 20
	for i := range count {
		for _, n := range f.nodes { // the same event by way of each
			ev := workflow.Event{ID: fmt.Sprint("e", i), Name: "rain", ReceivedAt: stamp().At}
			if _, _, err := n.system.Event(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range count {
		id := fmt.Sprint("e", i)
		f.eventually(id+" is consumed", func() bool {
			r, err := f.store.Event(t.Context(), id)
			return err == nil && r.Fate == workflow.FateConsumed
		})
	}
	page, err := f.store.Executions(t.Context(), workflow.Query{WorkflowID: "work", Limit: 1000})
	if err != nil || len(page.Items) != count {
		t.Fatalf("%d events started %d executions, %v", count, len(page.Items), err)
	}
	for i := range 9 {
		f.finished(fmt.Sprint("l", i))
	}
}

// TestALateEventNearlyMetAWaitOfAnotherNode: what has just closed is known at once
// on the node that did not close it, and on one that starts later; everything is in a
// Redis.
func TestALateEventNearlyMetAWaitOfAnotherNode(t *testing.T) {
	ends, goes := waitingFor("ends", "paid"), waitingFor("goes", "sent", "signed")
	server := redistest.Start(t)
	address, err := redis.ParseAddress("redis://" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open(t.Context(), address, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fleetOn(t, server, store, 2, ends, goes)
	for def, exec := range map[*workflow.Definition]string{ends: "e", goes: "g"} {
		if err := f.nodes[0].begin(def, exec); err != nil {
			t.Fatal(err)
		}
		if _, err := f.nodes[1].signal(exec, "s", def.Awaits[0]); err != nil {
			t.Fatal(err)
		}
	}
	nearlyMet := func(on func(exec string) *node) {
		t.Helper()
		for name, exec := range map[string]string{"paid": "e", "sent": "g"} {
			ev := workflow.Event{Name: name, ReceivedAt: stamp().At}
			for i := 0; ev.ID == "" || !on(exec).cluster.Here(ev.ID); i++ {
				ev.ID = fmt.Sprint(name, len(f.nodes), "-", i)
			}
			if _, _, err := f.nodes[0].system.Event(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			var r *workflow.EventReceipt
			f.eventually(ev.ID+" is settled", func() bool {
				r, err = f.store.Event(t.Context(), ev.ID)
				return err == nil && r.Fate.Final()
			})
			if r.Near == nil || r.Near.ExecID != exec || r.Near.Wait != "hold0/1" || r.Near.Closed != f.state(exec).Task("hold0").UpdatedAt {
				t.Fatalf("%s nearly met %+v", ev.ID, r.Near)
			}
		}
	}
	nearlyMet(f.other)
	f.add()
	f.settled(3)
	f.nodes[0].stop()
	f.nodes[1].stop()
	f.settled(1)
	f.nodes = f.nodes[2:]
	nearlyMet(f.owner)
}

// TestAWatcherHearsOfCommitsElsewhere, at once and not at the next look.
func TestAWatcherHearsOfCommitsElsewhere(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 2, def)
	if err := f.nodes[0].begin(def, "x"); err != nil {
		t.Fatal(err)
	}
	changed, stop := f.other("x").system.Watch("x")
	defer stop()
	var heard atomic.Int64
	go func() {
		for range changed {
			heard.Add(1)
		}
	}()
	f.eventually("the watch is known to the owner, which says so", func() bool { return heard.Load() > 0 })
	var took []time.Duration
	for j := range loadSignals - 1 {
		before := heard.Load()
		began := time.Now()
		if _, err := f.owner("x").signal("x", fmt.Sprint("s", j), fmt.Sprint("go", j)); err != nil {
			t.Fatal(err)
		}
		f.eventually("the watcher hears of it", func() bool { return heard.Load() > before })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if took[len(took)/2] > time.Second {
		t.Errorf("a watcher heard after %v", took)
	}
}

// TestAnUnknownMessageConcernsOneRequest: the link goes on.
func TestAnUnknownMessageConcernsOneRequest(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 2, def)
	n := f.other("x")
	for range 3 {
		answers := make(chan error, 1)
		n.cluster.AskRaw(&cluster.Request{
			Key: "x", Message: cluster.Message{Type: "of the future", Body: []byte("?")}, Until: time.Now().Add(10 * time.Second),
			Done: func(_ cluster.Message, err error) { answers <- err }, Here: func(bool) {},
		})
		if err := <-answers; err == nil {
			t.Fatal("a request of an unknown type was answered well")
		}
		n.cluster.Push(f.owner("x").cluster.Address(), []byte{99, 0, 1, 2, 3})
		n.cluster.Push(f.owner("x").cluster.Address(), nil)
	}
	if err := n.begin(def, "x"); err != nil {
		t.Fatal(err)
	}
}

// TestABroadcastIsWorkedOnByItsOwner: begun by way of any node it reaches every
// target once, also when its owner dies in the middle, and any node can end one.
func TestABroadcastIsWorkedOnByItsOwner(t *testing.T) {
	def := waitingFor("listening", "rain", "sun")
	f := newFleet(t, 3, def)
	const count = 120
	for i := range count {
		if err := f.nodes[i%3].begin(def, fmt.Sprint("l", i)); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(id, name string, rate int) {
		t.Helper()
		one := workflow.Broadcast{ID: id, Name: name, Filter: workflow.Filter{WaitingFor: name}, Rate: rate, CreatedAt: stamp().At}
		if _, _, err := f.other(id).system.Broadcast(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	begin("rain-1", "rain", 60)
	f.eventually("it delivers", func() bool {
		one, err := f.nodes[0].system.ReadBroadcast(t.Context(), "rain-1")
		return err == nil && one.State == workflow.BroadcastDelivering
	})
	f.owner("rain-1").crash()
	alive := func() *node {
		for _, n := range f.nodes {
			if n.cluster != nil {
				return n
			}
		}
		return nil
	}
	f.eventually("it is done", func() bool {
		one, err := alive().system.ReadBroadcast(t.Context(), "rain-1")
		return err == nil && one.State == workflow.BroadcastDone && one.Matched == count
	})
	for i := range count {
		id := fmt.Sprint("l", i)
		if s := f.state(id); s.Wait("hold1/1") == nil || len(s.Buffer) > 0 {
			t.Fatalf("%s waits for %+v with %d signals kept", id, s.Waits, len(s.Buffer))
		}
	}
	f.settled(2)
	begin("sun-1", "sun", 10)
	one, err := f.other("sun-1").system.CancelBroadcast(t.Context(), "sun-1", "rain after all")
	if err != nil || one.State != workflow.BroadcastCanceled || one.Reason != "rain after all" {
		t.Fatalf("%+v, %v", one, err)
	}
}

// TestTheOwnerOfAnEventHearsWhatAnotherNodeDecides: the execution is on the one, and
// the event on the other.
func TestTheOwnerOfAnEventHearsWhatAnotherNodeDecides(t *testing.T) {
	def := loadDefinition()
	f := newFleet(t, 2, def)
	if err := f.nodes[0].begin(def, "x"); err != nil {
		t.Fatal(err)
	}
	steer := func(in workflow.Input) {
		t.Helper()
		if _, err := f.nodes[0].system.Ask(t.Context(), &actors.Deliver{ExecID: "x", Input: in}); err != nil {
			t.Fatal(err)
		}
	}
	steer(workflow.PauseAsked{Stamp: stamp()})
	ev := workflow.Event{Name: def.Awaits[0], ReceivedAt: stamp().At}
	for i := 0; ev.ID == "" || !f.other("x").cluster.Here(ev.ID); i++ {
		ev.ID = fmt.Sprint("e", i)
	}
	if _, _, err := f.nodes[0].system.Event(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	became := func(fate workflow.Fate, counts workflow.Counts) {
		t.Helper()
		f.eventually(fmt.Sprintf("the event is %s, %+v", fate, counts), func() bool {
			r, err := f.store.Event(t.Context(), ev.ID)
			return err == nil && r.Fate == fate && r.Counts == counts
		})
	}
	became(workflow.FateAccepted, workflow.Counts{Buffered: 1})
	steer(workflow.ResumeAsked{Stamp: stamp()})
	became(workflow.FateConsumed, workflow.Counts{Delivered: 1})
}
