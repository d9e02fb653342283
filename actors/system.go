package actors

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Catalog finds definitions.
type Catalog interface {
	// Version returns the definition of that content hash. The error of a store that
	// could not be read for it is wrapped.
	Version(hash string) (*workflow.Definition, error)
	// Listeners returns the triggers that an event of that name starts.
	Listeners(event string) []Listener
	// Names returns the names that some trigger or wait listens for, as far as
	// they are known before anything runs.
	Names() []string
	// Waiters returns the current workflows that may wait for that name.
	Waiters(name string) []string
}

// Listener is one trigger of one current workflow.
type Listener struct {
	Definition *workflow.Definition
	Index      int // of the trigger in its workflow
}

// Hands do the work of tasks, outside of the actors. Run never blocks; done is
// called once, from any goroutine, unless the attempt is cancelled first. Now does
// at once what has no effect outside, waits for nobody and is soon done; false:
// it is something else.
type Hands interface {
	Run(job workflow.RunTask, done func(workflow.Input))
	Now(job workflow.RunTask) (workflow.Input, bool)
	Cancel(workflow.CancelTask)
}

// Observer is told what happens, for metrics. Its methods must not block.
type Observer interface {
	Signal(outcome string)
	Event(outcome string)
	Committed(def string, was, now *workflow.State, records []workflow.Record, took time.Duration)
	Turn(inputs int, took time.Duration)
	Quarantined(def string)
	Buried(cause workflow.Cause) // a message became a dead letter
	LettersDropped(n int)        // dead letters of refused messages that were too many to keep
}

// Options are what a System needs.
type Options struct {
	Store    persistence.Store
	Catalog  Catalog
	Hands    Hands
	Observer Observer
	Logger   *slog.Logger
	Peers    Peers // nil: this node is alone
}

// System is the actors of one node.
type System struct {
	Options
	actors   *actor.ActorSystem
	shards   [Shards]shard
	router   *actor.PID
	keeper   *keeper
	alarms   *actor.PID
	seed     maphash.Seed
	admitted atomic.Int64
	asks     sync.Pool // lends the room of asks that were answered
	watchers watchers
	ill      quarantine
	damaged  persistence.DamagedEvents
	stopping atomic.Bool
	crew     *crew
	owners   atomic.Uint64 // how often they have changed
	left     atomic.Uint64 // executions that left memory
	letters  *letters
	closed   recentWaits
	looks    looks

	broadcasts *broadcasts
}

// NewSystem prepares the actors; Start brings them to life.
func NewSystem(o Options) *System {
	s := &System{Options: o, seed: maphash.MakeSeed(), crew: newCrew(), looks: looks{credit: credit{rate: NearLooks, burst: NearLooks}}}
	s.letters = newLetters(s)
	s.damaged.Log = o.Logger
	s.asks.New = s.newAsk
	s.broadcasts = newBroadcasts(s)
	s.keeper = newKeeper(s)
	return s
}

// Start spawns the actors and resumes what the store says is unfinished: the
// work of executions, the fan-out of events, the timers. It returns when all of
// it is under way.
func (s *System) Start(ctx context.Context) error {
	if err := s.ill.load(ctx, s.Store); err != nil {
		return err
	}
	s.actors = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warnings{s.Logger.With("component", "actors").Handler()})
	}))
	// A panic that escapes an actor's own recovery stops that actor; its
	// supervisor sees it terminated and makes a new one on demand.
	stop := actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective })
	for i := range s.shards {
		of := &s.shards[i]
		of.system = s
		props := actor.PropsFromProducer(func() actor.Actor { return newSupervisor(of) }, actor.WithSupervisor(stop),
			// A supervisor has little to do for a message, so it runs on the goroutine of
			// whoever sends it: a signal takes one hop less.
			actor.WithDispatcher(actor.NewSynchronizedDispatcher(throughput)))
		of.pid = s.actors.Root.SpawnPrefix(props, "shard"+strconv.Itoa(i))
	}
	s.router = s.actors.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return newRouter(s) }, actor.WithSupervisor(stop)))
	s.alarms = s.actors.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return newAlarms(s) }))
	go s.letters.run()
	if s.Peers != nil {
		// What is ours is known when the node has joined: see Rebalance.
		return s.broadcasts.resume(ctx)
	}
	if err := s.recover(ctx); err != nil {
		return err
	}
	s.actors.Root.Send(s.alarms, look{})
	s.keeper.start()
	return s.broadcasts.resume(ctx)
}

