package embedded

import (
	"math"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// floor is an instant before which there is no timer. Timers are dropped where
// they are looked for, at the front, and what was dropped stays in the way of a
// scan for a while; the floor lets scans begin behind it.
type floor struct {
	mu       sync.Mutex
	at       workflow.Instant
	scans    int
	since    workflow.Instant // the earliest timer armed since the oldest scan began
	inFlight workflow.Instant // the earliest timer of the group that is being applied
}

const never = workflow.Instant(math.MaxInt64)

func newFloor() floor { return floor{at: math.MinInt64, since: never, inFlight: never} }

// arm says that a timer is about to be applied; armed that it is.
func (f *floor) arm(due workflow.Instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight = due
	f.since = min(f.since, due)
	f.at = min(f.at, due)
}

func (f *floor) armed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight = never
}

// begin returns where a scan may start.
func (f *floor) begin() workflow.Instant {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.scans == 0 {
		f.since = f.inFlight
	}
	f.scans++
	return f.at
}

// end says that a scan from the floor saw no timer before an instant.
func (f *floor) end(none workflow.Instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scans--
	f.at = max(f.at, min(none, f.since))
}
