package acceptance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signalbox/signalbox/workflow"
)

// variousYAML has most of what a signal can meet.
const variousYAML = `
workflows:
- id: various
  triggers: [{name: began, filter: "payload.n > 3"}, {name: began, schema: {type: object, required: [by]}}]
  tasks:
  - {id: first, type: wait, wait_for: a, condition: 'signal.payload.n > workflow.input.limit', timeout: 10m, on_timeout: late}
  - {id: tell, type: signal, signal: {id: told, payload: {n: "{{ .tasks.first.result.payload.n }}"}}, depends_on: [first]}
  - {id: work, tool: echo, sleep: 1m, with: {n: "{{ .tasks.first.result.payload.n | default 0 }}", key: "{{ .env.API_KEY | default \"none\" }}"}, depends_on: [tell]}
  - {id: votes, type: wait, wait_for: b, count: 2, distinct_by: signal.payload.by, veto: signal.payload.n == 7, on_veto: late, depends_on: [work]}
  - {id: both, type: wait, all: {one: {wait_for: a}, three: {wait_for: a, condition: signal.payload.n > 2}, two: {wait_for: c, schema: {type: object, required: [by]}, timeout: 5m}}, depends_on: [votes], on_success: {next: '{{ if gt (.tasks.first.result.payload.n | default 0) 6 }}first{{ else }}late{{ end }}'}}
  - {id: late, tool: echo, with: {late: true}}
- id: keyed
  key: {unique: true, when_taken: refuse}
  tasks: [{id: only, type: wait, wait_for: a, processor: {tool: echo, with: {n: "{{ .signal.payload.n }}"}}, condition: 'processor.output.n > 4'}]
- id: chain
  triggers: [{name: began, filter: "payload.n < 6"}]
  tasks:
  - {id: one, type: wait, wait_for: c, correlate: '{{ .trigger.payload.by | default "nobody" }}'}
  - {id: two, type: wait, any: {few: {wait_for: d, condition: signal.payload.n < 3}, many: {wait_for: d, count: 2}}}
  - {id: three, type: wait, wait_for: c}
- id: shared
  key: {unique: true}
  tasks: [{id: only, type: wait, wait_for: b, schema: {type: object, required: [by]}}]
`

// life is a random life of a few executions.
type life struct {
	*world
	r *rand.Rand
	n int // signals so far
}

// lived plays random lives, each on a node of its own, beside the lives of other tests.
func lived(t *testing.T, lives int, each func(*life)) {
	t.Parallel()
	if testing.Short() {
		lives = max(lives/4, 1)
	}
	project := load(t, variousYAML)
	for seed := range lives {
		synctest.Test(t, func(t *testing.T) {
			l := &life{world: &world{t: t, ctx: t.Context(), project: project, disk: vfs.NewCrashableMem(), started: map[string]bool{}},
				r: rand.New(rand.NewPCG(uint64(seed), 11))}
			l.open()
			defer func() {
				synctest.Wait() // whatever is under way reaches the actors that it is for
				l.close()
			}()
			for range 60 {
				synctest.Wait()
				each(l)
				if t.Failed() {
					t.Logf("seed %d", seed)
					return
				}
			}
		})
	}
}

func (l *life) exec() string { return fmt.Sprint("x", l.r.IntN(4)) }

func (l *life) payload() workflow.Value {
	return workflow.Value([]string{`{"n":%d,"by":"ada"}`, `{"n":%d,"by":"bob"}`, `{"n":%d}`}[l.r.IntN(3)])
}

func (l *life) signal() workflow.Signal {
	l.n++
	id := fmt.Sprint("s", l.n)
	if l.r.IntN(5) == 0 {
		id = fmt.Sprint("s", 1+l.r.IntN(l.n))
	}
	s := workflow.Signal{
		ID: id, ExecID: l.exec(), Name: []string{"a", "b", "c", "never"}[l.r.IntN(4)], Source: "api",
		Payload: workflow.Value(fmt.Sprintf(string(l.payload()), l.r.IntN(10))), Force: l.r.IntN(4) == 0,
	}
	if l.r.IntN(3) == 0 {
		s.ExpiresAt = workflow.InstantOf(time.Now().Add(time.Duration(l.r.IntN(900)) * time.Second))
	}
	return s
}

