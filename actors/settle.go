package actors

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// conclude says what became of an event that everybody has been asked about. One
// that nobody took is kept when its sender gave it time.
func (f *fanout) conclude() {
	r, at := f.receipt, now()
	switch {
	case r.Counts.Buffered > 0:
		r.Fate, r.Reason = workflow.FateAccepted, undecided(r.Counts.Buffered)
		return
	case r.Counts.Started+r.Counts.Delivered > 0:
		r.Fate, r.Reason = workflow.FateConsumed, ""
	case r.Event.ExpiresAt != 0:
		r.Fate = workflow.FateBuffered
		r.Reason = f.why() + "; it is kept until " + r.Event.ExpiresAt.String() + " for the first wait that opens for it"
	default:
		r.Fate, r.Reason = workflow.FateDead, f.why()
		f.bury()
		return
	}
	if n := len(r.Steps); r.Fate == workflow.FateBuffered && n > 0 && r.Steps[n-1].What == string(r.Fate) {
		return // it was kept before, and a wait that looked at it did not take it
	}
	r.Steps = append(r.Steps, workflow.Step{At: at, What: string(r.Fate), Reason: r.Reason})
}

func undecided(waits int) string { return fmt.Sprintf("waits that have yet to decide: %d", waits) }

// why says why nobody took the event.
func (f *fanout) why() string {
	c := f.receipt.Counts
	switch {
	case c.Refused+c.Failed+c.Ignored > 0:
		return "every listener refused it"
	case c.Passed > 0:
		return fmt.Sprintf("%d executions with an open wait of that name did not take it", c.Passed)
	}
	return fmt.Sprintf("no trigger and no open wait listens for %q", f.receipt.Event.Name)
}

// passedBy lists the waits of an execution that did not take the event, and why.
func (f *fanout) passedBy(m passed) {
	s := m.state
	if s != nil {
		f.missed = s
	}
	for _, d := range m.said {
		f.list(d)
	}
	if len(m.said) > 0 || len(f.passes) >= MaxPasses {
		return
	}
	if s == nil {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		snapshot, err := f.system.Store.Load(ctx, m.execID)
		if err != nil {
			return // it is counted all the same
		}
		s, f.missed = snapshot.State, snapshot.State
	}
	def, err := f.system.Catalog.Version(s.Definition)
	if err != nil {
		return // it is counted all the same
	}
	at := now()
	in := workflow.Signalled{Stamp: workflow.Stamp{At: at}, OnlyIfMatched: true, Signal: delivered(&f.receipt.Event, s.ExecID)}
	opinions, err := workflow.Opinions(def, s, in)
	if err != nil {
		return // and quarantined by whoever acts on it
	}
	for _, o := range opinions[:min(len(opinions), MaxPasses-len(f.passes))] {
		if o.Reason == "" {
			continue // it would take it now: the execution was started by this very event, or has changed
		}
		f.passes = append(f.passes, workflow.Delivery{
			Kind: "wait", WorkflowID: s.WorkflowID, ExecID: s.ExecID, WaitID: o.Wait, Outcome: "passed", Reason: o.Reason, At: at,
		})
	}
}

// settled goes on when the receipt is written.
func (f *fanout) settled(ctx actor.Context, err error) {
	r := f.receipt
	if errors.Is(err, persistence.ErrFull) {
		r.Fate, r.Cause = workflow.FateDead, workflow.CauseBufferFull
		r.Reason = fmt.Sprintf("the node keeps %d events already and no more; %s", workflow.MaxKept, f.why())
		r.Steps[len(r.Steps)-1] = workflow.Step{At: now(), What: string(r.Fate), Reason: r.Reason}
		f.write(ctx)
		return
	}
	if errors.Is(err, persistence.ErrConflict) {
		f.again(ctx) // in vain: another node has fanned it out meanwhile, and its receipt is the one that counts
		return
	}
	if f.system.damaged.Leaves(r.Event.ID, err) {
		f.leave(ctx)
		return
	}
	if err != nil {
		f.system.Logger.Warn("the receipt of an event could not be settled; its fan-out is done again", "event_id", r.Event.ID, "err", err)
		if r.Fate == workflow.FateBuffered {
			// Should only the answer be lost, it is kept and no open event any more.
			f.system.keeper.kept(&r.Event)
		}
		f.again(ctx)
		return
	}
	if r.Fate != workflow.FateAccepted {
		f.system.Observer.Event(string(r.Fate))
	}
	if r.Fate == workflow.FateBuffered {
		f.system.keeper.kept(&r.Event)
	}
	f.system.notify(workflow.EventKey(r.Event.ID))
	f.leave(ctx)
}

// recall adds the waits that an earlier fan-out reached: they have closed, so
// this one did not find them, but the executions remember what they took.
func (f *fanout) recall() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	known := make(map[string]bool, len(f.receipt.Deliveries))
	for _, d := range f.receipt.Deliveries {
		known[d.ExecID] = d.Kind == "wait"
	}
	taken := 0
	for r, err := range f.system.told(ctx, f.receipt.Event.ID) {
		if err != nil {
			return err
		}
		if r.Fate != workflow.FateConsumed {
			continue
		}
		reached := r.Reached(nil)
		for _, w := range reached {
			if w.Took {
				taken++
			}
		}
		if known[r.ExecID] || len(f.receipt.Deliveries) >= MaxDeliveries {
			continue
		}
		d := workflow.Delivery{Kind: "wait", WorkflowID: f.workflowOf(ctx, r.ExecID), ExecID: r.ExecID, At: r.At}
		for _, d := range eachOf(d, reached) {
			f.list(d)
		}
	}
	// A wait that took it and goes on, because its processor works on it, has no
	// receipt that says so yet.
	f.receipt.Counts.Delivered = max(f.receipt.Counts.Delivered, taken)
	return nil
}

// told walks over the receipts that an event has at executions, in the order of their
// ids; an error is the last that it gives.
func (s *System) told(ctx context.Context, eventID string) iter.Seq2[*workflow.Receipt, error] {
	return func(yield func(*workflow.Receipt, error) bool) {
		for after := ""; ; {
			page, err := s.Store.Receipts(ctx, eventID, after, FanoutWindow)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for i := range page {
				if page[i].Source == workflow.FromEvent && !yield(&page[i], nil) {
					return
				}
			}
			after = page[len(page)-1].ExecID
		}
	}
}

// workflowOf is the workflow of an execution, "" when that cannot be read.
func (f *fanout) workflowOf(ctx context.Context, execID string) string {
	snapshot, err := f.system.Store.Load(ctx, execID)
	if err != nil {
		return ""
	}
	return snapshot.State.WorkflowID
}
