package workflow_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// desk drives one execution as a node does: it keeps the receipts, the history
// and the books, and buries what dies.
type desk struct {
	t        *testing.T
	def      *workflow.Definition
	state    workflow.State
	receipts map[string]workflow.Receipt
	history  []workflow.Record
	books    workflow.Tally
	dead     []workflow.DeadLetter
}

func newDesk(t *testing.T, def *workflow.Definition) *desk {
	d := &desk{t: t, def: def, receipts: map[string]workflow.Receipt{}}
	d.apply(workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	return d
}

// apply returns the dead letters that the input leaves.
func (d *desk) apply(in workflow.Input) []workflow.DeadLetter {
	d.t.Helper()
	next, records, _, err := workflow.Advance(d.def, d.state, in)
	if err == nil {
		err = workflow.Check(&next)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	was := d.state
	d.state, d.history = next, append(d.history, records...)
	var arrived *workflow.Signal
	if in, ok := in.(workflow.Signalled); ok {
		arrived = &in.Signal
	}
	receipts := workflow.FollowInto(nil, &d.state, records, arrived, func(id string) *workflow.Receipt {
		r, ok := d.receipts[id]
		if !ok {
			return nil
		}
		r.Was, r.Steps = r.Fate, slices.Clone(r.Steps)
		return &r
	})
	for _, r := range receipts {
		d.receipts[r.SignalID] = r
		d.books.Move(r.Was, r.Fate)
	}
	if !d.books.Balanced() {
		d.t.Fatalf("after %s the books do not balance: %+v", in.Kind(), d.books)
	}
	dead := workflow.Bury(&was, &d.state, arrived, receipts)
	d.dead = append(d.dead, dead...)
	return dead
}

func (d *desk) signal(sig workflow.Signal) []workflow.DeadLetter {
	d.t.Helper()
	if sig.Source == "" {
		sig.Source = "api"
	}
	sig.ExecID = "x"
	return d.apply(workflow.Signalled{Stamp: workflow.Stamp{At: sig.ReceivedAt}, Signal: sig})
}

// aboveOne holds for a payload whose n is above 1.
var aboveOne = judge{"n > 1", func(s *workflow.Scope) bool { return said(s).Payload.N > 1 }}

// counter is a workflow that waits an hour for "paid" with n > 1.
func counter() *workflow.Definition {
	return (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"pay"}, Tasks: []*workflow.Task{
		{ID: "pay", Kind: workflow.Wait, Timeout: literal("1h"), Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Condition: aboveOne}}},
	}}).Link()
}

func paid(id string, n int, at workflow.Instant) workflow.Signal {
	return workflow.Signal{ID: id, Name: "paid", By: "ada", CorrelationID: "A-17", ReceivedAt: at, Payload: workflow.ValueOf(map[string]int{"n": n})}
}

const hour = workflow.Instant(time.Hour / time.Millisecond)

func TestASignalThatExpiresIsBuried(t *testing.T) {
	d := newDesk(t, counter())
	sig := paid("1", 1, 2)
	sig.ExpiresAt = 50
	if dead := d.signal(sig); dead != nil {
		t.Fatalf("it is buried while it is kept: %+v", dead)
	}
	dead := d.apply(workflow.TimerFired{Stamp: workflow.Stamp{At: 51}, Timer: "expiry:1"})
	want := []workflow.DeadLetter{{
		ID: workflow.LetterID(workflow.KindSignal, "x", "1"), Kind: workflow.KindSignal, MessageID: "1", ExecID: "x", WorkflowID: "w",
		Name: "paid", Payload: sig.Payload, CorrelationID: "A-17", Source: "api", By: "ada", ReceivedAt: 2, ExpiresAt: 50,
		Cause: workflow.CauseExpired, Reason: "its time to live ended before a wait took it", Accepted: true, At: 51,
		Near: &workflow.NearMiss{ExecID: "x", Wait: "pay/1", Reason: "wait pay/1 is open but did not take it: n > 1 is false"},
	}}
	if !reflect.DeepEqual(dead, want) {
		t.Fatalf("got %+v\nwant %+v", dead, want)
	}
	if d.books != (workflow.Tally{Accepted: 1, Expired: 1}) {
		t.Fatalf("the books say %+v", d.books)
	}
}

