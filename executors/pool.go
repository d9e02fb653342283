package executors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Lane is a queue of its own with workers of its own, so that what is slow can
// only ever delay its like.
type Lane string

// The lanes of a pool.
const (
	LaneAgent   Lane = "agent"   // models
	LaneHTTP    Lane = "http"    // HTTP tools, and executors that do not say
	LaneProcess Lane = "process" // process tools
	LaneBuiltin Lane = "builtin" // work that waits for nobody
)

// Lanes lists every lane, in a stable order.
var Lanes = []Lane{LaneAgent, LaneHTTP, LaneProcess, LaneBuiltin}

// laner is an executor that sorts its jobs into lanes.
type laner interface{ Lane(Job) Lane }

// purist is an executor some of whose jobs only make an output out of a request.
type purist interface{ Pure(Job) bool }

// Hooks are told what a pool does. They are called from its goroutines and must
// not block; nil ones are not called.
type Hooks struct {
	// Started is called when a job leaves its queue, with how long it waited there.
	Started func(lane Lane, waited time.Duration)
	// Ended is called when a job ends: outcome is "ok", "canceled", or the code
	// of its failure.
	Ended func(lane Lane, executor, outcome string, took time.Duration)
	// Room is called once after Submit has refused a job, when the backlog of
	// that lane has fallen to half of its bounds.
	Room func(lane Lane)
	// Logger hears of panics that an executor did not catch itself.
	Logger *slog.Logger
}

// LaneStats is where a lane stands at one moment.
type LaneStats struct {
	Lane         Lane
	Running      int
	Queued       int
	QueuedBytes  int
	Workers      int // that may run at the same time
	Backlog      int // jobs that may wait
	BacklogBytes int // bytes of requests that may wait
}

// Pool runs jobs outside of the actors, a bounded number at a time in each
// lane. An idle pool has no goroutines; workers come with work and go with it.
type Pool struct {
	executors map[string]Executor
	hooks     Hooks

	mu      sync.Mutex
	lanes   map[Lane]*lane
	jobs    map[string]*ticket // queued and running ones, by key
	stopped bool
	workers sync.WaitGroup
	base    context.Context
	cancel  context.CancelFunc
}

// lane is one queue. All of its fields are guarded by the pool's lock.
type lane struct {
	name    Lane
	queue   queue
	running int
	workers int
	backlog int
	bytes   int  // of the requests in the queue
	refused bool // Submit refused a job since the last call of Room
}

// ticket is a job in the pool.
type ticket struct {
	executor string
	job      Job
	lane     *lane
	done     func(workflow.Value, error) // nil once nobody wants the result
	since    time.Time                   // it was queued
	cancel   context.CancelFunc          // set while it runs
}

// NewPool makes a pool over executors by name. workers jobs run at the same
// time in each of the lanes that wait for the network, fewer in the others;
// backlog jobs may wait in each lane. Zero or less means the defaults.
func NewPool(executors map[string]Executor, workers, backlog int, hooks Hooks) *Pool {
	if workers <= 0 {
		workers = DefaultWorkers
	}
	if backlog <= 0 {
		backlog = DefaultBacklog
	}
	if hooks.Logger == nil {
		hooks.Logger = slog.New(slog.DiscardHandler)
	}
	cpus := runtime.GOMAXPROCS(0)
	most := map[Lane]int{
		LaneAgent:   workers,
		LaneHTTP:    workers,
		LaneProcess: min(workers, ProcessesPerCPU*cpus),
		LaneBuiltin: max(cpus, MinBuiltinWorkers),
	}
	p := &Pool{executors: executors, hooks: hooks, lanes: make(map[Lane]*lane), jobs: make(map[string]*ticket)}
	p.base, p.cancel = context.WithCancel(context.Background())
	for _, name := range Lanes {
		p.lanes[name] = &lane{name: name, workers: most[name], backlog: backlog}
	}
	return p
}

// Submit queues a job and returns at once. It returns false, and nothing will
// happen, when the backlog of the job's lane is full or the pool is stopped;
// Hooks.Room says when to try again.
//
// done is called exactly once, from a goroutine of the pool, with an output or
// a *Failure, unless the job is cancelled or the pool is stopped before the job
// ends: then it is never called, because nobody may mistake that for a result
// of the work. A job whose key is in the pool already is not run twice: the one
// that is there goes on, and the new done takes the place of the former.
func (p *Pool) Submit(executor string, job Job, done func(workflow.Value, error)) bool {
	name := p.laneOf(executor, job)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	if known := p.jobs[job.Key]; known != nil {
		known.done = done
		return true
	}
	l := p.lanes[name]
	busy := l.running >= l.workers
	if busy && (l.queue.len() >= l.backlog || l.bytes+len(job.Request) > MaxBacklogBytes) {
		l.refused = true
		return false
	}
	t := &ticket{executor: executor, job: job, lane: l, done: done, since: time.Now()}
	p.jobs[job.Key] = t
	if busy {
		l.queue.push(t)
		l.bytes += len(job.Request)
		return true
	}
	l.running++
	ctx := p.begin(t)
	p.workers.Go(func() { p.work(ctx, t) })
	return true
}

// Now does a job on the caller's goroutine, if its executor says that it has no
// effect outside and waits for nobody, and its request is small.
func (p *Pool) Now(executor string, job Job) (out workflow.Value, err error, done bool) {
	e, ok := p.executors[executor].(purist)
	if !ok || len(job.Request) > MaxNowBytes || !e.Pure(job) {
		return nil, nil, false
	}
	job.Now = true
	began := time.Now()
	out, err = p.run(context.Background(), &ticket{executor: executor, job: job})
	if p.hooks.Ended != nil {
		p.hooks.Ended(LaneBuiltin, executor, outcomeOf(err), time.Since(began))
	}
	return out, err, true
}

