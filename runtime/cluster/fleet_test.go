//go:build !race || fleet

// Proto.Actor sets the logger of gRPC anew with every start, while connections of
// other nodes in the process read it, and the race detector reports that. Every
// test of these files starts several nodes in this process, so all of them need the
// line above; make chaos-race runs them with the race detector all the same, which
// passes over what testdata/races names, and processes of one node each.

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/workflow"
)

// testTTL is short, so that a node that dies is missed soon, and long enough for
// a busy machine.
const testTTL = 1500 * time.Millisecond

// literal is an expression that is what it says.
type literal string

func (l literal) Render(*workflow.Scope) (workflow.Value, error) {
	return workflow.ValueOf(string(l)), nil
}

// waitingFor is a workflow of waits, one after the other.
func waitingFor(id string, names ...string) *workflow.Definition {
	d := &workflow.Definition{ID: id, Hash: id + "-hash", Awaits: names}
	for i, name := range names {
		task := &workflow.Task{ID: fmt.Sprint("hold", i), Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal(name)}}}
		if i > 0 {
			task.After = []string{d.Tasks[i-1].ID}
		}
		d.Tasks = append(d.Tasks, task)
	}
	d.Roots = []string{"hold0"}
	return d.Link()
}

// fleet is some nodes in one process, on one store and one Redis.
type fleet struct {
	*testing.T
	redis *redistest.Server
	store persistence.Store
	defs  map[string]*workflow.Definition
	nodes []*node
	tls   *cluster.Certificates // of the nodes that are added next
	said  said                  // what all nodes log

	mu  sync.Mutex
	ran map[string][]string // attempts by key, the nodes that made them
}

// said is a log that a test may read meanwhile.
type said struct {
	mu    sync.Mutex
	text  strings.Builder
	out   io.Writer
	ended bool // the test, and not all goroutines of nodes that crashed
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if s.ended {
		return len(b), nil
	}
	return s.out.Write(b)
}

