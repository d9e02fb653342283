package acceptance

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

const twoStepsYAML = `
id: two-steps
tasks:
  - {id: first, type: wait, wait_for: one}
  - {id: second, type: wait, wait_for: two, outputs: {n: "{{ .signal.payload.n }}"}}
  - {id: third, type: wait, wait_for: two, outputs: {n: "{{ .signal.payload.n }}"}}
`

func TestASignalBeforeItsWaitIsKeptAndTakenInArrivalOrder(t *testing.T) {
	script(t, twoStepsYAML,
		At("0s", Start("x", "two-steps", `{}`)),
		At("1s", Signal("x", "two", `{"n":1}`, ID("a"), Outcome("buffered"), Because("no wait")), Receipt("a", workflow.FateBuffered)),
		At("2s", Signal("x", "two", `{"n":2}`, ID("b"), Outcome("buffered"))),
		At("3s", PowerLoss(), Status("x", workflow.Waiting)),
		At("1h", Signal("x", "one", `{}`, Outcome("delivered")), Status("x", workflow.Success)),
		At("1h", Output("x", "second", `{"n":1}`), Output("x", "third", `{"n":2}`), Receipt("a", workflow.FateConsumed), Receipt("b", workflow.FateConsumed)))
}

func TestASignalWithATimeToLiveExpires(t *testing.T) {
	script(t, twoStepsYAML,
		At("0s", Start("x", "two-steps", `{}`), Signal("x", "two", `{"n":1}`, ID("a"), TTL(5*time.Minute), Outcome("buffered"))),
		Want(Between("5m", "5m1s"), Receipt("a", workflow.FateExpired)),
		At("6m", Signal("x", "one", `{}`), Status("x", workflow.Waiting), Task("x", "second", workflow.Waiting)))
}

func TestTheSameSignalTwiceIsOneSignal(t *testing.T) {
	script(t, twoStepsYAML,
		At("0s", Start("x", "two-steps", `{}`)),
		At("1s", Signal("x", "one", `{"by":"me"}`, ID("s"), Known(false), Outcome("delivered"))),
		At("1s", Signal("x", "one", `{"by":"me"}`, ID("s"), Known(true), Outcome("delivered"))),
		At("2s", Signal("x", "one", `{"by":"you"}`, ID("s"), Refused(workflow.CodeIDReused, "s"))),
		At("3s", Restart(), Signal("x", "one", `{"by":"me"}`, ID("s"), Known(true), Outcome("delivered"))),
		At("4s", Records("x", "signal.accepted", 1), Records("x", "signal.consumed", 1)),
		// The receipt outlives the execution.
		At("5s", Signal("x", "two", `{"n":1}`), Signal("x", "two", `{"n":2}`, ID("last")), Status("x", workflow.Success)),
		At("6s", Signal("x", "one", `{"by":"me"}`, ID("s"), Known(true), Outcome("delivered"))))
}

func TestASignalThatNobodyCanEverAwaitIsRefusedWithTheNearestName(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1s", Signal("x", "payd", `{}`, Refused(workflow.CodeNeverAwaited, `did you mean "paid"`))),
		At("2s", Signal("x", "payd", `{}`, Force(), Outcome("buffered"))),
		At("3s", Signal("nobody", "paid", `{}`, Refused(workflow.CodeNoExecution, "nobody"))))
}

