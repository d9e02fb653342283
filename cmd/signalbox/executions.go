package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) executionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "executions",
		Aliases: []string{"execution", "exec"},
		Short:   "List, show and steer executions",
		Args:    onlyVerbs,
	}
	list := a.executionsListCommand()
	cmd.AddCommand(list, a.executionsGetCommand(), a.executionsHistoryCommand(), a.executionsFollowCommand(), a.cancelCommand(),
		a.steerCommand("pause", "Pause an execution; signals are kept meanwhile", func(ctx context.Context, c *http.Client, id string) (http.Execution, error) {
			return c.Pause(ctx, id)
		}),
		a.steerCommand("resume", "Resume a paused execution", func(ctx context.Context, c *http.Client, id string) (http.Execution, error) {
			return c.Resume(ctx, id)
		}))
	// Without a verb it lists, with the flags of the list.
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.RunE = list.RunE
	return cmd
}

func (a *app) executionsListCommand() *cobra.Command {
	var query workflow.Query
	var status, since string
	var labels []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List executions, newest first",
		Args:  exactly(),
	}
	flags := cmd.Flags()
	flags.StringVar(&query.WorkflowID, "workflow", "", "only those of this workflow")
	flags.StringVar(&status, "status", "", "only those with this status: "+statuses())
	flags.StringVar(&query.WaitingFor, "waiting-for", "", "only those that wait for this signal")
	flags.StringVar(&query.Key, "business-key", "", "only those of this key; with --workflow")
	flags.StringArrayVar(&labels, "label", nil, "only those with this label, NAME=VALUE; may be repeated")
	flags.StringVar(&since, "since", "", "only those started since: a time like 2026-01-31T12:00:00Z, or a while ago like 2h")
	flags.IntVar(&query.Limit, "limit", maxListed, "how many at most")
	flags.StringVar(&query.Cursor, "cursor", "", "of the page after the one before")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		query.Status = workflow.Status(strings.ToUpper(status))
		if status != "" && !slices.Contains(workflow.Statuses, query.Status) {
			return wrongUsage("--status %q is none; it is one of %s", status, statuses())
		}
		at, err := moment(since, time.Now())
		if err != nil {
			return err
		}
		if !at.IsZero() {
			query.Since = workflow.InstantOf(at)
		}
		named, err := labelFlags(labels)
		if err != nil {
			return err
		}
		for name, value := range named {
			query.Labels = append(query.Labels, workflow.Label{Name: name, Value: value})
		}
		page, err := client.Executions(ctx, query)
		if err != nil {
			return err
		}
		return a.print(page, func(t *rows) {
			t.row("EXECUTION", "WORKFLOW", "STATUS", "WAITS FOR", "STARTED")
			for _, e := range page.Executions {
				t.row(e.WorkflowExecID, e.WorkflowID, e.Status, waitNames(e.Waits), e.CreatedAt)
			}
			nextPage(t, page.Page)
		})
	})
	return cmd
}

func statuses() string {
	names := make([]string, len(workflow.Statuses))
	for i, s := range workflow.Statuses {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func waitNames(waits []http.WaitingTask) string {
	names := make([]string, len(waits))
	for i, w := range waits {
		names[i] = w.SignalName
	}
	return strings.Join(names, ", ")
}

// labelNames shows labels in one line, by name.
func labelNames(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+"="+labels[name])
	}
	return strings.Join(parts, ", ")
}

func nextPage(t *rows, page http.PageInfo) {
	if page.NextCursor != "" {
		t.row("... there are more: --cursor " + page.NextCursor)
	}
}

// moment reads a time, or how long ago it was; "" is the zero time.
func moment(said string, now time.Time) (time.Time, error) {
	if said == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, said); err == nil {
		return at, nil
	}
	ago, err := (choice{text: said, by: "--since"}).duration()
	if err != nil {
		return time.Time{}, wrongUsage("--since %q is neither a time like 2026-01-31T12:00:00Z nor a while like 2h", said)
	}
	return now.Add(-ago), nil
}