// TestWhatIsKeptAtTheEndIsBuried also holds that the wait which is named is the
// one that refused the signal, and that a signal which nobody judged has none.
func TestWhatIsKeptAtTheEndIsBuried(t *testing.T) {
	d := newDesk(t, counter())
	d.signal(paid("1", 1, 2))
	d.signal(workflow.Signal{ID: "2", Name: "other", ReceivedAt: 3, Force: true})
	event := paid("event", 1, 4)
	event.Source, event.ExpiresAt = workflow.FromEvent, 9*hour
	d.signal(event)
	dead := d.signal(paid("3", 2, 5))
	if len(dead) != 2 {
		t.Fatalf("an event's delivery, or the signal that was taken, is buried too: %+v", dead)
	}
	for i, want := range []struct{ id, wait, reason string }{
		{"1", "", "wait pay/1 is open but did not take it: n > 1 is false"}, // the wait has refused another since
		{"2", "", `no wait for "other" is open now`},
	} {
		l := dead[i]
		if l.MessageID != want.id || l.Cause != workflow.CauseFinished || !l.Accepted || l.At != 5 || l.Force != (want.id == "2") ||
			l.Reason != "the execution ended SUCCESS before a wait took it" ||
			l.Near == nil || *l.Near != (workflow.NearMiss{ExecID: "x", Wait: want.wait, Reason: want.reason}) {
			t.Errorf("signal %s: %+v, near %+v", want.id, l, l.Near)
		}
	}
	if d.books != (workflow.Tally{Accepted: 4, Consumed: 1, Dead: 3}) {
		t.Fatalf("the books say %+v", d.books)
	}
}

// TestASignalThatDiesAsItComesIsBuriedWithoutANearMiss stands among receipts that
// leave no letter: of one that was consumed, of one that is buried already, and
// of one that the state does not keep any more.
func TestASignalThatDiesAsItComesIsBuriedWithoutANearMiss(t *testing.T) {
	was := workflow.State{ExecID: "x", WorkflowID: "w", Buffer: []workflow.Buffered{{Signal: workflow.Signal{ID: "buried"}}}}
	now := workflow.State{ExecID: "x", WorkflowID: "w", Status: workflow.Failed}
	sig := paid("1", 1, 2)
	dead := workflow.Bury(&was, &now, &sig, []workflow.Receipt{
		{SignalID: "1", Fate: workflow.FateDead, Steps: []workflow.Step{{At: 2, What: "accepted"}, {At: 3, What: "dead", Reason: "no more"}}},
		{SignalID: "consumed", Fate: workflow.FateConsumed, Was: workflow.FateBuffered},
		{SignalID: "buried", Fate: workflow.FateDead, Was: workflow.FateDead, Steps: []workflow.Step{{What: "dead"}}},
		{SignalID: "forgotten", Fate: workflow.FateDead, Was: workflow.FateBuffered, Steps: []workflow.Step{{What: "dead"}}},
	})
	if len(dead) != 1 || dead[0].MessageID != "1" || dead[0].Near != nil || dead[0].Reason != "no more" || dead[0].At != 3 ||
		dead[0].ID != workflow.LetterID(workflow.KindSignal, "x", "1") || dead[0].ExecID != "x" {
		t.Fatalf("got %+v", dead)
	}
}

