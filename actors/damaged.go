package actors

import (
	"errors"
	"sync"

	"github.com/signalbox/signalbox/persistence"
)

// damaged are the events whose rows became damaged while the node runs. Each is named in
// the log, once.
type damaged struct {
	mu  sync.Mutex
	ids map[string]bool
}

// leaves reports whether an error says that an event is damaged: it is left alone then,
// because another attempt is in vain, and whoever works on many goes on with the others.
func (s *System) leaves(eventID string, err error) bool {
	if !errors.Is(err, persistence.ErrDamaged) {
		return false
	}
	d := &s.damaged
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ids[eventID] && len(d.ids) < MaxDamaged {
		if d.ids == nil {
			d.ids = make(map[string]bool)
		}
		d.ids[eventID] = true
		s.Logger.Error("an event is left alone: it cannot be read any more; restore it from a backup", "event_id", eventID, "err", err)
	}
	return true
}
