package actors

import (
	"context"
	"errors"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/workflow"
)

// The messages to a fan-out.
type (
	reached struct { // listener to fan-out
		deliveries []workflow.Delivery // one, or of an execution one for each wait that was asked
		invalid    bool                // it refused the payload by a schema
	}
	passed struct { // wait to fan-out: not taken by this execution
		execID string
		said   []workflow.Delivery // of each wait that was asked, where the execution remembers it
		state  *workflow.State     // nil where another node has it
	}
	twice    struct{}            // wait to fan-out: counted before
	settled  struct{ err error } // store to fan-out
	nextPage struct{}            // fan-out to itself
)

// fanout brings one event to everybody who listens: to the actor of each
// trigger of that name, and to each open wait of that name. Starting and
// delivering are idempotent - ids derive from the event - so a fan-out that a
// crash interrupts is simply done again.
type fanout struct {
	system    *System
	receipt   *workflow.EventReceipt
	was       workflow.Standing // of the event, when it was found so
	redone    bool              // an earlier fan-out may have reached somebody
	listeners []Listener
	triggers  []*actor.PID
	open      int                 // deliveries without an answer
	lookup    lookup              // of the waits
	paged     bool                // all pages were read
	invalid   int                 // listeners whose schema refused it
	missed    *workflow.State     // of the execution that passed it by last
	passes    []workflow.Delivery // waits that it passed by
	failed    bool                // something must be tried again
	settling  bool
}

// Receive implements actor.Actor.
func (f *fanout) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if f.receipt.Counts.Buffered > 0 {
			f.look(ctx)
			return
		}
		for i, pid := range f.triggers {
			f.open++
			ctx.Send(pid, triggered{listener: f.listeners[i], event: f.receipt.Event, fanout: ctx.Self()})
		}
		f.page(ctx)
	case nextPage:
		f.page(ctx)
	case reached:
		f.open--
		if m.invalid {
			f.invalid++
		}
		for _, d := range m.deliveries {
			f.note(d)
		}
	case passed:
		f.open--
		f.receipt.Counts.Add("passed")
		f.passedBy(m)
	case twice:
		f.open--
	case settled:
		f.settled(ctx, m.err)
		return
	default:
		return // it stops
	}
	f.settle(ctx)
}