// recover wakes the executions whose work was interrupted and hands unfinished
// events to the router.
func (s *System) recover(ctx context.Context) error {
	for after := ""; ; {
		ids, err := s.Store.Working(ctx, after, RecoverBatch)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		var wave sync.WaitGroup
		for _, id := range ids {
			if !s.here(id) {
				continue
			}
			wave.Add(1)
			s.Tell(&Deliver{ExecID: id, Reply: func(Reply) { wave.Done() }})
		}
		wave.Wait()
		after = ids[len(ids)-1]
	}
	s.actors.Root.Send(s.router, catchUp{})
	return nil
}

// Stop refuses new inputs, lets the executions finish what they have and stops
// the actors. The store stays open.
func (s *System) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.broadcasts.close()
	root := s.actors.Root
	s.keeper.stop()
	root.Stop(s.alarms)
	root.Stop(s.router)
	done := make(chan error, Shards)
	for i := range s.shards {
		root.Send(s.shards[i].pid, drain{done: done})
	}
	for drained := range s.shards {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d shards still had commits under way: %w", Shards-drained, Shards, ctx.Err())
		}
	}
	for i := range s.shards {
		root.Stop(s.shards[i].pid)
	}
	s.letters.stop(ctx)
	s.actors.Shutdown()
	s.crew.dismiss()
	return nil
}

// Tell delivers without waiting, to whichever node owns the execution; d.Reply
// is called in any case.
func (s *System) Tell(d *Deliver) { s.tell(d, false) }

// tell delivers; a sender who stays until he has the reply may handle what he sends.
func (s *System) tell(d *Deliver, stays bool) {
	if s.Peers != nil && !s.Peers.Here(d.ExecID) {
		s.Peers.Deliver(d)
		return
	}
	s.local(d, stays)
}

func (s *System) place(name string) uint64 { return maphash.String(s.seed, name) % nearPlaces }

func (s *System) shard(execID string) *shard {
	return &s.shards[maphash.String(s.seed, execID)%Shards]
}

// ask is a delivery from outside that somebody waits for.
type ask struct {
	Deliver
	said Reply
	over chan struct{} // has a token once said is there
	say  func(Reply)   // what the delivery is answered by, made once
}

// newAsk makes the room of one, which is lent again and again. It never leaves its
// system: a channel belongs to the bubble of the test that made it.
func (s *System) newAsk() any {
	a := &ask{over: make(chan struct{}, 1)}
	a.say = func(r Reply) {
		s.admitted.Add(-1)
		a.said = r
		a.over <- struct{}{}
	}
	return a
}

// Ask delivers an input from outside and waits for its reply. The delivery is
// copied. When the context ends first the outcome is unknown to the caller, and the
// refusal says so.
func (s *System) Ask(ctx context.Context, d *Deliver) (Reply, error) {
	if err := s.admit(1); err != nil {
		return Reply{}, err
	}
	s.together()
	a := s.asks.Get().(*ask)
	a.Deliver = *d
	a.Until, a.Reply = s.until(ctx), a.say
	s.tell(&a.Deliver, true)
	select {
	case <-a.over:
	case <-ctx.Done():
		return Reply{}, timedOut(ctx.Err()) // the late reply comes into room that is left to it
	}
	r := a.said
	// An answer is the last that happens to a delivery: the room is free.
	a.Deliver, a.said = Deliver{}, Reply{}
	s.asks.Put(a)
	if s.Peers != nil {
		r = s.state(ctx, d, r)
	}
	return r, r.Err
}

