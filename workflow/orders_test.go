package workflow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// vote is one signal of a model check.
type vote struct {
	id, name, by string
	n            int
	veto         bool
}

func (v vote) at(at workflow.Instant) workflow.Input {
	return workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: workflow.Signal{ID: v.id, Name: v.name, ReceivedAt: at, Source: "api",
		Payload: workflow.ValueOf(map[string]any{"by": v.by, "n": v.n, "veto": v.veto})}}
}

// said reads the payload of the signal that is judged.
func said(s *workflow.Scope) (v struct {
	Payload struct {
		By   string
		N    int
		Veto bool
	}
}) {
	_ = json.Unmarshal(s.Signal, &v)
	return v
}

// everyOrder calls visit with every order of n things.
func everyOrder(n int, visit func([]int)) {
	order := make([]int, 0, n)
	var next func()
	next = func() {
		if len(order) == n {
			visit(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				order = append(order, i)
				next()
				order = order[:len(order)-1]
			}
		}
	}
	next()
}

func begin(t *testing.T, def *workflow.Definition) workflow.State {
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func applied(t *testing.T, def *workflow.Definition, s workflow.State, in workflow.Input) workflow.State {
	next, _, _, err := workflow.Advance(def, s, in)
	if err == nil {
		err = workflow.Check(&next)
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestEveryOrderOfVotes holds a quorum of distinct voters with weights and a
// veto against a model of a few lines.
func TestEveryOrderOfVotes(t *testing.T) {
	votes := []vote{{id: "1", by: "ada", n: 1}, {id: "2", by: "ada", n: 1}, {id: "3", by: "bob", n: 2}, {id: "4", by: "eve"}, {id: "5", by: "dan", n: 1}, {id: "6", by: "zed", n: 1, veto: true}}
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"votes"}, Tasks: []*workflow.Task{{ID: "votes", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{
		Name: literal("vote"), Quorum: &workflow.Quorum{
			Count:    literal(3),
			Distinct: render(func(s *workflow.Scope) (workflow.Value, error) { return workflow.ValueOf(said(s).Payload.By), nil }),
			Weigh:    render(func(s *workflow.Scope) (workflow.Value, error) { return workflow.ValueOf(said(s).Payload.N), nil }),
			Veto:     judge{"veto", func(s *workflow.Scope) bool { return said(s).Payload.Veto }},
		}}}}}}).Link()
	everyOrder(len(votes), func(order []int) {
		s, sum, want := begin(t, def), 0, workflow.Waiting
		var counted []string
		for at, i := range order {
			v := votes[i]
			v.name = "vote"
			s = applied(t, def, s, v.at(workflow.Instant(at+2)))
			switch {
			case want != workflow.Waiting:
			case v.veto:
				want = workflow.Failed
			case v.n > 0 && !slices.Contains(counted, v.by):
				counted, sum = append(counted, v.by), sum+v.n
				if sum >= 3 {
					want = workflow.Success
				}
			}
			if s.Status != want {
				t.Fatalf("order %v: after vote %s it is %s, want %s", order, v.id, s.Status, want)
			}
		}
		var out struct{ Collected []struct{ By string } }
		if err := json.Unmarshal(s.Task("votes").Output, &out); err != nil {
			t.Fatalf("order %v: %v", order, err)
		}
		var got []string
		for _, c := range out.Collected {
			got = append(got, c.By)
		}
		if !slices.Equal(got, counted) {
			t.Fatalf("order %v: it counted %v, want %v", order, got, counted)
		}
	})
}

// TestEveryOrderOfSignals lets six signals and a deadline come in every order to
// two waits with conditions, and compares with a model of a few lines.
func TestEveryOrderOfSignals(t *testing.T) {
	signals := []vote{{id: "a1", name: "a", n: 1}, {id: "a2", name: "a", n: 2}, {id: "a3", name: "a", n: 3}, {id: "b1", name: "b", n: 1}, {id: "b2", name: "b", n: 2}, {id: "c", name: "c"}}
	above := judge{"n > 1", func(s *workflow.Scope) bool { return said(s).Payload.N > 1 }}
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"a", "b"}, Tasks: []*workflow.Task{
		{ID: "a", Kind: workflow.Wait, Timeout: literal("1h"), Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("a"), Condition: above}}},
		{ID: "b", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("b"), Condition: above}}},
	}}).Link()
	everyOrder(len(signals)+1, func(order []int) {
		s, took, late := begin(t, def), map[string]string{}, false
		for at, i := range order {
			if i == len(signals) {
				s = applied(t, def, s, workflow.TimerFired{Stamp: workflow.Stamp{At: workflow.Instant(4_000_000 + at)}, Timer: "deadline:a/1"})
				late = late || took["a"] == ""
				continue
			}
			v := signals[i]
			s = applied(t, def, s, v.at(workflow.Instant(at+2)))
			if !late && v.n > 1 && took[v.name] == "" {
				took[v.name] = v.id
			}
		}
		want := workflow.Success
		if late {
			want = workflow.TimedOut
		}
		got := map[string]string{}
		for _, id := range []string{"a", "b"} {
			var held struct{ Metadata struct{ Signal_ID string } }
			if json.Unmarshal(s.Task(id).Result(), &held) == nil {
				got[id] = held.Metadata.Signal_ID
			}
		}
		if s.Status != want || fmt.Sprint(got) != fmt.Sprint(took) {
			t.Fatalf("order %v: it is %s and took %v, want %s and %v", order, s.Status, got, want, took)
		}
	})
}

