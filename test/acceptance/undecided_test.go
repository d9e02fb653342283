package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// slowYAML has a wait whose processor takes four minutes, and what else an event may reach.
const slowYAML = `
models:
  - {provider: mock, model: mock, default: true, params: {delay: 4m}}
workflows:
  - id: slow
    tasks:
      - {id: hold, type: wait, wait_for: paid, processor: {prompt: Look at it}, condition: signal.payload.amount > 5, on_success: {next: ship}}
      - {id: ship, type: wait, wait_for: shipped}
  - id: quick
    tasks:
      - {id: hold, type: wait, wait_for: paid, condition: signal.payload.amount < 100}
`

const undecided = "the processor of wait hold/1 works on it"

func TestAnEventThatAProcessorRefusesLaterIsNotDelivered(t *testing.T) {
	script(t, slowYAML,
		At("0s", Start("x", "slow", `{}`)),
		At("1s", Post("/events", `{"name":"paid","id":"e","payload":{"amount":1}}`, Is(202))),
		At("2s", Get("/events/e", Has("data.state", "accepted"), Has("data.counts.buffered", 1), Has("data.counts.delivered", 0), Has("data.deliveries.*", 1),
			Has("data.deliveries.0.outcome", "buffered"), Has("data.deliveries.0.wait_id", "hold/1"), Has("data.deliveries.0.reason", undecided)),
			Get("/books?name=paid", Has("data.rows.0.accepted", 1), Has("data.rows.0.buffered", 1), Has("data.balanced", true))),
		Want(Between("4m1s", "4m2s"), Get("/events/e", Has("data.state", "dead"), Has("data.counts.passed", 1), Has("data.counts.buffered", 0), Has("data.deliveries.*", 1),
			Has("data.deliveries.0.outcome", "passed"), Has("data.deliveries.0.reason", "signal.payload.amount > 5: 1 > 5 is false"))),
		At("5m", Status("x", workflow.Waiting),
			Get("/deadletters", Has("data.dead_letters.*", 1), Has("data.dead_letters.0.cause", "not_taken"), Has("data.dead_letters.0.near.wait_id", "hold/1")),
			Get("/books?name=paid", Has("data.rows.0.accepted", 1), Has("data.rows.0.dead", 1), Has("data.balanced", true))))
}

func TestAnEventIsConsumedWhenTheLastWaitHasDecided(t *testing.T) {
	script(t, slowYAML,
		At("0s", Start("x", "slow", `{}`), Start("y", "quick", `{}`), Start("z", "slow", `{}`)),
		At("1s", Post("/events?dry_run=true", `{"name":"paid","payload":{"amount":50}}`, Is(200), Has("data.state", "accepted"), holding(undecided))),
		At("1s", Post("/events", `{"name":"paid","id":"e","payload":{"amount":50}}`, Is(202))),
		At("2s", Status("y", workflow.Success), Cancel("z", "enough")),
		At("3s", Get("/events/e", Has("data.state", "accepted"), Has("data.counts.buffered", 1), Has("data.counts.delivered", 1), Has("data.counts.passed", 1),
			holding("its processor was stopped: the execution ended CANCELED"), holding(undecided))),
		At("3m50s", func(w *world) error {
			return Get("/events/e?wait=30s", Has("data.state", "consumed"), Has("data.counts.delivered", 2), Has("data.counts.buffered", 0), Has("data.counts.passed", 1),
				Has("data.steps.*", 2), Has("data.steps.1.what", "consumed"), Has("data.steps.1.at", "2000-01-01T00:04:01.000Z"))(w)
		}),
		At("5m", Task("x", "ship", workflow.Waiting), Get("/books?name=paid", Has("data.rows.0.consumed", 1), Has("data.balanced", true))))
}

// TestAnEventIsNotFannedOutAgainWhileAProcessorWorks: who listens since then is not reached.
func TestAnEventIsNotFannedOutAgainWhileAProcessorWorks(t *testing.T) {
	script(t, slowYAML,
		At("0s", Start("x", "slow", `{}`)),
		At("1s", Post("/events", `{"name":"paid","id":"e","payload":{"amount":50}}`, Is(202))),
		At("2s", Start("y", "quick", `{}`), PowerLoss()),
		At("1m", Status("y", workflow.Waiting), Get("/events/e", Has("data.state", "accepted"), Has("data.deliveries.*", 1), Has("data.counts.buffered", 1))),
		At("2m", Restart()),
		// The attempt that the crash interrupted is made anew.
		At("7m", Status("y", workflow.Waiting), Get("/events/e", Has("data.state", "consumed"), Has("data.deliveries.*", 1),
			Has("data.deliveries.0.outcome", "delivered"), Has("data.deliveries.0.caused.*", 1), Has("data.counts.delivered", 1), Has("data.counts.buffered", 0))))
}

