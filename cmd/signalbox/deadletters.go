package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) deadlettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deadletters",
		Aliases: []string{"deadletter"},
		Short:   "See which messages came to nothing and why, redeliver or discard them",
		Example: "  signalbox deadletters --grouped\n  signalbox deadletters redeliver --cause expired --name approval-decision",
		Args:    onlyVerbs,
	}
	list := a.deadlettersListCommand()
	cmd.AddCommand(list, a.deadletterGetCommand(), a.deadletterRedeliverCommand(), a.deadletterDiscardCommand())
	// Without a verb it lists, with the flags of the list.
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.RunE = list.RunE
	return cmd
}

// letterFlags are the filters that name a group of dead letters.
type letterFlags struct {
	query              workflow.LetterQuery
	cause, kind, since string
}

func (f *letterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.query.Name, "name", "", "only messages of this name")
	flags.StringVar(&f.cause, "cause", "", "only those that died of this cause")
	flags.StringVar(&f.kind, "kind", "", "only signals or only events: signal or event")
	flags.StringVar(&f.query.ExecID, "exec", "", "only signals to this execution")
	flags.StringVar(&f.query.WorkflowID, "workflow", "", "only signals to executions of this workflow")
	flags.StringVar(&f.since, "since", "", "only those that died since: a time like 2026-01-31T12:00:00Z, or a while ago like 2h")
}

func (f *letterFlags) read() (workflow.LetterQuery, error) {
	q := f.query
	q.Cause, q.Kind = workflow.Cause(f.cause), workflow.MessageKind(f.kind)
	at, err := moment(f.since, time.Now())
	if err == nil && !at.IsZero() {
		q.Since = workflow.InstantOf(at)
	}
	return q, err
}

func (a *app) deadlettersListCommand() *cobra.Command {
	var filters letterFlags
	var grouped bool
	cmd := &cobra.Command{Use: "list", Short: "List dead letters, those that died last first", Args: exactly()}
	filters.add(cmd)
	cmd.Flags().BoolVar(&grouped, "grouped", false, "count them by cause, name and workflow")
	cmd.Flags().IntVar(&filters.query.Limit, "limit", maxListed, "how many at most")
	cmd.Flags().StringVar(&filters.query.Cursor, "cursor", "", "of the page after the one before")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		q, err := filters.read()
		if err != nil {
			return err
		}
		if grouped {
			groups, err := client.DeadLetterGroups(ctx, q)
			if err != nil {
				return err
			}
			return a.print(groups, func(t *rows) {
				t.row("CAUSE", "KIND", "NAME", "WORKFLOW", "COUNT", "LAST", "FOR EXAMPLE")
				for _, g := range groups {
					t.row(g.Cause, g.Kind, g.Name, orElse(g.WorkflowID, "-"), g.Count, g.LastAt, g.Latest.Reason)
				}
			})
		}
		page, err := client.DeadLetters(ctx, q)
		if err != nil {
			return err
		}
		return a.print(page, func(t *rows) {
			t.row("DEAD LETTER", "CAUSE", "KIND", "NAME", "EXECUTION", "DIED", "NEAREST MISS")
			for _, l := range page.DeadLetters {
				t.row(l.ID, l.Cause, l.Kind, l.Name, orElse(l.ExecID, "-"), l.DiedAt, nearest(&l))
			}
			nextPage(t, page.Page)
		})
	})
	return cmd
}

func nearest(l *http.DeadLetter) string {
	if l.Near == nil {
		return "-"
	}
	return l.Near.Reason
}

func (a *app) deadletterGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Show a dead letter with its payload",
		Args:  exactly("ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			l, err := client.DeadLetter(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(l, func(t *rows) {
				t.field("dead letter", l.ID)
				t.field(string(l.Kind), l.MessageID)
				t.field("name", l.Name)
				t.field("execution", l.ExecID)
				t.field("workflow", l.WorkflowID)
				t.field("cause", l.Cause)
				t.field("reason", l.Reason)
				if l.Near != nil {
					t.field("nearest miss", l.Near.Reason)
				}
				t.field("accepted", l.Accepted)
				t.field("by", l.By)
				t.field("received", l.ReceivedAt)
				t.field("died", l.DiedAt)
				t.field("payload", compact(l.Payload))
			})
		}),
	}
}

func (a *app) deadletterRedeliverCommand() *cobra.Command {
	var filters letterFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "redeliver [ID]",
		Short: "Send a dead letter, or a group of them, on its way again with the same receipt",
		Args:  oneOrGroup,
	}
	filters.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "keep a signal even when the workflow never waits for its name")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		if len(args) == 1 {
			done, err := client.Redeliver(ctx, args[0], force)
			if err != nil {
				return err
			}
			return a.print(done, func(t *rows) {
				t.field(string(done.Kind), done.MessageID)
				t.field("name", done.Name)
				t.field("execution", done.ExecID)
				t.field("state", done.State)
				t.field("reason", done.Reason)
			})
		}
		q, err := filters.read()
		if err != nil {
			return err
		}
		done, err := client.RedeliverAll(ctx, q, force)
		if err != nil {
			return err
		}
		return a.print(done, func(t *rows) {
			t.field("redelivered", done.Redelivered)
			t.field("refused", len(done.Refused))
			t.field("more to do", done.More)
			for _, r := range done.Refused {
				t.row(r.LetterID, r.Code, r.Reason)
			}
		})
	})
	return cmd
}

func (a *app) deadletterDiscardCommand() *cobra.Command {
	var filters letterFlags
	cmd := &cobra.Command{
		Use:   "discard [ID]",
		Short: "Forget a dead letter, or a group of them",
		Args:  oneOrGroup,
	}
	filters.add(cmd)
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		q, err := filters.read()
		if err != nil {
			return err
		}
		var done http.DiscardAnswer
		if len(args) == 1 {
			done, err = client.Discard(ctx, args[0])
		} else {
			done, err = client.DiscardAll(ctx, q)
		}
		if err != nil {
			return err
		}
		return a.print(done, func(t *rows) {
			t.field("discarded", done.Discarded)
			t.field("more to do", done.More)
		})
	})
	return cmd
}

// oneOrGroup asks for the id of one dead letter, or for flags that name a group.
func oneOrGroup(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return wrongUsage("`%s` takes one ID or flags that name a group, got %d arguments", cmd.CommandPath(), len(args))
	}
	named := false
	for _, flag := range []string{"name", "cause", "kind", "exec", "workflow", "since"} {
		named = named || cmd.Flags().Changed(flag)
	}
	if named == (len(args) == 1) {
		return wrongUsage("`%s` takes either the ID of a dead letter or flags that name a group, such as --cause", cmd.CommandPath())
	}
	return nil
}

func (a *app) booksCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "books",
		Short: "Show where every accepted message stands, by name, and that the books balance",
		Args:  exactly(),
	}
	cmd.Flags().StringVar(&name, "name", "", "only messages of this name")
	cmd.RunE = a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		books, err := client.Books(ctx, name)
		if err != nil {
			return err
		}
		return a.print(books, func(t *rows) {
			t.row("NAME", "ACCEPTED", "CONSUMED", "BUFFERED", "EXPIRED", "DEAD")
			for _, r := range books.Rows {
				t.row(r.Name, r.Accepted, r.Consumed, r.Buffered, r.Expired, r.Dead)
			}
			total := books.Total
			t.row("total", total.Accepted, total.Consumed, total.Buffered, total.Expired, total.Dead)
			if !books.Balanced {
				t.row()
				t.row("THE BOOKS DO NOT BALANCE: some message has no fate, or two")
			}
		})
	})
	return cmd
}
