package main

import (
	"context"
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) waitsCommand() *cobra.Command {
	var query workflow.WaitQuery
	cmd := &cobra.Command{
		Use:     "waits",
		Short:   "List what waits for what, since when and until when",
		Example: "  signalbox waits --name approval-decision\n  signalbox waits --correlation order-17",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&query.Name, "name", "", "only waits for this signal")
	flags.StringVar(&query.WorkflowID, "workflow", "", "only waits of this workflow")
	flags.StringVar(&query.Key, "correlation", "", "only waits for a message with this key")
	flags.IntVar(&query.Limit, "limit", maxListed, "how many at most")
	flags.StringVar(&query.Cursor, "cursor", "", "of the page after the one before")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		page, err := client.Waits(ctx, query)
		if err != nil {
			return err
		}
		return a.print(page, func(t *rows) {
			t.row("SIGNAL", "KEY", "EXECUTION", "WORKFLOW", "TASK", "PROGRESS", "SINCE", "UNTIL")
			for _, w := range page.Waits {
				t.row(w.SignalName, orElse(w.Key, "-"), w.WorkflowExecID, w.WorkflowID, taskOf(w.WaitingTask), orElse(w.Progress, "-"), w.Since, orElse(w.Until.String(), "-"))
			}
			nextPage(t, page.Page)
		})
	})
	return cmd
}

// taskOf is the task of a wait, with the branch where it has one.
func taskOf(w http.WaitingTask) string {
	if w.Branch == "" {
		return w.TaskID
	}
	return w.TaskID + "." + w.Branch
}
