package workflow_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// flowOf is a workflow of these tasks, of which those start that come after none
// and are not named later.
func flowOf(tasks ...*workflow.Task) *workflow.Definition {
	d := &workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Tasks: tasks}
	for _, task := range tasks {
		if len(task.After) == 0 && !strings.HasPrefix(task.ID, "later") {
			d.Roots = append(d.Roots, task.ID)
		}
	}
	return d.Link()
}

// holdFor is a wait task for signals of that name.
func holdFor(id, name string) *workflow.Task {
	return &workflow.Task{ID: id, Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal(name)}}}
}

// toolTask is a basic task.
func toolTask(id string) *workflow.Task {
	return &workflow.Task{ID: id, Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("r")}}
}

// TestWhatIsForetoldHappens lives random lives, asks for the opinions on every
// signal before it comes and makes the forecast of every transition, and holds
// both to what Advance then does.
func TestWhatIsForetoldHappens(t *testing.T) {
	said := map[string]int{}
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 11))
		def, at := randomDefinition(r), workflow.Instant(1_000_000)
		s := foretold(t, seed, def, workflow.State{}, workflow.Started{Stamp: workflow.Stamp{At: at}, ExecID: "x", WorkflowID: "w", Definition: "h"})
		for range 60 {
			at += workflow.Instant(r.IntN(1500))
			in := randomInput(r, &s, at)
			sig, ok := in.(workflow.Signalled)
			if !ok {
				s = foretold(t, seed, def, s, in)
				continue
			}
			before := encode(t, s)
			opinions, err := workflow.Opinions(def, &s, sig)
			if err != nil || !bytes.Equal(before, encode(t, s)) {
				t.Fatalf("seed %d: asking for opinions changed the state, or gave %v", seed, err)
			}
			for _, due := range s.Overdue(at) {
				s = foretold(t, seed, def, s, due)
			}
			next, records, _, err := workflow.Advance(def, s, sig)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if len(records) > 0 {
				opined(t, seed, said, opinions, &next, sig, records)
			}
			s = foretold(t, seed, def, s, in)
		}
	}
	for _, what := range []string{"taken", "refused", "vetoed", "processed", "behind", "busy", "taken by several", "closed before"} {
		if said[what] == 0 {
			t.Errorf("in no life a signal was %s: %v", what, said)
		}
	}
}

// opined holds the opinions on a signal to the records that its coming made.
func opined(t *testing.T, seed uint64, said map[string]int, opinions []workflow.Opinion, now *workflow.State, in workflow.Signalled, records []workflow.Record) {
	t.Helper()
	id, event, takers := in.Signal.ID, in.OnlyIfMatched && in.Signal.ExpiresAt == 0, 0
	find := func(match func(workflow.Record) bool) bool { return slices.ContainsFunc(records, match) }
	for _, o := range opinions {
		consumed := find(func(r workflow.Record) bool {
			return r.Type == workflow.SignalConsumed && r.Wait == o.Wait && r.Signal == id
		})
		w := now.Wait(o.Wait)
		switch {
		case o.Processor != "":
			said["processed"]++
			tried := find(func(r workflow.Record) bool {
				return r.Task == o.Processor && (r.Type == workflow.TaskStarted || r.Type == workflow.TaskEnded)
			})
			stillborn := find(func(r workflow.Record) bool { return r.Task == o.Processor && r.Type == workflow.TaskEnded })
			if !tried || consumed && !stillborn {
				t.Fatalf("seed %d: %+v, and then %+v", seed, o, records)
			}
			if !event && (w == nil || w.Judging != id) {
				return // the processor could not even begin, and others were asked
			}
		case o.Takes:
			said["taken"]++
			if takers++; takers > 1 {
				said["taken by several"]++
			}
			vetoed := find(func(r workflow.Record) bool { return r.Type == workflow.WaitVetoed && r.Wait == o.Wait })
			if !consumed || vetoed != o.Vetoes {
				t.Fatalf("seed %d: %+v, and then %+v", seed, o, records)
			}
			if vetoed {
				said["vetoed"]++
			}
		case consumed:
			t.Fatalf("seed %d: %+v, and it took it: %+v", seed, o, records)
		case o.Busy && !event:
			said["busy"]++
		case o.Behind != "":
			said["behind"]++
		default:
			said["refused"]++
			if event && strings.HasPrefix(o.Reason, "it closed before it was asked") {
				said["closed before"]++
			}
			if !find(func(r workflow.Record) bool {
				return r.Type == workflow.SignalJudged && r.Wait == o.Wait && r.Signal == id && r.Reason == o.Reason
			}) {
				t.Fatalf("seed %d: %+v, and then %+v", seed, o, records)
			}
		}
	}
}

