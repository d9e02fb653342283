package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestTasksRunInTheOrderListed(t *testing.T) {
	script(t, `
id: chain
tasks:
  - {id: a, tool: echo, with: {n: 1}}
  - {id: b, tool: echo, with: {after: "{{ .tasks.a.output.n }}"}}
outputs: {last: "{{ .tasks.b.output.after }}"}
`,
		At("0s", Start("x", "chain", `{}`)),
		At("1s", Status("x", workflow.Success), Result("x", `{"last":1}`)))
}

func TestATaskWhoseConditionIsFalseIsSkipped(t *testing.T) {
	script(t, `
id: maybe
tasks:
  - {id: a, tool: echo, condition: 'workflow.input.big == true', with: {n: 1}}
  - {id: b, tool: echo, with: {n: 2}}
`,
		At("0s", Start("no", "maybe", `{"big":false}`), Start("yes", "maybe", `{"big":true}`), Start("absent", "maybe", `{}`)),
		At("1s",
			Task("no", "a", workflow.Skipped), Task("no", "b", workflow.Success), Status("no", workflow.Success),
			Task("yes", "a", workflow.Success), Task("absent", "a", workflow.Skipped), Status("absent", workflow.Success)))
}

func TestATaskWithSeveralPredecessorsWaitsForAll(t *testing.T) {
	script(t, `
id: join
tasks:
  - {id: left, type: wait, wait_for: left, depends_on: []}
  - {id: right, type: wait, wait_for: right, depends_on: []}
  - {id: both, tool: echo, depends_on: [left, right], with: {done: true}}
`,
		At("0s", Start("x", "join", `{}`), Waits("left", 1), Waits("right", 1)),
		At("1s", Signal("x", "right", `{}`, Outcome("delivered")), Status("x", workflow.Waiting), Task("x", "both", "")),
		At("2s", PowerLoss(), Signal("x", "left", `{}`, Outcome("delivered"))),
		At("3s", Status("x", workflow.Success), Output("x", "both", `{"done":true}`)))
}

func TestAFinalTaskEndsTheExecution(t *testing.T) {
	script(t, `
id: early
tasks:
  - {id: a, tool: echo, final: true, with: {n: 1}}
  - {id: b, tool: echo, with: {n: 2}}
`,
		At("0s", Start("x", "early", `{}`)),
		At("1s", Status("x", workflow.Success), Task("x", "b", "")))
}

func TestTheSameExecutionIdTwiceIsOneExecution(t *testing.T) {
	script(t, orderYAML,
		At("0s", Start("exec_123", "order", `{"a":1}`, Known(false))),
		At("1s", Start("exec_123", "order", `{"a":1}`, Known(true))),
		At("2s", Start("exec_123", "order", `{"a":2}`, Refused(workflow.CodeExecutionExists, "exec_123"))),
		At("3s", PowerLoss(), Start("exec_123", "order", `{"a":1}`, Known(true))),
		At("4s", Waits("paid", 1), Records("exec_123", "execution.started", 1)))
}

func TestTheInputIsCheckedAndFilledByItsSchema(t *testing.T) {
	script(t, `
id: greet
config:
  input:
    type: object
    required: [name]
    properties: {name: {type: string}, greeting: {type: string, default: Hello}}
tasks:
  - {id: say, tool: echo, with: {text: "{{ .workflow.input.greeting }} {{ .workflow.input.name }}"}}
`,
		At("0s", Start("x", "greet", `{}`, Refused(workflow.CodeInputInvalid, "name"))),
		At("1s", Start("x", "greet", `{"name":"Ada"}`)),
		At("2s", Output("x", "say", `{"text":"Hello Ada"}`)),
		At("3s", Start("y", "great", `{}`, Refused(workflow.CodeNoWorkflow, `did you mean "greet"`))))
}

func TestAnErrorWithoutAWayOutFailsTheExecution(t *testing.T) {
	script(t, `
models:
  - {provider: mock, model: mock, default: true, params: {fail: no paper}}
id: print
tasks:
  - {id: print, prompt: Print it, retry_policy: {maximum_attempts: 1}}
  - {id: never, tool: echo, with: {n: 1}}
`,
		At("0s", Start("x", "print", `{}`)),
		At("1s", Status("x", workflow.Failed), Task("x", "print", workflow.Failed), Task("x", "never", "")))
}

func TestAnInlineTaskHandlesAnError(t *testing.T) {
	script(t, `
models:
  - {provider: mock, model: mock, default: true, params: {fail: no paper}}
id: print
tasks:
  - id: print
    prompt: Print it
    retry_policy: {maximum_attempts: 1}
    on_error: {id: tell, tool: echo, with: {why: "{{ .tasks.print.error.message }}"}}
`,
		At("0s", Start("x", "print", `{}`)),
		At("1s", Status("x", workflow.Success), Says("x", "tell", "no paper")))
}

func TestATemplateWithoutEndFailsItsTaskOnly(t *testing.T) {
	script(t, `
workflows:
  - id: endless
    tasks:
      - id: burn
        tool: echo
        with: {text: '{{ define "again" }}{{ template "again" . }}{{ end }}{{ template "again" . }}'}
        on_error: tell
      - {id: tell, tool: echo, with: {why: "{{ .tasks.burn.error.message }}"}}
  - id: other
    tasks:
      - {id: say, tool: echo, with: {n: 1}}
`,
		At("0s", Start("x", "endless", `{}`), Start("y", "other", `{}`)),
		At("1s", Status("y", workflow.Success), Task("x", "burn", workflow.Failed), Status("x", workflow.Success)))
}

func TestMissingKeysAreRescuedByDefault(t *testing.T) {
	script(t, `
id: receiver
tasks:
  - {id: say, tool: echo, with: {text: '{{ .workflow.input.message | default "manually started" }}'}}
`,
		At("0s", Start("x", "receiver", `{}`), Start("y", "receiver", `{"message":"hi"}`)),
		At("1s", Output("x", "say", `{"text":"manually started"}`), Output("y", "say", `{"text":"hi"}`)))
}
