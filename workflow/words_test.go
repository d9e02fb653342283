package workflow_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"5 minutes": 5 * time.Minute, "1 second": time.Second, "2 hours": 2 * time.Hour, "1 day 12 hours": 36 * time.Hour,
		"1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "PT5M": 5 * time.Minute, "P1DT12H": 36 * time.Hour, "P1W": 7 * 24 * time.Hour,
		" 3 Mins ": 3 * time.Minute, "7µs": 7 * time.Microsecond,
	} {
		if got, err := workflow.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "5", "-5m", "5 parsecs", "P", "PT", "PT5D", "P5H", "1h garbage", "1..5h"} {
		if got, err := workflow.ParseDuration(text); err == nil || !strings.Contains(err.Error(), "is no duration") {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"11 years", "600w", "99999999999h"} {
		if _, err := workflow.ParseDuration(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"5m", "P1DT2H", "1 day", "1e9h", "ps"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := workflow.ParseDuration(text); err == nil && (d < 0 || d > workflow.MaxHold) {
			t.Fatalf("%q is %v", text, d)
		}
	})
}

func TestDigestsTellBodiesApart(t *testing.T) {
	sig := workflow.Signal{ID: "1", Name: "a", Payload: workflow.Value(`{"n":1}`)}
	again := workflow.Signal{ID: "2", Name: "a", Payload: workflow.Value(`{"n":1}`), ReceivedAt: 7}
	other := workflow.Signal{ID: "1", Name: "a", Payload: workflow.Value(`{"n":2}`)}
	if sig.Digest() != again.Digest() || sig.Digest() == other.Digest() {
		t.Fatal("a digest is of name and payload, and of nothing else")
	}
	if ev := (workflow.Event{Name: "a", Payload: workflow.Value(`{"n":1}`)}); ev.Digest() != sig.Digest() {
		t.Fatal("an event and a signal of the same body have the same digest")
	}
}

func TestInstants(t *testing.T) {
	at := workflow.InstantOf(time.Date(2026, 11, 23, 20, 0, 0, 5e6, time.UTC))
	if at.String() != "2026-11-23T20:00:00.005Z" || workflow.Instant(0).String() != "" {
		t.Fatalf("got %q and %q", at, workflow.Instant(0))
	}
	if at.Add(90*time.Second).Time().Sub(at.Time()) != 90*time.Second {
		t.Fatal("adding is exact to the millisecond")
	}
}

func TestFates(t *testing.T) {
	for fate, final := range map[workflow.Fate]bool{
		workflow.FateAccepted: false, workflow.FateBuffered: false, workflow.FateConsumed: true, workflow.FateExpired: true, workflow.FateDead: true,
	} {
		if fate.Final() != final {
			t.Errorf("%s: final=%t", fate, !final)
		}
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	r := &workflow.Refusal{Message: "no", Hint: "try again"}
	if r.Error() != "no; try again" || (&workflow.Refusal{Message: "no"}).Error() != "no" {
		t.Fatalf("got %q", r.Error())
	}
	var err error = r
	if !errors.As(err, new(*workflow.Refusal)) {
		t.Fatal("a refusal is an error")
	}
}

// wants is a schema that asks for a field.
type wants string

func (w wants) Default(v workflow.Value) workflow.Value { return v }

func (w wants) Check(v workflow.Value) []workflow.Violation {
	if bytes.Contains(v, []byte(`"`+string(w)+`"`)) {
		return nil
	}
	return []workflow.Violation{{Pointer: "/" + string(w), Message: "is missing"}}
}

func TestAdmission(t *testing.T) {
	def := (&workflow.Definition{ID: "w", Hash: "h", Awaits: []string{"paid", "approved"}, Roots: []string{"one", "two"}, Tasks: []*workflow.Task{
		{ID: "one", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Schema: wants("amount")}}},
		{ID: "two", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("approved")}}},
	}}).Link()
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{ExecID: "x", WorkflowID: "w", Definition: "h", Stamp: workflow.Stamp{At: 1}})
	if err != nil {
		t.Fatal(err)
	}
	admit := func(sig workflow.Signal) string {
		if r := workflow.Admit(def, &s, workflow.Signalled{Signal: sig}); r != nil {
			return r.Code + ": " + r.Error()
		}
		return ""
	}
	for want, sig := range map[string]workflow.Signal{
		`signal_never_awaited: workflow w has no wait for a signal named "piad"; did you mean "paid"?`:        {Name: "piad"},
		`signal_never_awaited: workflow w has no wait for a signal named "weather"; send it with ?force=true`: {Name: "weather"},
		`payload_invalid: the payload of signal "paid" violates the schema`:                                   {Name: "paid"},
	} {
		if got := admit(sig); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q", sig.Name, got)
		}
	}
	for _, sig := range []workflow.Signal{{Name: "paid", Payload: workflow.Value(`{"amount":1}`)}, {Name: "approved"}, {Name: "weather", Force: true}} {
		if got := admit(sig); got != "" {
			t.Errorf("%s is refused: %s", sig.Name, got)
		}
	}
	s.Buffer = make([]workflow.Buffered, workflow.MaxBuffered)
	if got := admit(workflow.Signal{Name: "weather", Force: true}); !strings.HasPrefix(got, "buffer_full") {
		t.Errorf("a full buffer: %q", got)
	}
	if got := admit(workflow.Signal{Name: "approved"}); got != "" {
		t.Errorf("a full buffer, and a wait takes the signal at once: %q", got)
	}
	s.Paused = true
	if got := admit(workflow.Signal{Name: "approved"}); !strings.HasPrefix(got, "buffer_full") {
		t.Errorf("a full buffer of an execution that is paused: %q", got)
	}
	none := (&workflow.Definition{ID: "w"}).Link()
	if r := workflow.Admit(none, &s, workflow.Signalled{Signal: workflow.Signal{Name: "a"}}); r == nil || !strings.Contains(r.Error(), "no wait at all") {
		t.Errorf("a workflow without waits: %v", r)
	}
}

