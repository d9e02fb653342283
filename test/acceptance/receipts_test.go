package acceptance

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

const storyYAML = `
workflows:
  - id: order
    tasks:
      - {id: hold, type: wait, wait_for: paid, condition: 'signal.payload.amount <= 500'}
      - {id: book, tool: echo, with: {amount: "{{ .tasks.hold.output.signal.payload.amount }}"}}
      - {id: tell, type: signal, signal: {id: order.paid, payload: {n: 1}}}
      - {id: ship, type: wait, wait_for: shipped}
  - id: invoice
    triggers: [{type: signal, name: order.paid}]
    tasks:
      - {id: write, tool: echo, with: {}}
  - id: archive
    triggers: [{type: signal, name: order.paid, filter: 'payload.n > 5'}]
    tasks:
      - {id: write, tool: echo, with: {}}
`

func TestAReceiptTellsWhoSentTheSignalAndWhatJudgedIt(t *testing.T) {
	script(t, storyYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1s", Send("x", `{"signal_name":"paid","payload":{"amount":900},"signal_id":"a"}`, With("X-Request-Id", "req-7"), Is(200))),
		At("2s", Get("/signals/a", Is(200), Has("data.state", "buffered"), Has("data.from", "192.0.2.1"), Has("data.request_id", "req-7"),
			Has("data.link", "/api/v0/executions/workflows/x"),
			Has("data.steps.0.what", "accepted"), Has("data.steps.0.at", "2000-01-01T00:00:01.000Z"),
			Has("data.steps.1.what", "judged"), Has("data.steps.1.wait", "hold/1"), Telling("data.steps.1.reason", "signal.payload.amount <= 500: 900 <= 500 is false"),
			Has("data.steps.2.what", "buffered"), Lacks("data.caused"),
			linked("data.steps.1.link", "signal.judged"))),
		At("3s", Cancel("x", "enough")),
		At("4s", Get("/signals/a", Has("data.state", "dead"), Has("data.steps.3.what", "dead"), Telling("data.steps.3.reason", "CANCELED"), linked("data.steps.3.link", "signal.dead"))))
}

func TestAReceiptTellsWhoSentASignalWithAStart(t *testing.T) {
	script(t, storyYAML,
		At("0s", CallWith("POST", "/api/v0/workflows/order/executions", `{"exec_id":"x","signal":{"signal_name":"paid","payload":{"amount":900},"signal_id":"a"}}`,
			map[string]string{"X-Request-Id": "req-8"}, Code(202))),
		At("1s", CallWith("POST", "/api/v0/workflows/order/executions", `{"exec_id":"x","signal":{"signal_name":"shipped","signal_id":"b"}}`,
			map[string]string{"X-Request-Id": "req-9"}, Code(200))),
		At("2s", Get("/signals/a", Is(200), Has("data.from", "192.0.2.1"), Has("data.request_id", "req-8")),
			Get("/signals/b", Is(200), Has("data.from", "192.0.2.1"), Has("data.request_id", "req-9"))))
}

func TestAReceiptTellsWhatTheSignalCaused(t *testing.T) {
	script(t, storyYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1s", Send("x", `{"signal_name":"paid","payload":{"amount":50},"signal_id":"a"}`, Is(200))),
		At("2s", Send("x", `{"signal_name":"shipped","signal_id":"b"}`, Is(200), Has("data.status", "SUCCESS")), Executions("invoice", workflow.Success, 1)),
		At("3s", Get("/signals/a", Has("data.state", "consumed"), linked("data.steps.2.link", "signal.consumed"), Has("data.caused.*", 4),
			Has("data.steps.1.what", "judged"), Has("data.steps.1.wait", "hold/1"), Has("data.steps.1.reason", "signal.payload.amount <= 500: 50 <= 500 is true"), linked("data.steps.1.link", "signal.consumed"),
			Has("data.caused.0.kind", "task"), Has("data.caused.0.id", "book"), linked("data.caused.0.link", "task.started"),
			Has("data.caused.1.kind", "event"), Has("data.caused.1.name", "order.paid"), Has("data.caused.1.link", "/api/v0/events/x:tell:1"),
			Has("data.caused.2.kind", "execution"), Has("data.caused.2.name", "invoice"),
			Has("data.caused.3.kind", "wait"), Has("data.caused.3.id", "ship/1"))),
		// What the second caused is its own.
		At("3s", Get("/signals/b", Has("data.caused.*", 1), Has("data.caused.0.kind", "end"))),
		At("4s", Get("/events/x:tell:1", Is(200), Has("data.state", "consumed"), Has("data.deliveries.*", 2))))
}