// took lists who took what, "?" behind a wait that has yet to decide, and in
// brackets what became of each event.
func (d *desk) took() string {
	said := map[string][]string{}
	for id, r := range d.receipts {
		for _, reached := range r.Reached(&d.state) {
			switch {
			case reached.Open:
				said[id] = append(said[id], reached.Wait+"?")
			case reached.Took:
				said[id] = append(said[id], reached.Wait)
			}
		}
		if r.Source == workflow.FromEvent {
			said[id] = append(said[id], fmt.Sprintf("(%s)", r.Fate))
		}
		slices.Sort(said[id])
	}
	return fmt.Sprint(said)
}

// eventOf makes an event of a signal.
func eventOf(in workflow.Input) workflow.Input {
	sig := in.(workflow.Signalled)
	sig.OnlyIfMatched, sig.Signal.Source = true, workflow.FromEvent
	return sig
}

// TestEveryOrderOfEvents lets events, signals and a deadline come in every order
// to a wait for one message and a wait for two of the same name, and compares with
// a model of a few lines: an event goes to both, a signal to the first that is open.
func TestEveryOrderOfEvents(t *testing.T) {
	messages := []vote{{id: "e1", n: 1}, {id: "e2", n: 2}, {id: "e3", n: 3}, {id: "s1", n: 1}, {id: "s2", n: 2}, {id: "s3", n: 3}}
	above := judge{"n > 1", func(s *workflow.Scope) bool { return said(s).Payload.N > 1 }}
	one, two := holdFor("one", "a"), holdFor("two", "a")
	one.Timeout, one.Wait.Condition, two.Wait.Condition = literal("1h"), above, above
	two.Wait.Quorum = &workflow.Quorum{Count: literal(2)}
	def := flowOf(one, two)
	everyOrder(len(messages)+1, func(order []int) {
		d := newDesk(t, def)
		status, room, said := workflow.Waiting, map[string]int{"one/1": 1, "two/1": 2}, map[string][]string{}
		for at, i := range order {
			if i == len(messages) {
				d.apply(workflow.TimerFired{Stamp: workflow.Stamp{At: workflow.Instant(4_000_000 + at)}, Timer: "deadline:one/1"})
				if status == workflow.Waiting && room["one/1"] > 0 {
					status = workflow.TimedOut
				}
				continue
			}
			v, event := messages[i], messages[i].id[0] == 'e'
			v.name = "a"
			in := v.at(workflow.Instant(at + 2))
			if event {
				in = eventOf(in)
			}
			d.apply(in)
			d.apply(in) // a repeat says nothing new
			if status != workflow.Waiting {
				continue
			}
			if !event {
				said[v.id] = nil
			}
			for _, w := range []string{"one/1", "two/1"} {
				if v.n > 1 && room[w] > 0 && (event || said[v.id] == nil) {
					room[w]--
					said[v.id] = append(said[v.id], w)
				}
			}
			if event && said[v.id] != nil {
				said[v.id] = append([]string{"(consumed)"}, said[v.id]...)
			}
			if room["one/1"]+room["two/1"] == 0 {
				status = workflow.Success
			}
		}
		for id, took := range said {
			if took == nil {
				delete(said, id)
			}
		}
		if got, want := d.took(), fmt.Sprint(said); d.state.Status != status || got != want {
			t.Fatalf("order %v: it is %s and took\n%s, want %s and\n%s", order, d.state.Status, got, status, want)
		}
	})
}

// TestEveryOrderOfProcessedEvents lets events and the ends of two processors come
// in every order: each works for its own wait, and one that works passes an event by.
func TestEveryOrderOfProcessedEvents(t *testing.T) {
	messages := []string{"e1", "e2", "e3", "p good", "p bad", "q good", "q bad"}
	good := judge{"good", func(s *workflow.Scope) bool { return string(s.Processor) == `{"output":"good"}` }}
	p, q := holdFor("p", "a"), holdFor("q", "a")
	p.Wait.Condition, p.Wait.Processor = good, toolTask("p-look")
	q.Wait.Condition, q.Wait.Processor = good, toolTask("q-look")
	def := flowOf(p, q)
	everyOrder(len(messages), func(order []int) {
		d := newDesk(t, def)
		works, took, came := map[string]string{}, map[string]string{}, []string{}
		for at, i := range order {
			who, how, ended := strings.Cut(messages[i], " ")
			stamp := workflow.Stamp{At: workflow.Instant(at + 2)}
			if ended {
				done := workflow.TaskDone{Stamp: stamp, Task: who + "-look", Run: 1, Attempt: 1, Output: workflow.ValueOf(how)}
				if ts := d.state.Task(done.Task); ts != nil {
					done.Run = ts.Run
				}
				d.apply(done)
				if how == "good" && works[who] != "" {
					took[who] = works[who]
				}
				works[who] = ""
				continue
			}
			d.apply(eventOf(vote{id: who, name: "a"}.at(stamp.At)))
			for _, w := range []string{"p", "q"} {
				if took[w] == "" && works[w] == "" {
					works[w] = who
					came = append(came, who)
				}
			}
		}
		want := map[string][]string{}
		for _, id := range came {
			var said []string
			fate := workflow.FateDead
			for _, w := range []string{"p", "q"} {
				if took[w] == id {
					said, fate = append(said, w+"/1"), workflow.FateConsumed
				}
			}
			for _, w := range []string{"p", "q"} {
				if works[w] == id {
					said, fate = append(said, w+"/1?"), workflow.FateBuffered
				}
			}
			slices.Sort(said)
			want[id] = append([]string{fmt.Sprintf("(%s)", fate)}, said...)
		}
		if got := d.took(); got != fmt.Sprint(want) {
			t.Fatalf("order %v: it took\n%s, want\n%s", order, got, want)
		}
	})
}
