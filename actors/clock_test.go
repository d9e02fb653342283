package actors

import (
	"testing"
	"time"
	"unsafe"
)

// TestAClockThatIsSetBackDelaysNoTimer: timers were fired and nobody answered, and then
// the clock of the wall was set back. They are fired again as soon as any other.
func TestAClockThatIsSetBackDelaysNoTimer(t *testing.T) {
	a := newAlarms(nil)
	for timer, ago := range map[string]time.Duration{"long ago": AlarmAgain, "just now": 0} {
		fired := time.Now().Add(-ago)
		// As the clock showed it before it was set back: there the seconds are above 30
		// bits of nanoseconds, and what nobody sets lies elsewhere.
		*(*uint64)(unsafe.Pointer(&fired)) += uint64(time.Hour/time.Second) << 30
		if ahead := fired.Round(0).Sub(time.Now().Round(0)) + ago; ahead.Round(time.Minute) != time.Hour {
			t.Fatalf("the clock was set back by %s", ahead)
		}
		a.held[timer] = fired
	}
	a.forget()
	if _, held := a.held["long ago"]; held {
		t.Error("one that was fired long ago is not fired again")
	}
	if _, held := a.held["just now"]; !held {
		t.Error("one that was fired just now is fired again")
	}
}