// TestAReceiptTellsWhatMovedTheDeadline, or why a signal that counted did not.
func TestAReceiptTellsWhatMovedTheDeadline(t *testing.T) {
	const later, count = `signal.payload.text == "later"`, `signal.payload.text != "later"`
	script(t, `
id: review
tasks:
  - id: answer
    type: wait
    wait_for: answer
    condition: signal.payload.text != "later"
    count: 2
    timeout: 1h
    extend_on: {by: 30m, condition: signal.payload.text == "later"}
`,
		At("0s", Start("x", "review", `{}`)),
		At("10m", Send("x", `{"signal_name":"answer","payload":{"text":"later"},"signal_id":"a"}`, Is(200), Has("data.outcome", "delivered"))),
		At("10m", Get("/signals/a", Has("data.state", "consumed"), Has("data.steps.*", 3), Has("data.steps.1.what", "judged"), Has("data.steps.1.wait", "answer/1"),
			Has("data.steps.1.reason", count+`: "later" != "later" is false; extend_on: `+later+`: "later" == "later" is true`),
			Has("data.steps.2.reason", "it moved the deadline to 2000-01-01T01:30:00.000Z"))),
		At("11m", Get("/executions/workflows/x/history", Has("data.records.3.type", "wait.extended"),
			Has("data.records.3.data.grounds", later+`: "later" == "later" is true`))),
		At("12m", Get("/executions/workflows/x/why", Has("data.waits.0.moves.0.reason", later+`: "later" == "later" is true`))),
		At("20m", Send("x", `{"signal_name":"answer","payload":{"text":"yes"},"signal_id":"b"}`, Is(200), Has("data.outcome", "delivered"))),
		At("20m", Get("/signals/b", Has("data.state", "consumed"), Has("data.steps.1.what", "judged"),
			Has("data.steps.1.reason", count+`: "yes" != "later" is true; extend_on: `+later+`: "yes" == "later" is false`), Has("data.steps.2.reason", "1 of 2"))),
		Want(Between("1h30m", "1h30m1s"), Status("x", workflow.TimedOut)))
}

// linked wants the link at a path to lead to a record of a type.
func linked(path, kind string) shown {
	return shown{follow: func(w *world, r *response) error {
		at, _ := r.at(path)
		link, _ := at.(string)
		if !strings.HasPrefix(link, front) {
			return fail("%s is %v, want a link", path, at)
		}
		return Get(strings.TrimPrefix(link, front), Is(200), Has("data.records.*", 1), Has("data.records.0.type", kind))(w)
	}}
}

func TestTheReceiptOfAnEventTellsWhatEveryListenerDid(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Start("mine", "audit", `{"order":"A"}`)),
		At("1s", Post("/events", `{"name":"order.created","id":"e1","payload":{"order":"A"}}`, Is(202))),
		At("2s", Executions("invoice", workflow.Success, 1), Get("/events/e1", Has("data.state", "consumed"), Has("data.from", "192.0.2.1"), delivered("invoice", "started"), delivered("ship", "refused"), delivered("audit", "delivered"))))
}

const refusedYAML = `
workflows:
  - id: typed
    triggers: [{type: signal, name: order.placed}]
    config: {input: {type: object, required: [order]}}
    tasks: [{id: hold, type: wait, wait_for: paid}]
  - id: seat
    key: {value: "{{ .workflow.input.seat }}", unique: true, when_taken: refuse}
    triggers: [{type: signal, name: seat.asked}]
    tasks: [{id: hold, type: wait, wait_for: free}]
  - id: table
    key: {value: "{{ .workflow.input.seat }}", unique: true}
    triggers: [{type: signal, name: seat.asked}]
    tasks: [{id: hold, type: wait, wait_for: free}]
`

