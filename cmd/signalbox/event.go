package main

import (
	"context"
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) eventCommand() *cobra.Command {
	request := http.EventRequest{}
	var payload string
	cmd := &cobra.Command{
		Use:   "event NAME",
		Short: "Post an event to whoever listens",
		Long: `Post an event: it starts an execution for each trigger of that name, and wakes
every wait for it whose condition holds. The answer comes when the event is on
disk; ` + "`signalbox receipt ID`" + ` says what it caused.`,
		Example: `  signalbox event approval-request --payload '{"request_id":"r-1"}' --id request-1`,
		Args:    exactly("NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&payload, "payload", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ID, "id", "", "of the event, which makes a repeat harmless (default: the node makes one)")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		var err error
		if request.Payload, err = a.object("payload", payload); err != nil {
			return err
		}
		request.Name = args[0]
		answer, err := client.Event(ctx, request)
		if err != nil {
			return err
		}
		return a.print(answer, func(t *rows) {
			t.field("event", answer.EventID)
			if answer.Duplicate {
				t.field("note", "it had been accepted before under this id")
			}
		})
	})
	return a.completing(cmd, eventNames)
}