func (l *life) start() workflow.Start {
	s := workflow.Start{
		WorkflowID: []string{"various", "various", "keyed", "shared", "none"}[l.r.IntN(5)], ExecID: l.exec(),
		Input: workflow.Value(fmt.Sprintf(`{"limit":%d}`, l.r.IntN(5))), Origin: &workflow.Origin{Type: "api"},
	}
	if l.r.IntN(2) == 0 {
		s.Key = fmt.Sprint("k", l.r.IntN(2))
	}
	if l.r.IntN(3) == 0 {
		signal := l.signal()
		signal.ExecID = ""
		s.Signal = &signal
		s.NoStart = l.r.IntN(4) == 0
		if l.r.IntN(2) == 0 {
			s.ExecID, s.Seed = "", signal.ID
		}
	}
	return s
}

// pass lets something else happen: time, a pause, the end.
func (l *life) pass() {
	switch l.r.IntN(6) {
	case 0:
		_, _ = l.run.Steer(l.ctx, l.exec(), workflow.PauseAsked{})
	case 1, 2:
		_, _ = l.run.Steer(l.ctx, l.exec(), workflow.ResumeAsked{})
	case 3:
		if l.r.IntN(4) == 0 {
			_, _ = l.run.Steer(l.ctx, l.exec(), workflow.CancelAsked{})
		}
	default:
		time.Sleep(time.Duration(l.r.IntN(400)) * time.Second) // virtual
	}
	synctest.Wait()
}

// seq is the number of an execution's last record.
func (l *life) seq(exec string) uint64 {
	state, err := l.run.Execution(l.ctx, exec)
	if err != nil {
		return 0
	}
	return state.Seq
}

// holds compares a forecast with what was answered and with what the history says now.
func (l *life) holds(what string, f *workflow.Forecast, before uint64, answer *workflow.Answer, err error) {
	l.t.Helper()
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) || f.Refusal != nil {
		if !reflect.DeepEqual(refusal, f.Refusal) {
			l.t.Fatalf("%s was refused with\n%+v, and the forecast said\n%+v", what, refusal, f.Refusal)
		}
		return
	}
	if err != nil {
		l.t.Fatal(err)
	}
	if !reflect.DeepEqual(answer, f.Answer) {
		l.t.Fatalf("%s was answered with\n%+v, and the forecast said\n%+v", what, answer, f.Answer)
	}
	if len(f.Records) == 0 {
		return
	}
	real, err := l.run.History(l.ctx, f.ExecID, before, len(f.Records))
	if err != nil {
		l.t.Fatal(err)
	}
	if !reflect.DeepEqual(real, f.Records) {
		l.t.Fatalf("%s gave\n%+v, and the forecast said\n%+v", what, real, f.Records)
	}
}

// opinionsHold compares what waits were said to make of a signal with what they made of it.
func (l *life) opinionsHold(signal string, f *workflow.Forecast) {
	l.t.Helper()
	for _, o := range f.Opinions {
		taken, refused := false, ""
		for _, r := range f.Records {
			if r.Signal == signal && r.Wait == o.Wait {
				taken = taken || r.Type == workflow.SignalConsumed
				if r.Type == workflow.SignalJudged && refused == "" {
					refused = r.Reason
				}
			}
		}
		switch {
		case o.Processor != "" || o.Busy || o.Behind != "" || f.Known || f.Refusal != nil:
		case o.Takes != taken || !o.Takes && o.Reason != refused:
			l.t.Fatalf("%s: wait %s takes %v because %q, and the forecast says %+v", signal, o.Wait, taken, refused, o)
		}
	}
}

