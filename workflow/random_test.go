package workflow_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// render and judge are expressions written in Go, so that the core is tested
// without the room that implements real ones.
type render func(*workflow.Scope) (workflow.Value, error)

func (r render) Render(s *workflow.Scope) (workflow.Value, error) { return r(s) }

type judge struct {
	source string
	holds  func(*workflow.Scope) bool
}

func (j judge) Source() string { return j.source }

func (j judge) Judge(s *workflow.Scope) workflow.Verdict {
	if j.holds(s) {
		return workflow.Verdict{Holds: true}
	}
	return workflow.Verdict{Reason: j.source + " is false"}
}

func literal(v any) workflow.Template {
	value := workflow.ValueOf(v)
	return render(func(*workflow.Scope) (workflow.Value, error) { return value, nil })
}

var broken = render(func(*workflow.Scope) (workflow.Value, error) {
	return nil, fmt.Errorf("this template never renders")
})

// payloadAbove holds for signals whose payload n is above a bound, and for
// those that came after some task has ended well.
func payloadAbove(bound int, task string) workflow.Condition {
	return judge{fmt.Sprintf("n > %d or %s ended", bound, task), func(s *workflow.Scope) bool {
		var envelope struct {
			Payload struct{ N int }
		}
		if json.Unmarshal(s.Signal, &envelope) != nil {
			return false
		}
		ts := s.State.Task(task)
		return envelope.Payload.N > bound || ts != nil && ts.Status == workflow.Success
	}}
}

// randomDefinition makes a workflow of up to eight tasks with every construct
// of the core: listed order, joins, loops, ways out, retries, sleeps, waits with
// conditions, deadlines, processors, branches, quorums,
// extensions and reminders, signals, final tasks.
func randomDefinition(r *rand.Rand) *workflow.Definition {
	d := &workflow.Definition{ID: "w", Hash: "h", AwaitsAny: r.IntN(4) == 0, Awaits: []string{"a", "b"}}
	n := 1 + r.IntN(8)
	id := func(i int) string { return fmt.Sprintf("t%d", i) }
	for i := range n {
		t := &workflow.Task{ID: id(i)}
		switch r.IntN(5) {
		case 0, 1:
			t.Kind, t.Wait = workflow.Wait, randomWait(r, id(i), id(r.IntN(n)))
			if r.IntN(2) == 0 {
				t.Timeout = literal(fmt.Sprintf("%ds", 1+r.IntN(20)))
				randomTimes(r, t, id(r.IntN(n)))
			}
		case 2:
			t.Kind, t.Signal = workflow.Emit, &workflow.SignalSpec{Name: literal("x"), Payload: literal(map[string]int{"i": i})}
		default:
			randomWork(r, t)
		}
		if i > 0 && r.IntN(3) > 0 {
			t.After = []string{id(r.IntN(i))}
			if i > 1 && r.IntN(3) == 0 {
				t.After = []string{id(0), id(i - 1)}
			}
		}
		if len(t.After) == 0 && (i == 0 || r.IntN(3) == 0) {
			d.Roots = append(d.Roots, t.ID)
		}
		decorate(r, t, id(r.IntN(n)), id(r.IntN(n)))
		d.Tasks = append(d.Tasks, t)
	}
	if r.IntN(6) == 0 {
		d.OnError = id(r.IntN(n))
	}
	if r.IntN(6) == 0 {
		d.Outputs = broken
	}
	return d.Link()
}

func randomWait(r *rand.Rand, task, other string) *workflow.WaitSpec {
	w := &workflow.WaitSpec{Hold: workflow.Hold{Name: literal([]string{"a", "b"}[r.IntN(2)])}}
	if r.IntN(2) == 0 {
		w.Condition = payloadAbove(r.IntN(6), other)
	}
	switch r.IntN(4) {
	case 0:
		w.Quorum = randomQuorum(r)
	case 1:
		randomBranches(r, w, task, other)
		return w
	}
	if r.IntN(4) == 0 {
		w.Processor = &workflow.Task{ID: task + "-processor"}
		randomWork(r, w.Processor)
	}
	return w
}

