package acceptance

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

const orderYAML = `
id: order
tasks:
  - id: await-payment
    type: wait
    wait_for: paid
    timeout: 30m
    on_timeout: release-stock
  - id: ship
    type: basic
    tool: echo
    with:
      paid: "{{ .tasks.await_payment.result.payload.amount }}"
  - id: release-stock
    type: basic
    tool: echo
    with:
      released: true
`

func TestAWaitThatTimesOutGoesToItsFallback(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`), Status("x", workflow.Waiting)),
		Want(Between("30m", "30m1s"), Status("x", workflow.Success), Task("x", "release-stock", workflow.Success)),
		At("31m", Task("x", "await-payment", workflow.TimedOut), Task("x", "ship", ""), Waits("paid", 0)))
}

func TestASignalInTimeDisarmsTheDeadline(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`)),
		At("29m59s999ms", Signal("x", "paid", `{"amount":12}`, Outcome("delivered"))),
		At("30m", Status("x", workflow.Success), Output("x", "ship", `{"paid":12}`)),
		At("2h", Task("x", "release-stock", ""), Records("x", "timer.fired", 0)))
}

func TestAWaitThatTimesOutWithoutFallbackEndsTheExecution(t *testing.T) {
	script(t, `
id: order
tasks:
  - {id: hold, type: wait, wait_for: paid, timeout: 2 hours}
`,
		At("0s", Start("x", "order", `{}`)),
		Want(Between("2h", "2h1s"), Status("x", workflow.TimedOut), Failed("x", "WAIT_TIMEOUT")))
}

func TestATimerThatCameDueWhileTheNodeWasDownFiresOnceAtRecovery(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`)),
		At("10m", Status("x", workflow.Waiting), Down(2*time.Hour), Status("x", workflow.Success), Task("x", "release-stock", workflow.Success)),
		At("2h20m", Records("x", "timer.fired", 1), Records("x", "wait.timed_out", 1)))
}

func TestATaskSleepsBeforeItRuns(t *testing.T) {
	script(t, `
id: nap
tasks:
  - {id: first, tool: echo, with: {n: 1}}
  - {id: second, tool: echo, sleep: 45s, with: {n: 2}}
`,
		At("0s", Start("x", "nap", `{}`), Task("x", "first", workflow.Success), Task("x", "second", workflow.Pending)),
		At("20s", PowerLoss()),
		Want(Between("45s", "46s"), Status("x", workflow.Success)))
}

func TestAFailingTaskIsRetriedAsItsPolicySays(t *testing.T) {
	script(t, `
models:
  - {provider: mock, model: mock, default: true, params: {fail: out of paper}}
id: print
tasks:
  - id: print
    prompt: Print it
    retry_policy: {maximum_attempts: 3, initial_interval: 10s, backoff_coefficient: 2}
    on_error: apologise
  - {id: apologise, tool: echo, with: {why: "{{ .tasks.print.error.message }}"}}
`,
		At("0s", Start("x", "print", `{}`)),
		At("9s", Attempts("x", "print", 1)),
		Want(Between("10s", "11s"), Attempts("x", "print", 2)),
		At("15s", Restart()),
		Want(Between("30s", "31s"), Attempts("x", "print", 3), Task("x", "print", workflow.Failed)),
		At("32s", Status("x", workflow.Success), Says("x", "apologise", "out of paper"), Records("x", "task.retrying", 2)))
}

func TestPauseKeepsSignalsAndTimers(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`), Start("y", "order", `{}`), Start("z", "order", `{}`)),
		At("1m", Pause("x"), Pause("y"), Pause("z"), Status("x", workflow.Paused)),
		At("2m", Signal("x", "paid", `{"amount":1}`, ID("s"), Outcome("buffered"), Because("paused"))),
		At("45m", Status("x", workflow.Paused), Status("y", workflow.Paused)),
		At("50m", Signal("z", "paid", `{"amount":3}`, ID("late"), Outcome("buffered"))),
		At("55m", PowerLoss()),
		// The signal came before the deadline, so it is what happened first. Where
		// none came, or came after, the deadline did.
		At("1h", Resume("x"), Resume("y"), Resume("z")),
		At("1h1s",
			Status("x", workflow.Success), Output("x", "ship", `{"paid":1}`), Receipt("s", workflow.FateConsumed),
			Status("y", workflow.Success), Task("y", "release-stock", workflow.Success),
			Task("z", "release-stock", workflow.Success), Task("z", "ship", ""), Receipt("late", workflow.FateDead)))
}

func TestPauseAndResumeOfTheWrongStatusAreRefused(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`), Resume("x", Refused(workflow.CodeWrongStatus, "x"))),
		At("1s", Pause("x"), Pause("x", Refused(workflow.CodeWrongStatus, "x"))),
		At("2s", Cancel("x", "no more"), Status("x", workflow.Canceled)),
		At("3s", Resume("x", Refused(workflow.CodeFinished, "x")), Cancel("x", "", Refused(workflow.CodeFinished, "x"))))
}

func TestCancelClosesEverything(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("x", "order", `{}`)),
		At("1m", Cancel("x", "the customer went away"), Status("x", workflow.Canceled), Failed("x", "CANCELED"), Waits("paid", 0)),
		At("1m", Signal("x", "paid", `{}`, Refused(workflow.CodeFinished, "CANCELED"))),
		At("2h", Records("x", "timer.fired", 0), Task("x", "release-stock", "")))
}

func TestASlowTaskIsInterruptedByItsTimeout(t *testing.T) {
	script(t, `
models:
  - {provider: mock, model: mock, default: true, params: {delay: 10m}}
id: think
tasks:
  - {id: think, prompt: Think, timeout: 1m, on_timeout: give-up, retry_policy: {maximum_attempts: 1}}
  - {id: give-up, tool: echo, with: {late: true}}
`,
		At("0s", Start("x", "think", `{}`), Task("x", "think", workflow.Running)),
		Want(Between("1m", "1m1s"), Task("x", "think", workflow.TimedOut), Status("x", workflow.Success)))
}
