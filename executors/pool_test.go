package executors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// scripted is an executor that a test steers: a job holds until it is released
// or cancelled, unless its request says what it does.
type scripted struct {
	lane    Lane
	release chan struct{}

	mu       sync.Mutex
	ran      []string
	now, top int
	closed   int
}

func newScripted(lane Lane) *scripted { return &scripted{lane: lane, release: make(chan struct{})} }

func (s *scripted) Lane(Job) Lane { return s.lane }

func (s *scripted) Close() error {
	s.closed++
	return nil
}

func (s *scripted) Run(ctx context.Context, job Job) (workflow.Value, error) {
	s.mu.Lock()
	s.ran = append(s.ran, job.Key)
	s.now++
	s.top = max(s.top, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	switch string(job.Request) {
	case `"panic"`:
		panic("panic-canary")
	case `"quick"`:
		return job.Request, nil
	case `"stubborn"`:
		<-s.release
		return job.Request, nil
	}
	select {
	case <-s.release:
		return job.Request, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scripted) runs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ran)
}

// results collects what done was called with.
type results struct {
	mu  sync.Mutex
	got map[string][]string
}

func (r *results) of(key string) func(workflow.Value, error) {
	return func(v workflow.Value, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.got == nil {
			r.got = make(map[string][]string)
		}
		text := string(v)
		if err != nil {
			text = outcomeOf(err)
		}
		r.got[key] = append(r.got[key], text)
	}
}

func (r *results) all() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.got)
}

func keyed(key, request string) Job {
	return Job{Key: key, Task: "t", Request: workflow.Value(request), Timeout: time.Hour}
}

// inBubble runs a test with a pool on virtual time, and stops the pool with it.
func inBubble(t *testing.T, workers, backlog int, hooks Hooks, test func(p *Pool, slow, quick *scripted, r *results)) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := newScripted(LaneAgent), newScripted(LaneBuiltin)
		p := NewPool(map[string]Executor{"slow": slow, "quick": quick}, workers, backlog, hooks)
		test(p, slow, quick, &results{})
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// statsOf is where one lane stands.
func statsOf(p *Pool, name Lane) LaneStats {
	for _, s := range p.Stats() {
		if s.Lane == name {
			return s
		}
	}
	return LaneStats{}
}

func TestPoolIsBounded(t *testing.T) {
	var rooms atomic.Int64
	hooks := Hooks{Room: func(name Lane) {
		if name == LaneAgent {
			rooms.Add(1)
		}
	}}
	inBubble(t, 2, 4, hooks, func(p *Pool, slow, _ *scripted, r *results) {
		for i := range 6 {
			key := fmt.Sprint(i)
			if !p.Submit("slow", keyed(key, `1`), r.of(key)) {
				t.Fatalf("job %d is refused", i)
			}
		}
		for range 3 {
			if p.Submit("slow", keyed("over", `1`), r.of("over")) {
				t.Fatal("a job more than fits is taken")
			}
		}
		synctest.Wait()
		if got := statsOf(p, LaneAgent); got.Running != 2 || got.Queued != 4 || got.QueuedBytes != 4 {
			t.Errorf("the lane stands at %+v", got)
		}
		if n := rooms.Load(); n != 0 {
			t.Errorf("room is announced %d times while there is none", n)
		}
		for range 2 {
			slow.release <- struct{}{}
			synctest.Wait()
		}
		if n := rooms.Load(); n != 1 {
			t.Errorf("room is announced %d times at half of the backlog, want once", n)
		}
		if !p.Submit("slow", keyed("later", `1`), r.of("later")) {
			t.Error("there is no room after all")
		}
		for range 5 { // one at a time: of two that start together either may be first
			slow.release <- struct{}{}
			synctest.Wait()
		}
		want := map[string][]string{"later": {"1"}}
		for i := range 6 {
			want[fmt.Sprint(i)] = []string{"1"}
		}
		if got := r.all(); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the results are %v, want %v", got, want)
		}
		if want := []string{"2", "3", "4", "5", "later"}; !slices.Equal(slow.runs()[2:], want) {
			t.Errorf("the jobs ran in the order %v, want %v at the end", slow.runs(), want)
		}
		if slow.top != 2 {
			t.Errorf("%d jobs ran at the same time", slow.top)
		}
		if got := statsOf(p, LaneAgent); got.Running != 0 || got.Queued != 0 || got.QueuedBytes != 0 {
			t.Errorf("the idle lane stands at %+v", got)
		}
		if len(p.jobs) != 0 {
			t.Errorf("%d jobs are still known", len(p.jobs))
		}
	})
}

