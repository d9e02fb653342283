package runtime

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Broadcast begins to send a signal to every live execution that a filter
// selects; it is durable when this returns. known: the same was asked for before.
func (n *Node) Broadcast(ctx context.Context, b workflow.Broadcast) (one *workflow.Broadcast, known bool, err error) {
	b.CreatedAt = workflow.InstantOf(time.Now())
	b.UpdatedAt = b.CreatedAt
	return n.system.Broadcast(ctx, b)
}

// CountTargets returns how many executions a broadcast would reach, at most one
// more than it may, and the first few of them.
func (n *Node) CountTargets(ctx context.Context, f workflow.Filter) (matched int, sample []string, err error) {
	matched, sample, err = n.system.CountTargets(ctx, f)
	if err != nil {
		return 0, nil, n.reading(err, "")
	}
	return matched, sample, nil
}

// ReadBroadcast returns where a broadcast stands.
func (n *Node) ReadBroadcast(ctx context.Context, id string) (*workflow.Broadcast, error) {
	one, err := n.system.ReadBroadcast(ctx, id)
	if err == nil && one == nil {
		err = noBroadcast(id)
	}
	return one, err
}

func noBroadcast(id string) *workflow.Refusal {
	return &workflow.Refusal{
		Code: workflow.CodeNoBroadcast, Message: fmt.Sprintf("there is no broadcast %q", id),
		Hint: "check the id; finished ones are forgotten after the node's retention", Details: map[string]any{"broadcast_id": id},
	}
}

// Broadcasts lists the broadcasts that are kept, the youngest first.
func (n *Node) Broadcasts(ctx context.Context) ([]*workflow.Broadcast, error) {
	all, err := n.system.ListBroadcasts(ctx)
	if err != nil {
		return nil, n.reading(err, "")
	}
	return all, nil
}

// CancelBroadcast ends a broadcast and returns it afterwards.
func (n *Node) CancelBroadcast(ctx context.Context, id, reason string) (*workflow.Broadcast, error) {
	if _, err := n.ReadBroadcast(ctx, id); err != nil {
		return nil, err
	}
	return n.system.CancelBroadcast(ctx, id, reason)
}

// Targets lists the targets of a broadcast with what became of each; an outcome
// narrows it down.
func (n *Node) Targets(ctx context.Context, id, outcome, cursor string, limit int) (workflow.Page[workflow.Target], error) {
	var page workflow.Page[workflow.Target]
	if _, err := n.ReadBroadcast(ctx, id); err != nil {
		return page, err
	}
	from := [2]int{}
	if cursor != "" {
		for i, part := range strings.SplitN(cursor, ".", 2) {
			at, err := strconv.Atoi(part)
			if err != nil || at < 0 {
				return page, &workflow.Refusal{
					Code: workflow.CodeInvalid, Message: fmt.Sprintf("the cursor %q is none that a page of this list named", cursor),
					Hint: "leave it out to begin at the first page",
				}
			}
			from[i] = at
		}
	}
	found, nextPage, nextFrom, more, err := n.system.Targets(ctx, id, outcome, from[0], from[1], min(max(limit, 1), maxPage))
	if err != nil {
		return page, err
	}
	page.Items = found
	if more {
		page.Next = fmt.Sprintf("%d.%d", nextPage, nextFrom)
	}
	return page, nil
}
