package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

func (a *app) broadcastCommand() *cobra.Command {
	var request http.BroadcastRequest
	var status, payload, ttl string
	var labels []string
	var dry bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "broadcast NAME",
		Short: "Send a signal to all executions that a filter selects",
		Long: `Send a signal to every live execution for which all of the filter is true. The
answer comes when the broadcast is on disk; it goes on by itself, and through a
crash, until every execution that matched has its signal, once.

With --dry-run it only says how many match. With --wait it comes back when it has
ended: exit code 1 when it was canceled or failed, 5 when it is still under way
then. With --id the command is safe to repeat.`,
		Example: `  signalbox broadcast stock --workflow order --waiting-for stock --payload '{"arrived":true}' --dry-run
  signalbox broadcast recall --label region=eu --id recall-7 --wait 1m`,
		Args: exactly("NAME"),
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Filter.WorkflowID, "workflow", "", "to those of this workflow")
	flags.StringVar(&status, "status", "", "to those with this status: RUNNING, WAITING or PAUSED")
	flags.StringVar(&request.Filter.WaitingFor, "waiting-for", "", "to those that wait for this signal")
	flags.StringArrayVar(&labels, "label", nil, "to those with this label, NAME=VALUE; may be repeated")
	flags.StringVar(&request.Filter.Correlation, "correlation", "", "to those that wait for, or were started with, this correlation key")
	flags.StringVar(&payload, "payload", "", "JSON object, @FILE, or - for standard input")
	flags.StringVar(&request.ID, "id", "", "of the broadcast, which makes a repeat harmless (default: the node makes one)")
	flags.StringVar(&ttl, "ttl", "", "how long a signal is kept for a later wait, like 1h or 30d (default: as long as its execution lives)")
	flags.IntVar(&request.Rate, "rate", 0, "signals a second, at most (default: the node's)")
	flags.BoolVar(&dry, "dry-run", false, "only say how many executions match")
	spanVar(flags, &wait, "wait", "until the broadcast has ended, at most this long")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		request.Name, request.Filter.Status = args[0], workflow.Status(strings.ToUpper(status))
		if request.Filter.Labels, err = labelFlags(labels); err != nil {
			return err
		}
		if request.Payload, err = a.object("payload", payload); err != nil {
			return err
		}
		if ttl != "" {
			if request.TTL, err = (choice{text: ttl, by: "--ttl"}).duration(); err != nil {
				return err
			}
		}
		if wait < 0 {
			return wrongUsage("--wait %v is negative", wait)
		}
		return a.broadcast(cmd.Context(), request, dry, wait)
	}
	return a.completing(cmd, func(ctx context.Context, client *http.Client, _ []string) ([]string, error) {
		return waitedNames(ctx, client)
	})
}

// waitedNames are the signals that somebody waits for now.
func waitedNames(ctx context.Context, client *http.Client) ([]string, error) {
	page, err := client.Waits(ctx, workflow.WaitQuery{Limit: maxListed})
	seen := make(map[string]bool)
	var names []string
	for _, w := range page.Waits {
		if !seen[w.SignalName] {
			seen[w.SignalName] = true
			names = append(names, w.SignalName)
		}
	}
	return names, err
}

func (a *app) broadcast(ctx context.Context, request http.BroadcastRequest, dry bool, wait time.Duration) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if dry {
		preview, err := client.PreviewBroadcast(asked, request)
		if err != nil {
			return err
		}
		return a.print(preview, func(t *rows) {
			t.field("matched", preview.Matched)
			if preview.TooMany {
				t.field("note", "more than a broadcast may reach: narrow the filter down")
			}
			t.field("such as", strings.Join(preview.Sample, ", "))
		})
	}
	broadcast, err := client.Broadcast(asked, request)
	if err != nil {
		return err
	}
	if wait > 0 {
		if broadcast, err = awaitBroadcast(ctx, client, broadcast.BroadcastID, wait); err != nil {
			return err
		}
	}
	if err := a.print(broadcast, func(t *rows) { broadcastFields(t, &broadcast) }); err != nil {
		return err
	}
	if wait > 0 && broadcast.State != workflow.BroadcastDone {
		return failed("broadcast %s is %s: %s", broadcast.BroadcastID, broadcast.State, broadcast.Reason)
	}
	return nil
}