func TestPoolBoundsBytes(t *testing.T) {
	inBubble(t, 1, 1_000_000, Hooks{}, func(p *Pool, slow, _ *scripted, r *results) {
		big := `"` + strings.Repeat("x", 1<<20) + `"`
		taken := 0
		for i := range 1000 {
			if p.Submit("slow", keyed(fmt.Sprint(i), big), r.of("x")) {
				taken++
			}
		}
		if want := 1 + MaxBacklogBytes/len(big); taken != want {
			t.Errorf("%d MiB wait, want %d", taken, want)
		}
	})
}

// Models that never answer hold up neither built-in tools nor each other's lane.
func TestPoolLanesAreIndependent(t *testing.T) {
	inBubble(t, 1, 2, Hooks{}, func(p *Pool, _, _ *scripted, r *results) {
		for i := range 10 {
			p.Submit("slow", keyed(fmt.Sprint(i), `1`), r.of("slow"))
		}
		for i := range 100 {
			key := fmt.Sprint("q", i)
			if !p.Submit("quick", keyed(key, `"quick"`), r.of(key)) {
				t.Fatalf("built-in job %d is refused", i)
			}
			synctest.Wait()
			if got := r.all()[key]; !slices.Equal(got, []string{`"quick"`}) {
				t.Fatalf("built-in job %d waits behind models: %v", i, got)
			}
		}
		if got := statsOf(p, LaneAgent); got.Running != 1 || got.Queued != 2 {
			t.Errorf("the slow lane stands at %+v", got)
		}
		if got := statsOf(p, LaneBuiltin); got.Running != 0 || got.Queued != 0 {
			t.Errorf("the built-in lane stands at %+v", got)
		}
	})
}

func TestPoolCancels(t *testing.T) {
	var outcomes []string
	hooks := Hooks{Ended: func(_ Lane, _, outcome string, _ time.Duration) { outcomes = append(outcomes, outcome) }}
	inBubble(t, 1, 10, hooks, func(p *Pool, slow, _ *scripted, r *results) {
		for _, key := range []string{"running", "queued", "last"} {
			p.Submit("slow", keyed(key, `1`), r.of(key))
		}
		synctest.Wait()
		p.Cancel("queued")
		p.Cancel("nobody")
		if got := statsOf(p, LaneAgent); got.Queued != 1 || got.QueuedBytes != 1 {
			t.Errorf("the lane stands at %+v", got)
		}
		p.Cancel("running")
		synctest.Wait()
		slow.release <- struct{}{}
		synctest.Wait()
		if got, want := r.all(), (map[string][]string{"last": {"1"}}); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the results are %v, want %v", got, want)
		}
		if want := []string{"running", "last"}; !slices.Equal(slow.runs(), want) {
			t.Errorf("%v ran, want %v", slow.runs(), want)
		}
		if want := []string{"canceled", "ok"}; !slices.Equal(outcomes, want) {
			t.Errorf("the outcomes are %v, want %v", outcomes, want)
		}
	})
}