// TestTheLettersOfRefusals asks Admit for each refusal that leaves a letter.
func TestTheLettersOfRefusals(t *testing.T) {
	def := (&workflow.Definition{ID: "w", Hash: "h", Awaits: []string{"paid"}, Roots: []string{"pay"}, Tasks: []*workflow.Task{
		{ID: "pay", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Schema: wants("n")}}},
	}}).Link()
	open := begin(t, def)
	over := applied(t, def, open, workflow.CancelAsked{Stamp: workflow.Stamp{At: 2}})
	crowded := open
	crowded.Buffer, crowded.Paused = make([]workflow.Buffered, workflow.MaxBuffered), true
	for _, c := range []struct {
		name  string
		state *workflow.State
		sig   workflow.Signal
		cause workflow.Cause
		near  *workflow.NearMiss
	}{
		{"an execution that has ended", &over, paid("1", 1, 3), workflow.CauseFinished, nil},
		{"a name that is never awaited", &open, workflow.Signal{Name: "weather"}, workflow.CauseNeverAwaited, nil},
		{"a name that was meant otherwise", &open, workflow.Signal{Name: "piad"}, workflow.CauseNeverAwaited,
			&workflow.NearMiss{Name: "paid", Reason: `it is named "piad", and there is "paid"`}},
		{"a payload that the wait cannot take", &open, workflow.Signal{Name: "paid"}, workflow.CausePayloadInvalid,
			&workflow.NearMiss{ExecID: "x", Wait: "pay/1", Reason: `its schema is violated at "/n": is missing`}},
		{"a full buffer", &crowded, paid("1", 1, 3), workflow.CauseBufferFull, nil},
	} {
		c.sig.ExecID = "x"
		r := workflow.Admit(def, c.state, workflow.Signalled{Signal: c.sig})
		if r == nil || !workflow.Buries(r.Code) {
			t.Errorf("%s: refusal %+v", c.name, r)
			continue
		}
		l := workflow.LetterOfRefusal(c.state, c.sig, r, 7)
		if l.Cause != c.cause || l.Reason != r.Message || l.Accepted || l.WorkflowID != "w" || l.ExecID != "x" || l.At != 7 || !reflect.DeepEqual(l.Near, c.near) {
			t.Errorf("%s: %+v, near %+v", c.name, l, l.Near)
		}
	}
	schema := &workflow.Refusal{Code: workflow.CodePayloadInvalid, Violations: []workflow.Violation{{Pointer: "/n", Message: "is missing"}}}
	if l := workflow.LetterOfRefusal(&over, workflow.Signal{Name: "paid"}, schema, 7); l.Near == nil || l.Near.Wait != "" {
		t.Errorf("a schema whose wait is gone: near %+v", l.Near)
	}
	none := &workflow.Refusal{Code: workflow.CodeNoExecution, Message: "there is no execution y"}
	if l := workflow.LetterOfRefusal(nil, workflow.Signal{ID: "1", ExecID: "y"}, none, 7); l.WorkflowID != "" || l.ExecID != "y" || l.Cause != workflow.CauseNoExecution || l.Near != nil {
		t.Errorf("no execution: %+v", l)
	}
}

// TestEveryWayThatAWaitClosesIsRemembered lets the wait for "paid" close in each
// way, and asks what almost took a signal ten seconds later.
func TestEveryWayThatAWaitClosesIsRemembered(t *testing.T) {
	vetoed := counter()
	vetoed.Tasks[0].Wait.Quorum = &workflow.Quorum{Count: literal(2), Veto: judge{"n > 1", aboveOne.holds}}
	for _, c := range []struct {
		name string
		def  *workflow.Definition
		ends workflow.Input
		how  string
	}{
		{"a signal", counter(), workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: paid("1", 2, 2)}, "satisfied"},
		{"its deadline", counter(), workflow.TimerFired{Stamp: workflow.Stamp{At: hour + 1}, Timer: "deadline:pay/1"}, "timed out"},
		{"a veto", vetoed, workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: paid("1", 2, 2)}, "vetoed"},
		{"a cancel", counter(), workflow.CancelAsked{Stamp: workflow.Stamp{At: 2}}, "closed"},
	} {
		d := newDesk(t, c.def)
		if r := workflow.LastClosed("paid", d.history); r != nil {
			t.Errorf("%s: it has closed before: %+v", c.name, r)
		}
		d.apply(c.ends)
		at := c.ends.When()
		r := workflow.LastClosed("paid", d.history)
		if r == nil || r.At != at {
			t.Fatalf("%s: got %+v", c.name, r)
		}
		near := workflow.NearClosed("x", r.Wait, workflow.Closing(r.Type), r.At, at+10_000)
		want := workflow.NearMiss{ExecID: "x", Wait: "pay/1", Closed: at, Reason: "wait pay/1 was " + c.how + " 10s earlier"}
		if *near != want {
			t.Errorf("%s: got %+v, want %+v", c.name, near, want)
		}
		if other := workflow.LastClosed("other", d.history); other != nil {
			t.Errorf("%s: a wait of another name: %+v", c.name, other)
		}
	}
}

