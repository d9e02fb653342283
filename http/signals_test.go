package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

const signalsOf = "/api/v0/executions/workflows/%s/signals"

func signalPath(execID string) string { return fmt.Sprintf(signalsOf, execID) }

const approved = `{"signal_name":"approval-decision","payload":{"decision":"approved"}}`

// TestSignalAnswers goes through the table of answers to a signal, row by row.
func TestSignalAnswers(t *testing.T) {
	d := newDoor(t)
	for _, id := range []string{"open", "false", "dup", "full", "done", "schema", "never"} {
		d.begin(id)
	}

	t.Run("an open wait matches", func(t *testing.T) {
		a := d.post(signalPath("open"), approved).want(200)
		s := data[SignalAnswer](a)
		if s.Outcome != workflow.Delivered || s.Duplicate || s.Wait == nil || s.Wait.TaskID != "wait-for-it" || s.Status != workflow.Success || len(s.SignalID) != 36 {
			t.Fatalf("answer: %s", a.Body)
		}
		if s.Message != "Signal sent successfully" || !strings.Contains(string(a.Body), `"message":"signal sent successfully"`) {
			t.Fatalf("messages: %s", a.Body)
		}
		if a.Header.Get("Signalbox-Durability") != "fsync" || a.Header.Get("Idempotent-Replayed") != "" {
			t.Fatalf("headers: %v", a.Header)
		}
	})
	t.Run("no wait is open", func(t *testing.T) {
		a := d.post(signalPath("false")+"?force=true", `{"signal_name":"other","ttl":"90s"}`).want(200)
		if s := data[SignalAnswer](a); s.Outcome != workflow.KeptForWait || s.Reason == "" || s.ExpiresAt == 0 || s.Wait != nil {
			t.Fatalf("answer: %s", a.Body)
		}
	})
	t.Run("the condition is false", func(t *testing.T) {
		a := d.post(signalPath("false"), `{"signal_name":"approval-decision","payload":{"decision":"pending"}}`).want(200)
		if s := data[SignalAnswer](a); s.Outcome != workflow.KeptForWait || !strings.Contains(s.Reason, "condition") || s.Status != workflow.Waiting {
			t.Fatalf("answer: %s", a.Body)
		}
	})
	t.Run("nobody can ever wait for it", func(t *testing.T) {
		p := d.post(signalPath("never"), `{"signal_name":"aproval-decision"}`).problem(422, workflow.CodeNeverAwaited)
		if !strings.Contains(p.Hint, "approval-decision") {
			t.Fatalf("hint %q", p.Hint)
		}
	})
	t.Run("same id, same body", func(t *testing.T) {
		body := `{"signal_name":"approval-decision","payload":{"decision":"yes"},"signal_id":"s-1"}`
		first := data[SignalAnswer](d.post(signalPath("dup"), body).want(200))
		a := d.post(signalPath("dup"), `{ "payload" : {"decision" : "yes"}, "signal_name":"approval-decision" }`, "Idempotency-Key", "s-1").want(200)
		again := data[SignalAnswer](a)
		if !again.Duplicate || a.Header.Get("Idempotent-Replayed") != "true" || again.SignalID != "s-1" {
			t.Fatalf("answer: %s %v", a.Body, a.Header)
		}
		again.Duplicate, first.Wait, again.Wait = false, nil, nil
		if again != first {
			t.Fatalf("the second receipt %+v is not the first %+v", again, first)
		}
	})
	t.Run("same id, other body", func(t *testing.T) {
		p := d.post(signalPath("dup"), `{"signal_name":"approval-decision","payload":{"decision":"no"},"signal_id":"s-1"}`).problem(422, workflow.CodeIDReused)
		if p.Details["first_digest"] == nil || p.Details["digest"] == nil || p.Details["digest"] == p.Details["first_digest"] {
			t.Fatalf("details %v", p.Details)
		}
	})
	t.Run("payload breaks the schema", func(t *testing.T) {
		p := d.post(signalPath("schema"), `{"signal_name":"approval-decision","payload":{"reason":7}}`).problem(422, workflow.CodePayloadInvalid)
		if len(p.Errors) != 1 || p.Errors[0].Pointer != "/payload/reason" {
			t.Fatalf("errors %v", p.Errors)
		}
	})
	t.Run("finished", func(t *testing.T) {
		d.post(signalPath("done"), approved).want(200)
		p := d.post(signalPath("done"), approved).problem(409, workflow.CodeFinished)
		if p.Reference.Code != "CONFLICT" || p.Details["status"] != "SUCCESS" {
			t.Fatalf("%+v", p)
		}
	})
	t.Run("no such execution", func(t *testing.T) {
		p := d.post(signalPath("nobody"), approved).problem(404, workflow.CodeNoExecution)
		if p.Reference.Code != "NOT_FOUND" || p.Instance != signalPath("nobody") {
			t.Fatalf("%+v", p)
		}
	})
	t.Run("buffer full", func(t *testing.T) {
		for range d.node.maxBuffer {
			d.post(signalPath("full")+"?force=1", `{"signal_name":"more"}`).want(200)
		}
		a := d.post(signalPath("full")+"?force=1", `{"signal_name":"more"}`)
		a.problem(429, workflow.CodeBufferFull)
		if a.Header.Get("Retry-After") != "2" {
			t.Fatalf("Retry-After %q, want 1.5 s rounded up", a.Header.Get("Retry-After"))
		}
	})
}

