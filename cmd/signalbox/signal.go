package main

import (
	"context"
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) signalCommand() *cobra.Command {
	request := http.SignalRequest{}
	var payload, ttl string
	cmd := &cobra.Command{
		Use:   "signal EXEC_ID NAME",
		Short: "Send a signal to one execution",
		Long: `Send a signal to one execution. The answer comes when the signal is on disk:
delivered to a wait, or buffered for a later one, with the reason.

With --id the command is safe to repeat: the same id and payload again give the
first answer and change nothing.`,
		Example: `  signalbox signal exec_123 approval-decision --payload '{"decision":"approved"}' --id decision-1`,
		Args:    exactly("EXEC_ID", "NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&payload, "payload", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ID, "id", "", "of the signal, which makes a repeat harmless (default: the node makes one)")
	flags.StringVar(&ttl, "ttl", "", "how long it is kept for a later wait, like 1h or 30d (default: as long as the execution lives)")
	flags.BoolVar(&request.Force, "force", false, "keep it even when the workflow can never wait for that name")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
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
		answer, err := client.Signal(ctx, args[0], request)
		if err != nil {
			return err
		}
		return a.print(answer, func(t *rows) { signalAnswer(t, &answer) })
	})
	return a.completing(cmd, executionIDs, awaitedNames)
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