// TestTheWaitThatClosedLastIsMeant has two runs of a wait, and a record that is
// damaged.
func TestTheWaitThatClosedLastIsMeant(t *testing.T) {
	opened := func(wait, data string) workflow.Record {
		return workflow.Record{Type: workflow.WaitOpened, Wait: wait, Data: workflow.Value(data)}
	}
	r := workflow.LastClosed("paid", []workflow.Record{
		opened("pay/1", `{"name":"paid"}`),
		{Type: workflow.WaitSatisfied, Wait: "pay/1", At: 10},
		opened("pay/2", `{"name":"paid"}`),
		opened("other/1", `{"name":"other"}`),
		opened("torn/1", `{"name":`),
		{Type: workflow.WaitTimedOut, Wait: "pay/2", At: 20},
		{Type: workflow.WaitClosed, Wait: "other/1", At: 30},
		{Type: workflow.WaitClosed, Wait: "torn/1", At: 30},
		{Type: workflow.SignalBuffered, Wait: "pay/2", At: 40},
	})
	if r == nil || r.Wait != "pay/2" || r.At != 20 || r.Type != workflow.WaitTimedOut {
		t.Fatalf("got %+v", r)
	}
	if near := workflow.NearClosed("x", r.Wait, workflow.Closing(r.Type), r.At, 1520); near.Reason != "wait pay/2 was timed out 1.5s earlier" {
		t.Fatalf("got %+v", near)
	}
}

func TestMissedSaysWhatDecided(t *testing.T) {
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"free", "strict", "keyed"}, Tasks: []*workflow.Task{
		{ID: "free", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("any")}}},
		{ID: "strict", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Schema: wants("n"), Condition: aboveOne}}},
		{ID: "keyed", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("keyed"), Correlate: literal("A")}}},
	}}).Link()
	s := begin(t, def)
	for _, c := range []struct {
		name string
		sig  workflow.Signal
		wait string
		why  string
	}{
		{"the condition", paid("1", 1, 2), "strict/1", "n > 1 is false"},
		{"the schema", workflow.Signal{Name: "paid"}, "strict/1", `the payload violates the wait's schema at "/n": is missing`},
		{"the key", workflow.Signal{Name: "keyed", CorrelationID: "B"}, "keyed/1", `its correlation_id is "B" and the wait listens for "A"`},
		{"nothing", paid("1", 2, 2), "", ""},
		{"a wait that takes everything", workflow.Signal{Name: "any"}, "", ""},
		{"no wait of that name", workflow.Signal{Name: "weather"}, "", ""},
	} {
		near := workflow.Missed(def, &s, c.sig)
		if c.wait == "" {
			if near != nil {
				t.Errorf("%s: got %+v", c.name, near)
			}
			continue
		}
		want := workflow.NearMiss{ExecID: "x", Wait: c.wait, Reason: "wait " + c.wait + " is open for " + string(workflow.ValueOf(c.sig.Name)) + ", and " + c.why}
		if *near != want {
			t.Errorf("%s: got %+v, want %+v", c.name, near, want)
		}
	}
}

// TestAskingWhatMissedChangesNothing compares the state before and after.
func TestAskingWhatMissedChangesNothing(t *testing.T) {
	d := newDesk(t, counter())
	d.signal(paid("1", 1, 2))
	before := encode(t, d.state)
	workflow.Missed(d.def, &d.state, paid("2", 0, 3))
	if after := encode(t, d.state); string(before) != string(after) {
		t.Fatalf("before %s\nafter  %s", before, after)
	}
}

func TestWhichRefusalsLeaveALetter(t *testing.T) {
	for _, code := range []string{
		workflow.CodeNoExecution, workflow.CodeNeverAwaited, workflow.CodePayloadInvalid, workflow.CodeBufferFull, workflow.CodeQuarantined, workflow.CodeFinished,
	} {
		if !workflow.Buries(code) || !slices.Contains(workflow.Causes, workflow.Cause(code)) {
			t.Errorf("%s leaves no letter, or one with a cause that is not listed", code)
		}
	}
	for _, code := range []string{workflow.CodeInvalid, workflow.CodeIDReused, workflow.CodeOverloaded, workflow.CodeTimeout, workflow.CodeStopping, string(workflow.CauseExpired), ""} {
		if workflow.Buries(code) {
			t.Errorf("%q leaves a letter, and nothing but sending again can help there", code)
		}
	}
}

