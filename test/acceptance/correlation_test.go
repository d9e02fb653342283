package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const ordersYAML = `
workflows:
  - id: order
    tasks:
      - {id: paid, type: wait, wait_for: order.paid, condition: 'signal.payload.amount > 0 && workflow.input.order == signal.payload.order'}
      - {id: sent, type: wait, wait_for: order.sent, correlate: workflow.input.order}
  - id: audit
    triggers: [{name: "order.*.failed"}, {name: "alarm.**"}]
    tasks:
      - {id: note, tool: echo}
`

// An event finds its own among others, by an equality or by its correlation_id,
// and people find the wait by the same key, also after the power was lost.
func TestAnEventFindsItsOwnWaitByItsKey(t *testing.T) {
	script(t, ordersYAML,
		At("0s", Start("a", "order", `{"order":"A"}`), Start("b", "order", `{"order":"B"}`),
			Get("/waits?correlation=B", Is(200), Has("data.waits.*", 1), Has("data.waits.0.workflow_exec_id", "b"),
				Has("data.waits.0.key", "B"), Has("data.waits.0.key_path", "/payload/order"))),
		At("1s", Post("/events", `{"name":"order.paid","id":"e1","payload":{"order":"B","amount":5}}`, Is(202))),
		At("2s", PowerLoss(), Task("b", "paid", workflow.Success), Task("a", "paid", workflow.Waiting),
			Get("/events/e1", Has("data.state", "consumed"), Has("data.counts.delivered", 1.0))),
		At("3s", Post("/events", `{"name":"order.sent","id":"e2","correlation_id":"A"}`, Is(202))),
		At("4s", Status("b", workflow.Waiting), Get("/events/e2", Has("data.state", "dead")),
			Post("/events", `{"name":"order.sent","id":"e3","correlation_id":"B"}`, Is(202))),
		At("5s", Status("b", workflow.Success), Status("a", workflow.Waiting)),
		// A signal is addressed already, but not to another order.
		At("6s", Send("a", `{"signal_name":"order.paid","payload":{"order":"A","amount":5}}`, Has("data.outcome", "delivered")),
			Send("a", `{"signal_name":"order.sent","correlation_id":"B"}`, Has("data.outcome", "buffered"), Telling("data.reason", "the wait listens for")),
			Send("a", `{"signal_name":"order.sent"}`, Has("data.outcome", "delivered")), Status("a", workflow.Success)))
}

// An event with a time to live comes before anybody waits for it, and before the
// execution exists; the first wait that opens for it takes it.
func TestAnEventIsKeptUntilItsWaitOpens(t *testing.T) {
	script(t, ordersYAML,
		At("0s", Post("/events", `{"name":"order.paid","id":"early","ttl":"1h","payload":{"order":"A","amount":5}}`, Is(202)),
			Post("/events", `{"name":"order.paid","id":"short","ttl":"5m","payload":{"order":"A","amount":0}}`, Is(202))),
		At("1s", Get("/events/early", Has("data.state", "buffered"), Has("data.expires_at", "2000-01-01T01:00:00.000Z"))),
		At("2s", PowerLoss(), Start("b", "order", `{"order":"B"}`)),
		At("3s", Start("a", "order", `{"order":"A"}`), Start("late", "order", `{"order":"A"}`)),
		At("4s", Task("a", "paid", workflow.Success), Task("b", "paid", workflow.Waiting), Task("late", "paid", workflow.Waiting),
			Get("/events/early", Has("data.state", "consumed"), Has("data.deliveries.*", 1), Has("data.deliveries.0.exec_id", "a"))),
		// The condition of the other never held.
		At("4m59s", Get("/events/short", Has("data.state", "buffered"))),
		At("5m2s", Get("/events/short", Has("data.state", "expired"))))
}

// laterYAML has a wait for a payment that opens at the start, and one that opens after a signal.
const laterYAML = `
workflows:
  - id: direct
    tasks:
      - {id: paid, type: wait, wait_for: order.paid, condition: signal.payload.order == workflow.input.order}
  - id: order
    tasks:
      - {id: approved, type: wait, wait_for: order.approved}
      - {id: paid, type: wait, wait_for: order.paid, condition: signal.payload.order == workflow.input.order}
`

// A dry run of the start, or of the signal, that opens the wait says so.
func TestADryRunForeseesWhatIsKeptForTheWaitThatItOpens(t *testing.T) {
	script(t, laterYAML,
		At("0s", Post("/events", `{"name":"order.paid","id":"early","ttl":"1h","payload":{"order":"A"}}`, Is(202)),
			Start("x", "order", `{"order":"A"}`)),
		At("1s", Post("/workflows/direct/executions?dry_run=true", `{"exec_id":"d","input":{"order":"A"}}`, Is(200),
			Has("data.opens.0.id", "paid/1"), Has("data.takes.0.event_id", "early"), Has("data.takes.0.wait_id", "paid/1"),
			Has("data.takes.0.forecast.status", "SUCCESS")),
			Post("/workflows/direct/executions?dry_run=true", `{"exec_id":"d","input":{"order":"B"}}`, Is(200), Lacks("data.takes")),
			Post("/executions/workflows/x/signals?dry_run=true", `{"signal_name":"order.approved"}`, Is(200),
				Has("data.takes.0.event_id", "early"), Has("data.takes.0.forecast.status", "SUCCESS")),
			Post("/signals?dry_run=true&atomic=true", `[{"exec_id":"x","signal_name":"order.approved"}]`, Is(200),
				Has("data.results.0.data.takes.0.event_id", "early")),
			Get("/events/early", Has("data.state", "buffered"))),
		At("2s", Send("x", `{"signal_name":"order.approved"}`)),
		At("3s", Status("x", workflow.Success), Get("/events/early", Has("data.state", "consumed"))))
}

func TestAPatternTakesOneSegmentOrTheRest(t *testing.T) {
	script(t, ordersYAML,
		At("0s", Event("e1", "order.payment.failed", `{}`), Event("e2", "order.failed", `{}`), Event("e3", "order.a.b.failed", `{}`),
			Event("e4", "alarm.fire.kitchen", `{}`), Event("e5", "alarm", `{}`)),
		At("1s", Executions("audit", workflow.Success, 2), EventFate("e1", workflow.FateConsumed, 1), EventFate("e2", workflow.FateDead, 0),
			EventFate("e3", workflow.FateDead, 0), EventFate("e4", workflow.FateConsumed, 1), EventFate("e5", workflow.FateDead, 0)))
}

const reviewedYAML = `
workflows:
  - id: order
    tasks:
      - {id: review, type: wait, depends_on: [], wait_for: reviewed}
      - {id: payment, type: wait, depends_on: [], wait_for: paid, condition: signal.payload.amount <= tasks.review.result.payload.limit}
`

// TestAKeptEventIsTakenWhenTheContextChanges: no wait opens with that, and the one
// that is open refused it before.
func TestAKeptEventIsTakenWhenTheContextChanges(t *testing.T) {
	script(t, reviewedYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1s", Post("/events", `{"name":"paid","id":"e1","ttl":"1h","payload":{"amount":400}}`, Is(202))),
		At("2s", Get("/events/e1", Has("data.state", "buffered")), Status("x", workflow.Waiting)),
		At("3s", Send("x", `{"signal_name":"reviewed","payload":{"limit":500}}`, Is(200))),
		At("4s", Get("/events/e1", Has("data.state", "consumed")), Status("x", workflow.Success)))
}