func TestAForecastIsWhatHappens(t *testing.T) {
	kinds := map[string]int{}
	lived(t, 60, func(l *life) {
		switch l.r.IntN(4) {
		case 0:
			s := l.start()
			f, err := l.run.ForeseeStart(l.ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			before := l.seq(f.ExecID)
			begun, err := l.run.Begin(l.ctx, s)
			l.holds("a start", &f, before, begun.Answer, err)
			if err == nil {
				if f.ExecID != begun.State.ExecID || f.Known != (begun.Known || !begun.Started && begun.Answer == nil) || f.Started && !begun.Started {
					t.Fatalf("a start gave %+v, and the forecast said %+v", begun, f)
				}
				kinds["started"]++
			} else {
				kinds[f.Refusal.Code]++
			}
			if s.Signal != nil {
				l.opinionsHold(s.Signal.ID, &f)
			}
		case 1:
			l.pass()
		default:
			s := l.signal()
			f := l.run.ForeseeSignals(l.ctx, []workflow.Signal{s})[0]
			before := l.seq(s.ExecID)
			answer, err := l.run.Signal(l.ctx, s)
			l.holds("a signal", &f, before, &answer, err)
			l.opinionsHold(s.ID, &f)
			if f.Refusal != nil {
				kinds[f.Refusal.Code]++
			} else {
				kinds[string(answer.Outcome)]++
			}
		}
	})
	for _, want := range []string{
		"started", "delivered", "buffered", workflow.CodeNoExecution, workflow.CodeFinished, workflow.CodeNeverAwaited,
		workflow.CodePayloadInvalid, workflow.CodeIDReused, workflow.CodeKeyTaken, workflow.CodeExecutionExists, workflow.CodeNoWorkflow,
	} {
		if kinds[want] == 0 && !testing.Short() {
			t.Errorf("no life had %q: %v", want, kinds)
		}
	}
}

// TestTheForecastOfAnEventIsWhomItReaches compares every delivery that was
// foretold with the receipt of the event.
func TestTheForecastOfAnEventIsWhomItReaches(t *testing.T) {
	outcomes := map[string]int{}
	lived(t, 40, func(l *life) {
		switch l.r.IntN(3) {
		case 0:
			_, _ = l.run.Begin(l.ctx, l.start())
			_, _ = l.run.Signal(l.ctx, l.signal())
			l.pass()
			return
		case 1:
			l.pass()
			return
		}
		s := l.signal()
		ev := workflow.Event{ID: "e" + s.ID, Name: []string{"a", "b", "c", "began", "nobody"}[l.r.IntN(5)], Payload: s.Payload, Source: "api"}
		forecasts, err := l.run.ForeseeEvents(l.ctx, []workflow.Event{ev})
		if err != nil {
			t.Fatal(err)
		}
		f := &forecasts[0]
		_, known, err := l.run.Event(l.ctx, ev)
		if err != nil || known != (f.Stored != nil) {
			t.Fatalf("known %v, %v, and the forecast said %+v", known, err, f)
		}
		if known {
			return
		}
		synctest.Wait()
		r, err := l.run.EventReceipt(l.ctx, ev.ID)
		if err == nil && r != nil {
			r.Deliveries = l.unpassed(r, f)
		}
		if err != nil || r == nil || r.Fate != f.Fate || len(r.Deliveries) != len(f.Deliveries) {
			t.Fatalf("became %+v, %v, and the forecast said %+v", r, err, f)
		}
		real := map[string]workflow.Delivery{}
		for _, d := range r.Deliveries {
			d.At = 0
			real[d.Kind+d.ExecID+d.WaitID+d.Outcome+d.Reason] = d
			outcomes[d.Outcome]++
		}
		for _, d := range f.Deliveries {
			d.At = 0
			if got := real[d.Kind+d.ExecID+d.WaitID+d.Outcome+d.Reason]; !reflect.DeepEqual(got, d.Delivery) {
				t.Fatalf("%s %s: became %+v, and the forecast said %+v", ev.Name, ev.Payload, r.Deliveries, d.Delivery)
			}
		}
		outcomes["passed"] += len(f.Passed)
	})
	for _, want := range []string{"started", "delivered", "ignored", "refused", "passed", "buffered"} {
		if outcomes[want] == 0 && !testing.Short() {
			t.Errorf("no event was %s: %v", want, outcomes)
		}
	}
}

// TestForecastsOfSeveralSignalsFollowEachOther: the second meets what the first left.
func TestForecastsOfSeveralSignalsFollowEachOther(t *testing.T) {
	lived(t, 20, func(l *life) {
		if l.r.IntN(2) == 0 {
			_, _ = l.run.Begin(l.ctx, l.start())
			l.pass()
			return
		}
		signals := []workflow.Signal{l.signal(), l.signal(), l.signal()}
		forecasts := l.run.ForeseeSignals(l.ctx, signals)
		results := l.run.Signals(l.ctx, signals, nil)
		for i := range signals {
			if results[i].Err != nil {
				l.holds("a signal of several", &forecasts[i], 0, nil, results[i].Err)
			} else if f := &forecasts[i]; f.Answer == nil || *f.Answer != results[i].Answer {
				t.Fatalf("answered with\n%+v, and the forecast said\n%+v", results[i].Answer, f)
			}
		}
	})
}

// together is several signals to one execution.
func (l *life) together() []workflow.Signal {
	signals := []workflow.Signal{l.signal(), l.signal(), l.signal()}
	for i := range signals {
		signals[i].ExecID = signals[0].ExecID
	}
	return signals
}

// TestForecastsOfSignalsTogetherAreWhatBecomesOfThem: all or none, and the
// answers that the real batch gets.
func TestForecastsOfSignalsTogetherAreWhatBecomesOfThem(t *testing.T) {
	refusals, accepted := 0, 0
	lived(t, 40, func(l *life) {
		if l.r.IntN(3) == 0 {
			_, _ = l.run.Begin(l.ctx, l.start())
			l.pass()
			return
		}
		signals := l.together()
		if l.r.IntN(2) == 0 {
			for i := range signals {
				signals[i].Name, signals[i].Force = []string{"a", "b"}[l.r.IntN(2)], true
			}
		}
		forecasts, refused := l.run.ForeseeTogether(l.ctx, signals)
		answers, really, err := l.run.SignalsTogether(l.ctx, signals)
		if refused != really {
			t.Fatalf("the signal %d was refused (%v), and the forecast said %d", really, err, refused)
		}
		if err != nil {
			l.holds("a signal of several together", &forecasts[refused], 0, nil, err)
			refusals++
			return
		}
		for i := range answers {
			if f := &forecasts[i]; f.Answer == nil || *f.Answer != answers[i] {
				t.Fatalf("answered with\n%+v, and the forecast said\n%+v", answers[i], f)
			}
		}
		accepted++
	})
	if (refusals == 0 || accepted == 0) && !testing.Short() {
		t.Errorf("%d were refused and %d accepted", refusals, accepted)
	}
}

// TestForecastsOfSeveralEventsFollowEachOther: the second meets what the first
// would leave behind, as far as nothing outside has to happen for that, and what
// is kept of the first ones is taken by the waits that later ones open.
func TestForecastsOfSeveralEventsFollowEachOther(t *testing.T) {
	followed, taken, older := 0, 0, 0
	lived(t, 60, func(l *life) {
		if l.r.IntN(3) > 0 {
			_, _ = l.run.Begin(l.ctx, l.start())
			l.pass()
			return
		}
		events := make([]workflow.Event, 2+l.r.IntN(4))
		for i := range events {
			events[i] = l.event()
		}
		events[len(events)-1].ID = events[l.r.IntN(len(events))].ID
		forecasts, open := l.foreseen(events)
		for i := range forecasts {
			_, known, err := l.run.Event(l.ctx, events[i])
			if err != nil || known != (forecasts[i].Stored != nil) {
				t.Fatalf("known %v, %v, and the forecast said %+v", known, err, forecasts[i])
			}
			synctest.Wait()
		}
		for i := range forecasts {
			f := &forecasts[i]
			if f.Stored != nil || open && events[i].ExpiresAt != 0 {
				continue // another wait may take it
			}
			followed++
			l.became(&events[i], f)
			if open {
				continue
			}
			for _, d := range f.Takes {
				taken++
				if d.Outcome == "buffered" {
					continue // whether it is taken is known when the processor has ended
				}
				r, err := l.run.EventReceipt(l.ctx, d.EventID)
				if err != nil || r == nil || r.Fate != workflow.FateConsumed || len(r.Deliveries) == 0 {
					t.Fatalf("%s became %+v, %v, and the forecast of %s said %+v", d.EventID, r, err, events[i].ID, d)
				}
				real, foretold := r.Deliveries[len(r.Deliveries)-1], d.Delivery
				if real.At, foretold.At = 0, 0; real != foretold {
					t.Fatalf("%s was taken with %+v, and the forecast of %s said %+v", d.EventID, real, events[i].ID, foretold)
				}
				if !slices.ContainsFunc(events, func(ev workflow.Event) bool { return ev.ID == d.EventID }) {
					older++
				}
			}
		}
	})
	if (followed < 2 || taken-older < 2 || older < 2) && !testing.Short() {
		t.Errorf("%d events followed each other, %d of them and %d older ones were taken later", followed, taken-older, older)
	}
}

// event is one of those that wait for each other, half of them with a time to live.
func (l *life) event() workflow.Event {
	s := l.signal()
	ev := workflow.Event{ID: "e" + s.ID, Name: []string{"a", "b", "c", "c", "d", "d", "began"}[l.r.IntN(7)], Payload: s.Payload, Source: "api"}
	if l.r.IntN(2) == 0 {
		ev.ExpiresAt = workflow.InstantOf(time.Now().Add(time.Hour))
	}
	if l.r.IntN(2) == 0 {
		ev.CorrelationID = []string{"ada", "bob", "nobody"}[l.r.IntN(3)]
	}
	return ev
}

// foreseen asks what would become of events, up to the first after which it is
// open: it has something done outside, which comes before the next event, or opens
// waits of several executions, of which any may take what is kept.
func (l *life) foreseen(events []workflow.Event) (forecasts []workflow.EventForecast, open bool) {
	l.t.Helper()
	forecasts, err := l.run.ForeseeEvents(l.ctx, events)
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range forecasts {
		all := forecasts[i].Deliveries
		for _, d := range forecasts[i].Takes {
			all = append(all, d.DeliveryForecast)
		}
		takers := map[string]bool{}
		for _, d := range all {
			if d.Forecast != nil {
				takers[d.ExecID] = true
				open = open || len(d.Forecast.Runs)+len(d.Forecast.Emits) > 0
			}
		}
		if open = open || len(takers) > 1 && len(forecasts[i].Takes) > 0; !open {
			continue
		}
		if forecasts, err = l.run.ForeseeEvents(l.ctx, events[:i+1]); err != nil {
			l.t.Fatal(err)
		}
		return forecasts, true
	}
	return forecasts, false
}

// became compares what an event became with its forecast.
func (l *life) became(ev *workflow.Event, f *workflow.EventForecast) {
	l.t.Helper()
	r, err := l.run.EventReceipt(l.ctx, ev.ID)
	if err != nil || r == nil {
		l.t.Fatalf("the receipt of %s: %+v, %v", ev.ID, r, err)
	}
	r.Deliveries = l.unpassed(r, f)
	if r.Fate != f.Fate || len(r.Deliveries) != len(f.Deliveries) {
		l.t.Fatalf("%s %s became %+v, and the forecast said %+v", ev.Name, ev.ID, r, f)
	}
	for i, d := range f.Deliveries {
		if d.Kind == "wait" && r.Deliveries[i].ExecID != d.ExecID && len(f.Deliveries) == 1 {
			l.t.Fatalf("%s %s was taken by %s, and the forecast said %s", ev.Name, ev.ID, r.Deliveries[i].ExecID, d.ExecID)
		}
	}
}

// undecided takes back what the waits have decided that had yet to do so when the
// event came, as foreseen.
func (l *life) undecided(r *workflow.EventReceipt, f *workflow.EventForecast) {
	for _, want := range f.Deliveries {
		if want.Outcome != "buffered" {
			continue
		}
		i := slices.IndexFunc(r.Deliveries, func(d workflow.Delivery) bool { return d.ExecID == want.ExecID && d.WaitID == want.WaitID })
		if i < 0 {
			l.t.Fatalf("%s became %+v, and the forecast said %+v", r.Event.ID, r.Deliveries, want)
		}
		r.Deliveries[i].Outcome, r.Deliveries[i].Reason, r.Fate = want.Outcome, want.Reason, workflow.FateAccepted
	}
}

// unpassed lists the deliveries of an event to those who took or refused it, and
// wants those that were foreseen to pass it by among the others.
func (l *life) unpassed(r *workflow.EventReceipt, f *workflow.EventForecast) []workflow.Delivery {
	passed := map[string]bool{}
	var all []workflow.Delivery
	l.undecided(r, f)
	for _, d := range r.Deliveries {
		if d.Outcome == "passed" {
			passed[d.ExecID+d.WaitID+d.Reason] = true
		} else {
			all = append(all, d)
		}
	}
	for _, d := range f.Passed {
		if gone := d.Forecast != nil && len(d.Forecast.Opinions) == 0; !gone && !passed[d.ExecID+d.WaitID+d.Reason] {
			l.t.Fatalf("%s was not passed by, and the forecast said %+v", d.ExecID, d)
		}
	}
	return all
}