// randomBranches makes the wait one for several things at once.
func randomBranches(r *rand.Rand, w *workflow.WaitSpec, task, other string) {
	whole := w.Hold
	w.Hold = workflow.Hold{}
	for i := range 1 + r.IntN(3) {
		b := &workflow.Branch{ID: fmt.Sprintf("b%d", i), Hold: whole}
		if r.IntN(2) == 0 {
			b.Name = literal([]string{"a", "b", "c"}[r.IntN(3)])
		}
		if r.IntN(3) == 0 {
			b.Condition = payloadAbove(r.IntN(6), other)
		}
		if r.IntN(3) == 0 {
			b.Quorum = randomQuorum(r)
		}
		if r.IntN(3) == 0 {
			b.Processor = &workflow.Task{ID: task + "-" + b.ID + "-processor"}
			randomWork(r, b.Processor)
		}
		if r.IntN(3) == 0 {
			b.Timeout = literal(fmt.Sprintf("%ds", 1+r.IntN(9)))
		}
		w.Branches = append(w.Branches, b)
	}
	if r.IntN(3) > 0 {
		w.Need = literal(1 + r.IntN(len(w.Branches)))
	}
}

// randomTimes gives a wait with a deadline extensions and reminders.
func randomTimes(r *rand.Rand, t *workflow.Task, other string) {
	if r.IntN(3) == 0 {
		t.Wait.Extend = &workflow.Extension{By: literal("3s"), Max: 1 + r.IntN(3)}
		switch r.IntN(3) {
		case 0:
			t.Wait.Extend.Name = literal([]string{"b", "c"}[r.IntN(2)])
		case 1:
			t.Wait.Extend.Condition = payloadAbove(r.IntN(6), "nobody")
		}
	}
	for range r.IntN(3) {
		reminder := workflow.Reminder{Task: other}
		if r.IntN(2) == 0 {
			reminder = workflow.Reminder{Event: &workflow.SignalSpec{Name: literal("x")}}
		}
		if r.IntN(9) == 0 {
			reminder = workflow.Reminder{Event: &workflow.SignalSpec{Name: broken}}
		}
		if r.IntN(2) == 0 {
			reminder.After = literal(fmt.Sprintf("%ds", r.IntN(9)))
		} else {
			reminder.Before = literal(fmt.Sprintf("%ds", r.IntN(9)))
		}
		t.Wait.Remind = append(t.Wait.Remind, reminder)
	}
}

func randomQuorum(r *rand.Rand) *workflow.Quorum {
	q := &workflow.Quorum{Count: literal(1 + r.IntN(3)), Across: r.IntN(2) == 0}
	modulo := 2 + r.IntN(3)
	number := func(s *workflow.Scope) (workflow.Value, error) {
		var envelope struct {
			Payload struct{ N int }
		}
		err := json.Unmarshal(s.Signal, &envelope)
		return workflow.ValueOf(envelope.Payload.N % modulo), err
	}
	if r.IntN(2) == 0 {
		q.Distinct = render(number)
	}
	switch r.IntN(4) {
	case 0:
		q.Weigh = render(number)
	case 1:
		q.Distinct, q.Weights = render(number), map[string]workflow.Weight{"1": 500, "2": 2000}
		if r.IntN(2) == 0 {
			q.Weights["*"] = workflow.One
		}
	}
	if r.IntN(4) == 0 {
		q.Veto = payloadAbove(6, "nobody")
	}
	if r.IntN(4) == 0 {
		enough := 1 + r.IntN(3)
		q.Count, q.Until = nil, judge{"enough", func(s *workflow.Scope) bool {
			var list []any
			return json.Unmarshal(s.Collected(), &list) == nil && len(list) >= enough
		}}
	}
	return q
}

func randomWork(r *rand.Rand, t *workflow.Task) {
	t.Kind, t.Work = workflow.Basic, &workflow.Work{Executor: "tool", Request: literal(map[string]string{"tool": "echo"})}
	if r.IntN(20) == 0 {
		t.Work.Request = broken
	}
	if r.IntN(2) == 0 {
		t.Retry = workflow.Retry{Attempts: 1 + r.IntN(3), Initial: time.Second, Coefficient: 2, Maximum: 3 * time.Second}
	}
}

