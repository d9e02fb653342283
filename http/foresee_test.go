package http

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestADryRunSaysWhatWouldHappen(t *testing.T) {
	d := newDoor(t)
	d.begin("x")
	a := d.post(signalPath("x")+"?dry_run=true", approved).want(200)
	f := data[Forecast](a)
	if !f.DryRun || f.WouldAnswer != 200 || f.StatusNow != workflow.Waiting || len(f.Runs) != 1 || len(f.Emits) != 1 || len(f.Timers) != 1 || f.Waits[0].Condition == "" {
		t.Fatalf("%s", a.Body)
	}
	if a.Header.Get("Signalbox-Durability") != "" {
		t.Fatal("what is not written is promised to be durable")
	}
	if len(d.node.receipts) != 0 {
		t.Fatal("it was sent")
	}
	// A refusal is data, with the status that it would have.
	f = data[Forecast](d.post(signalPath("nobody")+"?dry_run=true", approved).want(200))
	if f.WouldAnswer != 404 || f.Refusal == nil || f.Refusal.Code != workflow.CodeNoExecution {
		t.Fatalf("%+v", f)
	}
	// What cannot be read is refused as ever.
	d.post(signalPath("x")+"?dry_run=true", `{"payload":{}}`).problem(400, workflow.CodeInvalid)
	d.post(signalPath("x")+"?dry_run=maybe", approved).problem(400, workflow.CodeInvalid)
	f = data[Forecast](d.post("/api/v0/workflows/order/executions?dry_run=true", `{"input":{}}`).want(200))
	if f.WouldAnswer != 202 || !f.Started || len(d.node.executions) != 1 {
		t.Fatalf("%+v", f)
	}
	f = data[Forecast](d.post("/api/v0/workflows/none/executions?dry_run=true", `{"input":{}}`).want(200))
	if f.WouldAnswer != 404 {
		t.Fatalf("%+v", f)
	}
}

func TestADryRunOfABatchHasAForecastForEach(t *testing.T) {
	d := newDoor(t)
	d.begin("x")
	const two = `[{"exec_id":"x","signal_name":"approval-decision"},{"exec_id":"nobody","signal_name":"a"},{"signal_name":"b"}]`
	b := data[Batch[Forecast]](d.post("/api/v0/signals?dry_run=true", two).want(200))
	if len(b.Results) != 3 || b.Results[0].Status != 200 || !b.Results[0].Data.DryRun || b.Results[1].Status != 404 || b.Results[1].Data.Refusal == nil || b.Results[2].Problem == nil || b.Refused != 2 {
		t.Fatalf("%+v", b)
	}
	d.post("/api/v0/signals?dry_run=true&atomic=true", two).problem(400, workflow.CodeInvalid) // not of one execution
	const whole = `[{"exec_id":"nobody","signal_name":"a"},{"exec_id":"nobody","signal_name":"b"}]`
	b = data[Batch[Forecast]](d.post("/api/v0/signals?dry_run=true&atomic=true", whole).want(200))
	if b.Refused != 2 || b.Results[1].Status != 404 || !strings.Contains(b.Results[1].Data.Refusal.Detail, "item 0 was refused, so none was kept") {
		t.Fatalf("%+v", b)
	}
	const fits = `[{"exec_id":"x","signal_name":"approval-decision"},{"exec_id":"x","signal_name":"a"}]`
	b = data[Batch[Forecast]](d.post("/api/v0/signals?dry_run=true&atomic=true", fits).want(200))
	if b.Accepted != 2 || b.Results[1].Data.Answer == nil || len(d.node.receipts) != 0 {
		t.Fatalf("%+v", b)
	}
	many := "[" + strings.Repeat(`{"exec_id":"x","signal_name":"a"},`, MaxForeseen) + `{"exec_id":"x","signal_name":"a"}]`
	d.post("/api/v0/signals?dry_run=true", many).problem(413, CodeBodyTooLarge)
}

