package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// broadcaster works on one broadcast. Whatever it has done is in the store before
// it goes on, in an order in which nothing is sent before it is written down to
// whom: page after page of targets while it matches, and when all are known, page
// after page their outcomes. A page that a crash interrupted is delivered again;
// the ids of the signals make that harmless and the outcomes the same.
type broadcaster struct {
	system   *System
	ctx      context.Context // ends with the node
	state    workflow.Broadcast
	stored   []byte        // its document, which nobody else may have replaced when it is
	canceled chan string   // somebody asks for the end, with a reason
	ended    chan struct{} // closed when nothing more happens

	ending bool // it was asked to end
	reason string
}

func (r *broadcaster) cancel(reason string) {
	if !r.ending {
		r.ending, r.reason = true, reason
	}
}

// over reports whether there is nothing to do any more now.
func (r *broadcaster) over() bool {
	select {
	case reason := <-r.canceled:
		r.cancel(reason)
	default:
	}
	return r.ending || r.ctx.Err() != nil || r.state.State.Final() || !r.system.here(r.state.ID)
}

// run waits for its turn and works until the end.
func (r *broadcaster) run(places chan struct{}) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case reason := <-r.canceled:
		r.cancel(reason)
	case <-r.ctx.Done():
		return
	}
	if !r.over() && r.state.Payload == nil {
		r.try("its payload cannot be read", func(ctx context.Context) error {
			body, err := r.system.Store.Document(ctx, payloadKind, r.state.ID)
			if errors.Is(err, persistence.ErrNotFound) {
				return nil // it has none
			}
			r.state.Payload = body
			return err
		})
	}
	for !r.over() && !r.endedElsewhere() {
		if r.state.State == workflow.BroadcastMatching {
			r.match()
		} else {
			r.page()
		}
	}
	for r.ending && !r.state.State.Final() && r.ctx.Err() == nil {
		r.finish(workflow.BroadcastCanceled, r.reason)
	}
}

// endedElsewhere reports whether another node has canceled the broadcast, and takes
// over what is stored. A node by itself need not ask again.
func (r *broadcaster) endedElsewhere() bool {
	if r.system.Peers != nil || r.stored == nil {
		r.try("it cannot be read", r.reread)
	}
	return r.over() // a node that ends may not have read it
}

// reread takes over what is stored. What another node has written since counts: it
// has canceled the broadcast, or it was the owner and has got further.
func (r *broadcaster) reread(ctx context.Context) error {
	stored, body, err := r.system.storedBroadcast(ctx, r.state.ID)
	if err != nil {
		return err
	}
	if stored == nil { // it was ended and forgotten
		r.ending, r.state.State = false, workflow.BroadcastCanceled
		return nil
	}
	stored.Payload = r.state.Payload
	r.state, r.stored = *stored, body
	return nil
}

// try does something with the store again and again until it succeeds: a
// broadcast outlives a store that is away. It gives up only with the node; one that
// is to end still has to write that down.
func (r *broadcaster) try(what string, do func(context.Context) error) {
	for hold := RedeliverAfter; r.ctx.Err() == nil; hold = min(2*hold, RedeliverMost) {
		ctx, cancel := context.WithTimeout(r.ctx, storeTimeout)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		if r.ctx.Err() == nil {
			r.system.Logger.Warn("a broadcast cannot go on: "+what+"; trying again", "broadcast_id", r.state.ID, "err", err)
		}
		r.hold(hold)
	}
}

// match writes down the next targets.
func (r *broadcaster) match() {
	b := &r.state
	q := b.Filter.Query()
	q.Limit, q.Cursor = targetsPage, b.Cursor
	var targets []workflow.Target
	r.try("the executions cannot be listed", func(ctx context.Context) error {
		page, err := r.system.Store.Executions(ctx, q)
		if err != nil {
			return err
		}
		targets = targets[:0]
		for _, s := range page.Items {
			if b.Filter.Selects(s) {
				targets = append(targets, workflow.Target{ExecID: s.ExecID})
			}
		}
		q.Cursor = page.Next
		return nil
	})
	if r.over() {
		return
	}
	b.Cursor = q.Cursor
	for some := range slices.Chunk(targets, r.pageSize()) {
		r.write(b.Pages, some)
		b.Pages++
		b.Matched += len(some)
	}
	switch {
	case b.Matched > workflow.MaxTargets:
		r.finish(workflow.BroadcastFailed, b.Filter.TooMany())
	case b.Cursor == "" && b.Pages == 0:
		r.finish(workflow.BroadcastDone, "")
	case b.Cursor == "":
		b.State = workflow.BroadcastDelivering
		r.save()
	default:
		r.save()
	}
}