func decorate(r *rand.Rand, t *workflow.Task, one, other string) {
	if r.IntN(4) == 0 {
		t.OnSuccess = literal(one)
	}
	if r.IntN(2) == 0 {
		t.OnError = other
	}
	if r.IntN(2) == 0 {
		t.OnTimeout = one
	}
	if r.IntN(3) == 0 {
		t.OnVeto = other
	}
	if r.IntN(5) == 0 {
		t.Sleep = literal("2s")
	}
	if r.IntN(6) == 0 {
		t.Condition = judge{"false", func(s *workflow.Scope) bool { return s.Now%2 == 0 }}
	}
	if r.IntN(10) == 0 {
		t.Outputs = literal(map[string]bool{"shaped": true})
	}
	t.Final, t.Reminds = r.IntN(12) == 0, r.IntN(4) == 0
}

// randomInput makes an input that may or may not concern the state: results of
// attempts that are over, timers that are not due, ids that were used before.
func randomInput(r *rand.Rand, s *workflow.State, at workflow.Instant) workflow.Input {
	stamp := workflow.Stamp{At: at}
	switch r.IntN(13) {
	case 12:
		return randomMove(r, s, stamp)
	case 0, 1, 2:
		return randomSignal(r, stamp)
	case 3, 4:
		if len(s.Timers) > 0 {
			return workflow.TimerFired{Stamp: stamp, Timer: s.Timers[r.IntN(len(s.Timers))].ID}
		}
		return workflow.TimerFired{Stamp: stamp, Timer: "deadline:t0/1"}
	case 5:
		if r.IntN(3) == 0 {
			return workflow.PauseAsked{Stamp: stamp}
		}
		return workflow.ResumeAsked{Stamp: stamp}
	case 6:
		if r.IntN(10) == 0 {
			return workflow.CancelAsked{Stamp: stamp, Reason: "enough"}
		}
		return workflow.ResumeAsked{Stamp: stamp}
	default:
		return randomResult(r, s, stamp)
	}
}

func randomMove(r *rand.Rand, s *workflow.State, stamp workflow.Stamp) workflow.Input {
	in := workflow.DeadlineMoved{Stamp: stamp, Wait: fmt.Sprintf("t%d/1", r.IntN(8)), Deadline: stamp.At + workflow.Instant(r.IntN(9000)-1000), By: "ada"}
	if len(s.Waits) > 0 && r.IntN(3) > 0 {
		in.Wait = s.Waits[r.IntN(len(s.Waits))].ID
	}
	return in
}

func randomSignal(r *rand.Rand, stamp workflow.Stamp) workflow.Input {
	sig := workflow.Signal{
		ID: fmt.Sprintf("s%d", r.IntN(40)), Name: []string{"a", "b", "c"}[r.IntN(3)],
		Payload: workflow.ValueOf(map[string]int{"n": r.IntN(8)}), ReceivedAt: stamp.At, Source: "api",
	}
	if r.IntN(4) == 0 {
		sig.ExpiresAt = stamp.At + workflow.Instant(r.IntN(5000))
	}
	in := workflow.Signalled{Stamp: stamp, Signal: sig, OnlyIfMatched: r.IntN(4) == 0}
	if in.OnlyIfMatched {
		in.Signal.Source = workflow.FromEvent
	}
	return in
}

func randomResult(r *rand.Rand, s *workflow.State, stamp workflow.Stamp) workflow.Input {
	if len(s.Tasks) == 0 {
		return workflow.ResumeAsked{Stamp: stamp}
	}
	ts := s.Tasks[r.IntN(len(s.Tasks))]
	attempt := ts.Attempt
	if r.IntN(8) == 0 {
		attempt--
	}
	if r.IntN(3) > 0 {
		return workflow.TaskDone{Stamp: stamp, Task: ts.ID, Run: ts.Run, Attempt: attempt, Output: workflow.ValueOf(map[string]int{"n": r.IntN(9)})}
	}
	return workflow.TaskFailed{Stamp: stamp, Task: ts.ID, Run: ts.Run, Attempt: attempt, TimedOut: r.IntN(3) == 0,
		Permanent: r.IntN(4) == 0, Failure: workflow.Failure{Code: "FAILED", Message: "no luck"}, RetryAfterMS: int64(r.IntN(3000))}
}
