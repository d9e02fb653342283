package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) receiptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "receipt ID",
		Short: "Say what became of a signal or an event",
		Args:  exactly("ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			id := args[0]
			signal, err := client.SignalReceipt(ctx, id, "")
			if err == nil {
				return a.print(signal, func(t *rows) { signalReceipt(t, &signal) })
			}
			if !notFound(err) {
				return err
			}
			event, err := client.EventReceipt(ctx, id)
			if err == nil {
				return a.print(event, func(t *rows) { eventReceipt(t, &event) })
			}
			if notFound(err) {
				return hinted(&status{code: exitRefused, err: errors.New("no signal and no event " + id + " was ever accepted here")},
					"if you sent it and got no answer, send it again with the same --id")
			}
			return err
		}),
	}
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
	t.row()
	steps(t, r.Steps)
}

func eventReceipt(t *rows, r *http.EventReceipt) {
	t.field("event", r.EventID)
	t.field("name", r.Name)
	t.field("state", r.State)
	t.field("reason", r.Reason)
	t.field("by", r.By)
	t.row()
	steps(t, r.Steps)
	t.row()
	t.row("LISTENER", "WORKFLOW", "EXECUTION", "OUTCOME", "WHY")
	for _, d := range r.Deliveries {
		t.row(d.Kind, d.WorkflowID, d.ExecID, d.Outcome, d.Reason)
	}
}

func steps(t *rows, all []http.ReceiptStep) {
	t.row("AT", "WHAT", "WAIT", "WHY")
	for _, s := range all {
		t.row(s.At, s.What, s.Wait, s.Reason)
	}
}