// An execution that was put away and loaded again asks for the work that is
// going on already: it is not done twice, and the newcomer gets the result.
func TestPoolAdoptsTheSameKey(t *testing.T) {
	inBubble(t, 1, 10, Hooks{}, func(p *Pool, slow, _ *scripted, r *results) {
		p.Submit("slow", keyed("a", `1`), r.of("first"))
		p.Submit("slow", keyed("b", `2`), r.of("first"))
		synctest.Wait()
		p.Submit("slow", keyed("a", `1`), r.of("second"))
		p.Submit("slow", keyed("b", `2`), r.of("second"))
		close(slow.release)
		synctest.Wait()
		if got, want := r.all(), (map[string][]string{"second": {"1", "2"}}); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the results are %v, want %v", got, want)
		}
		if got := slow.runs(); len(got) != 2 {
			t.Errorf("the jobs ran as %v", got)
		}
		// A key that has ended is a new job.
		p.Submit("slow", keyed("a", `3`), r.of("third"))
		synctest.Wait()
		if got := r.all()["third"]; !slices.Equal(got, []string{"3"}) {
			t.Errorf("the third result is %v", got)
		}
	})
}

func TestPoolSurvivesPanics(t *testing.T) {
	inBubble(t, 1, 10, Hooks{}, func(p *Pool, _, _ *scripted, r *results) {
		var failure error
		p.Submit("slow", keyed("a", `"panic"`), func(_ workflow.Value, err error) { failure = err })
		p.Submit("slow", keyed("b", `"quick"`), r.of("b"))
		synctest.Wait()
		var f *Failure
		if !errors.As(failure, &f) || f.Code != CodePanic || !f.Permanent || strings.Contains(f.Message, "panic-canary") {
			t.Errorf("the panic came back as %v", failure)
		}
		if got := r.all()["b"]; !slices.Equal(got, []string{`"quick"`}) {
			t.Errorf("the next job gave %v", got)
		}
	})
}

func TestPoolTimesOut(t *testing.T) {
	inBubble(t, 1, 10, Hooks{}, func(p *Pool, _, _ *scripted, r *results) {
		began := time.Now()
		ended := make(map[string]time.Duration)
		for key, timeout := range map[string]time.Duration{"short": time.Second, "none": 0} {
			job := keyed(key, `1`)
			job.Timeout = timeout
			p.Submit("slow", job, func(_ workflow.Value, err error) {
				ended[key] = time.Since(began)
				r.of(key)(nil, err)
			})
			time.Sleep(workflow.DefaultTaskTimeout + time.Minute) // virtual
			synctest.Wait()
			began = time.Now()
		}
		if got, want := r.all(), (map[string][]string{"short": {CodeTimeout}, "none": {CodeTimeout}}); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the results are %v, want %v", got, want)
		}
		if ended["short"] != time.Second || ended["none"] != workflow.DefaultTaskTimeout {
			t.Errorf("the timeouts came after %v", ended)
		}
	})
}

// The timeout is of the work: what waits in the queue loses nothing of it.
func TestPoolTimeoutStartsWithTheWork(t *testing.T) {
	var waited []time.Duration
	hooks := Hooks{Started: func(_ Lane, d time.Duration) { waited = append(waited, d) }}
	inBubble(t, 1, 10, hooks, func(p *Pool, slow, _ *scripted, r *results) {
		p.Submit("slow", keyed("a", `1`), r.of("a"))
		job := keyed("b", `2`)
		job.Timeout = time.Minute
		p.Submit("slow", job, r.of("b"))
		time.Sleep(10 * time.Minute) // virtual
		slow.release <- struct{}{}
		synctest.Wait()
		slow.release <- struct{}{}
		synctest.Wait()
		if got, want := r.all(), (map[string][]string{"a": {"1"}, "b": {"2"}}); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("the results are %v, want %v", got, want)
		}
		if want := []time.Duration{0, 10 * time.Minute}; !slices.Equal(waited, want) {
			t.Errorf("the jobs waited %v, want %v", waited, want)
		}
	})
}

func TestPoolStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newScripted(LaneAgent)
		p := NewPool(map[string]Executor{"slow": slow}, 1, 10, Hooks{})
		var r results
		p.Submit("slow", keyed("running", `1`), r.of("running"))
		p.Submit("slow", keyed("queued", `1`), r.of("queued"))
		synctest.Wait()
		for range 2 {
			if err := p.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if p.Submit("slow", keyed("late", `1`), r.of("late")) {
			t.Error("a stopped pool takes work")
		}
		if got := r.all(); len(got) != 0 {
			t.Errorf("stopping is told as a result: %v", got)
		}
		if slow.closed == 0 {
			t.Error("the executor is not closed")
		}
	})
}

func TestPoolStopDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newScripted(LaneAgent)
		p := NewPool(map[string]Executor{"slow": slow}, 1, 10, Hooks{})
		p.Submit("slow", keyed("a", `"stubborn"`), func(workflow.Value, error) { t.Error("done is called after Stop") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := p.Stop(ctx)
		if err == nil || !strings.Contains(err.Error(), "1 jobs do not heed their cancellation") {
			t.Errorf("stopping says %v", err)
		}
		close(slow.release)
		synctest.Wait()
	})
}

// TestPoolWithoutJobsStopsInNoTime: there is nothing to wait for, and so nothing to
// complain about when there is no time.
func TestPoolWithoutJobsStopsInNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		for range 20 { // of two things that have happened, either may be seen
			idle := newScripted(LaneAgent)
			p := NewPool(map[string]Executor{"idle": idle}, 1, 10, Hooks{})
			if err := p.Stop(over); err != nil || idle.closed == 0 {
				t.Fatalf("stopping says %v, and the executor is closed %d times", err, idle.closed)
			}
		}
	})
}

func TestPoolKnowsItsExecutors(t *testing.T) {
	inBubble(t, 1, 1, Hooks{}, func(p *Pool, _, _ *scripted, r *results) {
		if !p.Submit("robot", keyed("a", `1`), r.of("a")) {
			t.Fatal("the job is refused")
		}
		synctest.Wait()
		if got := r.all()["a"]; !slices.Equal(got, []string{CodeUnknownExecutor}) {
			t.Errorf("the result is %v", got)
		}
	})
}

