package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) receiptCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:        "receipt ID",
		SuggestFor: []string{"status"},
		Short:      "Say what became of a signal or an event, and what it caused",
		Args:       exactly("ID"),
		RunE: a.holding(&wait, func(ctx context.Context, client *http.Client, args []string) error {
			id := args[0]
			signal, err := a.signalFate(ctx, client, id, wait)
			if err != nil && !notFound(err) {
				return err
			}
			// An event that a wait took is a signal there; its own receipt has all of them.
			if err == nil && signal.Source != workflow.FromEvent {
				if wait > 0 {
					return a.fate(signal, nil, wait)
				}
				return a.print(signal, func(t *rows) { signalReceipt(t, &signal) })
			}
			event, err := a.eventFate(ctx, client, id, wait)
			if err == nil && wait > 0 {
				return a.reached(event, nil, wait)
			}
			if err == nil {
				return a.print(event, func(t *rows) { eventReceipt(t, &event) })
			}
			if notFound(err) {
				return hinted(&status{code: exitRefused, err: errors.New("there is no receipt of a signal or an event " + id + " here: it was not accepted, or it was forgotten after the node's retention")},
					"send it, with the same --id, only if it is younger than that")
			}
			return err
		}),
	}
	spanVar(cmd.Flags(), &wait, "wait", "until the fate is final, at most this long")
	return cmd
}

func (a *app) signalFate(ctx context.Context, client *http.Client, id string, wait time.Duration) (http.SignalReceipts, error) {
	if wait > 0 {
		return client.AwaitSignalReceipt(ctx, id, "", wait)
	}
	return client.SignalReceipt(ctx, id, "")
}

func (a *app) eventFate(ctx context.Context, client *http.Client, id string, wait time.Duration) (http.EventReceipt, error) {
	if wait > 0 {
		return client.AwaitEventReceipt(ctx, id, wait)
	}
	return client.EventReceipt(ctx, id)
}

func notFound(err error) bool {
	var problem *http.Problem
	return errors.As(err, &problem) && problem.Status == 404
}

func signalReceipt(t *rows, all *http.SignalReceipts) {
	oneSignal(t, &all.SignalReceipt)
	for i := range all.Others {
		t.row()
		oneSignal(t, &all.Others[i])
	}
}

func oneSignal(t *rows, r *http.SignalReceipt) {
	t.field("signal", r.SignalID)
	t.field("name", r.SignalName)
	t.field("execution", r.ExecID)
	t.field("state", r.State)
	t.field("by", r.By)
	t.field("from", r.From)
	t.field("request", r.RequestID)
	t.row()
	steps(t, r.Steps)
	caused(t, r.Caused)
}

// caused lists what a message led to.
func caused(t *rows, all []http.Caused) {
	if len(all) == 0 {
		return
	}
	t.row()
	t.row("CAUSED", "ID", "NAME", "EXECUTION")
	for _, c := range all {
		t.row(c.Kind, c.ID, c.Name, c.ExecID)
	}
}

func eventReceipt(t *rows, r *http.EventReceipt) {
	t.field("event", r.EventID)
	t.field("name", r.Name)
	t.field("state", r.State)
	t.field("reason", r.Reason)
	t.field("by", r.By)
	t.field("from", r.From)
	t.field("request", r.RequestID)
	t.row()
	steps(t, r.Steps)
	if len(r.Deliveries) == 0 {
		return
	}
	t.row()
	t.row("LISTENER", "WORKFLOW", "EXECUTION", "WAIT", "OUTCOME", "WHY")
	for _, d := range r.Deliveries {
		t.row(d.Kind, d.WorkflowID, d.ExecID, d.WaitID, d.Outcome, d.Reason)
	}
}

func steps(t *rows, all []http.ReceiptStep) {
	t.row("AT", "WHAT", "WAIT", "WHY")
	for _, s := range all {
		why := s.Reason
		if s.By != "" {
			why = strings.TrimSpace("by " + s.By + " " + why)
		}
		t.row(s.At, s.What, s.Wait, why)
	}
}