// laneOf asks the executor where a job belongs.
func (p *Pool) laneOf(executor string, job Job) Lane {
	e, known := p.executors[executor]
	if !known {
		return LaneBuiltin // it fails at once
	}
	if sorter, ok := e.(laner); ok {
		if name := sorter.Lane(job); p.lanes[name] != nil {
			return name
		}
	}
	return LaneHTTP
}

// begin gives a job its context. The caller holds the lock.
func (p *Pool) begin(t *ticket) context.Context {
	if t.job.Timeout <= 0 {
		t.job.Timeout = workflow.DefaultTaskTimeout
	}
	ctx, cancel := context.WithTimeout(p.base, t.job.Timeout)
	t.cancel = cancel
	return ctx
}

// work runs a job, and then others of its lane until none waits.
func (p *Pool) work(ctx context.Context, t *ticket) {
	for t != nil {
		began := time.Now()
		if p.hooks.Started != nil {
			p.hooks.Started(t.lane.name, began.Sub(t.since))
		}
		out, err := p.run(ctx, t)
		t.cancel()
		next, nextCtx, done, room := p.finish(t)
		outcome := "canceled"
		if done != nil {
			outcome = outcomeOf(err)
			done(out, err)
		}
		if p.hooks.Ended != nil {
			p.hooks.Ended(t.lane.name, t.executor, outcome, time.Since(began))
		}
		if room && p.hooks.Room != nil {
			p.hooks.Room(t.lane.name)
		}
		t, ctx = next, nextCtx
	}
}

// outcomeOf names a result for metrics.
func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	return asFailure(err).Code
}

// run does one job. Executors catch their own panics; one that does not must
// still not take the node with it. The text of such a panic stays out of the
// failure, because nobody has struck the secrets out of it.
func (p *Pool) run(ctx context.Context, t *ticket) (out workflow.Value, err error) {
	e, known := p.executors[t.executor]
	if !known {
		return nil, permanent(CodeUnknownExecutor, "task %s: there is no executor %q in this node; the definition was made for another version", t.job.Task, t.executor)
	}
	defer func() {
		if r := recover(); r != nil {
			p.hooks.Logger.Error("an executor panicked", "executor", t.executor, "task", t.job.Task, "key", t.job.Key, "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			out, err = nil, permanent(CodePanic, "task %s: executor %q panicked (%T); this is a defect of the program, the log has the stack under key %s", t.job.Task, t.executor, r, t.job.Key)
		}
	}()
	out, err = e.Run(ctx, t.job)
	if err == nil {
		return out, nil
	}
	var said *Failure
	if f := ended(ctx, t.job); f != nil && !errors.As(err, &said) {
		return nil, f
	}
	return nil, asFailure(err)
}

// finish takes a job out of the pool and the next one of its lane out of the
// queue, in one step, so that a worker is never idle while something waits.
// done is nil when nobody wants the result any more.
func (p *Pool) finish(t *ticket) (next *ticket, ctx context.Context, done func(workflow.Value, error), room bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs[t.job.Key] == t {
		delete(p.jobs, t.job.Key)
	}
	done = t.done
	l := t.lane
	next = l.queue.pop()
	if next == nil {
		l.running--
	} else {
		l.bytes -= len(next.job.Request)
		ctx = p.begin(next)
	}
	if l.refused && l.queue.len() <= l.backlog/2 && l.bytes <= MaxBacklogBytes/2 {
		l.refused, room = false, true
	}
	return next, ctx, done, room
}

// Cancel ends a queued or running job. Its done is not called any more, except
// that a call which has begun already goes on.
func (p *Pool) Cancel(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.jobs[key]
	if t == nil {
		return
	}
	delete(p.jobs, key)
	t.done = nil
	if t.cancel != nil {
		t.cancel()
		return
	}
	if t.lane.queue.remove(t) {
		t.lane.bytes -= len(t.job.Request)
	}
}

// Stats says where every lane stands, in the order of Lanes.
func (p *Pool) Stats() []LaneStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := make([]LaneStats, 0, len(Lanes))
	for _, name := range Lanes {
		l := p.lanes[name]
		stats = append(stats, LaneStats{
			Lane: name, Running: l.running, Queued: l.queue.len(), QueuedBytes: l.bytes,
			Workers: l.workers, Backlog: l.backlog, BacklogBytes: MaxBacklogBytes,
		})
	}
	return stats
}

// Stop cancels everything, waits until all workers have gone or ctx ends, and
// closes the executors. What was cancelled is done again under the same key
// when its execution is loaded the next time.
func (p *Pool) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	for key, t := range p.jobs {
		t.done = nil
		delete(p.jobs, key)
	}
	for _, l := range p.lanes {
		l.queue.clear()
		l.bytes = 0
	}
	p.mu.Unlock()
	p.cancel()
	gone := make(chan struct{})
	go func() {
		p.workers.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		running := 0
		for _, l := range p.Stats() {
			running += l.Running
		}
		if running > 0 { // a worker without a job is on its way out
			return fmt.Errorf("stop the pool: %d jobs do not heed their cancellation: %w; they end with the process", running, ctx.Err())
		}
	}
	var problems []error
	for name, e := range p.executors {
		if closer, ok := e.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				problems = append(problems, fmt.Errorf("close executor %s: %w", name, err))
			}
		}
	}
	return errors.Join(problems...)
}