// bounded is a wait that collects and whose deadline a signal of another name moves.
func bounded() *workflow.Task {
	task := holdFor("all", "vote")
	task.Timeout = literal("1h")
	task.Wait.Quorum = &workflow.Quorum{Count: literal(5)}
	task.Wait.Extend = &workflow.Extension{By: literal("1h"), Max: 1, Hold: workflow.Hold{Name: literal("more")}}
	return task
}

func TestOpinions(t *testing.T) {
	sent := func(name, key, payload string) workflow.Signal {
		return workflow.Signal{ID: "s", Name: name, CorrelationID: key, Payload: workflow.Value(payload), Source: "api", ReceivedAt: 9}
	}
	event := func(name, key, payload string) workflow.Signal {
		sig := sent(name, key, payload)
		sig.Source = workflow.FromEvent
		return sig
	}
	offer := event("a", "k", `{"amount":1}`)
	offer.ExpiresAt = 99
	keyed, strict, picky := holdFor("keyed", "a"), holdFor("strict", "a"), holdFor("picky", "a")
	last, after := holdFor("last", "a"), holdFor("after", "a")
	last.Final, after.Wait.Condition = true, payloadAbove(5, "keyed")
	keyed.Wait.Correlate, strict.Wait.Schema = literal("k"), wants("amount")
	picky.Wait.Condition = payloadAbove(5, "nobody")
	processed := bounded()
	processed.Wait.Quorum, processed.Wait.Processor = nil, toolTask("look")
	moves := holdFor("moves", "vote")
	moves.Timeout, moves.Wait.Condition = literal("1h"), judge{"never", func(*workflow.Scope) bool { return false }}
	moves.Wait.Extend = &workflow.Extension{By: literal("1h"), Max: 1, Hold: workflow.Hold{Condition: judge{"always", func(*workflow.Scope) bool { return true }}}}
	full := func(s *workflow.State) {
		g := *s.Tasks[0].Gathered
		g.Collected = make([]workflow.Collected, workflow.MaxCollected)
		s.Tasks[0].Gathered = &g
	}
	for what, c := range map[string]struct {
		tasks []*workflow.Task
		sig   workflow.Signal
		but   func(*workflow.State)
		want  []workflow.Opinion
	}{
		"another name":    {[]*workflow.Task{keyed}, sent("b", "", ""), nil, nil},
		"another key":     {[]*workflow.Task{keyed}, sent("a", "j", ""), nil, []workflow.Opinion{{Wait: "keyed/1", Task: "keyed", Reason: `its correlation_id is "j" and the wait listens for "k"`}}},
		"a broken schema": {[]*workflow.Task{strict}, sent("a", "", ""), nil, []workflow.Opinion{{Wait: "strict/1", Task: "strict", Reason: `the payload violates the wait's schema at "/amount": is missing`}}},
		"a condition, and the next one takes it": {[]*workflow.Task{picky, keyed, strict}, sent("a", "k", `{"n":1,"amount":1}`), nil, []workflow.Opinion{
			{Wait: "picky/1", Task: "picky", Condition: "n > 5 or nobody ended", Reason: "n > 5 or nobody ended is false"},
			{Wait: "keyed/1", Task: "keyed", Takes: true},
			{Wait: "strict/1", Task: "strict", Behind: "keyed/1", Reason: "wait keyed/1 is asked first and takes it"},
		}},
		"a processor": {[]*workflow.Task{processed}, sent("vote", "", ""), nil, []workflow.Opinion{{Wait: "all/1", Task: "all", Takes: true, Processor: "look"}}},
		"a busy one": {[]*workflow.Task{processed}, sent("vote", "", ""), func(s *workflow.State) { s.Waits[0].Judging = "t" },
			[]workflow.Opinion{{Wait: "all/1", Task: "all", Busy: true, Reason: "its processor works on signal t"}}},
		"an extension beside a processor":           {[]*workflow.Task{processed}, sent("more", "", ""), nil, []workflow.Opinion{{Wait: "all/1.extend_on", Task: "all", Branch: "extend_on", Takes: true}}},
		"an extension though the condition refuses": {[]*workflow.Task{moves}, sent("vote", "", ""), nil, []workflow.Opinion{{Wait: "moves/1", Task: "moves", Takes: true, Condition: "never"}}},
		"no room":                       {[]*workflow.Task{bounded()}, sent("vote", "", ""), full, []workflow.Opinion{{Wait: "all/1", Task: "all", Reason: "it has collected 1000 signals, the most that it may"}}},
		"an extension where no room is": {[]*workflow.Task{bounded()}, sent("more", "", ""), full, []workflow.Opinion{{Wait: "all/1.extend_on", Task: "all", Branch: "extend_on", Takes: true}}},
		"an event, which both take": {[]*workflow.Task{picky, keyed, strict}, event("a", "k", `{"n":9,"amount":1}`), nil, []workflow.Opinion{
			{Wait: "picky/1", Task: "picky", Condition: "n > 5 or nobody ended", Takes: true},
			{Wait: "keyed/1", Task: "keyed", Takes: true},
			{Wait: "strict/1", Task: "strict", Takes: true},
		}},
		"an event, behind a wait that ends it all": {[]*workflow.Task{last, picky}, event("a", "", `{"n":9}`), nil, []workflow.Opinion{
			{Wait: "last/1", Task: "last", Takes: true},
			{Wait: "picky/1", Task: "picky", Reason: "it closed before it was asked: the execution ended SUCCESS"},
		}},
		"an event, and what it changes": {[]*workflow.Task{keyed, after}, event("a", "k", `{"n":1}`), nil, []workflow.Opinion{
			{Wait: "keyed/1", Task: "keyed", Takes: true},
			{Wait: "after/1", Task: "after", Condition: "n > 5 or keyed ended", Takes: true},
		}},
		"an event that a busy one passes by": {[]*workflow.Task{processed}, event("vote", "", ""), func(s *workflow.State) { s.Waits[0].Judging = "t" },
			[]workflow.Opinion{{Wait: "all/1", Task: "all", Busy: true, Reason: "its processor works on signal t"}}},
		"an event that was kept": {[]*workflow.Task{keyed, strict}, offer, nil, []workflow.Opinion{
			{Wait: "keyed/1", Task: "keyed", Takes: true},
			{Wait: "strict/1", Task: "strict", Behind: "keyed/1", Reason: "wait keyed/1 is asked first and takes it"},
		}},
		"paused":   {[]*workflow.Task{keyed}, sent("a", "k", ""), func(s *workflow.State) { s.Paused = true }, nil},
		"finished": {[]*workflow.Task{keyed}, sent("a", "k", ""), func(s *workflow.State) { s.Status = workflow.Canceled }, nil},
	} {
		def := flowOf(c.tasks...)
		s := begin(t, def)
		if c.but != nil {
			c.but(&s)
		}
		for i := range c.want {
			c.want[i].Signal = "s"
		}
		got, err := workflow.Opinions(def, &s, workflow.Signalled{Stamp: workflow.Stamp{At: 9}, Signal: c.sig, OnlyIfMatched: c.sig.Source == workflow.FromEvent})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", what, got, err, c.want)
		}
	}
}

func TestAnOpinionComesAfterTheTimersThatAreDue(t *testing.T) {
	late := holdFor("late", "a")
	late.Timeout = literal("1s")
	def := flowOf(late)
	s := begin(t, def)
	in := func(at workflow.Instant) workflow.Signalled {
		return workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: workflow.Signal{ID: "s", Name: "a"}}
	}
	if got, err := workflow.Opinions(def, &s, in(1000)); err != nil || len(got) != 1 || !got[0].Takes {
		t.Errorf("in time: %+v, %v", got, err)
	}
	if got, err := workflow.Opinions(def, &s, in(1001)); err != nil || got != nil {
		t.Errorf("too late, the execution ends first: %+v, %v", got, err)
	}
	if _, err := workflow.Opinions(flowOf(), &s, in(1001)); err == nil || !strings.Contains(err.Error(), `has a task "late"`) {
		t.Errorf("a definition that disagrees: %v", err)
	}
}