// TestAReceiptLinksOnlyToWhatWasStarted: where a start is refused there is nothing to
// look at, and where it found another execution under its key, that one.
func TestAReceiptLinksOnlyToWhatWasStarted(t *testing.T) {
	broken, asked := `{"name":"order.placed","id":"e1","payload":{"n":1}}`, `{"name":"seat.asked","id":"e2","payload":{"seat":"12A"}}`
	script(t, refusedYAML,
		At("0s", Post("/workflows/seat/executions", `{"exec_id":"s1","input":{"seat":"12A"}}`, Is(202)),
			Post("/workflows/table/executions", `{"exec_id":"t1","input":{"seat":"12A"}}`, Is(202))),
		At("1s", Post("/events?dry_run=true", broken, Is(200), Has("data.deliveries.0.outcome", "refused"), Lacks("data.deliveries.0.exec_id")),
			Post("/events?dry_run=true", asked, Is(200), Has("data.deliveries.0.outcome", "refused"), Lacks("data.deliveries.0.exec_id"),
				Has("data.deliveries.1.outcome", "ignored"), Has("data.deliveries.1.exec_id", "t1"))),
		At("2s", Post("/events", broken, Is(202)), Post("/events", asked, Is(202))),
		At("3s", Get("/events/e1", delivered("typed", "refused"), Lacks("data.deliveries.0.exec_id"), Telling("data.deliveries.0.reason", "the input violates the schema of workflow typed"))),
		At("4s", Get("/events/e2", delivered("seat", "refused"), delivered("table", "ignored"), holding(`"exec_id":"t1"`))))
}

const passedYAML = `
workflows:
  - id: order
    tasks:
      - {id: hold, type: wait, wait_for: paid, condition: signal.payload.amount <= workflow.input.limit}
  - id: bookkeeping
    triggers: [{type: signal, name: paid, filter: payload.amount > 5}]
    tasks:
      - {id: write, tool: echo, with: {}}
`

// TestTheReceiptOfAnEventListsTheWaitsThatItPassedBy, with what decided, and so it
// does of a filter that was true.
func TestTheReceiptOfAnEventListsTheWaitsThatItPassedBy(t *testing.T) {
	script(t, passedYAML,
		At("0s", Start("small", "order", `{"limit":500}`), Start("large", "order", `{"limit":1000}`)),
		At("1s", Post("/events", `{"name":"paid","id":"e1","payload":{"amount":900}}`, Is(202))),
		At("2s", Status("large", workflow.Success), Status("small", workflow.Waiting), Get("/events/e1", Has("data.state", "consumed"), Has("data.deliveries.*", 3),
			Has("data.counts.passed", 1.0), Has("data.counts.delivered", 1.0), Has("data.counts.started", 1.0),
			Has("data.deliveries.2.outcome", "passed"), Has("data.deliveries.2.exec_id", "small"), Has("data.deliveries.2.wait_id", "hold/1"),
			Has("data.deliveries.2.reason", "signal.payload.amount <= workflow.input.limit: 900 <= 500 is false"),
			holding("signal.payload.amount <= workflow.input.limit: 900 <= 1000 is true"),
			holding("the trigger's filter is true: payload.amount > 5: 900 > 5 is true"))))
}

// holding wants a text somewhere in the answer.
func holding(text string) shown {
	return shown{follow: func(_ *world, r *response) error {
		if !strings.Contains(r.text, text) {
			return fail("no %q in %s", text, r.text)
		}
		return nil
	}}
}

// delivered wants one listener of an event to have done something, and the wait
// that took it to tell its steps and what it caused.
func delivered(workflowID, outcome string) shown {
	return shown{check: func(r *response) error {
		list, _ := r.at("data.deliveries")
		all, _ := list.([]any)
		for _, one := range all {
			d, _ := one.(map[string]any)
			if d["workflow_id"] != workflowID {
				continue
			}
			_, linked := d["link"]
			steps, _ := d["steps"].([]any)
			caused, _ := d["caused"].([]any)
			if d["outcome"] != outcome || linked == (outcome == "refused") || outcome == "delivered" && (len(steps) < 2 || len(caused) != 1) {
				return fail("%s did %v, want %s", workflowID, d, outcome)
			}
			return nil
		}
		return fail("nothing was delivered to %s", workflowID)
	}}
}