func (a *app) executionsGetCommand() *cobra.Command {
	return a.completing(&cobra.Command{
		Use:   "get EXEC_ID",
		Short: "Show one execution",
		Args:  exactly("EXEC_ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			execution, err := client.Execution(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(execution, func(t *rows) { executionFields(t, &execution) })
		}),
	}, executionIDs)
}

// executionFields shows an execution: itself, its tasks, what it waits for.
func executionFields(t *rows, e *http.Execution) {
	t.field("execution", e.WorkflowExecID)
	t.field("workflow", e.WorkflowID)
	t.field("key", e.Key)
	t.field("labels", labelNames(e.Labels))
	t.field("status", e.Status)
	if e.Error != nil {
		t.field("error", e.Error.Message)
	}
	t.field("started", e.CreatedAt)
	t.field("finished", e.FinishedAt)
	t.field("input", compact(e.Input))
	t.field("output", compact(e.Output))
	if e.Buffered > 0 {
		t.field("kept", count(e.Buffered, "signal")+" for a later wait")
	}
	for _, w := range e.Waits {
		t.field("waits for", waitText(w))
	}
	t.row()
	t.row("TASK", "STATUS", "OUTPUT")
	tasks := make([]http.TaskExecution, 0, len(e.Tasks))
	for _, task := range e.Tasks {
		tasks = append(tasks, task)
	}
	slices.SortFunc(tasks, func(a, b http.TaskExecution) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), strings.Compare(a.TaskID, b.TaskID))
	})
	for _, task := range tasks {
		said := compact(task.Output)
		if task.Error != nil {
			said = task.Error.Message
		}
		t.row(task.TaskID, task.Status, said)
	}
}

func waitText(w http.WaitingTask) string {
	text := w.SignalName + " in " + taskOf(w) + " since " + w.Since.String()
	if until := w.Until.String(); until != "" {
		text += " until " + until
	}
	if w.Condition != "" {
		text += " if " + w.Condition
	}
	if w.Progress != "" {
		text += ", " + w.Progress
	}
	if w.LastReason != "" {
		text += "; it refused the last signal: " + w.LastReason
	}
	return text
}

func (a *app) executionsHistoryCommand() *cobra.Command {
	var after uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "history EXEC_ID",
		Short: "Show everything that happened to an execution",
		Args:  exactly("EXEC_ID"),
	}
	cmd.Flags().Uint64Var(&after, "after", 0, "only records after the one with this number")
	cmd.Flags().IntVar(&limit, "limit", http.MaxHistoryLimit, "how many records at most")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		history, err := client.History(ctx, args[0], after, limit)
		if err != nil {
			return err
		}
		return a.print(history, func(t *rows) {
			t.row("SEQ", "AT", "WHAT", "ABOUT", "WHY")
			for _, r := range history.Records {
				t.row(r.Seq, r.At, r.Type, cmp.Or(r.Task, r.Wait, r.Signal), r.Reason)
			}
			if history.NextAfter != 0 {
				t.row("...", "there are more: --after", history.NextAfter)
			}
		})
	})
	return a.completing(cmd, executionIDs)
}

// steerCommand is a verb that changes an execution and shows what it is then.
func (a *app) steerCommand(verb, help string, steer func(context.Context, *http.Client, string) (http.Execution, error)) *cobra.Command {
	return a.completing(&cobra.Command{
		Use:   verb + " EXEC_ID",
		Short: help,
		Args:  exactly("EXEC_ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			execution, err := steer(ctx, client, args[0])
			if err != nil {
				return err
			}
			return a.print(execution, func(t *rows) {
				t.field("execution", execution.WorkflowExecID)
				t.field("status", execution.Status)
			})
		}),
	}, executionIDs)
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	cmd := a.steerCommand("cancel", "Cancel an execution", func(ctx context.Context, c *http.Client, id string) (http.Execution, error) {
		return c.Cancel(ctx, id, reason)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for its history")
	return cmd
}
