package persistence

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// DamagedEvent says that the stored bytes of an event are damaged, and how that was seen.
func DamagedEvent(id string, cause error) error {
	return fmt.Errorf("%w: event %q: %w: %w", ErrUnavailable, id, ErrDamaged, cause)
}

// DamagedEvents are those that were found so by who lists many events, to go on with the
// others. Each is named in the log, once.
type DamagedEvents struct {
	Log *slog.Logger

	mu  sync.Mutex
	ids map[string]bool
}

// Leaves reports whether an error is of an event that is damaged, and so is left alone.
func (d *DamagedEvents) Leaves(id string, err error) bool {
	if !errors.Is(err, ErrDamaged) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ids[id] && len(d.ids) < maxDamaged {
		if d.ids == nil {
			d.ids = make(map[string]bool)
		}
		d.ids[id] = true
		d.Log.Error("an event is left alone, because its stored bytes are damaged; restore it from a backup", "event_id", id, "error", err)
	}
	return true
}
