package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// fateYAML has a branch whose processor takes four minutes.
const fateYAML = `
models:
  - {provider: mock, model: mock, default: true, params: {delay: 4m}}
id: order
tasks:
  - id: fate
    type: wait
    any:
      paid: {wait_for: payment, processor: {prompt: Look at it}, condition: has(processor.output) && signal.payload.amount > 5}
      canceled: {wait_for: cancellation}
  - {id: ship, type: wait, wait_for: shipped}
`

func TestABranchHasAProcessorOfItsOwn(t *testing.T) {
	script(t, fateYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1s", Send("x", `{"signal_name":"payment","payload":{"amount":1},"signal_id":"low"}`, Is(200), Has("data.outcome", "buffered"),
			Telling("data.reason", "the processor of wait fate/1.paid works on it"))),
		At("2s", Send("x", `{"signal_name":"payment","payload":{"amount":9},"signal_id":"high"}`, Is(200), Has("data.outcome", "buffered"),
			Telling("data.reason", "the processor of wait fate/1.paid works on another signal"))),
		At("3s", Get("/executions/workflows/x/why", Telling("data.sentence", "Processor fate-paid-processor of branch paid of wait fate runs")),
			Post("/executions/workflows/x/signals?dry_run=true", `{"signal_name":"payment","payload":{"amount":7}}`, Is(200),
				Has("data.waits.0.branch", "paid"), Has("data.waits.0.busy", true))),
		Want(Between("4m1s", "4m2s"), Get("/signals/low", Has("data.steps.*", 3), Has("data.steps.2.what", "judged"), Has("data.steps.2.wait", "fate/1.paid"),
			Telling("data.steps.2.reason", "signal.payload.amount > 5: 1 > 5 is false"))),
		Want(Between("8m1s", "8m2s"), Get("/signals/high", Has("data.state", "consumed"), Has("data.steps.2.what", "judged"),
			Telling("data.steps.2.reason", "9 > 5 is true"), Has("data.steps.3.wait", "fate/1.paid"))))
}

// TestABranchThatWinsStopsTheProcessorsOfTheOthers, and the signal that one worked
// on is told so, is kept for a later wait, and dies with the execution.
func TestABranchThatWinsStopsTheProcessorsOfTheOthers(t *testing.T) {
	script(t, fateYAML,
		At("0s", Start("x", "order", `{}`), Send("x", `{"signal_name":"payment","payload":{"amount":9},"signal_id":"p"}`, Has("data.outcome", "buffered"))),
		At("1m", Task("x", "fate-paid-processor", workflow.Running),
			Post("/executions/workflows/x/signals?dry_run=true", `{"signal_name":"cancellation"}`, Is(200), Has("data.waits.0.takes", true))),
		At("2m", Send("x", `{"signal_name":"cancellation","signal_id":"c"}`, Is(200), Has("data.outcome", "delivered"), Has("data.wait.id", "fate/1.canceled"))),
		At("2m", Task("x", "fate-paid-processor", workflow.Canceled), Get("/signals/p", Has("data.state", "buffered"), Has("data.steps.*", 3),
			Has("data.steps.2.what", "judged"), Has("data.steps.2.wait", "fate/1.paid"),
			Has("data.steps.2.reason", "its processor was stopped: branch canceled ended the wait"), linked("data.steps.2.link", "signal.judged"))),
		At("30m", Records("x", "task.done", 0), PowerLoss()),
		At("31m", Send("x", `{"signal_name":"shipped"}`, Is(200), Has("data.status", "SUCCESS"))),
		At("31m", Get("/signals/p", Has("data.state", "dead"), Has("data.steps.3.what", "dead")),
			Get("/deadletters", Has("data.dead_letters.*", 1), Has("data.dead_letters.0.cause", "execution_finished")),
			Get("/books?name=payment", Has("data.rows.0.accepted", 1.0), Has("data.rows.0.dead", 1.0), Has("data.rows.0.buffered", 0.0), Has("data.balanced", true))))
}
