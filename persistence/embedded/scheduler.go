package embedded

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// scheduler lets pebble compact the rows, one compaction at a time. Pebble's own
// would repeat at once, for ever, a compaction that meets damaged bytes; this one
// holds after it, each time for longer. And pebble's own would merge everything anew
// for every few rows that were deleted, which no reader needs so soon: what pebble
// calls optional waits for a quiet moment, or for its share of a processor.
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

	optional bool      // what runs is
	began    time.Time // when it did
	flushed  time.Time // when rows were added last
	share    time.Time // an optional compaction may begin even if they are added still
}

func newScheduler() *scheduler {
	s := &scheduler{share: time.Now().Add(tidyEvery)}
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

// TrySchedule implements pebble.CompactionScheduler. It does not say which kind of
// compaction it is about, so pebble is asked for that at once.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask()
	return false, nil
}

// ask has pebble asked soon, on another goroutine: it holds its lock now.
func (s *scheduler) ask() {
	s.asked = true
	if s.free() && !s.granting {
		go s.grant()
	}
}

// free reports whether a compaction may begin now.
func (s *scheduler) free() bool { return !s.ended && !s.running && !time.Now().Before(s.until) }

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Done implements pebble.CompactionGrantHandle: a compaction ended, the next may begin.
func (s *scheduler) Done() {
	s.mu.Lock()
	s.running = false
	if s.optional {
		s.share = time.Now().Add(max(tidyEvery, tidyShare*time.Since(s.began)))
	}
	s.mu.Unlock()
	s.grant()
}

// grant offers pebble to begin the compaction that it waits with.
func (s *scheduler) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	for s.asked && !s.granting && s.free() {
		// It runs before Schedule returns, and may have ended by then.
		s.asked, s.granting, s.running = false, true, true
		s.mu.Unlock()
		waiting, what := s.db.GetWaitingCompaction()
		began := waiting && s.begin(what.Optional) && s.db.Schedule(s)
		s.mu.Lock()
		s.granting = false
		if !began {
			s.running = false
		}
		s.calm.Broadcast()
	}
	if hold := time.Until(s.until); s.asked && hold > 0 {
		s.again(hold)
	}
}

// begin notes what kind of compaction is about to begin, and reports whether it may.
func (s *scheduler) begin(optional bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.optional, s.began = optional, time.Now()
	if hold := min(tidyAfter-time.Since(s.flushed), time.Until(s.share)); optional && hold > 0 {
		s.again(hold)
		return false
	}
	return true
}

// again has pebble asked again after a while, unless the end comes first.
func (s *scheduler) again(hold time.Duration) {
	if s.later != nil {
		s.later.Stop()
	}
	if !s.ended {
		s.later = time.AfterFunc(hold, s.grant)
	}
}

// added is told that rows were added, which may make another compaction more urgent
// than the one that pebble waits with. It must not block.
func (s *scheduler) added() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushed = time.Now()
	s.ask()
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
	s.again(s.hold)
}

// succeeded is told of every compaction that ended well.
func (s *scheduler) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = 0
}

// mended is told that no damaged bytes are known any more.
func (s *scheduler) mended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold, s.until = 0, time.Time{}
	s.ask()
}

// Started, MeasureCPU and CumulativeStats implement pebble.CompactionGrantHandle.

func (s *scheduler) Started()                                          {}
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}
