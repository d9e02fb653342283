package acceptance

import (
	"errors"
	"testing"
	"time"

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

// MoveDeadline gives a wait of an execution another deadline, from now.
func MoveDeadline(exec, wait string, in time.Duration, by, reason string) act {
	return func(w *world) error {
		at := workflow.InstantOf(time.Now())
		_, err := w.node.Steer(w.ctx, exec, workflow.DeadlineMoved{Stamp: workflow.Stamp{At: at}, Wait: wait, Deadline: at.Add(in), By: by, Reason: reason})
		return err
	}
}

func TestWhyTellsOfRemindersAndMovedDeadlines(t *testing.T) {
	script(t, `
id: chased
tasks:
  - id: answer
    type: wait
    wait_for: answer
    timeout: 1d
    extend_on: { wait_for: more-time, by: 1h, max: 2 }
    remind: [{ after: 1h, event: missing }, { before: 2h, event: last-call }]
`,
		At("0s", Start("x", "chased", `{}`)),
		At("30m", Why("x", `0 of 2 reminders came; number 1 sends event "missing" at`, "in 30 minutes")),
		At("2h", Why("x", "1 of 2 reminders came, the last at", "60 minutes ago", `number 2 sends event "last-call"`, "in 20 hours")),
		At("3h", MoveDeadline("x", "answer/1", 48*time.Hour, "ada", "holiday"), Restart()),
		At("4h", Why("x", "ada moved its deadline from", "60 minutes ago): holiday", "in 47 hours")),
		At("5h", Signal("x", "more-time", `{}`, ID("m1"), Outcome("delivered"))),
		At("6h", Why("x", "Signal m1 extended its deadline from", "the last of 2 moves", "it did so 1 of at most 2 times")))
}