func TestASignalToAFinishedExecutionIsRefused(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`), Signal("x", "paid", `{"amount":1}`)),
		At("1s", Status("x", workflow.Success), Signal("x", "paid", `{"amount":1}`, ID("again"), Refused(workflow.CodeFinished, "SUCCESS"))))
}

func TestASignalLeftOverIsDeadWhenTheExecutionEnds(t *testing.T) {
	script(t, twoStepsYAML,
		At("0s", Start("x", "two-steps", `{}`), Signal("x", "two", `{"n":1}`, ID("left"), Outcome("buffered"))),
		At("1s", Cancel("x", "enough"), Receipt("left", workflow.FateDead)))
}

func TestAConditionThatIsFalseKeepsTheSignalAndSaysWhy(t *testing.T) {
	script(t, `
id: big
tasks:
  - {id: small, type: wait, wait_for: amount, condition: 'signal.payload.eur < 100.0', on_success: {next: large}}
  - {id: large, type: wait, wait_for: amount, condition: 'signal.payload.eur >= 100.0'}
`,
		At("0s", Start("x", "big", `{}`)),
		At("1s", Signal("x", "amount", `{"eur":500}`, ID("a"), Outcome("buffered"), Because("signal.payload.eur")), Records("x", "signal.judged", 1)),
		At("2s", Signal("x", "amount", `{"euros":1}`, ID("b"), Outcome("buffered"), Because("eur")), Status("x", workflow.Waiting)),
		// When the next wait opens, what was kept is judged again.
		At("3s", Signal("x", "amount", `{"eur":5}`, Outcome("delivered")), Status("x", workflow.Success), Receipt("a", workflow.FateConsumed), Receipt("b", workflow.FateDead)))
}

func TestAPayloadThatViolatesTheWaitsSchemaIsRefused(t *testing.T) {
	script(t, `
id: typed
tasks:
  - id: hold
    type: wait
    wait_for: amount
    schema: {type: object, required: [eur], properties: {eur: {type: number}}}
`,
		At("0s", Start("x", "typed", `{}`)),
		At("1s", Signal("x", "amount", `{"eur":"much"}`, Refused(workflow.CodePayloadInvalid, "amount")), Status("x", workflow.Waiting)),
		At("2s", Signal("x", "amount", `{"eur":1}`, Outcome("delivered")), Status("x", workflow.Success)))
}

func TestTheNameOfAWaitMayBeATemplate(t *testing.T) {
	script(t, `
id: dynamic
tasks:
  - {id: hold, type: wait, wait_for: "approval-{{ .workflow.input.request_id }}"}
`,
		At("0s", Start("x", "dynamic", `{"request_id":"r7"}`), Waits("approval-r7", 1)),
		At("1s", Signal("x", "approval-r8", `{}`, Outcome("buffered"))),
		At("2s", Signal("x", "approval-r7", `{}`, Outcome("delivered")), Status("x", workflow.Success)))
}

func TestAProcessorWorksOnTheSignalBeforeTheConditionIsJudged(t *testing.T) {
	script(t, `
id: processed
tasks:
  - id: hold
    type: wait
    wait_for: ready
    processor: {tool: echo, with: {status: "{{ .signal.payload.status }}"}}
    condition: 'processor.output.status == "ready"'
    outputs: {said: "{{ .processor.output.status }}"}
`,
		At("0s", Start("x", "processed", `{}`)),
		At("1s", Signal("x", "ready", `{"status":"pending"}`, ID("a"))),
		At("2s", Status("x", workflow.Waiting), Receipt("a", workflow.FateBuffered)),
		At("3s", Signal("x", "ready", `{"status":"ready"}`, ID("b"))),
		At("4s", Status("x", workflow.Success), Output("x", "hold", `{"said":"ready"}`), Receipt("b", workflow.FateConsumed), Receipt("a", workflow.FateDead)))
}

func TestAnExecutionMayLoopOverItsWait(t *testing.T) {
	script(t, `
id: counter
tasks:
  - id: tick
    type: wait
    wait_for: tick
    outputs: {n: "{{ .signal.payload.n }}"}
    on_success: {next: "{{ if .output.n }}{{ if eq .output.n 3.0 }}done{{ else }}tick{{ end }}{{ else }}tick{{ end }}"}
  - {id: done, tool: echo, with: {n: "{{ .tasks.tick.output.n }}"}, on_success: {next: ""}}
`,
		At("0s", Start("x", "counter", `{}`), Signal("x", "tick", `{"n":1}`, Outcome("delivered"))),
		At("1h", Signal("x", "tick", `{"n":2}`, Outcome("delivered")), Status("x", workflow.Waiting)),
		At("2h", Signal("x", "tick", `{"n":3}`, Outcome("delivered")), Output("x", "done", `{"n":3}`)))
}