// TestAFullBufferKeepsOutWhatNoWaitTakes: of two waits of one name the first would take
// the signal but for its schema, the second but for its condition.
func TestAFullBufferKeepsOutWhatNoWaitTakes(t *testing.T) {
	never := judge{"never", func(*workflow.Scope) bool { return false }}
	def := (&workflow.Definition{ID: "w", Hash: "h", Awaits: []string{"paid"}, Roots: []string{"one", "two"}, Tasks: []*workflow.Task{
		{ID: "one", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Schema: wants("amount")}}},
		{ID: "two", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Condition: never}}},
	}}).Link()
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{ExecID: "x", WorkflowID: "w", Definition: "h", Stamp: workflow.Stamp{At: 1}})
	if err != nil {
		t.Fatal(err)
	}
	s.Buffer = make([]workflow.Buffered, workflow.MaxBuffered)
	for _, event := range []bool{false, true} {
		for payload, taken := range map[string]bool{`{"amount":1}`: true, `{}`: false} {
			in := workflow.Signalled{Stamp: workflow.Stamp{At: 2}, OnlyIfMatched: event, Signal: workflow.Signal{ID: "s", Name: "paid", Payload: workflow.Value(payload)}}
			refusal := workflow.Admit(def, &s, in)
			next, _, _, err := workflow.Advance(def, s, in)
			if err != nil || (refusal == nil) != taken || len(next.Buffer) > workflow.MaxBuffered || (next.Version > s.Version) != taken {
				t.Errorf("%s, of an event: %t: refusal %v, %d signals are kept, %v", payload, event, refusal, len(next.Buffer), err)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"approval-decision", "payment-status", "go"}
	for name, want := range map[string]string{
		"aproval-decision": "approval-decision", "payment_status": "payment-status", "og": "", "weather": "", "paymetn-status": "payment-status",
	} {
		if got := workflow.Nearest(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestARecordThatIsDamagedDoesNotReplay(t *testing.T) {
	if _, err := (workflow.Record{Type: "task.done", Data: workflow.Value(`{"task":7}`)}).Input(); err == nil {
		t.Fatal("it decodes")
	}
	if in, err := (workflow.Record{Type: workflow.WaitOpened}).Input(); in != nil || err != nil {
		t.Fatalf("got %v, %v", in, err)
	}
}

// TestEveryInputIsKnownByItsRecord keeps the list of records that begin a
// transition complete: one that is missing is taken for what another caused.
func TestEveryInputIsKnownByItsRecord(t *testing.T) {
	for _, in := range []workflow.Input{
		workflow.Started{}, workflow.Signalled{}, workflow.TimerFired{}, workflow.TaskDone{}, workflow.TaskFailed{},
		workflow.PauseAsked{}, workflow.ResumeAsked{}, workflow.CancelAsked{}, workflow.DeadlineMoved{},
	} {
		r := workflow.Record{Type: in.Kind(), Data: workflow.ValueOf(in)}
		back, err := r.Input()
		if err != nil || back == nil || !r.IsInput() {
			t.Errorf("%s: an input is %v, input=%t, %v", r.Type, back, r.IsInput(), err)
		}
	}
	if r := (workflow.Record{Type: workflow.WaitOpened}); r.IsInput() {
		t.Error("what followed from an input is one itself")
	}
}

func TestTheResultOfATask(t *testing.T) {
	held := workflow.TaskState{Kind: workflow.Wait, Output: workflow.Value(`{"wait_status":"completed","signal":{"payload":{"n":1}}}`)}
	if got := string(held.Result()); got != `{"payload":{"n":1}}` {
		t.Errorf("of a wait: %s", got)
	}
	shaped := workflow.TaskState{Kind: workflow.Wait, Output: workflow.Value(`{"id":1}`), Envelope: workflow.Value(`{"payload":{}}`)}
	if got := string(shaped.Result()); got != `{"payload":{}}` {
		t.Errorf("of a wait whose outputs were shaped: %s", got)
	}
	if got := string((&workflow.TaskState{Kind: workflow.Basic, Output: workflow.Value(`7`)}).Result()); got != "7" {
		t.Errorf("of another task: %s", got)
	}
	if got := (&workflow.TaskState{Kind: workflow.Wait}).Result(); got != nil {
		t.Errorf("of a wait that still holds: %s", got)
	}
	var round workflow.Instant
	if err := json.Unmarshal(workflow.ValueOf(workflow.Instant(5)), &round); err != nil || round != 5 {
		t.Errorf("an instant does not survive: %v", err)
	}
}