// awaitBroadcast looks again and again until the broadcast has ended.
func awaitBroadcast(ctx context.Context, client *http.Client, id string, wait time.Duration) (http.Broadcast, error) {
	following, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		broadcast, err := client.GetBroadcast(following, id)
		if err == nil && broadcast.State.Final() {
			return broadcast, nil
		}
		if err == nil {
			select {
			case <-time.After(broadcastPoll):
				continue
			case <-following.Done():
				err = following.Err()
			}
		}
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return broadcast, hinted(timedOut("broadcast %s has not ended within %v", id, wait),
				"it goes on; look at it with `signalbox broadcasts get "+id+"`")
		}
		return broadcast, err
	}
}

func broadcastFields(t *rows, b *http.Broadcast) {
	t.field("broadcast", b.BroadcastID)
	t.field("signal", b.SignalName)
	t.field("to", filterText(&b.Filter))
	t.field("state", b.State)
	t.field("reason", b.Reason)
	t.field("matched", b.Progress.Matched)
	t.field("delivered", b.Progress.Delivered)
	t.field("buffered", b.Progress.Buffered)
	t.field("refused", b.Progress.Refused)
	t.field("failed", b.Progress.Failed)
	t.field("pending", b.Progress.Pending)
	t.field("began", b.CreatedAt)
	t.field("ended", b.FinishedAt)
	if b.Duplicate {
		t.field("note", "it had been accepted before under this id")
	}
}

// filterText is a filter in one line.
func filterText(f *http.BroadcastFilter) string {
	var parts []string
	for _, p := range [][2]string{
		{"workflow", f.WorkflowID}, {"status", string(f.Status)}, {"waiting for", f.WaitingFor},
		{"labels", labelNames(f.Labels)}, {"correlation", f.Correlation},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) broadcastsCommand() *cobra.Command {
	list := a.asking(func(ctx context.Context, client *http.Client, args []string) error {
		all, err := client.Broadcasts(ctx)
		if err != nil {
			return err
		}
		return a.print(all, func(t *rows) {
			t.row("BROADCAST", "SIGNAL", "STATE", "MATCHED", "PENDING", "BEGAN")
			for _, b := range all {
				t.row(b.BroadcastID, b.SignalName, b.State, b.Progress.Matched, b.Progress.Pending, b.CreatedAt)
			}
		})
	})
	cmd := &cobra.Command{Use: "broadcasts", Short: "List, show and cancel broadcasts", Args: onlyVerbs, RunE: list}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List broadcasts, youngest first", Args: exactly(), RunE: list},
		a.broadcastVerb("get", "Say how far a broadcast is", func(ctx context.Context, c *http.Client, id string) (http.Broadcast, error) {
			return c.GetBroadcast(ctx, id)
		}),
		a.broadcastVerb("cancel", "Cancel a broadcast; who has not got the signal yet does not get it", func(ctx context.Context, c *http.Client, id string) (http.Broadcast, error) {
			return c.CancelBroadcast(ctx, id, "")
		}),
		a.broadcastResultsCommand())
	return cmd
}

func (a *app) broadcastVerb(verb, short string, do func(context.Context, *http.Client, string) (http.Broadcast, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly("ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			broadcast, err := do(ctx, client, args[0])
			if err != nil {
				return err
			}
			return a.print(broadcast, func(t *rows) { broadcastFields(t, &broadcast) })
		}),
	}
}

func (a *app) broadcastResultsCommand() *cobra.Command {
	var outcome, cursor string
	var limit int
	cmd := &cobra.Command{
		Use: "results ID", Short: "Say what became of each target of a broadcast", Args: exactly("ID"),
		RunE: a.asking(func(ctx context.Context, client *http.Client, args []string) error {
			page, err := client.BroadcastResults(ctx, args[0], outcome, limit, cursor)
			if err != nil {
				return err
			}
			return a.print(page, func(t *rows) {
				t.row("EXECUTION", "OUTCOME", "SIGNAL", "REASON")
				for _, r := range page.Results {
					t.row(r.ExecID, r.Outcome, r.SignalID, r.Reason)
				}
				nextPage(t, page.Page)
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&outcome, "outcome", "", "only targets with this outcome: delivered, buffered, refused, failed or pending")
	flags.IntVar(&limit, "limit", maxListed, "how many at most")
	flags.StringVar(&cursor, "cursor", "", "of the page after the one before")
	return cmd
}
