package acceptance

import (
	"errors"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// Why wants the sentence about an execution to tell something.
func Why(exec string, tells ...string) act {
	return func(w *world) error {
		y, err := w.node.Why(w.ctx, exec)
		if err != nil {
			return err
		}
		var wrong []error
		for _, part := range tells {
			wrong = append(wrong, contain(y.Sentence, part))
		}
		return errors.Join(wrong...)
	}
}

func TestWhyFollowsALife(t *testing.T) {
	script(t, `
id: life
tasks:
  - {id: approve, type: wait, wait_for: decision, condition: 'signal.payload.by == workflow.input.boss', timeout: 2d, on_timeout: chase}
  - {id: nap, tool: echo, sleep: 1h, with: {}}
  - {id: last, type: wait, wait_for: decision, timeout: 1h}
  - {id: chase, tool: echo, with: {}}
`,
		At("0s", Start("x", "life", `{"boss":"ada"}`)),
		At("3h", Why("x", `It waits for signal "decision" with signal.payload.by == "ada" (task approve)`, "3 hours ago", "task chase runs")),
		At("3h", Signal("x", "decision", `{"by":"bob"}`, ID("s1"), Outcome("buffered"))),
		At("4h", Why("x", "Signal s1", "60 minutes ago", `"bob" == "ada" is false`)),
		At("5h", Pause("x"), PowerLoss()),
		At("7h", Why("x", "It is paused since", "2 hours ago", "nothing moves"), Resume("x")),
		At("8h", Signal("x", "decision", `{"by":"ada"}`, Outcome("delivered"))),
		At("8h30m", Why("x", "Task nap sleeps and begins", "in 30 minutes")),
		At("10h", Why("x", "It waits for nothing: it finished well", "60 minutes ago")))
}

func TestWhyOfNobodyIsRefused(t *testing.T) {
	script(t, orderYAML, At("0s", func(w *world) error {
		_, err := w.node.Why(w.ctx, "nobody")
		var refusal *workflow.Refusal
		if !errors.As(err, &refusal) || refusal.Code != workflow.CodeNoExecution {
			return fail("answered with %v", err)
		}
		return nil
	}))
}