// page delivers to the next open waits that the event can satisfy.
func (f *fanout) page(ctx actor.Context) {
	if f.paged || f.open > FanoutWindow/2 {
		return
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rows, done, err := f.lookup.next(background, f.system, FanoutWindow/2)
	if err != nil {
		f.system.Logger.Warn("the waits for an event cannot be read; its fan-out is done again", "event_id", f.receipt.Event.ID, "err", err)
		f.paged, f.failed = true, true
		return
	}
	if len(rows) > 0 && f.overtaken() {
		f.paged, f.settling = true, true
		f.leave(ctx)
		return
	}
	f.paged = done
	for _, row := range rows {
		f.deliver(ctx, row)
	}
}

func (f *fanout) deliver(ctx actor.Context, row workflow.WaitRow) {
	f.open++
	ev, before := f.receipt.Event, f.lookup.before
	self, root := ctx.Self(), ctx.ActorSystem().Root
	f.system.Tell(&Deliver{
		ExecID: row.ExecID,
		Input: workflow.Signalled{
			Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true,
			Signal: delivered(&ev, row.ExecID),
		},
		Reply: func(r Reply) {
			if given(&ev, before, &r) {
				root.Send(self, twice{})
				return
			}
			all := deliveriesTo(row, &r, now())
			if r.Err == nil && !r.Matched {
				root.Send(self, passed{execID: row.ExecID, said: all, state: r.State})
				return
			}
			root.Send(self, reached{deliveries: all, invalid: codeOf(r.Err) == workflow.CodePayloadInvalid})
		},
	})
}

// deliveriesTo lists what an execution did with an event, for each wait that was
// asked; nothing when the event changed nothing there.
func deliveriesTo(row workflow.WaitRow, r *Reply, at workflow.Instant) []workflow.Delivery {
	d := deliveryTo(row, at)
	switch {
	case r.Err != nil:
		d.Outcome, d.Reason = outcomeOf(r.Err), r.Err.Error()
	case len(r.Reached) > 0 || !r.Matched:
		return eachOf(d, r.Reached)
	case r.Answer.WaitID != "": // a node of the release before says no more
		d.WaitID = r.Answer.WaitID
	}
	return []workflow.Delivery{d}
}

func deliveryTo(row workflow.WaitRow, at workflow.Instant) workflow.Delivery {
	return workflow.Delivery{Kind: "wait", WorkflowID: row.WorkflowID, ExecID: row.ExecID, WaitID: row.ID, Outcome: "delivered", At: at}
}

// eachOf is the delivery to an execution, once for each wait.
func eachOf(d workflow.Delivery, waits []workflow.Reached) []workflow.Delivery {
	all := make([]workflow.Delivery, len(waits))
	for i, w := range waits {
		d.WaitID, d.Outcome, d.Reason = w.Wait, "passed", w.Reason
		switch {
		case w.Took:
			d.Outcome = "delivered"
		case w.Open:
			d.Outcome = "buffered"
		}
		all[i] = d
	}
	return all
}

// outcomeOf tells a listener that refuses for good from one to try again.
func outcomeOf(err error) string {
	if transient(err) {
		return again
	}
	return "refused"
}

// transient reports whether a refusal is about a node and not about what was sent.
func transient(err error) bool {
	switch codeOf(err) {
	case workflow.CodeStoreUnavailable, workflow.CodeStopping, workflow.CodeTimeout, workflow.CodeOverloaded:
		return true
	}
	return false
}

// codeOf is the code of a refusal, "" of any other error and of none.
func codeOf(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// again is the outcome of a delivery that must be repeated.
const again = "again"

func (f *fanout) note(d workflow.Delivery) {
	switch d.Outcome {
	case again:
		f.failed = true
		return
	case "passed": // by a wait of an execution in which another one took it
	default:
		f.receipt.Counts.Add(d.Outcome)
	}
	f.list(d)
}

// list shows a delivery in the receipt while there is room.
func (f *fanout) list(d workflow.Delivery) {
	switch {
	case d.Outcome == "passed":
		if len(f.passes) < MaxPasses {
			f.passes = append(f.passes, d)
		}
	case len(f.receipt.Deliveries) < MaxDeliveries:
		f.receipt.Deliveries = append(f.receipt.Deliveries, d)
	}
}

// settle reads on while there is more, and writes the receipt at the end.
func (f *fanout) settle(ctx actor.Context) {
	if !f.paged {
		if f.open <= FanoutWindow/2 {
			ctx.Send(ctx.Self(), nextPage{})
		}
		return
	}
	if f.open > 0 || f.settling {
		return
	}
	if f.failed {
		f.again(ctx)
		return
	}
	if f.redone {
		if err := f.recall(); err != nil {
			f.system.Logger.Warn("what an earlier fan-out of an event did cannot be read; it is done again", "event_id", f.receipt.Event.ID, "err", err)
			f.again(ctx)
			return
		}
	}
	f.settling = true
	room := MaxDeliveries - len(f.receipt.Deliveries)
	f.receipt.Deliveries = append(f.receipt.Deliveries, f.passes[:min(len(f.passes), room)]...)
	slices.SortStableFunc(f.receipt.Deliveries, func(a, b workflow.Delivery) int { return int(a.At - b.At) })
	f.conclude()
	f.write(ctx)
}

// write settles the receipt as it is now, unless somebody else has.
func (f *fanout) write(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	f.system.Store.SettleEvent(f.was, f.receipt, func(err error) { root.Send(self, settled{err: err}) })
}

// overtaken reports whether another node has fanned the event out meanwhile. The store
// refuses what an overtaken fan-out still does; this spares everybody the attempt.
func (f *fanout) overtaken() bool {
	if f.system.Peers == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	stored, err := f.system.Store.Event(ctx, f.receipt.Event.ID)
	return err == nil && stored.Standing() != f.was
}

// again leaves the event accepted; the router finds it in the store once more.
func (f *fanout) again(ctx actor.Context) {
	f.leave(ctx)
	root, router := ctx.ActorSystem().Root, f.system.router
	afterHold(func() { root.Send(router, catchUp{}) })
}

func (f *fanout) leave(ctx actor.Context) {
	ctx.Send(ctx.Parent(), fanned{eventID: f.receipt.Event.ID, by: ctx.Self()})
	ctx.Stop(ctx.Self())
}