// TestNodeTrouble checks what clients are told when the node cannot do its work.
func TestNodeTrouble(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.7: password hunter2 refused")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&workflow.Refusal{Code: workflow.CodeOverloaded, Message: "too much"}, 503, workflow.CodeOverloaded},
		{fmt.Errorf("commit: %w", &workflow.Refusal{Code: workflow.CodeStoreUnavailable, Message: "the disk is full"}), 503, workflow.CodeStoreUnavailable},
		{&workflow.Refusal{Code: workflow.CodeStopping, Message: "stopping"}, 503, workflow.CodeStopping},
		{&workflow.Refusal{Code: workflow.CodeQuarantined, Message: "quarantined"}, 409, workflow.CodeQuarantined},
		{fmt.Errorf("ask: %w", context.DeadlineExceeded), 503, workflow.CodeTimeout},
		{secret, 500, CodeInternal},
		{&workflow.Refusal{Code: "never_heard_of", Message: secret.Error()}, 500, CodeInternal},
	} {
		d := newDoor(t)
		d.begin("e")
		d.node.fails = c.err
		a := d.post(signalPath("e"), approved)
		p := a.problem(c.status, c.code)
		if strings.Contains(string(a.Body), "hunter2") {
			t.Errorf("the answer tells internals: %s", a.Body)
		}
		if c.code == workflow.CodeTimeout && !strings.Contains(p.Hint, "same id") {
			t.Errorf("hint %q does not say to send again", p.Hint)
		}
		d.post("/api/v0/events", `{"name":"x"}`).want(c.status)
		d.get("/api/v0/executions/workflows").want(c.status)
	}
}

// TestRefusedBodies are bodies that never reach the node.
func TestRefusedBodies(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	d.node.fails = errors.New("the node was asked")
	signal, event := signalPath("e"), "/api/v0/events"
	start, sync := "/api/v0/workflows/approval/executions", "/api/v0/workflows/approval/executions/sync"
	long := strings.Repeat("x", MaxIDBytes+1)
	for _, c := range []struct{ path, body, says string }{
		{signal, ``, "empty"},
		{signal, `  `, "empty"},
		{signal, `{`, "line 1"},
		{signal, "{\n  \"signal_name\": oops}", "line 2, column 18"},
		{signal, `{"signal_name":"a"} {"signal_name":"b"}`, "not JSON"},
		{signal, `[]`, "an array, not an object"},
		{signal, `"x"`, "a string, not an object"},
		{signal, `null`, "null, not an object"},
		{signal, `{"payload":{}}`, "signal_name is missing"},
		{signal, `{"signal_name":""}`, "signal_name is missing"},
		{signal, `{"signal_name":null}`, "signal_name is missing"},
		{signal, `{"signal_name":7}`, "a number, not a string"},
		{signal, `{"signal_name":"a","payload":[1]}`, "an array, not an object"},
		{signal, `{"signal_name":"a","payload":"x"}`, "a string, not an object"},
		{signal, `{"signal_name":"a","paylod":{}}`, `did you mean \"payload\"`},
		{signal, `{"signal_name":"a","name":"b"}`, "the known fields are signal_name"},
		{signal, `{"signal_name":"a","signal_id":""}`, "signal_id must not be empty"},
		{signal, `{"signal_name":"a","signal_id":"a/b"}`, "slash"},
		{signal, `{"signal_name":"a","signal_id":"."}`, "signal_id must not be ."},
		{event, `{"name":"a","event_id":".."}`, "event_id must not be .."},
		{start, `{"exec_id":".."}`, "exec_id must not be .."},
		{start, `{"signal":{"signal_name":"a","signal_id":".."}}`, "signal_id must not be .."},
		{signal, `{"signal_name":"a","signal_id":"a\u0007b"}`, "control character"},
		{signal, `{"signal_name":"` + long + `"}`, "257 bytes"},
		{signal, `{"signal_name":"a","ttl":"soon"}`, "ttl is not a duration"},
		{signal, `{"signal_name":"a","ttl":"-5s"}`, "above zero"},
		{signal, `{"signal_name":"a","ttl":0}`, "above zero"},
		{signal, `{"signal_name":"a","ttl":"nand"}`, "ttl is not a duration"},
		{signal, `{"signal_name":"a","ttl":{}}`, "ttl is not a duration"},
		{signal, `{"signal_name":"a","ttl":1e300}`, "at most"},
		{signal, "{\"signal_name\":\"a\xff\"}", "UTF-8"},
		{signal, `{"signal_name":"a","payload":` + strings.Repeat(`{"a":`, 80) + `1` + strings.Repeat(`}`, 80) + `}`, "81 levels"},
		{signal, strings.Repeat(`[`, 100_000), "100000 levels"},
		{event, `{"payload":{}}`, "name is missing"},
		{event, `{"name":"a","id":"x","event_id":"y"}`, "name one id"},
		{event, `{"name":"a","payload":3}`, "not an object"},
		{event, `{"signal_name":"a"}`, "the known fields are name"},
		{start, `{"input":[]}`, "input is an array"},
		{start, `{"task_id":"third"}`, "task_id cannot be chosen"},
		{start, `{"timeout":3}`, "unknown field"},
		{start, `{"exec_id":"a/b"}`, "slash"},
		{sync, `{"timeout":-1}`, "0 to 300"},
		{sync, `{"timeout":301}`, "0 to 300"},
		{sync, `{"timeout":"5s"}`, "0 to 300"},
		{"/api/v0/executions/workflows/e/pause", `{"why":1}`, "no body"},
		{"/api/v0/executions/workflows/e/cancel", `{"reason":"` + strings.Repeat("x", 2000) + `"}`, "2000 bytes"},
	} {
		a := d.post(c.path, c.body, "Content-Type", "", "Content-Type", "application/json")
		a.problem(400, workflow.CodeInvalid)
		if !strings.Contains(string(a.Body), c.says) {
			t.Errorf("%.80s: the answer does not say %q: %s", c.body, c.says, a.Body)
		}
	}
}

