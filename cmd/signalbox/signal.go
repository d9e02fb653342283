package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

const signalHelp = `Send a signal to one execution. The answer comes when the signal is on disk:
delivered to a wait, or buffered for a later one, with the reason.

With --id the command is safe to repeat: the same id and payload again give the
first answer and change nothing. With --wait it holds on until a wait has taken
the signal, or it has expired or can be taken by none any more, and prints the receipt.

With --file it sends many: each line of the file is a JSON object with exec_id,
signal_name and payload, and if need be signal_id, ttl, correlation_id.`

func (a *app) signalCommand() *cobra.Command {
	request := http.SignalRequest{}
	var payload, ttl, file string
	var atomic, dry bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:        "signal EXEC_ID NAME",
		SuggestFor: []string{"send"},
		Short:      "Send a signal to one execution",
		Long:       signalHelp,
		Example: `  signalbox signal exec_123 approval-decision --payload '{"decision":"approved","approved_by":"ada"}' --id decision-1
  signalbox signal exec_123 approval-decision --payload '{"decision":"approved","approved_by":"ada"}' --dry-run
  signalbox signal --file decisions.ndjson`,
		Args: onlyWithout(&file, "EXEC_ID", "NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&payload, "payload", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ID, "id", "", "of the signal, which makes a repeat harmless (default: the node makes one)")
	flags.StringVar(&ttl, "ttl", "", "how long it is kept for a later wait, like 1h or 30d (default: as long as the execution lives)")
	flags.BoolVar(&request.Force, "force", false, "keep it even when the workflow can never wait for that name")
	spanVar(flags, &wait, "wait", "until the signal's fate is final, at most this long; then print its receipt")
	flags.StringVar(&file, "file", "", "of signals, one JSON object on each line; - for standard input")
	flags.BoolVar(&atomic, "atomic", false, "with --file: accept all of them, which go to one execution, or none")
	flags.BoolVar(&dry, "dry-run", false, dryRunHelp)
	one := a.holding(&wait, func(ctx context.Context, client *http.Client, args []string) error {
		var err error
		if request.Payload, err = a.object("payload", payload); err != nil {
			return err
		}
		if ttl != "" {
			if request.TTL, err = (choice{text: ttl, by: "--ttl"}).duration(); err != nil {
				return err
			}
		}
		request.Name = args[1]
		if dry {
			forecast, err := client.ForeseeSignal(ctx, args[0], request)
			return a.foreseen(&forecast, err, "sent")
		}
		answer, err := client.Signal(ctx, args[0], request)
		if err != nil {
			return err
		}
		if wait > 0 {
			receipt, err := client.AwaitSignalReceipt(ctx, answer.SignalID, args[0], wait)
			return a.fate(receipt, err, wait)
		}
		return a.print(answer, func(t *rows) { signalAnswer(t, &answer) })
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return one(cmd, args)
		}
		client, err := a.client()
		if err != nil {
			return err
		}
		options := http.BatchOptions{Atomic: atomic, Force: request.Force}
		switch {
		case dry:
			return a.sendLines(cmd.Context(), file, http.MaxForeseen, "looked at", foreseenSignals(client, options))
		case atomic:
			return a.sendLines(cmd.Context(), file, http.MaxTogether, "accepted", signalLines(client, options))
		}
		return a.sendLines(cmd.Context(), file, linesPerRequest, "", signalLines(client, options))
	}
	return a.completing(cmd, executionIDs, awaitedNames)
}

// fate prints a receipt; one that is not final after the wait is not an answer.
func (a *app) fate(receipt http.SignalReceipts, err error, wait time.Duration) error {
	if err != nil {
		return err
	}
	if err := a.print(receipt, func(t *rows) { signalReceipt(t, &receipt) }); err != nil {
		return err
	}
	for _, r := range append([]http.SignalReceipt{receipt.SignalReceipt}, receipt.Others...) {
		if !r.State.Final() {
			return timedOut("signal %s is still %s after %v", r.SignalID, r.State, wait)
		}
	}
	return nil
}

func signalAnswer(t *rows, answer *http.SignalAnswer) {
	t.field("signal", answer.SignalID)
	t.field("outcome", answer.Outcome)
	if answer.Wait != nil {
		t.field("wait", answer.Wait.TaskID)
	}
	t.field("reason", answer.Reason)
	if answer.Outcome == workflow.KeptForWait {
		t.field("kept until", orElse(answer.ExpiresAt.String(), "the execution ends"))
	}
	t.field("status", answer.Status)
	if answer.Duplicate {
		t.field("note", "it had been accepted before under this id; this is the first answer")
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
