package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
)

func (a *app) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why EXEC_ID",
		Short: "Say what an execution waits for, and what else keeps it from going on",
		Long: `Say what an execution waits for: which waits are open, since when, until when,
with what condition (the values of the context filled in), which signals came and
were not taken and why, what happens at the deadline; and what else keeps it from
going on: a task that runs or is tried again, a pause, a quarantine, its end.`,
		Example: "  signalbox why exec_123",
		Args:    exactly("EXEC_ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			why, err := client.Why(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(why, func(t *rows) { whyText(t, &why) })
		}),
	}
	return a.completing(cmd, executionIDs)
}

// whyText is one line for each thing: sentences are for people, columns for the
// eye, and here somebody reads.
func whyText(t *rows, why *http.Why) {
	t.row(fmt.Sprintf("%s of workflow %s is %s.", why.ExecID, why.WorkflowID, why.Status))
	if why.Summary != "" {
		t.row(why.Summary)
	}
	for i := range why.Tasks {
		t.row(why.Tasks[i].Text)
	}
	for i := range why.Waits {
		t.row(why.Waits[i].Text)
	}
	for i := range why.Signals {
		t.row(why.Signals[i].Text)
	}
	if more := why.Buffered - len(why.Signals); more > 0 && len(why.Signals) > 0 {
		t.row(fmt.Sprintf("%d more signals are kept for a later wait.", more))
	}
}
