package http

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

const starts = "/api/v0/workflows/approval/executions"

func TestStart(t *testing.T) {
	d := newDoor(t)
	a := d.post(starts, `{"input":{"n": 1},"exec_id":"exec_123"}`).want(202)
	s := data[StartAnswer](a)
	if s.ExecID != "exec_123" || s.ExecURL != "/api/v0/executions/workflows/exec_123" || s.WorkflowID != "approval" || a.Header.Get("Location") != s.ExecURL || s.Duplicate {
		t.Fatalf("answer: %s %v", a.Body, a.Header)
	}
	again := d.post(starts, `{"input":{"n":1},"exec_id":"exec_123"}`).want(202)
	if !data[StartAnswer](again).Duplicate || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("answer: %s", again.Body)
	}
	d.post(starts, `{"input":{"n":2},"exec_id":"exec_123"}`).problem(409, workflow.CodeExecutionExists)
	d.post("/api/v0/workflows/nobody/executions", `{}`).problem(404, workflow.CodeNoWorkflow)
	minted := data[StartAnswer](d.post(starts, "").want(202)).ExecID
	if len(minted) != 36 || minted[14] != '7' {
		t.Fatalf("a minted id is %q", minted)
	}
	d.post(starts, `{"task_id":null,"input":null}`).want(202)
}

func TestStartByIdempotencyKey(t *testing.T) {
	d := newDoor(t)
	first := data[StartAnswer](d.post(starts, `{"input":{"n":1}}`, "Idempotency-Key", "order-42").want(202))
	a := d.post(starts, `{"input":{"n":1}}`, "Idempotency-Key", "order-42").want(202)
	if again := data[StartAnswer](a); again.ExecID != first.ExecID || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("started again as %q after %q", again.ExecID, first.ExecID)
	}
	d.post(starts, `{"input":{"n":2}}`, "Idempotency-Key", "order-42").problem(409, workflow.CodeExecutionExists)
	other := data[StartAnswer](d.post("/api/v0/workflows/order/executions", `{}`, "Idempotency-Key", "order-42").want(202))
	if other.ExecID == first.ExecID {
		t.Fatal("two workflows share the execution of one key")
	}
	if workflow.DerivedID("a", "bc") == workflow.DerivedID("ab", "c") {
		t.Fatal("parts of a derived id run into each other")
	}
}

func TestExecutionShape(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	a := d.get("/api/v0/executions/workflows/e").want(200)
	e := data[Execution](a)
	task := e.Tasks["wait-for-it"]
	if e.Status != workflow.Waiting || e.Version != "1.0.0" || e.Definition != "hash-of-approval" || len(e.Waits) != 1 || e.Waits[0].SignalName != "approval-decision" ||
		task.TaskExecID != "e/wait-for-it/1" || task.Component != "task" || task.ExecutionType != workflow.Wait || task.WorkflowExecID != "e" {
		t.Fatalf("execution: %s", a.Body)
	}
	for _, field := range []string{`"workflow_exec_id":"e"`, `"output":null`, `"error":null`, `"input":{"n":1}`} {
		if !strings.Contains(string(a.Body), field) {
			t.Errorf("the answer lacks %s: %s", field, a.Body)
		}
	}
	if strings.Contains(string(a.Body), "finished_at") {
		t.Errorf("it has not finished: %s", a.Body)
	}
	d.get("/api/v0/executions/workflows/other").problem(404, workflow.CodeNoExecution)
}

func TestTimesOnTheWire(t *testing.T) {
	text, err := Time(1_700_000_000_120).MarshalJSON()
	if err != nil || string(text) != `"2023-11-14T22:13:20.120Z"` {
		t.Fatalf("%s %v", text, err)
	}
	var at Time
	if err := at.UnmarshalJSON([]byte(`"2023-11-14T23:13:20.12+01:00"`)); err != nil || at != 1_700_000_000_120 {
		t.Fatalf("%d %v", at, err)
	}
	if err := at.UnmarshalJSON([]byte(`"yesterday"`)); err == nil {
		t.Fatal("no error")
	}
}