func TestPoolDefaults(t *testing.T) {
	p := NewPool(nil, 0, 0, Hooks{})
	if got := statsOf(p, LaneHTTP); got.Workers != DefaultWorkers || got.Backlog != DefaultBacklog {
		t.Errorf("the defaults are %+v", got)
	}
	if got := statsOf(p, LaneBuiltin); got.Workers < MinBuiltinWorkers {
		t.Errorf("the built-in lane has %d workers", got.Workers)
	}
	if err := p.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// Whatever comes in whatever order, from however many goroutines: every job that
// was taken ends in exactly one call of done, or in none if it was cancelled.
func TestPoolUnderStress(t *testing.T) {
	const senders, each = 8, 300
	inBubble(t, 4, 32, Hooks{}, func(p *Pool, slow, quick *scripted, _ *results) {
		close(slow.release)
		close(quick.release)
		var calls [senders * each]atomic.Int64
		var taken, cancelled [senders * each]bool
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				random := rand.New(rand.NewPCG(7, uint64(s)))
				for i := s * each; i < (s+1)*each; i++ {
					request := []string{`"quick"`, `1`, `"panic"`}[random.IntN(3)]
					done := func(workflow.Value, error) { calls[i].Add(1) }
					taken[i] = p.Submit([]string{"slow", "quick"}[random.IntN(2)], keyed(fmt.Sprint(i), request), done)
					if random.IntN(4) == 0 {
						p.Cancel(fmt.Sprint(i))
						cancelled[i] = true
					}
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for i := range calls {
			n := calls[i].Load()
			if n > 1 || n == 1 && !taken[i] || n == 0 && taken[i] && !cancelled[i] {
				t.Errorf("job %d: taken %t, cancelled %t, done was called %d times", i, taken[i], cancelled[i], n)
			}
		}
		if len(p.jobs) != 0 {
			t.Errorf("%d jobs are still known", len(p.jobs))
		}
	})
}

func BenchmarkPoolEcho(b *testing.B) {
	p := NewPool(New(Options{}), 0, 1_000_000, Hooks{})
	job := Job{Request: workflow.Value(`{"tool":{"id":"echo","type":"echo"},"with":{"order":7,"name":"Ada"}}`), Timeout: time.Minute}
	var pending sync.WaitGroup
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		job.Key = fmt.Sprint(i)
		pending.Add(1)
		if !p.Submit("tool", job, func(workflow.Value, error) { pending.Done() }) {
			b.Fatal("refused")
		}
	}
	pending.Wait()
	if err := p.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// TestNowDoesWhatHasNoEffect: built-in tools with small requests, and nothing else.
func TestNowDoesWhatHasNoEffect(t *testing.T) {
	var ended []string
	p := NewPool(New(Options{}), 1, 1, Hooks{Ended: func(l Lane, executor, outcome string, _ time.Duration) {
		ended = append(ended, string(l)+" "+executor+" "+outcome)
	}})
	large := `"` + strings.Repeat("x", MaxNowBytes) + `"`
	for _, c := range []struct {
		executor, request, out, code string
		done                         bool
	}{
		{"tool", `{"tool":{"type":"echo"},"with":{"a":1}}`, `{"a":1}`, "", true},
		{"tool", `{"tool":{"type":"transform","output":[2]}}`, `[2]`, "", true},
		{"tool", `{"tool":{"id":"e","type":"echo"},"with":{"a":1}}`, `{"a":1}`, "", true},
		{"tool", `{"tool":{"id":"e","type":"http","url":"http://localhost"}}`, "", "", false},
		{"tool", `{"tool":{"id":"e\",\"type\":\"echo","type":"http","url":"http://localhost"}}`, "", "", false},
		{"tool", `{"tool":{"id":"e","output":{"a":"b","type":"echo"},"type":"http"}}`, "", "", false},
		{"tool", `{"tool":{"id":"e","type":"echo","type":"http","url":"http://localhost"}}`, "", CodeUnknownTool, true},
		{"tool", `{"tool":{"type":"echo"},"tool":{"type":"http","url":"http://localhost"}}`, "", CodeUnknownTool, true},
		{"tool", `{"tool":{"type":"echo"},"with":{"a":1},"schema":{"required":["b"]}}`, "", CodeOutputInvalid, true},
		{"tool", `{"tool":{"type":"echo"},"with":` + large + `}`, "", "", false},
		{"tool", `{"tool":{"type":"http","url":"http://localhost"}}`, "", "", false},
		{"tool", `{"tool":{"type":"process","argv":["true"]}}`, "", "", false},
		{"tool", `{"tool":{}}`, "", "", false},
		{"agent", `{}`, "", "", false},
		{"nobody", `{}`, "", "", false},
	} {
		out, err, done := p.Now(c.executor, Job{Key: "k", Task: "t", Attempt: 1, Request: workflow.Value(c.request)})
		var f *Failure
		errors.As(err, &f)
		if done != c.done || string(out) != c.out || (f == nil) != (c.code == "") || f != nil && f.Code != c.code {
			t.Errorf("%s %.60s: %s, %v, %v", c.executor, c.request, out, err, done)
		}
	}
	if want := []string{"builtin tool ok", "builtin tool ok", "builtin tool ok", "builtin tool " + CodeUnknownTool, "builtin tool " + CodeUnknownTool, "builtin tool " + CodeOutputInvalid}; !slices.Equal(ended, want) {
		t.Errorf("%v ended", ended)
	}
}