func TestAnEventToAPausedExecutionIsDecidedWhenItResumes(t *testing.T) {
	script(t, slowYAML,
		At("0s", Start("y", "quick", `{}`), Pause("y")),
		At("1s", Post("/events", `{"name":"paid","id":"e","payload":{"amount":500}}`, Is(202))),
		At("2s", Get("/events/e", Has("data.state", "accepted"), Has("data.deliveries.0.outcome", "buffered"),
			Telling("data.deliveries.0.reason", "the execution is paused"))),
		At("1h", Resume("y")),
		At("1h", Get("/events/e", Has("data.state", "dead"), Has("data.deliveries.*", 1), Has("data.deliveries.0.outcome", "passed"),
			Has("data.deliveries.0.reason", "signal.payload.amount < 100: 500 < 100 is false"), Has("data.counts.passed", 1))))
}

// TestAKeptEventThatAProcessorRefusesIsKeptForOthers until its time is over, and is
// gone from the execution that refused it.
func TestAKeptEventThatAProcessorRefusesIsKeptForOthers(t *testing.T) {
	script(t, slowYAML,
		At("0s", Post("/events", `{"name":"paid","id":"e","ttl":"1h","payload":{"amount":1}}`, Is(202))),
		At("1s", Get("/events/e", Has("data.state", "buffered")), Start("x", "slow", `{}`)),
		At("2s", Task("x", "hold-processor", workflow.Running), Get("/events/e", Has("data.state", "accepted"), Has("data.counts.buffered", 1), Has("data.counts.delivered", 0),
			Has("data.deliveries.0.outcome", "buffered"), Has("data.deliveries.0.reason", undecided))),
		At("1m", Restart(), Get("/events/e", Has("data.state", "accepted"))),
		Want(Between("5m", "5m1s"), Get("/events/e", Has("data.state", "buffered"), Has("data.counts.passed", 1), Has("data.counts.buffered", 0),
			Has("data.deliveries.0.outcome", "passed"), Has("data.deliveries.0.reason", "signal.payload.amount > 5: 1 > 5 is false"))),
		At("6m", Records("x", "signal.dead", 1), Start("y", "quick", `{}`)),
		At("7m", Status("y", workflow.Success), Status("x", workflow.Waiting), Get("/events/e", Has("data.state", "consumed"), Has("data.counts.delivered", 1),
			Has("data.deliveries.1.exec_id", "y"), Has("data.deliveries.1.outcome", "delivered"), Has("data.steps.*", 3)),
			Get("/books?name=paid", Has("data.rows.0.accepted", 1), Has("data.rows.0.consumed", 1), Has("data.balanced", true))))
}

func TestAKeptEventExpiresWhileAProcessorWorksOnIt(t *testing.T) {
	script(t, slowYAML,
		At("0s", Post("/events", `{"name":"paid","id":"e","ttl":"2m","payload":{"amount":50}}`, Is(202))),
		At("1s", Start("x", "slow", `{}`)),
		Want(Between("2m", "2m1s"), Get("/events/e", Has("data.state", "expired"), Has("data.deliveries.0.outcome", "passed"), Has("data.counts.passed", 1),
			Has("data.deliveries.0.reason", "its time to live ended before a wait took it"))),
		At("10m", Task("x", "hold-processor", workflow.Canceled), Status("x", workflow.Waiting),
			Get("/books?name=paid", Has("data.rows.0.accepted", 1), Has("data.rows.0.expired", 1), Has("data.balanced", true))))
}

func TestAKeptEventIsConsumedWhenTheProcessorsWaitTakesIt(t *testing.T) {
	script(t, slowYAML,
		At("0s", Post("/events", `{"name":"paid","id":"e","ttl":"1h","payload":{"amount":50}}`, Is(202))),
		At("1s", Start("x", "slow", `{}`)),
		At("2s", Start("y", "quick", `{}`)), // which must not have it, too
		Want(Between("4m1s", "4m2s"), Get("/events/e", Has("data.state", "consumed"), Has("data.deliveries.*", 1), Has("data.deliveries.0.outcome", "delivered"), Has("data.counts.delivered", 1))),
		At("5m", Status("y", workflow.Waiting), Task("x", "ship", workflow.Waiting)))
}
