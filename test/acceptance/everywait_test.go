package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// parcelYAML has an execution with several waits of one name open at once, of
// which one has a processor that takes four minutes.
const parcelYAML = `
models:
  - {provider: mock, model: mock, default: true, params: {delay: 4m}}
id: parcel
tasks:
  - {id: tell, type: wait, depends_on: [], wait_for: arrived}
  - {id: note, tool: echo, depends_on: [tell]}
  - {id: charge, type: wait, depends_on: [], wait_for: arrived, condition: signal.payload.cost > 0}
  - id: way
    type: wait
    depends_on: []
    wait_for: arrived
    any: {front: {}, back: {}}
  - {id: look, type: wait, depends_on: [], wait_for: arrived, processor: {prompt: Look at it}, condition: signal.payload.weight > 5}
  - {id: weigh, type: wait, depends_on: [look], wait_for: arrived}
`

// TestAnEventReachesEveryWaitOfOneExecution also over a loss of power in the middle
// of what a processor does, and when it is sent again.
func TestAnEventReachesEveryWaitOfOneExecution(t *testing.T) {
	const event = `{"name":"arrived","id":"e","payload":{"cost":0,"weight":9}}`
	const free, closed = "signal.payload.cost > 0: 0 > 0 is false", "it closed before it was asked: branch front ended the wait"
	reached := []act{
		Get("/events/e", Has("data.deliveries.*", 5), Has("data.deliveries.0.wait_id", "tell/1"), Has("data.deliveries.0.caused.*", 1), Has("data.deliveries.0.caused.0.id", "note"),
			Has("data.deliveries.0.steps.*", 2), Has("data.deliveries.0.steps.1.wait", "tell/1"), linked("data.deliveries.0.steps.1.link", "signal.consumed")),
		Get("/events/e", Has("data.deliveries.1.wait_id", "way/1.front"), Has("data.deliveries.1.outcome", "delivered"), Has("data.deliveries.1.steps.*", 2), Lacks("data.deliveries.1.caused")),
		Get("/events/e", Has("data.deliveries.3.wait_id", "charge/1"), Has("data.deliveries.3.outcome", "passed"), Has("data.deliveries.3.reason", free)),
		Get("/events/e", Has("data.deliveries.4.wait_id", "way/1.back"), Has("data.deliveries.4.outcome", "passed"), Has("data.deliveries.4.reason", closed),
			linked("data.deliveries.4.steps.1.link", "signal.judged")),
	}
	script(t, parcelYAML,
		At("0s", Start("x", "parcel", `{}`), Waits("arrived", 5)),
		At("1s", Post("/events?dry_run=true", event, Is(200), Has("data.deliveries.*", 3), Has("data.passed.*", 2), Has("data.deliveries.2.wait_id", "look/1"),
			holding(free), holding(closed), Has("data.deliveries.0.forecast.waits.2.takes", true), Lacks("data.deliveries.0.forecast.waits.2.behind")), Records("x", "signal.accepted", 0)),
		At("1s", Post("/events", event, Is(202), Has("data.duplicate", false))),
		At("2s", append(reached, Waits("arrived", 2), Records("x", "signal.consumed", 2),
			Get("/events/e", Has("data.state", "accepted"), Has("data.counts.delivered", 2), Has("data.counts.buffered", 1), Has("data.deliveries.2.outcome", "buffered")),
			Get("/executions/workflows/x/why", Telling("data.sentence", "it was taken; the processor of wait look/1 works on it")))...),
		At("2m", PowerLoss(), Post("/events", event, Is(202), Has("data.duplicate", true))),
		At("3m", Records("x", "signal.accepted", 1), Records("x", "signal.consumed", 2)),
		At("10m", append(reached, Task("x", "weigh", workflow.Waiting), Records("x", "signal.consumed", 3),
			Get("/events/e", Has("data.state", "consumed"), Has("data.counts.delivered", 3), Has("data.counts.buffered", 0), Has("data.deliveries.2.wait_id", "look/1"),
				Has("data.deliveries.2.outcome", "delivered"), Has("data.deliveries.2.caused.0.id", "weigh/1")),
			Get("/signals/e", Has("data.state", "consumed"), Has("data.wait.id", "tell/1"), Has("data.caused.*", 2), Has("data.caused.1.id", "weigh/1")),
			Get("/books?name=arrived", Has("data.rows.0.accepted", 1), Has("data.rows.0.consumed", 1), Has("data.balanced", true)))...),
		// A signal goes to the oldest wait that takes it.
		At("11m", Send("x", `{"signal_name":"arrived","payload":{"cost":1}}`, Is(200), Has("data.outcome", "delivered"), Has("data.wait.id", "charge/1")), Task("x", "weigh", workflow.Waiting)),
		At("12m", Send("x", `{"signal_name":"arrived","payload":{"cost":1}}`, Is(200), Has("data.outcome", "delivered"), Has("data.status", "SUCCESS"))))
}
