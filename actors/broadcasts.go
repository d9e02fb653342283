package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The kinds of the documents that a broadcast is kept in: where it stands, its
// payload, and pages of its targets under its id, a slash and their number.
const (
	broadcastKind = "broadcast"
	payloadKind   = "broadcast.payload"
	targetsKind   = "broadcast.targets"
)

// broadcasts are the broadcasts of one node. Each that is not finished has a
// goroutine, which alone writes its documents; BroadcastsAtOnce of them work and
// the others wait for their turn.
type broadcasts struct {
	system *System
	places chan struct{} // a token for each that works
	ctx    context.Context
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu   sync.Mutex // one creation at a time
	open map[string]*broadcaster
}

func newBroadcasts(s *System) *broadcasts {
	b := &broadcasts{system: s, places: make(chan struct{}, BroadcastsAtOnce), open: make(map[string]*broadcaster)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// resume goes on with what a crash or a stop interrupted. In a cluster it also
// looks now and then for what other nodes accepted or left behind.
func (b *broadcasts) resume(ctx context.Context) error {
	if b.system.Peers != nil {
		b.ended.Go(func() {
			ticker := time.NewTicker(LookForBroadcasts)
			defer ticker.Stop()
			for {
				select {
				case <-b.ctx.Done():
					return
				case <-ticker.C:
				}
				if err := b.look(b.ctx); err != nil && b.ctx.Err() == nil {
					b.system.Logger.Warn("the broadcasts cannot be read; trying again later", "err", err)
				}
			}
		})
	}
	return b.look(ctx)
}

// look runs the broadcasts that are ours and that nobody works on.
func (b *broadcasts) look(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := b.list(ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		if !one.State.Final() && b.open[one.ID] == nil && b.system.here(one.ID) {
			b.run(one)
		}
	}
	return nil
}

// close interrupts all of them; they go on at the next start.
func (b *broadcasts) close() {
	b.stop()
	b.ended.Wait()
}

// list reads all broadcasts, by id, without their payloads.
func (b *broadcasts) list(ctx context.Context) ([]*workflow.Broadcast, error) {
	var all []*workflow.Broadcast
	for after := ""; ; {
		docs, err := b.system.Store.Documents(ctx, broadcastKind, after, RecoverBatch)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			after = doc.ID
			one, err := decodeBroadcast(doc.ID, doc.Body)
			if err != nil {
				b.system.Logger.Error("a broadcast cannot be read", "broadcast_id", doc.ID, "err", err)
				continue // it must not keep the others from going on
			}
			all = append(all, one)
		}
		if len(docs) < RecoverBatch {
			return all, nil
		}
	}
}

func decodeBroadcast(id string, body []byte) (*workflow.Broadcast, error) {
	one := new(workflow.Broadcast)
	if err := json.Unmarshal(body, one); err != nil {
		return nil, fmt.Errorf("the document of broadcast %q is damaged: %w", id, err)
	}
	return one, nil
}

// run gives a broadcast its goroutine, with the lock held.
func (b *broadcasts) run(one *workflow.Broadcast) *broadcaster {
	r := &broadcaster{system: b.system, ctx: b.ctx, state: *one, canceled: make(chan string, 1), ended: make(chan struct{})}
	b.open[one.ID] = r
	b.ended.Go(func() {
		defer func() {
			b.mu.Lock()
			delete(b.open, one.ID)
			b.mu.Unlock()
			close(r.ended)
		}()
		r.run(b.places)
	})
	return r
}

// Broadcast begins a broadcast; it is durable when this returns. The same id with
// the same content gives the one that is known.
func (s *System) Broadcast(ctx context.Context, one workflow.Broadcast) (*workflow.Broadcast, bool, error) {
	b := s.broadcasts
	if s.stopping.Load() {
		return nil, false, stopping()
	}
	one.Identify()
	one.State = workflow.BroadcastMatching
	b.mu.Lock()
	defer b.mu.Unlock()
	first, err := s.ReadBroadcast(ctx, one.ID)
	if err != nil {
		return nil, false, err
	}
	if first != nil {
		if first.Digest != one.Digest {
			return nil, false, &workflow.Refusal{
				Code:    workflow.CodeIDReused,
				Message: fmt.Sprintf("broadcast_id %q was used before with another filter, name or payload", one.ID),
				Hint:    "use a new broadcast_id for a new broadcast; nothing was sent",
				Details: map[string]any{"broadcast_id": one.ID, "first_digest": first.Digest, "this_digest": one.Digest},
			}
		}
		return first, true, nil
	}
	if len(b.open) >= MaxBroadcasts {
		return nil, false, &workflow.Refusal{
			Code:    workflow.CodeOverloaded,
			Message: fmt.Sprintf("%d broadcasts are under way, and no more are taken; nothing was sent", len(b.open)),
			Hint:    "send it again when some have finished, or cancel one", RetryAfter: unavailableRetryAfter,
		}
	}
	if one.Payload != nil {
		if err := s.Store.PutDocument(ctx, payloadKind, one.ID, one.Payload); err != nil {
			return nil, false, unavailable(err)
		}
	}
	switch err := s.Store.ReplaceDocument(ctx, broadcastKind, one.ID, nil, workflow.ValueOf(one)); {
	case errors.Is(err, persistence.ErrConflict):
		return nil, false, &workflow.Refusal{
			Code: workflow.CodeTimeout, Message: fmt.Sprintf("another node is just taking broadcast_id %q", one.ID),
			Hint: "send it again with the same id: if it has the same content you get the one that is known", RetryAfter: unavailableRetryAfter,
		}
	case err != nil:
		return nil, false, unavailable(err)
	}
	if s.here(one.ID) {
		b.run(&one)
	}
	return &one, false, nil
}

// ReadBroadcast returns where a broadcast stands, nil when there is none.
func (s *System) ReadBroadcast(ctx context.Context, id string) (*workflow.Broadcast, error) {
	one, _, err := s.storedBroadcast(ctx, id)
	return one, err
}

// storedBroadcast is ReadBroadcast with the document that is replaced by what is made of it.
func (s *System) storedBroadcast(ctx context.Context, id string) (*workflow.Broadcast, []byte, error) {
	body, err := s.Store.Document(ctx, broadcastKind, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, unreadable(err)
	}
	one, err := decodeBroadcast(id, body)
	return one, body, err
}

// ListBroadcasts returns the broadcasts that are kept, the youngest first.
func (s *System) ListBroadcasts(ctx context.Context) ([]*workflow.Broadcast, error) {
	all, err := s.broadcasts.list(ctx)
	slices.SortStableFunc(all, func(a, b *workflow.Broadcast) int { return int(b.CreatedAt - a.CreatedAt) })
	return all, err
}

// CancelBroadcast ends a broadcast: who has not got the signal yet does not get it.
func (s *System) CancelBroadcast(ctx context.Context, id, reason string) (*workflow.Broadcast, error) {
	s.broadcasts.mu.Lock()
	r := s.broadcasts.open[id]
	s.broadcasts.mu.Unlock()
	if r != nil {
		select {
		case r.canceled <- reason:
		default: // somebody else has just asked for it
		}
		select {
		case <-r.ended:
		case <-ctx.Done():
			return nil, timedOut(ctx.Err())
		}
	}
	one, body, err := s.storedBroadcast(ctx, id)
	for r == nil && err == nil && one != nil && !one.State.Final() {
		// Another node works on it. It writes where it stands only on what it knows, so
		// it meets this at its next page; what it writes meanwhile is read again here.
		one.State, one.Reason, one.FinishedAt = workflow.BroadcastCanceled, reason, now()
		one.UpdatedAt = one.FinishedAt
		written := s.Store.ReplaceDocument(ctx, broadcastKind, id, body, workflow.ValueOf(*one))
		switch {
		case written == nil:
			return one, nil
		case !errors.Is(written, persistence.ErrConflict):
			return nil, unavailable(written)
		}
		one, body, err = s.storedBroadcast(ctx, id)
	}
	if err != nil || one == nil || one.State == workflow.BroadcastCanceled {
		return one, err
	}
	return nil, &workflow.Refusal{
		Code: workflow.CodeWrongStatus, Message: fmt.Sprintf("broadcast %q is %s and cannot be canceled", id, one.State),
		Hint: "look at its results", Details: map[string]any{"broadcast_id": id, "state": one.State},
	}
}

// CountTargets returns how many live executions a filter selects, at most one more
// than a broadcast may have, and the first few of them.
func (s *System) CountTargets(ctx context.Context, f workflow.Filter) (matched int, sample []string, err error) {
	q := f.Query()
	q.Limit = targetsPage
	for {
		page, err := s.Store.Executions(ctx, q)
		if err != nil {
			return 0, nil, err
		}
		for _, state := range page.Items {
			if !f.Selects(state) {
				continue
			}
			if matched++; matched <= MaxSample {
				sample = append(sample, state.ExecID)
			}
		}
		if page.Next == "" || matched > workflow.MaxTargets {
			return min(matched, workflow.MaxTargets+1), sample, nil
		}
		q.Cursor = page.Next
	}
}

// pageID is the id of the document of one page of targets.
func pageID(broadcast string, page int) string { return fmt.Sprintf("%s/%08d", broadcast, page) }

// Targets returns up to limit targets of a broadcast that have that outcome ("":
// all), from a page and a place in it on, and where to go on; more is false at the end.
func (s *System) Targets(ctx context.Context, id, outcome string, page, from, limit int) (found []workflow.Target, nextPage, nextFrom int, more bool, err error) {
	for {
		targets, err := s.readTargets(ctx, id, page)
		if errors.Is(err, persistence.ErrNotFound) {
			return found, 0, 0, false, nil
		}
		if err != nil {
			return nil, 0, 0, false, unreadable(err)
		}
		for i := from; i < len(targets); i++ {
			if outcome != "" && targets[i].Outcome != outcome && !(outcome == TargetPending && targets[i].Outcome == "") {
				continue
			}
			if len(found) == limit {
				return found, page, i, true, nil
			}
			found = append(found, targets[i])
		}
		page, from = page+1, 0
	}
}

// TargetPending stands for the outcome of a target that has none yet.
const TargetPending = "pending"

func (s *System) readTargets(ctx context.Context, id string, page int) ([]workflow.Target, error) {
	body, err := s.Store.Document(ctx, targetsKind, pageID(id, page))
	if err != nil {
		return nil, err
	}
	var targets []workflow.Target
	if err := json.Unmarshal(body, &targets); err != nil {
		return nil, fmt.Errorf("page %d of the targets of broadcast %q is damaged: %w", page, id, err)
	}
	return targets, nil
}

// SweepBroadcasts forgets broadcasts that finished before the instant, and the
// oldest of more than MaxBroadcastsKept.
func (s *System) SweepBroadcasts(ctx context.Context, before workflow.Instant) error {
	all, err := s.ListBroadcasts(ctx)
	if err != nil {
		return err
	}
	for i, one := range all {
		if one.State.Final() && (one.FinishedAt < before || i >= MaxBroadcastsKept) {
			if err := s.forgetBroadcast(ctx, one.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetBroadcast drops the broadcast last: what a crash leaves is found again.
func (s *System) forgetBroadcast(ctx context.Context, id string) error {
	for {
		docs, err := s.Store.Documents(ctx, targetsKind, id+"/", targetsPage)
		if err != nil {
			return err
		}
		dropped := 0
		for _, doc := range docs {
			if !strings.HasPrefix(doc.ID, id+"/") {
				break
			}
			if err := s.Store.PutDocument(ctx, targetsKind, doc.ID, nil); err != nil {
				return err
			}
			dropped++
		}
		if dropped == 0 {
			break
		}
	}
	return errors.Join(s.Store.PutDocument(ctx, payloadKind, id, nil), s.Store.PutDocument(ctx, broadcastKind, id, nil))
}
