package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// seedYAML is the user's own document, as it is printed there.
const seedYAML = `# Workflow that processes external approvals
workflows:
  - id: approval-processor
    triggers:
      - type: signal
        name: approval-request
    tasks:
      - id: wait-for-decision
        type: wait
        wait_for: approval-decision
        on_timeout: handle-timeout
      - id: process-approval
        type: basic
        agent: processor-agent
        prompt: |
          Process the approval decision:
          Decision: {{ .tasks.wait_for_decision.result.payload.decision }}
          Approved by: {{ .tasks.wait_for_decision.result.payload.approved_by }}
`

func TestTheSeedRunsAsPrinted(t *testing.T) {
	script(t, seedYAML,
		At("0s",
			Event("e1", "approval-request", `{"user_id":"123"}`, Known(false)),
			Executions("approval-processor", workflow.Waiting, 1),
			Waits("approval-decision", 1),
			EventFate("e1", workflow.FateConsumed, 1)),
		// It has no timeout, so three hours change nothing.
		At("3h",
			Executions("approval-processor", workflow.Waiting, 1),
			Of("approval-processor", func(exec string) act {
				return Signal(exec, "approval-decision", `{"decision":"approved","approved_by":"external-system"}`, ID("s1"), Outcome("delivered"))
			})),
		At("3h1s",
			Executions("approval-processor", workflow.Success, 1),
			Of("approval-processor", func(exec string) act {
				return Says(exec, "process-approval", `Decision: approved\nApproved by: external-system`)
			}),
			Receipt("s1", workflow.FateConsumed),
			Waits("approval-decision", 0)))
}

func TestTheSeedsWaitSurvivesALossOfPower(t *testing.T) {
	script(t, seedYAML,
		At("0s", Event("e1", "approval-request", `{}`), Executions("approval-processor", workflow.Waiting, 1)),
		At("1h", PowerLoss(), Executions("approval-processor", workflow.Waiting, 1), Waits("approval-decision", 1)),
		At("2h", Of("approval-processor", func(exec string) act {
			return Signal(exec, "approval-decision", `{"decision":"approved","approved_by":"me"}`, ID("s1"), Outcome("delivered"))
		})),
		// Whatever the power loss interrupts is done again, and the signal is not applied twice.
		At("2h", PowerLoss(), Receipt("s1", workflow.FateConsumed)),
		At("2h1s", Of("approval-processor", func(exec string) act {
			return Signal(exec, "approval-decision", `{"decision":"approved","approved_by":"me"}`, ID("s1"), Known(true), Outcome("delivered"))
		}), Executions("approval-processor", workflow.Success, 1)))
}
