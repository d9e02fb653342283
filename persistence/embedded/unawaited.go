package embedded

import (
	"sync"
	"sync/atomic"
)

// unawaited remembers names that no open wait has, so that an event which only
// starts executions opens no iterators over waits. A reader that finds none notes
// it; the writer forgets the name when a commit that opens a wait of it has become
// visible, before anybody is told of that commit.
type unawaited struct {
	mu    sync.Mutex
	names map[string]*silence
}

// silence says of one name that there are no waits. Who looked before it was
// forgotten notes it here in vain: nobody finds it any more.
type silence struct{ keyed, unkeyed atomic.Bool }

func (u *unawaited) of(name string) *silence {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.names[name]
	if s == nil {
		if u.names == nil || len(u.names) >= maxUnawaited {
			u.names = make(map[string]*silence)
		}
		s = new(silence)
		u.names[name] = s
	}
	return s
}

func (u *unawaited) opened(names []string) {
	if len(names) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, name := range names {
		delete(u.names, name)
	}
}

// Unawaited implements persistence.Sole.
func (s *Store) Unawaited(name string) bool {
	known := s.unawaited.of(name)
	return known.keyed.Load() && known.unkeyed.Load()
}
