package runtime

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Books returns a row for each name of an accepted message.
func (n *Node) Books(ctx context.Context) ([]workflow.BookRow, error) {
	rows, err := n.store.Books(ctx)
	if err != nil {
		return nil, n.reading(err, "")
	}
	return rows, nil
}

// Letters lists dead letters, those that died last first.
func (n *Node) Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error) {
	q.Limit = min(max(q.Limit, 1), maxPage)
	page, err := n.store.Letters(ctx, q)
	if err != nil {
		return page, n.reading(err, "")
	}
	return page, nil
}

// LetterGroups counts dead letters by what they have in common, the largest
// group first. Letters are bounded, so all of them are looked at.
func (n *Node) LetterGroups(ctx context.Context, q workflow.LetterQuery) ([]workflow.LetterGroup, error) {
	type common struct {
		cause                workflow.Cause
		kind                 workflow.MessageKind
		name, workflowFamily string
	}
	q.Limit, q.Cursor = maxPage, ""
	places := map[common]int{}
	var groups []workflow.LetterGroup
	for {
		page, err := n.Letters(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, l := range page.Items {
			key := common{l.Cause, l.Kind, l.Name, l.WorkflowID}
			at, known := places[key]
			if !known {
				at = len(groups)
				places[key] = at
				groups = append(groups, workflow.LetterGroup{Cause: l.Cause, Kind: l.Kind, Name: l.Name, WorkflowID: l.WorkflowID, Last: l.At, Latest: l})
			}
			groups[at].Count++
			groups[at].First = l.At
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	slices.SortStableFunc(groups, func(a, b workflow.LetterGroup) int { return cmp.Compare(b.Count, a.Count) })
	return groups, nil
}

// Letter returns a dead letter whole.
func (n *Node) Letter(ctx context.Context, id string) (*workflow.DeadLetter, error) {
	l, err := n.store.Letter(ctx, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, noLetter(id)
	}
	if err != nil {
		return nil, n.reading(err, "")
	}
	return l, nil
}

func noLetter(id string) *workflow.Refusal {
	return &workflow.Refusal{
		Code: workflow.CodeNoLetter, Message: "there is no dead letter " + id,
		Hint: "it was redelivered, discarded or dropped meanwhile", Details: map[string]any{"id": id},
	}
}

// Redeliver sends the message of a dead letter on its way again.
func (n *Node) Redeliver(ctx context.Context, id string, who workflow.Redeliverer) (workflow.Redelivery, error) {
	return n.system.Redeliver(ctx, id, who)
}

// RedeliverAll redelivers what a query selects, some at a time so that they share
// the syncs of the disk. A refusal of one does not stop the others; a store or a
// node that takes nothing does.
func (n *Node) RedeliverAll(ctx context.Context, q workflow.LetterQuery, who workflow.Redeliverer) (workflow.Redeliveries, error) {
	var done workflow.Redeliveries
	page, err := n.Letters(ctx, q)
	if err != nil {
		return done, err
	}
	done.More = page.Next != ""
	slices.Reverse(page.Items) // in the order in which they died
	var mu sync.Mutex
	var stop error
	for lane := range slices.Chunk(page.Items, redeliverAtOnce) {
		var wave sync.WaitGroup
		for _, l := range lane {
			wave.Go(func() {
				_, err := n.system.Redeliver(ctx, l.ID, who)
				mu.Lock()
				defer mu.Unlock()
				var refusal *workflow.Refusal
				switch {
				case err == nil:
					done.Redelivered++
				case errors.As(err, &refusal) && (workflow.Buries(refusal.Code) || refusal.Code == workflow.CodeIDReused):
					done.Refused = append(done.Refused, workflow.RefusedRedelivery{LetterID: l.ID, Code: refusal.Code, Reason: refusal.Message})
				case errors.As(err, &refusal) && refusal.Code == workflow.CodeNoLetter: // somebody else was quicker
				default:
					stop = err
				}
			})
		}
		wave.Wait()
		if stop != nil {
			return done, stop
		}
	}
	return done, nil
}

// Discard forgets a dead letter.
func (n *Node) Discard(ctx context.Context, id string) error {
	count, err := n.system.Discard(ctx, []string{id})
	if err == nil && count == 0 {
		return noLetter(id)
	}
	return err
}

// DiscardAll forgets the dead letters that a query selects.
func (n *Node) DiscardAll(ctx context.Context, q workflow.LetterQuery) (int, bool, error) {
	page, err := n.Letters(ctx, q)
	if err != nil {
		return 0, false, err
	}
	ids := make([]string, len(page.Items))
	for i, l := range page.Items {
		ids[i] = l.ID
	}
	count, err := n.system.Discard(ctx, ids)
	return count, page.Next != "", err
}

// sweepLetters forgets dead letters that are older than anybody looks at.
func (n *Node) sweepLetters(ctx context.Context) {
	for {
		forgotten, err := n.store.SweepLetters(ctx, workflow.InstantOf(time.Now()).Add(-LetterRetention), sweepBatch)
		if err != nil && ctx.Err() == nil {
			n.logger.Warn("old dead letters could not be swept; trying again later", "err", err)
		}
		if err != nil || forgotten < sweepBatch {
			return
		}
	}
}
