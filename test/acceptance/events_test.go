package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const listenersYAML = `
workflows:
  - id: invoice
    triggers: [{type: signal, name: order.created}]
    tasks:
      - {id: write, tool: echo, with: {for: "{{ .trigger.payload.order }}", event: "{{ .trigger.event_id }}"}}
  - id: ship
    triggers:
      - type: signal
        name: order.created
        schema: {type: object, required: [address]}
    tasks:
      - {id: pack, tool: echo, with: {to: "{{ .workflow.input.address }}"}}
  - id: audit
    tasks:
      - {id: hold, type: wait, wait_for: order.created, condition: 'signal.payload.order == workflow.input.order'}
`

func TestAnEventReachesEveryTriggerAndEveryWaitWhoseConditionHolds(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Start("mine", "audit", `{"order":"A"}`), Start("other", "audit", `{"order":"B"}`), Waits("order.created", 2)),
		At("1s", Event("e1", "order.created", `{"order":"A","address":"Elm Street"}`, Known(false))),
		At("2s",
			EventFate("e1", workflow.FateConsumed, 3),
			Executions("invoice", workflow.Success, 1), Executions("ship", workflow.Success, 1),
			Of("invoice", func(exec string) act { return Output(exec, "write", `{"for":"A","event":"e1"}`) }),
			Status("mine", workflow.Success), Status("other", workflow.Waiting)))
}

func TestARepeatedEventStartsNothingAgain(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Event("e1", "order.created", `{"order":"A","address":"x"}`, Known(false))),
		At("1s", Event("e1", "order.created", `{"order":"A","address":"x"}`, Known(true))),
		At("2s", PowerLoss(), Event("e1", "order.created", `{"order":"A","address":"x"}`, Known(true))),
		At("3s", Executions("invoice", workflow.Success, 1), Executions("ship", workflow.Success, 1)))
}

func TestAnEventThatViolatesATriggersSchemaStartsTheOthers(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Event("e1", "order.created", `{"order":"A"}`)),
		At("1s", Executions("invoice", workflow.Success, 1), Executions("ship", workflow.Success, 0), EventFate("e1", workflow.FateConsumed, 1)))
}

func TestAnEventThatNobodyListensForIsDead(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Event("e1", "order.deleted", `{}`)),
		At("1s", EventFate("e1", workflow.FateDead, 0)))
}

func TestTheFilterOfATriggerIsHonoured(t *testing.T) {
	script(t, `
id: big-orders
triggers: [{type: signal, name: order, filter: 'payload.eur >= 100.0'}]
tasks:
  - {id: note, tool: echo, with: {eur: "{{ .workflow.input.eur }}"}}
`,
		At("0s", Event("small", "order", `{"eur":5}`), Event("big", "order", `{"eur":500}`)),
		At("1s", Executions("big-orders", workflow.Success, 1), EventFate("small", workflow.FateDead, 0), EventFate("big", workflow.FateConsumed, 1)))
}

const talkYAML = `
workflows:
  - id: caller
    tasks:
      - id: call
        type: signal
        signal: {id: call.made, payload: {topic: "{{ .workflow.input.topic }}"}}
      - {id: answer, type: wait, wait_for: call.answered, timeout: 1h}
  - id: callee
    triggers: [{type: signal, name: call.made}]
    tasks:
      - {id: think, tool: echo, sleep: 10s, with: {topic: "{{ .trigger.payload.topic }}"}}
      - id: reply
        type: signal
        signal: {id: call.answered, payload: {about: "{{ .tasks.think.output.topic }}"}}
`

func TestTwoWorkflowsTalkBySignals(t *testing.T) {
	script(t, talkYAML,
		At("0s", Start("x", "caller", `{"topic":"weather"}`)),
		At("1s", Executions("callee", "", 1), Status("x", workflow.Waiting)),
		Want(Between("10s", "11s"), Status("x", workflow.Success)),
		At("11s", Says("x", "answer", `"about":"weather"`)))
}

func TestAnEmittedEventSurvivesALossOfPower(t *testing.T) {
	script(t, talkYAML,
		At("0s", Start("x", "caller", `{"topic":"weather"}`), PowerLoss()),
		At("5s", Executions("callee", "", 1), PowerLoss()),
		At("11s", PowerLoss()),
		At("12s", Executions("callee", workflow.Success, 1), Status("x", workflow.Success)))
}