func TestIDsInTwoPlaces(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	d.post(signalPath("e"), `{"signal_name":"approval-decision","signal_id":"a"}`, "Idempotency-Key", "b").problem(400, workflow.CodeInvalid)
	d.post(signalPath("e"), approved, "Idempotency-Key", "a", "Idempotency-Key", "b").problem(400, workflow.CodeInvalid)
	d.post(signalPath("e"), approved, "Idempotency-Key", "a/b").problem(400, workflow.CodeInvalid)
	d.post(signalPath("e"), approved, "Idempotency-Key", "..").problem(400, workflow.CodeInvalid)
	d.post("/api/v0/events", `{"name":"n","id":"a"}`, "Idempotency-Key", "b").problem(400, workflow.CodeInvalid)
	a := d.post(signalPath("e"), `{"signal_name":"approval-decision","signal_id":"a"}`, "Idempotency-Key", "a").want(200)
	if s := data[SignalAnswer](a); s.SignalID != "a" {
		t.Fatalf("signal id %q", s.SignalID)
	}
}

// TestMembersThatOccurTwice: nobody knows which one the sender meant, and the one
// that is dropped would be lost silently.
func TestMembersThatOccurTwice(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	for path, bodies := range map[string][]string{
		signalPath("e"): {
			`{"signal_name":"x","payload":{"decision":"pending"},"signal_name":"approval-decision"}`,
			`{"signal_name":"approval-decision","payload":{},"ttl":"5m","payload":{"decision":"ok"}}`,
			`{"signal_name":"approval-decision","signal_id":"a","signal\u005fid":"b"}`,
		},
		"/api/v0/events": {
			`{"name":"n","name":"n"}`,
			`{"specversion":"1.0","id":"1","source":"/s","type":"n","type":"m"}`,
			`{"specversion":"1.0","id":"1","source":"/s","type":"n","a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"j":2}`,
		},
		"/api/v0/workflows/approval/executions": {`{"input":{},"input":null}`},
	} {
		for _, body := range bodies {
			kind := "application/json"
			if strings.Contains(body, "specversion") {
				kind = "application/cloudevents+json"
			}
			p := d.post(path, body, "Content-Type", kind).problem(400, workflow.CodeInvalid)
			if len(p.Errors) != 1 || p.Errors[0].Message != "stands twice" || p.Hint == "" {
				t.Errorf("%s: %+v", body, p)
			}
		}
	}
	if s := data[SignalAnswer](d.post(signalPath("e"), `{"signal_name":"approval-decision","payload":{"signal_name":"x"}}`).want(200)); s.Outcome != workflow.Delivered {
		t.Fatalf("a name of the payload is another: %+v", s)
	}
}

