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
		Args:    onlyVerbs,
	}
	cmd.AddCommand(a.waitsListCommand(), a.waitsMoveCommand())
	a.listWaits(cmd, &query)
	return cmd
}

// waitsListCommand is what the noun alone does, for who looks for the verb.
func (a *app) waitsListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List what waits for what", Args: exactly()}
	a.listWaits(cmd, new(workflow.WaitQuery))
	return cmd
}

func (a *app) listWaits(cmd *cobra.Command, query *workflow.WaitQuery) {
	flags := cmd.Flags()
	flags.StringVar(&query.Name, "name", "", "only waits for this signal or event")
	flags.StringVar(&query.WorkflowID, "workflow", "", "only waits of this workflow")
	flags.StringVar(&query.Key, "correlation", "", "only waits for a message with this key")
	flags.IntVar(&query.Limit, "limit", maxListed, "how many at most")
	flags.StringVar(&query.Cursor, "cursor", "", "of the page after the one before")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		page, err := client.Waits(ctx, *query)
		if err != nil {
			return err
		}
		return a.print(page, func(t *rows) {
			t.row("SIGNAL", "KEY", "EXECUTION", "WORKFLOW", "TASK", "PROGRESS", "SINCE", "UNTIL", "WAIT")
			for _, w := range page.Waits {
				t.row(w.SignalName, orElse(w.Key, "-"), w.WorkflowExecID, w.WorkflowID, taskOf(w.WaitingTask), orElse(w.Progress, "-"), w.Since, orElse(w.Until.String(), "-"), w.WaitID)
			}
			nextPage(t, page.Page)
		})
	})
}

// taskOf is the task of a wait, with the branch where it has one.
func taskOf(w http.WaitingTask) string {
	if w.Branch == "" {
		return w.TaskID
	}
	return w.TaskID + "." + w.Branch
}

func (a *app) waitsMoveCommand() *cobra.Command {
	var deadline, reason string
	cmd := &cobra.Command{
		Use:     "move WAIT_ID",
		Short:   "Give an open wait another deadline; the history says who did and why",
		Example: "  signalbox waits move order-17~approval~1 --deadline 2h --reason 'the customer is on holiday'",
		Args:    exactly("WAIT_ID"),
	}
	flags := cmd.Flags()
	flags.StringVar(&deadline, "deadline", "", "how long from now on, such as 2h, or until when, such as 2027-01-31T18:00:00Z")
	flags.StringVar(&reason, "reason", "", "why; it is kept in the history")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		if deadline == "" {
			return wrongUsage("say until when: --deadline 2h, or --deadline 2027-01-31T18:00:00Z")
		}
		moved, err := client.MoveWait(ctx, args[0], deadline, reason)
		if err != nil {
			return err
		}
		return a.print(moved, func(t *rows) {
			t.row("WAIT", "SIGNAL", "UNTIL")
			for _, w := range moved.Waits {
				t.row(w.WaitID, w.SignalName, w.Until)
			}
		})
	})
	return cmd
}