// together lets those go on together who came together: all are read first, then their
// turns follow one another and find in the caches what the first has brought there
// (cohort scheduling: Larus and Parkes, 2002).
func (s *System) together() {
	if s.admitted.Load() > 1 {
		runtime.Gosched()
	}
}

func timedOut(cause error) error {
	return &workflow.Refusal{
		Code:       workflow.CodeTimeout,
		Message:    "no answer came in time, so the outcome is unknown: " + cause.Error(),
		Hint:       "send it again with the same id: if the first one was kept you get its receipt",
		RetryAfter: unavailableRetryAfter,
	}
}

// Live counts the executions in memory.
func (s *System) Live(ctx context.Context) int { return s.count(ctx, false) }

// Passivated counts the executions that left memory so far.
func (s *System) Passivated() uint64 { return s.left.Load() }

// Admitted counts the inputs from outside that are under way.
func (s *System) Admitted() int64 { return s.admitted.Load() }

// Watch returns a channel that gets a value, without blocking anybody, after
// each commit of the execution; stop ends the watch.
func (s *System) Watch(execID string) (changed <-chan struct{}, stop func()) {
	changed, stop = s.watchers.add(execID)
	if s.Peers != nil {
		s.Peers.Watch(execID)
	}
	return changed, stop
}

// perform does what a commit asked for, now that it is durable. It never blocks.
func (s *System) perform(effects []workflow.Effect) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case workflow.RunTask:
			s.Hands.Run(e, func(in workflow.Input) { s.redeliver(e.ExecID, in, RedeliverAfter) })
		case workflow.CancelTask:
			s.Hands.Cancel(e)
		case workflow.EmitEvent:
			s.fan(persistence.Accepted(e.Event))
		}
	}
}

// redeliver brings the result of an attempt home, again and again while the store does
// not take it or nobody owns its execution: work that was done is not done twice for that.
func (s *System) redeliver(execID string, in workflow.Input, hold time.Duration) {
	s.Tell(&Deliver{ExecID: execID, Input: in, Reply: func(r Reply) {
		if transient(r.Err) && !s.stopping.Load() {
			time.AfterFunc(hold, func() { s.redeliver(execID, in, min(2*hold, RedeliverMost)) })
		}
	}})
}

// wake has an execution perform what it waits for, once the store is well. Before
// that a write that was not answered may still land, or a Redis be there that came
// back empty, so an execution that is not found may yet be.
func (s *System) wake(execID string, hold time.Duration) {
	switch {
	case s.stopping.Load(): // the next start performs it
	case s.Store.Health() != nil:
		time.AfterFunc(hold, func() { s.wake(execID, min(2*hold, RedeliverMost)) })
	default:
		s.redeliver(execID, nil, hold)
	}
}

// watchers are the channels that want to know of an execution's commits.
type watchers struct {
	mu    sync.RWMutex
	byID  map[string]map[chan struct{}]bool
	count atomic.Int64
}

func (w *watchers) add(execID string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	if w.byID == nil {
		w.byID = make(map[string]map[chan struct{}]bool)
	}
	if w.byID[execID] == nil {
		w.byID[execID] = make(map[chan struct{}]bool)
	}
	w.byID[execID][c] = true
	w.mu.Unlock()
	w.count.Add(1)
	return c, sync.OnceFunc(func() {
		w.mu.Lock()
		delete(w.byID[execID], c)
		if len(w.byID[execID]) == 0 {
			delete(w.byID, execID)
		}
		w.mu.Unlock()
		w.count.Add(-1)
	})
}

func (w *watchers) notify(execID string) {
	if w.count.Load() == 0 {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for c := range w.byID[execID] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func quote(id string) string { return strconv.Quote(id) }
