package http

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// TestClient calls every route of the table through its typed method, over a
// real connection, and then looks that none was left out.
func TestClient(t *testing.T) {
	d := newLockedDoor(t)
	c := NewClient("http://"+d.listening()+"/", d.token)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	start, err := c.Start(ctx, "approval", StartRequest{ExecID: "e 1", Input: map[string]int{"n": 1}})
	must(err)
	if start.ExecURL != "/api/v0/executions/workflows/e%201" {
		t.Fatalf("%+v", start)
	}
	e, err := c.Execution(ctx, "e 1")
	must(err)
	if e.WorkflowExecID != "e 1" || e.Waits[0].Since == 0 {
		t.Fatalf("%+v", e)
	}
	e, err = c.Pause(ctx, "e 1")
	must(err)
	if !e.Paused {
		t.Fatalf("%+v", e)
	}
	_, err = c.Resume(ctx, "e 1")
	must(err)
	waits, err := c.Waits(ctx, workflow.WaitQuery{Name: "approval-decision", WorkflowID: "approval", Limit: 5})
	must(err)
	if len(waits.Waits) != 1 || waits.Page.Limit != 5 {
		t.Fatalf("%+v", waits)
	}
	moved, err := c.MoveWait(ctx, waits.Waits[0].WaitID, "2h", "a holiday")
	must(err)
	if len(moved.Waits) != 1 || moved.Waits[0].Until == 0 {
		t.Fatalf("%+v", moved)
	}
	nodes, err := c.Cluster(ctx)
	must(err)
	var states []string
	for _, m := range nodes.Members {
		states = append(states, m.State)
	}
	if !nodes.Clustered || !nodes.Moving || nodes.View != 7 || strings.Join(states, " ") != "active leaving silent" || nodes.Members[1].HandingOver != 2 {
		t.Fatalf("%+v", nodes)
	}
	buffered, err := c.Signal(ctx, "e 1", SignalRequest{Name: "other", ID: "s1", TTL: time.Hour, CorrelationID: "c", Force: true})
	must(err)
	if buffered.Outcome != workflow.KeptForWait || buffered.ExpiresAt == 0 {
		t.Fatalf("%+v", buffered)
	}

	var followed []string
	following := make(chan error, 1)
	go func() {
		following <- c.Follow(ctx, "e 1", 1, nil, func(ev StreamEvent) error {
			followed = append(followed, ev.Type)
			if ev.Ending != nil && ev.Ending.Status != workflow.Success {
				return errors.New("it ended as " + string(ev.Ending.Status))
			}
			return nil
		})
	}()
	delivered, err := c.Signal(ctx, "e 1", SignalRequest{Name: "approval-decision", ID: "s2", Payload: map[string]string{"decision": "ok"}})
	must(err)
	if delivered.Outcome != workflow.Delivered || delivered.Wait.ID == "" {
		t.Fatalf("%+v", delivered)
	}
	must(<-following)
	if followed[0] != workflow.WaitOpened || followed[len(followed)-1] != "complete" {
		t.Fatalf("followed %q", followed)
	}
	receipt, err := c.SignalReceipt(ctx, "s2", "e 1")
	must(err)
	if receipt.State != workflow.FateConsumed || receipt.By != "root" {
		t.Fatalf("%+v", receipt)
	}
	forecast, err := c.ForeseeSignal(ctx, "e 1", SignalRequest{Name: "approval-decision", Force: true})
	must(err)
	if !forecast.DryRun || forecast.WouldAnswer != 200 || len(forecast.Waits) != 1 {
		t.Fatalf("%+v", forecast)
	}
	forecasts, err := c.ForeseeSignals(ctx, []SignalTo{{ExecID: "e 1", SignalRequest: SignalRequest{Name: "approval-decision"}}}, false)
	must(err)
	if len(forecasts.Results) != 1 || !forecasts.Results[0].Data.DryRun {
		t.Fatalf("%+v", forecasts)
	}
	expected, err := c.ForeseeEvent(ctx, EventRequest{Name: "request-order"})
	must(err)
	if !expected.DryRun || expected.WouldAnswer != 202 || len(expected.Passed) != 1 {
		t.Fatalf("%+v", expected)
	}
	forecast, err = c.ForeseeStart(ctx, "approval", StartRequest{})
	must(err)
	if !forecast.DryRun || forecast.WouldAnswer != 202 || !forecast.Started {
		t.Fatalf("%+v", forecast)
	}
	why, err := c.Why(ctx, "e 1")
	must(err)
	if why.ExecID != "e 1" || why.Sentence == "" {
		t.Fatalf("%+v", why)
	}
	history, err := c.History(ctx, "e 1", 1, 3)
	must(err)
	if len(history.Records) != 3 || history.NextAfter != 4 {
		t.Fatalf("%+v", history)
	}

	many, err := c.Signals(ctx, []SignalTo{{ExecID: "e 1", SignalRequest: SignalRequest{Name: "approval-decision", ID: "s2", Payload: map[string]string{"decision": "ok"}}},
		{ExecID: "nobody", SignalRequest: SignalRequest{Name: "n"}}}, BatchOptions{})
	must(err)
	if many.Accepted != 1 || many.Refused != 1 || !many.Results[0].Data.Duplicate || many.Results[1].Problem.Code != workflow.CodeNoExecution {
		t.Fatalf("%+v", many)
	}
	many, err = c.SignalLines(ctx, []byte(`{"exec_id":"nobody","signal_name":"n"}`+"\n{"), BatchOptions{Force: true})
	must(err)
	if many.Refused != 2 || many.Results[1].Status != 400 {
		t.Fatalf("%+v", many)
	}
	_, err = c.Signals(ctx, []SignalTo{{ExecID: "nobody", SignalRequest: SignalRequest{Name: "n"}}}, BatchOptions{Atomic: true})
	var none *Problem
	if !errors.As(err, &none) || none.Code != workflow.CodeNoExecution || none.Details["index"] != 0.0 {
		t.Fatalf("%v", err)
	}
	events, err := c.Events(ctx, []EventRequest{{Name: "n", ID: "ev0"}, {Name: ""}})
	must(err)
	if events.Accepted != 1 || events.Results[1].Status != 400 {
		t.Fatalf("%+v", events)
	}
	if events, err = c.EventLines(ctx, []byte(`{"name":"n","id":"ev0"}`)); err != nil || !events.Results[0].Data.Duplicate {
		t.Fatalf("%+v %v", events, err)
	}

	event, err := c.Event(ctx, EventRequest{Name: "n", Payload: map[string]any{}, ID: "ev", CorrelationID: "c"})
	must(err)
	eventReceipt, err := c.EventReceipt(ctx, event.EventID)
	must(err)
	if eventReceipt.CorrelationID != "c" || len(eventReceipt.Deliveries) != 1 {
		t.Fatalf("%+v", eventReceipt)
	}
	timedOut, err := c.StartSync(ctx, "approval", StartRequest{ExecID: "slow"}, time.Millisecond)
	var p *Problem
	if !errors.As(err, &p) || p.Code != CodeStillRunning || timedOut.Workflow.Status != workflow.Waiting {
		t.Fatalf("%v %+v", err, timedOut)
	}
	canceled, err := c.Cancel(ctx, "slow", "no more")
	must(err)
	if canceled.Status != workflow.Canceled {
		t.Fatalf("%+v", canceled)
	}
	list, err := c.Executions(ctx, workflow.Query{WorkflowID: "approval", Limit: 1, Since: 1})
	must(err)
	if len(list.Executions) != 1 || list.Page.NextCursor == "" {
		t.Fatalf("%+v", list)
	}
	list, err = c.WorkflowExecutions(ctx, workflow.Query{WorkflowID: "approval", Status: workflow.Canceled})
	must(err)
	if len(list.Executions) != 1 {
		t.Fatalf("%+v", list)
	}

	clientOfLetters(t, c, d.node)
	loaded, err := c.Workflows(ctx)
	must(err)
	one, err := c.Workflow(ctx, "order")
	must(err)
	if len(loaded) != 2 || one.Awaits[0] != "paid" {
		t.Fatalf("%+v %+v", loaded, one)
	}
	created, err := c.CreateKey(ctx, KeySpec{Name: "k", Scopes: []Scope{SignalsWrite}, Expires: time.Hour})
	must(err)
	keys, err := c.Keys(ctx)
	must(err)
	revoked, err := c.RevokeKey(ctx, created.ID)
	must(err)
	if len(keys) != 2 || revoked.RevokedAt == 0 {
		t.Fatalf("%+v %+v", keys, revoked)
	}
	audit, err := c.Audit(ctx, 10)
	must(err)
	if len(audit) < 3 {
		t.Fatalf("%+v", audit)
	}
	spread := BroadcastRequest{Name: "paid", Filter: BroadcastFilter{WaitingFor: "paid"}, ID: "spread", Payload: map[string]any{"n": 1}, TTL: time.Hour, Rate: 5}
	preview, err := c.PreviewBroadcast(ctx, spread)
	must(err)
	begun, err := c.Broadcast(ctx, spread)
	must(err)
	seen, err := c.GetBroadcast(ctx, "spread")
	must(err)
	all, err := c.Broadcasts(ctx)
	must(err)
	targets, err := c.BroadcastResults(ctx, "spread", "", 10, "")
	must(err)
	ended, err := c.CancelBroadcast(ctx, "spread", "enough")
	must(err)
	if preview.Matched != begun.Progress.Matched || seen.Rate != 5 || len(all) != 1 || len(targets.Results) != preview.Matched || ended.Reason != "enough" {
		t.Fatalf("%+v %+v %+v %+v %+v %+v", preview, begun, seen, all, targets, ended)
	}
	must(c.Alive(ctx))
	card, err := c.Card(ctx)
	must(err)
	ready, err := c.Readiness(ctx)
	must(err)
	if card.Name != "signalbox" || !ready.Ready {
		t.Fatalf("%+v %+v", card, ready)
	}
	d.node.health.Ready = false
	if ready, err = c.Readiness(ctx); err != nil || ready.Ready {
		t.Fatalf("%+v %v", ready, err)
	}
	openapi, err := c.OpenAPI(ctx)
	must(err)
	metrics, err := c.Metrics(ctx)
	must(err)
	if !strings.Contains(string(openapi), `"3.1.0"`) {
		t.Fatal("that is not the document")
	}
	for _, r := range routes {
		others := []string{"/", "/healthz", api + "/health", "/docs/errors", "/metrics"}
		if !slices.Contains(others, r.path) && !strings.Contains(string(metrics), `method="`+r.method+`",route="`+r.path+`"} 1`) &&
			!strings.Contains(string(metrics), `method="`+r.method+`",route="`+r.path+`"} 2`) && !strings.Contains(string(metrics), `method="`+r.method+`",route="`+r.path+`"} 3`) {
			t.Errorf("no method of the client calls %s %s", r.method, r.path)
		}
	}
}

