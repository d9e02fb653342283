package embedded

import (
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

func damagedDocument(kind, id string) error {
	return fmt.Errorf("%w: %s %q: %w", persistence.ErrUnavailable, kind, id, persistence.ErrDamaged)
}

func decodeEvent(id string, row []byte) (*workflow.EventReceipt, error) {
	r, err := persistence.DecodeEventReceipt(row)
	if err != nil {
		return nil, persistence.DamagedEvent(id, err)
	}
	r.Event.ID = id
	return r, nil
}