func TestADryRunOfAnEventKnowsARepeat(t *testing.T) {
	d := newDoor(t)
	const placed = `{"id":"e1","name":"request-order","payload":{}}`
	if f := data[EventForecast](d.post("/api/v0/events?dry_run=true", placed).want(200)); f.Duplicate || f.WouldAnswer != 202 || len(d.node.events) != 0 {
		t.Fatalf("%+v", f)
	}
	d.post("/api/v0/events", placed).want(202)
	if f := data[EventForecast](d.post("/api/v0/events?dry_run=true", placed).want(200)); !f.Duplicate || f.WouldAnswer != 202 {
		t.Fatalf("%+v", f)
	}
	f := data[EventForecast](d.post("/api/v0/events?dry_run=true", `{"id":"e1","name":"request-order","payload":{"other":1}}`).want(200))
	if f.Duplicate || f.WouldAnswer != 422 || f.Refusal.Code != workflow.CodeIDReused {
		t.Fatalf("%+v", f)
	}
	b := data[Batch[EventForecast]](d.post("/api/v0/events?dry_run=true", "["+placed+`,{"name":"other"},{}]`).want(200))
	if len(b.Results) != 3 || !b.Results[0].Data.Duplicate || b.Results[1].Data.Duplicate || b.Results[2].Problem == nil || b.Refused != 1 || len(d.node.events) != 1 {
		t.Fatalf("%+v", b)
	}
	many := "[" + strings.Repeat(`{"name":"a"},`, MaxForeseen) + `{"name":"a"}]`
	d.post("/api/v0/events?dry_run=true", many).problem(413, CodeBodyTooLarge)
}

func TestADryRunTakesLines(t *testing.T) {
	d := newDoor(t)
	d.begin("x")
	c := NewClient("http://"+d.listening(), d.token)
	signals, err := c.ForeseeSignalLines(t.Context(), []byte("{\"exec_id\":\"x\",\"signal_name\":\"a\"}\n{\"exec_id\":\"nobody\",\"signal_name\":\"a\"}\n"), BatchOptions{})
	if err != nil || len(signals.Results) != 2 || signals.Refused != 1 || signals.Results[0].Data.Answer == nil || signals.Results[1].Data.Refusal == nil {
		t.Fatalf("%+v, %v", signals, err)
	}
	events, err := c.ForeseeEventLines(t.Context(), []byte("{\"name\":\"a\"}\n{\"name\":\"b\"}\n"))
	if err != nil || len(events.Results) != 2 || !events.Results[1].Data.DryRun {
		t.Fatalf("%+v, %v", events, err)
	}
	if len(d.node.receipts)+len(d.node.events) != 0 {
		t.Fatal("they were sent")
	}
}

func TestADryRunOfAStartThatWaitsWaitsForNothing(t *testing.T) {
	d := newDoor(t)
	f := data[Forecast](d.post("/api/v0/workflows/order/executions/sync?dry_run=true", `{"input":{},"timeout":300}`).want(200))
	if f.WouldAnswer != 200 || !f.Started || len(d.node.executions) != 0 {
		t.Fatalf("%+v", f)
	}
}

func TestDryRunIsNowhereElse(t *testing.T) {
	d := newDoor(t)
	d.begin("x")
	for _, r := range routes {
		knows := false
		for _, name := range r.query {
			knows = knows || name == dryRun
		}
		if knows || r.method != "POST" || r.loose {
			continue
		}
		path := strings.NewReplacer(":exec_id", "x", ":workflow_id", "order", ":key_id", "k").Replace(r.path)
		d.post(path+"?dry_run=true", `{}`).problem(400, workflow.CodeInvalid)
	}
}

func TestWhoMayOnlySendSeesNoContentInADryRun(t *testing.T) {
	d := newLockedDoor(t)
	d.begin("x")
	sender := data[CreatedKey](d.post("/api/v0/keys", `{"name":"sender","scopes":["signals:write"]}`).want(201))
	f := data[Forecast](d.post(signalPath("x")+"?dry_run=true", approved).want(200))
	if f.Runs[0].Request == nil || f.Waits[0].Condition == "" || f.Emits[0].Payload == nil {
		t.Fatalf("an admin sees %+v", f)
	}
	d.token = sender.Token
	f = data[Forecast](d.post(signalPath("x")+"?dry_run=true", approved).want(200))
	if f.Runs[0].Request != nil || f.Waits[0].Condition != "" || f.Emits[0].Payload != nil || f.Waits[0].Reason == "" {
		t.Fatalf("a sender sees %+v", f)
	}
}
