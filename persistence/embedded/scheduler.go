package embedded

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// scheduler lets pebble compact the rows, one compaction at a time. Pebble's own
// would repeat at once, for ever, a compaction that meets damaged bytes; this one
// holds after it, each time for longer.
type scheduler struct {
	db pebble.DBForCompaction

	mu       sync.Mutex
	calm     sync.Cond // signalled when granting ends
	running  bool
	granting bool // pebble is being asked, outside the lock
	asked    bool // somebody wants it to be asked
	ended    bool
	hold     time.Duration
	until    time.Time // no compaction begins before
	later    *time.Timer
}

func newScheduler() *scheduler {
	s := &scheduler{}
	s.calm.L = &s.mu
	return s
}

// Register implements pebble.CompactionScheduler.
func (s *scheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister implements pebble.CompactionScheduler.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.later != nil {
		s.later.Stop()
	}
	for s.granting {
		s.calm.Wait()
	}
}

// TrySchedule implements pebble.CompactionScheduler.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.granting || !s.free() {
		s.asked = true
		return false, nil
	}
	s.running = true
	return true, s
}

// free reports whether a compaction may begin now.
func (s *scheduler) free() bool { return !s.ended && !s.running && !time.Now().Before(s.until) }

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Done implements pebble.CompactionGrantHandle: a compaction ended, the next may begin.
func (s *scheduler) Done() {
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	s.grant()
}

// grant offers pebble to begin the compaction for which it was refused before.
func (s *scheduler) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	for s.asked && !s.granting && s.free() {
		// It runs before Schedule returns, and may have ended by then.
		s.asked, s.granting, s.running = false, true, true
		s.mu.Unlock()
		began := false
		if waiting, _ := s.db.GetWaitingCompaction(); waiting {
			began = s.db.Schedule(s)
		}
		s.mu.Lock()
		s.granting = false
		if !began {
			s.running = false
		}
		s.calm.Broadcast()
	}
}

// failed is told of every error of the background. It must not block.
func (s *scheduler) failed(err error) {
	if !pebble.IsCorruptionError(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = min(max(2*s.hold, damagedFirst), damagedLast)
	s.until = time.Now().Add(s.hold)
	if s.later != nil {
		s.later.Stop()
	}
	s.later = time.AfterFunc(s.hold, s.grant)
}

// succeeded is told of every compaction that ended well.
func (s *scheduler) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = 0
}

// Started, MeasureCPU and CumulativeStats implement pebble.CompactionGrantHandle.

func (s *scheduler) Started()                                          {}
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}
