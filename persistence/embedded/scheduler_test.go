package embedded

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compacting is a pebble that always has something to compact, which takes a while
// and ends as the test says.
type compacting struct {
	turns    *scheduler
	takes    time.Duration
	optional atomic.Bool
	err      atomic.Pointer[error]
	running  atomic.Int32
	began    atomic.Int32
	most     atomic.Int32
}

func newCompacting(takes time.Duration) *compacting {
	c := &compacting{turns: newScheduler(), takes: takes}
	c.turns.Register(1, c)
	return c
}

func (c *compacting) GetAllowedWithoutPermission() int { return 1 }
func (c *compacting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return true, pebble.WaitingCompaction{Optional: c.optional.Load()}
}
func (c *compacting) Schedule(h pebble.CompactionGrantHandle) bool {
	go c.run(h)
	return true
}

func (c *compacting) run(h pebble.CompactionGrantHandle) {
	c.began.Add(1)
	c.most.Store(max(c.most.Load(), c.running.Add(1)))
	time.Sleep(c.takes)
	c.running.Add(-1)
	if err := c.err.Load(); err != nil {
		c.turns.failed(*err)
	} else {
		c.turns.succeeded()
	}
	h.Done()
	c.turns.TrySchedule() // as pebble does after every compaction
}

// during counts the compactions that begin in a while.
func (c *compacting) during(d time.Duration) int {
	before := c.began.Load()
	time.Sleep(d)
	return int(c.began.Load() - before)
}

func TestACompactionThatMeetsDamageIsRepeatedMoreAndMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompacting(time.Millisecond)
		damage := pebble.ErrCorruption
		c.err.Store(&damage)
		c.turns.TrySchedule()
		if n := c.during(10 * time.Minute); n < 10 || n > 16 {
			t.Errorf("the same damage was met %d times in ten minutes", n)
		}
		c.err.Store(nil) // the folder was restored, or what is damaged was replaced
		time.Sleep(damagedLast)
		if n := c.during(time.Second); n < 900 {
			t.Errorf("%d compactions in the second after they succeed again", n)
		}
		full := errors.New("the disk is full")
		c.err.Store(&full)
		if n := c.during(time.Second); n < 900 {
			t.Errorf("%d attempts in a second with another failure: another part holds those", n)
		}
		c.turns.Unregister()
		time.Sleep(time.Second) // what ran has ended
		c.turns.TrySchedule()
		if n := c.during(damagedLast); n != 0 || c.most.Load() != 1 {
			t.Errorf("after the end %d compactions began; at most %d ran at once", n, c.most.Load())
		}
	})
}

func TestWhatIsNotUrgentWaitsForAQuietMomentOrForItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompacting(2 * time.Second)
		c.optional.Store(true)
		var quiet atomic.Bool
		c.turns.added()
		go func() {
			for !quiet.Load() {
				c.turns.added()
				time.Sleep(tidyAfter / 4)
			}
		}()
		c.turns.TrySchedule()
		if n := c.during(tidyEvery - time.Second); n != 0 {
			t.Errorf("%d compactions that are not urgent began at once under load", n)
		}
		const rounds = 10
		if n := c.during(rounds * tidyShare * c.takes); n < rounds-1 || n > rounds {
			t.Errorf("%d compactions that are not urgent in the time of %d", n, rounds)
		}
		c.optional.Store(false) // so many layers have come that they must be merged
		if n := c.during(time.Minute); n < 28 {
			t.Errorf("%d of 30 compactions that are urgent", n)
		}
		c.optional.Store(true)
		quiet.Store(true)
		time.Sleep(tidyAfter)
		if n := c.during(time.Minute); n < 28 {
			t.Errorf("%d of 30 compactions in a quiet minute", n)
		}
		c.turns.Unregister()
		time.Sleep(c.takes)
	})
}
