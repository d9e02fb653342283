package runtime

import (
	"context"
	"fmt"
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
	return workflow.Explain(def, s, workflow.InstantOf(time.Now()), c), nil
}

// pause finds when and by whom an execution was paused, in the last records of
// its history; nothing when that is longer ago.
func (n *Node) pause(ctx context.Context, s *workflow.State) (workflow.Instant, string, error) {
	for before, pages := s.Seq, 0; before > 0 && pages < maxPausePages; pages++ {
		after := before - min(before, maxPage)
		records, err := n.store.Records(ctx, s.ExecID, after, int(before-after))
		if err != nil {
			return 0, "", err
		}
		for i := len(records) - 1; i >= 0; i-- {
			if records[i].Type != (workflow.PauseAsked{}).Kind() {
				continue
			}
			in, err := records[i].Input()
			asked, ok := in.(workflow.PauseAsked)
			if err != nil || !ok {
				return records[i].At, "", nil
			}
			return records[i].At, asked.By, nil
		}
		before = after
	}
	return 0, "", nil
}
