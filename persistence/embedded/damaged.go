package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

func damagedEvent(id string, cause error) error {
	return fmt.Errorf("%w: event %q: %w: %w", persistence.ErrUnavailable, id, persistence.ErrDamaged, cause)
}

func damagedDocument(kind, id string) error {
	return fmt.Errorf("%w: %s %q: %w", persistence.ErrUnavailable, kind, id, persistence.ErrDamaged)
}

func decodeEvent(id string, row []byte) (*workflow.EventReceipt, error) {
	r, err := persistence.DecodeEventReceipt(row)
	if err != nil {
		return nil, damagedEvent(id, err)
	}
	r.Event.ID = id
	return r, nil
}

// damaged are the events that were found so by who lists many of them, to go on with
// the others. Each is named in the log, once.
type damaged struct {
	log *slog.Logger
	mu  sync.Mutex
	ids map[string]bool
}

// is reports whether an error is of an event that is damaged.
func (d *damaged) is(id string, err error) bool {
	if err == nil || !errors.Is(err, persistence.ErrDamaged) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ids[id] && len(d.ids) < maxDamaged {
		if d.ids == nil {
			d.ids = make(map[string]bool)
		}
		d.ids[id] = true
		d.log.Error("an event is left alone, because its stored bytes are damaged; restore it from a backup", "event_id", id, "error", err)
	}
	return true
}