// pageSize is how many targets get their signals at once and are written down
// together: about a second's worth, so that progress is seen, and a bound.
func (r *broadcaster) pageSize() int { return min(max(r.state.Rate, 10), targetsPage) }

// page delivers to the next page of targets, those that have no outcome yet.
func (r *broadcaster) page() {
	b := &r.state
	var targets []workflow.Target
	r.try("its targets cannot be read", func(ctx context.Context) (err error) {
		targets, err = r.system.readTargets(ctx, b.ID, b.Next)
		return err
	})
	if r.over() {
		return
	}
	began := time.Now()
	sent := r.deliver(targets)
	if r.ctx.Err() != nil {
		return // answers may be missing; the page is done again
	}
	r.write(b.Next, targets)
	for i := range targets {
		b.Count(&targets[i])
	}
	if r.ending {
		return
	}
	b.Next++
	if b.Next == b.Pages {
		r.finish(workflow.BroadcastDone, "")
		return
	}
	r.save()
	r.hold(time.Duration(sent)*time.Second/time.Duration(b.Rate) - time.Since(began))
}

// hold waits, or less when the context ends or somebody cancels.
func (r *broadcaster) hold(d time.Duration) {
	if d <= 0 || r.ending {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	case reason := <-r.canceled:
		r.cancel(reason)
	}
}

// deliver sends the signal to targets without an outcome, all at once, and again
// to those whose answer is not known. It returns how many it sent.
func (r *broadcaster) deliver(targets []workflow.Target) int {
	var open []*workflow.Target
	for i := range targets {
		if targets[i].Outcome == "" {
			open = append(open, &targets[i])
		}
	}
	sent := len(open)
	for hold := RedeliverAfter; len(open) > 0 && r.ctx.Err() == nil; hold = min(2*hold, RedeliverMost) {
		open = r.round(open)
		if len(open) > 0 {
			r.hold(hold)
			if r.ending {
				return sent - len(open)
			}
		}
	}
	return sent
}

// round sends to each target once and returns those to try again.
func (r *broadcaster) round(open []*workflow.Target) []*workflow.Target {
	type answer struct {
		target *workflow.Target
		reply  Reply
	}
	answers := make(chan answer, len(open))
	for _, t := range open {
		at := now()
		r.system.Tell(&Deliver{
			ExecID: t.ExecID, Input: workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: r.state.Signal(t.ExecID, at)},
			Reply: func(reply Reply) { answers <- answer{t, reply} },
		})
	}
	var again []*workflow.Target
	for range open {
		var a answer
		select {
		case a = <-answers:
		case <-r.ctx.Done():
			return nil // the page is done again
		}
		if !settle(a.target, a.reply) {
			again = append(again, a.target)
			continue
		}
		r.system.Observer.Signal(a.target.Outcome)
	}
	return again
}

// settle notes what became of a target's signal; false when it must be sent again.
func settle(t *workflow.Target, reply Reply) bool {
	if reply.Err == nil {
		t.Outcome, t.Reason, t.WaitID = string(reply.Answer.Outcome), reply.Answer.Reason, reply.Answer.WaitID
		return true
	}
	var refusal *workflow.Refusal
	if !errors.As(reply.Err, &refusal) {
		t.Outcome, t.Reason = workflow.TargetFailed, reply.Err.Error()
		return true
	}
	switch {
	case transient(refusal):
		return false
	case refusal.Code == workflow.CodeQuarantined:
		t.Outcome = workflow.TargetFailed
	default:
		t.Outcome = workflow.TargetRefused
	}
	t.Code, t.Reason = refusal.Code, refusal.Message
	return true
}

// write keeps a page of targets.
func (r *broadcaster) write(page int, targets []workflow.Target) {
	body := workflow.ValueOf(targets)
	r.try("its targets cannot be written", func(ctx context.Context) error {
		return r.system.Store.PutDocument(ctx, targetsKind, pageID(r.state.ID, page), body)
	})
}

// save keeps where the broadcast stands.
func (r *broadcaster) save() {
	r.state.UpdatedAt = now()
	body := workflow.ValueOf(r.state)
	r.try("its progress cannot be written", func(ctx context.Context) error {
		err := r.system.Store.ReplaceDocument(ctx, broadcastKind, r.state.ID, r.stored, body)
		switch {
		case err == nil:
			r.stored = body
		case errors.Is(err, persistence.ErrConflict):
			// By another node, or by an attempt of ours whose answer was lost.
			return r.reread(ctx)
		}
		return err
	})
}

// finish ends the broadcast.
func (r *broadcaster) finish(state workflow.BroadcastState, reason string) {
	r.state.State, r.state.Reason, r.state.FinishedAt = state, reason, now()
	r.save()
}