func TestClientErrors(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	c := NewClient("http://"+d.listening(), "")
	defer c.Close()
	_, err := c.Signal(t.Context(), "nobody", SignalRequest{Name: "approval-decision"})
	var p *Problem
	if !errors.As(err, &p) || p.Status != 404 || p.Code != workflow.CodeNoExecution || p.RequestID == "" {
		t.Fatal(err)
	}
	d.node.fails = &workflow.Refusal{Code: workflow.CodeOverloaded, Message: "busy", RetryAfter: 3 * time.Second}
	_, err = c.Event(t.Context(), EventRequest{Name: "n"})
	if !errors.As(err, &p) || p.RetryAfter != 3*time.Second {
		t.Fatal(err)
	}
	if _, err := c.Event(t.Context(), EventRequest{Name: "n", Payload: make(chan int)}); err == nil {
		t.Fatal("a channel was sent")
	}
	if err := c.Follow(t.Context(), "e", 0, nil, nil); !errors.As(err, &p) {
		t.Fatal(err)
	}
	d.node.fails = nil
	stop := errors.New("enough")
	if err := c.Follow(t.Context(), "e", 0, []string{workflow.WaitOpened}, func(e StreamEvent) error {
		if e.Record.Wait != "wait-for-it/1" {
			t.Errorf("%+v", e)
		}
		return stop
	}); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	closed := NewClient("http://127.0.0.1:1", "")
	if err := closed.Alive(t.Context()); err == nil || errors.As(err, &p) {
		t.Fatal(err)
	}
}

// TestClientOfSomethingElse: a proxy's page is not mistaken for a node's answer.
func TestClientOfSomethingElse(t *testing.T) {
	for answer, code := range map[string]int{"<html>Bad Gateway</html>": 502, "<html>Welcome</html>": 200} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			if _, err := w.Write([]byte(answer)); err != nil {
				t.Error(err)
			}
		}))
		c := NewClient(s.URL, "")
		if _, err := c.Workflows(t.Context()); err == nil || !strings.Contains(err.Error(), "not that of a Signalbox node") {
			t.Errorf("%d: %v", code, err)
		}
		c.Close()
		s.Close()
	}
}

// TestCutStream: a stream that ends before the execution does is an error of its own.
func TestCutStream(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if _, err := w.Write([]byte("id: 1\nevent: wait.opened\ndata: {\"seq\":1,\"at\":null,\"type\":\"wait.opened\"}\n\nid: 2\n")); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	c := NewClient(s.URL, "")
	defer c.Close()
	var last uint64
	err := c.Follow(t.Context(), "e", 0, nil, func(e StreamEvent) error { last = e.ID; return nil })
	if !errors.Is(err, ErrStreamCut) || last != 1 {
		t.Fatal(last, err)
	}
}