func TestWaitHoldsTheReceiptUntilTheFateIsFinal(t *testing.T) {
	script(t, storyYAML,
		At("0s", Start("x", "order", `{}`), Send("x", `{"signal_name":"shipped","signal_id":"s"}`, Has("data.outcome", "buffered"))),
		At("1s", func(w *world) error {
			door := http.NewServer(http.Options{Node: w.node})
			asked := time.Now()
			answer := make(chan *response, 1)
			go func() { answer <- w.ask(door, "GET", "/signals/s?wait=30s", "", nil) }()
			time.Sleep(5 * time.Second) // virtual
			synctest.Wait()
			select {
			case got := <-answer:
				return fail("the receipt did not hold: %s", got.text)
			default:
			}
			if err := Send("x", `{"signal_name":"paid","payload":{"amount":1}}`, Is(200))(w); err != nil {
				return err
			}
			synctest.Wait()
			got := <-answer
			if took := time.Since(asked); took != 5*time.Second {
				return fail("the answer took %v, want it with the commit after 5s", took)
			}
			return got.judge(w, []shown{Is(200), Has("data.state", "consumed")})
		}),
		// What is final is told at once, and what is not when the time is up.
		At("10s", quick(0, Get("/signals/s?wait=30s", Has("data.state", "consumed"))), Start("y", "order", `{}`), Send("y", `{"signal_name":"shipped","signal_id":"t"}`)),
		At("11s", quick(2*time.Second, Get("/signals/t?wait=2s", Is(200), Has("data.state", "buffered")))),
		At("20s", Get("/signals/t?wait=soon", Is(400)), Get("/signals/t?wait=1h", Is(400)), Get("/signals/unknown?wait=5s", Is(404))),
		At("21s", Event("e", "order.paid", `{"n":9}`), quick(0, Get("/events/e?wait=30s", Is(200), Has("data.state", "consumed"))), Executions("archive", workflow.Success, 1), Executions("invoice", workflow.Success, 2)))
}

// quick wants something to take exactly so long.
func quick(want time.Duration, then act) act {
	return func(w *world) error {
		begun := time.Now()
		if err := then(w); err != nil {
			return err
		}
		if took := time.Since(begun); took != want {
			return fail("it took %v, want %v", took, want)
		}
		return nil
	}
}

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestATraceIsContinuedByEverythingThatAnEventCauses(t *testing.T) {
	script(t, `
workflows:
  - id: first
    triggers: [{type: signal, name: com.example.placed}]
    tasks:
      - {id: tell, type: signal, signal: {id: told, payload: {}}}
  - id: second
    triggers: [{type: signal, name: told}]
    tasks:
      - {id: hold, type: wait, wait_for: never}
`,
		At("0s", Post("/events", `{"order":42}`, Is(202), With("Content-Type", "application/json"), With("Ce-Specversion", "1.0"), With("Ce-Id", "1"),
			With("Ce-Source", "/shop"), With("Ce-Type", "com.example.placed"), With("Ce-Traceparent", trace), With("Ce-Subject", "order-42"))),
		At("1s", Get("/events/1?source=/shop", Has("data.state", "consumed"), Has("data.source", "/shop"), Has("data.correlation_id", "order-42"), Has("data.traceparent", trace))),
		At("2s", PowerLoss(), Of("first", func(exec string) act {
			return both(Get("/executions/workflows/"+exec, Has("data.trigger.traceparent", trace)), Get("/events/"+exec+":tell:1", Has("data.traceparent", trace)))
		})),
		At("3s", Of("second", func(exec string) act {
			return Get("/executions/workflows/"+exec, Has("data.trigger.traceparent", trace), Has("data.status", "WAITING"))
		})))
}

func both(first, then act) act {
	return func(w *world) error {
		if err := first(w); err != nil {
			return err
		}
		return then(w)
	}
}