func (s *said) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// line reports whether one line holds all of those texts.
func (s *said) line(texts ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.text.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

// node is one of them.
type node struct {
	*fleet
	name    string
	system  *actors.System
	cluster *cluster.Node
	hold    chan struct{} // tasks of this node end when it is closed
}

func newFleet(t *testing.T, count int, defs ...*workflow.Definition) *fleet {
	t.Helper()
	store, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	return fleetOn(t, redistest.Start(t), store, count, defs...)
}

// fleetOn is a fleet on a store, which ends with it.
func fleetOn(t *testing.T, redis *redistest.Server, store persistence.Store, count int, defs ...*workflow.Definition) *fleet {
	t.Helper()
	f := &fleet{T: t, redis: redis, store: store, defs: make(map[string]*workflow.Definition), ran: make(map[string][]string)}
	f.said.out = t.Output()
	t.Cleanup(f.said.end)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, d := range defs {
		f.defs[d.Hash] = d
	}
	for range count {
		f.add()
	}
	f.settled(count)
	return f
}

// add starts another node.
func (f *fleet) add() *node {
	f.Helper()
	n := &node{fleet: f, name: fmt.Sprint("n", len(f.nodes)), hold: make(chan struct{})}
	close(n.hold)
	logger := slog.New(slog.NewTextHandler(&f.said, &slog.HandlerOptions{Level: slog.LevelInfo})).With("on", n.name)
	redis := client(f, f.redis)
	n.cluster = cluster.New(cluster.Options{
		Membership: cluster.NewLeases(redis, "", testTTL), Listen: "127.0.0.1:0", Version: "test", TTL: testTTL, Logger: logger, TLS: f.tls,
	})
	n.system = actors.NewSystem(actors.Options{Store: f.store, Catalog: n, Hands: n, Observer: silent{}, Logger: logger, Peers: n.cluster})
	if err := n.system.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	if err := n.cluster.Start(f.Context(), n.system, n.Version); err != nil {
		f.Fatal(err)
	}
	f.nodes = append(f.nodes, n)
	f.Cleanup(n.stop)
	return n
}

// stop leaves in the order of a graceful stop. A second time it does nothing.
func (n *node) stop() {
	if n.cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(n.cluster.Leave(ctx), n.system.Stop(ctx), n.cluster.Close(ctx)); err != nil {
		n.Error(n.name, err)
	}
	n.cluster = nil
}

// settled returns when every node sees that many members and all has followed.
func (f *fleet) settled(count int) {
	f.Helper()
	f.eventually(fmt.Sprintf("all nodes see %d members and nothing moves", count), func() bool {
		for _, n := range f.nodes {
			if n.cluster == nil {
				continue
			}
			if r := n.cluster.Report(f.Context()); len(r.Members) != count || r.Moving {
				return false
			}
		}
		return true
	})
}

// eventually fails the test when something does not become true.
func (f *fleet) eventually(what string, holds func() bool) {
	f.Helper()
	until := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(until) {
			f.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *node) Version(hash string) (*workflow.Definition, error) {
	if d := n.defs[hash]; d != nil {
		return d, nil
	}
	return nil, errors.New("no such version")
}

func (n *node) Listeners(event string) (found []actors.Listener) {
	for _, d := range n.defs {
		for i, t := range d.Triggers {
			if t.Name == event {
				found = append(found, actors.Listener{Definition: d, Index: i})
			}
		}
	}
	return found
}

// Run does a task when hold is closed.
func (n *node) Run(job workflow.RunTask, done func(workflow.Input)) {
	n.mu.Lock()
	n.ran[job.Key()] = append(n.ran[job.Key()], n.name)
	n.mu.Unlock()
	go func() {
		select {
		case <-n.hold:
		case <-n.Context().Done():
			return
		}
		done(workflow.TaskDone{Stamp: stamp(), Task: job.Task, Run: job.Run, Attempt: job.Attempt})
	}()
}

func (n *node) Names() []string { return nil }

func (n *node) Waiters(name string) (ids []string) {
	for _, d := range n.defs {
		if d.MayAwait(name) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func (n *node) Now(workflow.RunTask) (workflow.Input, bool) { return nil, false }

func (n *node) Cancel(workflow.CancelTask) {}

type silent struct{}

func (silent) Signal(string) {}
func (silent) Event(string)  {}
func (silent) Committed(string, *workflow.State, *workflow.State, []workflow.Record, time.Duration) {
}
func (silent) Turn(int, time.Duration) {}
func (silent) Quarantined(string)      {}
func (silent) Buried(workflow.Cause)   {}
func (silent) LettersDropped(int)      {}

func stamp() workflow.Stamp { return workflow.Stamp{At: workflow.InstantOf(time.Now())} }

// begin starts an execution through a node.
func (n *node) begin(def *workflow.Definition, id string) error {
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	_, err := n.system.Ask(ctx, &actors.Deliver{ExecID: id, Definition: def, Input: workflow.Started{
		Stamp: stamp(), ExecID: id, WorkflowID: def.ID, Definition: def.Hash}})
	return err
}

// signal sends one through a node.
func (n *node) signal(exec, id, name string) (actors.Reply, error) {
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	at := stamp()
	return n.system.Ask(ctx, &actors.Deliver{ExecID: exec, Input: workflow.Signalled{Stamp: at,
		Signal: workflow.Signal{ID: id, ExecID: exec, Name: name, ReceivedAt: at.At, Source: "api", Payload: workflow.Value(`{ "a": "<b>" }`)}}})
}

func (f *fleet) state(id string) *workflow.State {
	f.Helper()
	s, err := f.store.Load(f.Context(), id)
	if err != nil {
		f.Fatal(err)
	}
	return s.State
}

// owner is the node that owns a key.
func (f *fleet) owner(key string) *node {
	f.Helper()
	var found *node
	for _, n := range f.nodes {
		if n.cluster != nil && n.cluster.Here(key) {
			if found != nil {
				f.Fatalf("%s and %s own %q", found.name, n.name, key)
			}
			found = n
		}
	}
	if found == nil {
		f.Fatalf("nobody owns %q", key)
	}
	return found
}

// other is a node that does not own a key.
func (f *fleet) other(key string) *node {
	f.Helper()
	for _, n := range f.nodes {
		if n.cluster != nil && !n.cluster.Here(key) {
			return n
		}
	}
	f.Fatalf("everybody owns %q", key)
	return nil
}