func TestLettersHaveIDsOfTheirOwn(t *testing.T) {
	of := workflow.LetterID
	ids := []string{
		of(workflow.KindSignal, "x", "1"), of(workflow.KindEvent, "", "1"), of(workflow.KindSignal, "", "1"),
		of(workflow.KindSignal, "x1", ""), of(workflow.KindSignal, "x", "2"), of(workflow.KindSignal, "y", "1"),
	}
	if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Fatalf("two messages share a letter: %v", ids)
	}
	if one := of(workflow.KindSignal, "x", "1"); one != of(workflow.KindSignal, "x", "1") || len(one) != 32 {
		t.Fatalf("the id of a letter is not always the same, or %d characters long", len(one))
	}
}

func TestALetterWeighsItsTexts(t *testing.T) {
	empty := (&workflow.DeadLetter{}).Size()
	l := &workflow.DeadLetter{Name: "paid", Payload: workflow.Value(`{"n":1}`), Reason: "nobody"}
	if got := l.Size() - empty; empty <= 0 || got != len("paid")+len(`{"n":1}`)+len("nobody") {
		t.Fatalf("an empty one weighs %d, its texts %d", empty, got)
	}
}

func TestTheLetterOfAnEvent(t *testing.T) {
	r := &workflow.EventReceipt{
		Event: workflow.Event{ID: "e", Name: "paid", Payload: workflow.Value(`{}`), CorrelationID: "A", Source: "workflow:x", By: "ada",
			ReceivedAt: 2, TraceParent: "trace", ExpiresAt: 9},
		Fate: workflow.FateDead, Cause: workflow.CauseUnmatched, Reason: "nobody listens", Near: workflow.NearName("piad", "paid"),
	}
	want := workflow.DeadLetter{
		ID: workflow.LetterID(workflow.KindEvent, "", "e"), Kind: workflow.KindEvent, MessageID: "e", Name: "paid", Payload: r.Event.Payload,
		CorrelationID: "A", Source: "workflow:x", By: "ada", TraceParent: "trace", ReceivedAt: 2, ExpiresAt: 9,
		Cause: workflow.CauseUnmatched, Reason: "nobody listens", Accepted: true, Near: r.Near, At: 2,
	}
	if got := workflow.LetterOfEvent(r); !reflect.DeepEqual(got, want) {
		t.Errorf("without steps it died when it came: got %+v, want %+v", got, want)
	}
	r.Steps, want.At = []workflow.Step{{At: 3, What: "accepted"}, {At: 5, What: "dead"}}, 5
	if got := workflow.LetterOfEvent(r); !reflect.DeepEqual(got, want) {
		t.Errorf("with steps it died at the last: got %+v, want %+v", got, want)
	}
	if workflow.EventKey("e") != "e" {
		t.Error("an event is watched by its id")
	}
}

func TestWhichLettersAQuerySelects(t *testing.T) {
	l := &workflow.DeadLetter{Kind: workflow.KindSignal, Name: "paid", Cause: workflow.CauseExpired, ExecID: "x", WorkflowID: "w", At: 10}
	for _, c := range []struct {
		name string
		q    workflow.LetterQuery
		want bool
	}{
		{"everything", workflow.LetterQuery{}, true},
		{"its kind", workflow.LetterQuery{Kind: workflow.KindSignal}, true},
		{"another kind", workflow.LetterQuery{Kind: workflow.KindEvent}, false},
		{"its name", workflow.LetterQuery{Name: "paid"}, true},
		{"another name", workflow.LetterQuery{Name: "pai"}, false},
		{"its cause", workflow.LetterQuery{Cause: workflow.CauseExpired}, true},
		{"another cause", workflow.LetterQuery{Cause: workflow.CauseFinished}, false},
		{"its execution", workflow.LetterQuery{ExecID: "x"}, true},
		{"another execution", workflow.LetterQuery{ExecID: "y"}, false},
		{"its workflow", workflow.LetterQuery{WorkflowID: "w"}, true},
		{"another workflow", workflow.LetterQuery{WorkflowID: "v"}, false},
		{"since it died", workflow.LetterQuery{Since: 10}, true},
		{"since later", workflow.LetterQuery{Since: 11}, false},
		{"the page does not matter", workflow.LetterQuery{Limit: 1, Cursor: strings.Repeat("c", 9)}, true},
		{"all of it but one", workflow.LetterQuery{Kind: workflow.KindSignal, Name: "paid", Cause: workflow.CauseExpired, ExecID: "x", WorkflowID: "v"}, false},
	} {
		if got := c.q.Selects(l); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}
