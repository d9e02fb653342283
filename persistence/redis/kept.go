package redis

import (
	"context"
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// KeepsEvents is false: an event and the execution that takes it are in different
// partitions, which no script changes together.
func (s *Store) KeepsEvents() bool { return false }

// ReleaseEvent finds no event that is kept.
func (s *Store) ReleaseEvent(r *workflow.EventReceipt, done func(error)) {
	done(fmt.Errorf("event %q is not kept: %w", r.Event.ID, persistence.ErrConflict))
}

// Kept lists nothing.
func (s *Store) Kept(context.Context, workflow.KeptQuery) (workflow.Page[*workflow.EventReceipt], error) {
	return workflow.Page[*workflow.EventReceipt]{}, nil
}

// Expiring lists nothing.
func (s *Store) Expiring(context.Context, workflow.Instant, *workflow.EventReceipt, int) ([]*workflow.EventReceipt, error) {
	return nil, nil
}
