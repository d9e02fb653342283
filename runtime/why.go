package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Why says what an execution waits for, as it is durable.
func (n *Node) Why(ctx context.Context, execID string) (*workflow.Why, error) {
	snapshot, err := n.store.Load(ctx, execID)
	if err != nil {
		return nil, n.reading(err, execID)
	}
	s := snapshot.State
	var c workflow.Circumstance
	def, err := n.catalog.Version(s.Definition)
	switch cause, ill := n.system.Quarantined(execID); {
	case s.Status.Finished():
	case ill:
		c.Quarantine = cause
	case err != nil:
		c.Quarantine = fmt.Sprintf("its definition %s cannot be compiled: %v", s.Definition, err)
	case s.Paused:
		if c.PausedAt, c.PausedBy, err = n.pause(ctx, s); err != nil {
			return nil, n.reading(err, execID)
		}
	}
	if c.Told, err = n.told(ctx, s); err != nil {
		return nil, n.reading(err, execID)
	}
	return workflow.Explain(def, s, workflow.InstantOf(time.Now()), c), nil
}

// pause finds when and by whom an execution was paused, in the last records of
// its history; nothing when that is longer ago.
func (n *Node) pause(ctx context.Context, s *workflow.State) (since workflow.Instant, who string, err error) {
	err = n.lookBack(ctx, s, func(r *workflow.Record) bool {
		if r.Type != (workflow.PauseAsked{}).Kind() {
			return true
		}
		since = r.At
		if in, err := r.Input(); err == nil {
			if asked, ok := in.(workflow.PauseAsked); ok {
				who = asked.By
			}
		}
		return false
	})
	return since, who, err
}

// told finds what its history says of the open waits of an execution: their
// reminders that came, and how their deadlines moved.
func (n *Node) told(ctx context.Context, s *workflow.State) (all []workflow.Record, err error) {
	if len(s.Waits) == 0 || s.Status.Finished() {
		return nil, nil
	}
	since := s.Waits[0].OpenedAt // the oldest comes first
	err = n.lookBack(ctx, s, func(r *workflow.Record) bool {
		if r.OfWaits() {
			all = append(all, *r)
		}
		return r.At >= since
	})
	slices.Reverse(all)
	return all, err
}

// lookBack gives the last records of a history to each, the youngest first,
// until it has seen enough.
func (n *Node) lookBack(ctx context.Context, s *workflow.State, each func(*workflow.Record) (more bool)) error {
	for before, pages := s.Seq, 0; before > 0 && pages < maxWhyPages; pages++ {
		after := before - min(before, maxPage)
		records, err := n.store.Records(ctx, s.ExecID, after, int(before-after))
		if err != nil {
			return err
		}
		for i := len(records) - 1; i >= 0; i-- {
			if !each(&records[i]) {
				return nil
			}
		}
		before = after
	}
	return nil
}
