package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) eventCommand() *cobra.Command {
	request := http.EventRequest{}
	var payload, file string
	var wait time.Duration
	var dry bool
	cmd := &cobra.Command{
		Use:        "event NAME",
		SuggestFor: []string{"emit", "publish"},
		Short:      "Post an event to whoever listens",
		Long: `Post an event: it starts an execution for each trigger of that name, and wakes
every wait for it whose condition holds. The answer comes when the event is on
disk; ` + "`signalbox receipt ID`" + ` says what it caused. With --wait it holds on until
every listener was reached, and prints the receipt.

With --file it sends many: each line of the file is a JSON object with name and
payload, and if need be id, correlation_id, ttl.`,
		Example: `  signalbox event approval-request --payload '{"request_id":"r-1"}' --id request-1
  signalbox event order-paid --correlation order-17 --ttl 1h`,
		Args: onlyWithout(&file, "NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&payload, "payload", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ID, "id", "", "of the event, which makes a repeat harmless (default: the node makes one)")
	flags.StringVar(&request.CorrelationID, "correlation", "", "what the event is about: its correlation_id")
	spanVar(flags, &request.TTL, "ttl", "how long it is kept for the first wait that opens for it, like 1h or 30d, when nobody takes it (default: not at all)")
	spanVar(flags, &wait, "wait", "until every listener was reached, at most this long; then print the receipt")
	flags.StringVar(&file, "file", "", "of events, one JSON object on each line; - for standard input")
	flags.BoolVar(&dry, "dry-run", false, dryRunHelp)
	one := a.holding(&wait, func(ctx context.Context, client *http.Client, args []string) error {
		var err error
		if request.Payload, err = a.object("payload", payload); err != nil {
			return err
		}
		request.Name = args[0]
		if dry {
			forecast, err := client.ForeseeEvent(ctx, request)
			return a.foreseenEvent(&forecast, err)
		}
		answer, err := client.Event(ctx, request)
		if err != nil {
			return err
		}
		if wait > 0 {
			receipt, err := client.AwaitEventReceipt(ctx, answer.EventID, wait)
			return a.reached(receipt, err, wait)
		}
		return a.print(answer, func(t *rows) {
			t.field("event", answer.EventID)
			if answer.Duplicate {
				t.field("note", "it had been accepted before under this id")
			}
		})
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return one(cmd, args)
		}
		client, err := a.client()
		if err != nil {
			return err
		}
		if dry {
			return a.sendLines(cmd.Context(), file, http.MaxForeseen, "looked at", foreseenEvents(client))
		}
		return a.sendLines(cmd.Context(), file, linesPerRequest, "", eventLines(client))
	}
	return a.completing(cmd, eventNames)
}

// reached prints the receipt of an event; one that is not final after the wait
// is not an answer.
func (a *app) reached(receipt http.EventReceipt, err error, wait time.Duration) error {
	if err != nil {
		return err
	}
	if err := a.print(receipt, func(t *rows) { eventReceipt(t, &receipt) }); err != nil {
		return err
	}
	if !receipt.State.Final() {
		return timedOut("event %s is still %s after %v", receipt.EventID, receipt.State, wait)
	}
	return nil
}
