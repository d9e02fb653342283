package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

const startHelp = `Start an execution of a workflow.

With --id the caller names it: the same id with the same input again gives the
first execution, so the command is safe to repeat. With --business-key it has a
key of yours; where the workflow says that keys are unique, a second start gets
the live execution of the key, or is refused.

With --signal the execution is started if it is absent - by --id or by
--business-key - and the signal is delivered to it, both or neither; --signal-id
makes a repeat harmless. With --no-start the signal only goes to the execution
that is there.

With --wait it comes back when the execution has finished: exit code 1 when it
did not succeed, 5 when it is still running then.`

func (a *app) startCommand() *cobra.Command {
	var input, payload, ttl string
	var labels []string
	var request http.StartRequest
	var signal http.SignalRequest
	var wait time.Duration
	var dry bool
	cmd := &cobra.Command{
		Use:   "start WORKFLOW",
		Short: "Start an execution",
		Long:  startHelp,
		Example: `  signalbox start order --input '{"order_id":"o-1"}' --id order-1
  signalbox start order --input @order.json --wait 30s
  signalbox start order --business-key A-17 --signal payment --payload '{"amount":12}' --signal-id payment-17`,
		Args: exactly("WORKFLOW"),
	}
	flags := cmd.Flags()
	flags.StringVar(&input, "input", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ExecID, "id", "", "of the execution (default: the node makes one)")
	flags.StringVar(&request.Key, "business-key", "", "business key: what the execution is about (default: what the workflow says)")
	flags.StringArrayVar(&labels, "label", nil, "NAME=VALUE to find the execution by; may be repeated")
	flags.StringVar(&signal.Name, "signal", "", "name of a signal that comes with the start")
	flags.StringVar(&payload, "payload", "", "of the signal: JSON object, @FILE, or - for standard input")
	flags.StringVar(&signal.ID, "signal-id", "", "of the signal, which makes a repeat harmless (default: the node makes one)")
	flags.StringVar(&ttl, "ttl", "", "how long the signal is kept for a later wait, like 1h or 30d (default: as long as the execution lives)")
	flags.BoolVar(&request.NoStart, "no-start", false, "start nothing: only signal the execution that is there")
	flags.BoolVar(&dry, "dry-run", false, dryRunHelp)
	spanVar(flags, &wait, "wait", "until the execution has finished, at most this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if request.Input, err = a.object("input", input); err != nil {
			return err
		}
		if request.Labels, err = labelFlags(labels); err != nil {
			return err
		}
		if wait < 0 {
			return wrongUsage("--wait %v is negative", wait)
		}
		if signal.Payload, err = a.object("payload", payload); err != nil {
			return err
		}
		if ttl != "" {
			if signal.TTL, err = (choice{text: ttl, by: "--ttl"}).duration(); err != nil {
				return err
			}
		}
		switch {
		case signal.Name != "":
			request.Signal = &signal
		case payload != "", ttl != "", signal.ID != "", request.NoStart:
			return wrongUsage("--payload, --signal-id, --ttl and --no-start are about a signal: name it with --signal")
		}
		if dry {
			return a.foreseeStart(cmd.Context(), args[0], request)
		}
		return a.start(cmd.Context(), args[0], request, wait)
	}
	return a.completing(cmd, workflowIDs)
}

// foreseeStart says what a start would do.
func (a *app) foreseeStart(ctx context.Context, workflowID string, request http.StartRequest) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	forecast, err := client.ForeseeStart(asked, workflowID, request)
	return a.foreseen(&forecast, err, "started")
}

// labelFlags reads labels of the form NAME=VALUE.
func labelFlags(said []string) (map[string]string, error) {
	labels := make(map[string]string, len(said))
	for _, text := range said {
		name, value, found := strings.Cut(text, "=")
		if _, twice := labels[name]; !found || name == "" || twice {
			return nil, wrongUsage("--label %q: give NAME=VALUE, each name once", text)
		}
		labels[name] = value
	}
	return labels, nil
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
			t.field("key", started.Key)
			switch {
			case started.Signal != nil && !started.Started:
				t.field("note", "it was there already; nothing was started")
			case started.Duplicate && !started.Started:
				t.field("note", "it lives and has the key; nothing was started")
			case started.Duplicate:
				t.field("note", "it had been started before under this id")
			}
			if started.Signal != nil {
				signalAnswer(t, started.Signal)
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
