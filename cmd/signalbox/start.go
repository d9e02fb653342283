package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) startCommand() *cobra.Command {
	var input, id string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "start WORKFLOW",
		Short: "Start an execution",
		Long: `Start an execution of a workflow.

With --id the caller names it: the same id with the same input again gives the
first execution, so the command is safe to repeat. With --wait it comes back when
the execution has finished: exit code 1 when it did not succeed, 5 when it is
still running then.`,
		Example: `  signalbox start order --input '{"order_id":"o-1"}' --id order-1
  signalbox start order --input @order.json --wait 30s`,
		Args: exactly("WORKFLOW"),
	}
	flags := cmd.Flags()
	flags.StringVar(&input, "input", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&id, "id", "", "of the execution (default: the node makes one)")
	flags.DurationVar(&wait, "wait", 0, "until the execution has finished, at most this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := a.object("input", input)
		if err != nil {
			return err
		}
		if wait < 0 {
			return wrongUsage("--wait %v is negative", wait)
		}
		return a.start(cmd.Context(), args[0], http.StartRequest{ExecID: id, Input: body}, wait)
	}
	return a.completing(cmd, workflowIDs)
}

func (a *app) start(ctx context.Context, workflowID string, request http.StartRequest, wait time.Duration) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	started, err := client.Start(asked, workflowID, request)
	if err != nil {
		return err
	}
	if wait == 0 {
		return a.print(started, func(t *rows) {
			t.field("execution", started.ExecID)
			t.field("workflow", started.WorkflowID)
			if started.Duplicate {
				t.field("note", "it had been started before under this id")
			}
		})
	}
	return a.awaitEnd(ctx, client, started.ExecID, wait)
}

// awaitEnd follows an execution until it has finished, and shows it then.
func (a *app) awaitEnd(ctx context.Context, client *http.Client, execID string, wait time.Duration) error {
	following, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := client.Follow(following, execID, 0, nil, func(http.StreamEvent) error { return nil })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return hinted(timedOut("execution %s has not finished within %v", execID, wait),
			"it goes on; look at it with `signalbox executions get "+execID+"`")
	}
	if err != nil {
		return err
	}
	asked, cancelAsked := context.WithTimeout(ctx, requestTimeout)
	defer cancelAsked()
	execution, err := client.Execution(asked, execID)
	if err != nil {
		return err
	}
	if err := a.print(execution, func(t *rows) { executionFields(t, &execution) }); err != nil {
		return err
	}
	if execution.Status != workflow.Success {
		return failed("execution %s ended %s%s", execID, execution.Status, because(execution.Error))
	}
	return nil
}

func because(f *workflow.Failure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(": %s", f.Message)
}