func TestListsPages(t *testing.T) {
	d := newDoor(t)
	for i := range 5 {
		d.begin(fmt.Sprintf("e%d", i))
	}
	d.post("/api/v0/workflows/order/executions", `{"exec_id":"o"}`).want(202)
	seen, cursor := make(map[string]bool), ""
	for range 3 {
		list := data[ExecutionList](d.get("/api/v0/workflows/approval/executions?limit=2&cursor=" + cursor).want(200))
		for _, e := range list.Executions {
			seen[e.WorkflowExecID] = true
		}
		cursor = list.Page.NextCursor
	}
	if len(seen) != 5 || seen["o"] || cursor != "" {
		t.Fatalf("pages gave %v and then %q", seen, cursor)
	}
	count := func(query string) int {
		return len(data[ExecutionList](d.get("/api/v0/executions/workflows?" + query).want(200)).Executions)
	}
	d.post(signalPath("e1"), approved).want(200)
	for query, want := range map[string]int{"": 6, "status=success": 1, "status=WAITING": 5, "workflow_id=order": 1, "waiting_for=paid": 1, "waiting_for=x": 0, "since=2001-01-01T00:00:00Z": 6, "since=2999-01-01T00:00:00Z": 0} {
		if got := count(query); got != want {
			t.Errorf("%q lists %d, want %d", query, got, want)
		}
	}
	for _, bad := range []string{"limit=0", "limit=501", "limit=x", "status=ASLEEP", "since=yesterday", "wating_for=x", "limit=1&limit=2", "dry_run=true", "a=%zz"} {
		d.get("/api/v0/executions/workflows?"+bad).problem(400, workflow.CodeInvalid)
	}
	waits := data[WaitList](d.get("/api/v0/waits?name=paid&limit=1").want(200))
	if len(waits.Waits) != 1 || waits.Waits[0].WorkflowExecID != "o" || waits.Waits[0].SignalName != "paid" {
		t.Fatalf("waits: %+v", waits)
	}
}

func TestSteering(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	at := "/api/v0/executions/workflows/e/"
	e := data[Execution](d.post(at+"pause", "").want(200))
	if !e.Paused || e.Status != workflow.Paused {
		t.Fatalf("%+v", e)
	}
	d.post(at+"pause", "{}").problem(409, workflow.CodeWrongStatus)
	if e := data[Execution](d.post(at+"resume", "").want(200)); e.Paused {
		t.Fatalf("%+v", e)
	}
	a := d.post(at+"cancel", `{"reason":"not needed"}`).want(200)
	if e := data[Execution](a); e.Status != workflow.Canceled || !strings.Contains(string(a.Body), "workflow execution canceled") {
		t.Fatalf("%s", a.Body)
	}
	d.post(at+"cancel", "").problem(409, workflow.CodeFinished)
	d.post("/api/v0/executions/workflows/nobody/pause", "").problem(404, workflow.CodeNoExecution)
}

func TestHistoryPages(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	d.post(signalPath("e"), approved).want(200)
	at := "/api/v0/executions/workflows/e/history"
	first := data[History](d.get(at + "?limit=2").want(200))
	rest := data[History](d.get(fmt.Sprintf("%s?after=%d", at, first.NextAfter)).want(200))
	if len(first.Records) != 2 || first.NextAfter != 2 || len(rest.Records) != 3 || rest.NextAfter != 0 || rest.Records[0].Seq != 3 || rest.Records[2].Type != workflow.ExecutionFinished {
		t.Fatalf("%+v then %+v", first, rest)
	}
	d.get(at+"?after=-1").problem(400, workflow.CodeInvalid)
	d.get(at+"?limit=1001").problem(400, workflow.CodeInvalid)
}

func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		done := make(chan answer)
		go func() { done <- d.post(starts+"/sync", `{"exec_id":"e","timeout":10}`) }()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		began := time.Now()
		d.post(signalPath("e"), approved).want(200)
		a := <-done
		s := data[SyncAnswer](a.want(200))
		if s.ExecID != "e" || s.Workflow.Status != workflow.Success || !strings.Contains(string(s.Output), `"by"`) {
			t.Fatalf("answer: %s", a.Body)
		}
		if time.Since(began) != 0 {
			t.Fatalf("the answer came %v after the end: it was polled for", time.Since(began))
		}
		if n := d.node.watching(); n != 0 {
			t.Fatalf("%d watches are left", n)
		}
	})
}

func TestSyncTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		for body, want := range map[string]time.Duration{`{"exec_id":"a","timeout":10}`: 10 * time.Second, `{"exec_id":"b"}`: DefaultSyncTimeout, `{"exec_id":"c","timeout":0}`: DefaultSyncTimeout} {
			began := time.Now()
			a := d.post(starts+"/sync", body)
			p := a.problem(408, CodeStillRunning)
			if time.Since(began) != want {
				t.Errorf("%s waited %v, want %v", body, time.Since(began), want)
			}
			if p.Reference.Code != "REQUEST_TIMEOUT" || p.Reference.Message != "execution timeout" || !strings.Contains(string(p.Data), `"status":"WAITING"`) {
				t.Errorf("answer: %s", a.Body)
			}
		}
		d.get("/api/v0/executions/workflows/a").want(200)
	})
}

func TestSyncEndsWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		done := make(chan answer)
		go func() { done <- d.post(starts+"/sync", `{"exec_id":"e"}`) }()
		synctest.Wait()
		if err := d.server.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := (<-done).problem(503, workflow.CodeStopping)
		if !strings.Contains(string(p.Data), `"exec_id":"e"`) {
			t.Fatalf("data %s", p.Data)
		}
	})
}

func TestWorkflows(t *testing.T) {
	d := newDoor(t)
	list := data[map[string][]Workflow](d.get("/api/v0/workflows").want(200))["workflows"]
	if len(list) != 2 || list[0].ID != "approval" || list[0].Awaits[0] != "approval-decision" || list[0].Triggers[0] != "request-approval" || list[0].Source != nil {
		t.Fatalf("%+v", list)
	}
	if w := data[Workflow](d.get("/api/v0/workflows/order").want(200)); string(w.Source) != `{"id":"order"}` || len(w.Tasks) != 1 {
		t.Fatalf("%+v", w)
	}
	if p := d.get("/api/v0/workflows/aproval").problem(404, workflow.CodeNoWorkflow); !strings.Contains(p.Hint, `"approval"`) {
		t.Fatalf("hint %q", p.Hint)
	}
}

func TestProblemIsAnError(t *testing.T) {
	p, known := problemOf(invalidField("ttl", "is not a duration", "write 90s"))
	if !known || p.Error() != "ttl is not a duration; /ttl: is not a duration; write 90s (400 invalid_request)" {
		t.Fatal(p.Error())
	}
	var err error = p
	if !errors.As(fmt.Errorf("send: %w", err), &p) {
		t.Fatal("it does not unwrap")
	}
}

// TestPagesAreBoundedInBytes: a few executions with large inputs make a smaller
// page, and the pages still give everything once.
func TestPagesAreBoundedInBytes(t *testing.T) {
	d := newDoor(t)
	big := workflow.Value(`{"x":"` + strings.Repeat("x", MaxListBytes/3) + `"}`)
	for i := range 4 {
		d.begin(fmt.Sprint("e", i))
		d.node.executions[fmt.Sprint("e", i)].state.Input = big
	}
	var ids []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		r := httptest.NewRequest("GET", "/api/v0/executions/workflows?limit=4&cursor="+cursor, nil)
		w := httptest.NewRecorder()
		d.server.ServeHTTP(w, r)
		list := data[ExecutionList](answer{t: t, Status: w.Code, Body: w.Body.Bytes()})
		if n := len(list.Executions); n != 2 || n > list.Page.Limit {
			t.Fatalf("a page of %d, its limit is %d", n, list.Page.Limit)
		}
		for _, e := range list.Executions {
			ids = append(ids, e.WorkflowExecID)
		}
		cursor = list.Page.NextCursor
	}
	slices.Sort(ids)
	if strings.Join(ids, " ") != "e0 e1 e2 e3" {
		t.Fatalf("the pages give %q", ids)
	}

	e := d.node.executions["e0"]
	for range 4 {
		d.node.commit(e, 1, workflow.Record{Type: workflow.TaskDone{}.Kind(), Data: big})
	}
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, httptest.NewRequest("GET", "/api/v0/executions/workflows/e0/history", nil))
	if h := data[History](answer{t: t, Status: w.Code, Body: w.Body.Bytes()}); len(h.Records) != 4 || h.NextAfter != 4 {
		t.Fatalf("%d records, the next after %d", len(h.Records), h.NextAfter)
	}
}