func TestEvents(t *testing.T) {
	d := newDoor(t)
	a := d.post("/api/v0/events", `{"name":"approval-request","payload":{"n": 1}}`).want(202)
	first := data[EventAnswer](a)
	if first.Message != "event received" || first.Duplicate || len(first.EventID) != 36 || a.Header.Get("Signalbox-Durability") != "fsync" {
		t.Fatalf("answer: %s", a.Body)
	}
	again := d.post("/api/v0/events", `{"payload":{"n":1},"name":"approval-request","event_id":"`+first.EventID+`"}`).want(202)
	if !data[EventAnswer](again).Duplicate || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("answer: %s", again.Body)
	}
	p := d.post("/api/v0/events", `{"name":"approval-request","payload":{"n":2}}`, "Idempotency-Key", first.EventID).problem(422, workflow.CodeIDReused)
	if p.Details["digest"] == p.Details["first_digest"] {
		t.Fatalf("details %v", p.Details)
	}
	r := data[EventReceipt](d.get("/api/v0/events/" + first.EventID).want(200))
	if r.State != workflow.FateConsumed || len(r.Deliveries) != 1 || string(r.Payload) != `{"n":1}` {
		t.Fatalf("receipt: %+v", r)
	}
	nobody := d.get("/api/v0/events/nobody").problem(404, workflow.CodeNoEvent)
	if !strings.Contains(nobody.Detail, "not accepted, or it was forgotten") || !strings.Contains(nobody.Hint, "only if it is younger") {
		t.Errorf("nobody knows that event: %s; %s", nobody.Detail, nobody.Hint)
	}
}

func TestEventCarriesTrace(t *testing.T) {
	d := newDoor(t)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for header, kept := range map[string]string{trace: trace, strings.ToUpper(trace): "", trace + "x": "", "": ""} {
		id := data[EventAnswer](d.post("/api/v0/events", `{"name":"n"}`, "Traceparent", header).want(202)).EventID
		if got := d.node.events[id].Event.TraceParent; got != kept {
			t.Errorf("of %q, %q was kept", header, got)
		}
	}
}

func TestSignalReceipts(t *testing.T) {
	d := newDoor(t)
	d.begin("one")
	d.begin("two")
	for _, id := range []string{"one", "two"} {
		d.post(signalPath(id), `{"signal_name":"approval-decision","signal_id":"same"}`).want(200)
	}
	r := data[SignalReceipts](d.get("/api/v0/signals/same").want(200))
	if r.State != workflow.FateConsumed || r.ExecID != "one" || len(r.Others) != 1 || r.Others[0].ExecID != "two" || len(r.Steps) != 1 || r.ReceivedAt == 0 {
		t.Fatalf("receipt: %+v", r)
	}
	r = data[SignalReceipts](d.get("/api/v0/signals/same?exec_id=two").want(200))
	if r.ExecID != "two" || len(r.Others) != 0 {
		t.Fatalf("receipt: %+v", r)
	}
	other := d.get("/api/v0/signals/other").problem(404, workflow.CodeNoSignal)
	if !strings.Contains(other.Detail, "not accepted, or it was forgotten") || !strings.Contains(other.Hint, "only if it is younger") {
		t.Errorf("nobody knows that signal: %s; %s", other.Detail, other.Hint)
	}
	d.get("/api/v0/signals/same?exec_id=three").problem(404, workflow.CodeNoSignal)
}

// TestAnswersByHand compares the answers that are put together by hand with
// those that encoding/json would make, for texts of every kind.
func TestAnswersByHand(t *testing.T) {
	for _, text := range []string{"plain", "", `quo"te \ back`, "tab\tnew\nline\r\x00\x1f", "naïve ☃ 🚦", "bad \xff\xfe utf", "\xe2\x82", "a<b>&\u2028"} {
		in := workflow.Answer{SignalID: text, Outcome: workflow.KeptForWait, Reason: text, WaitID: text, WaitTask: text, ExpiresAt: 1_700_000_000_123, Status: workflow.Running}
		var got struct {
			Status int
			Data   SignalAnswer
		}
		body := appendSignalAnswer(nil, &in)
		if !utf8.Valid(body) {
			t.Errorf("%q: the answer is not UTF-8: %q", text, body)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%q: %v in %s", text, err, body)
		}
		// Ranging over a text turns each byte that is not UTF-8 into the
		// replacement character, which is what the answer should hold.
		want := string([]rune(text))
		if got.Data.Reason != want || got.Data.SignalID != want || (want != "" && got.Data.Wait.ID != want) {
			t.Errorf("%q came out as %+v", text, got.Data)
		}
		if got.Status != 200 || got.Data.ExpiresAt != Time(in.ExpiresAt) {
			t.Errorf("%+v", got)
		}
	}
}
