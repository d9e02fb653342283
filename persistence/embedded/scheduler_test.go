package embedded

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compacting is a pebble that always has something to compact, which takes a
// millisecond and ends as the test says.
type compacting struct {
	turns   *scheduler
	err     atomic.Pointer[error]
	running atomic.Int32
	began   atomic.Int32
	most    atomic.Int32
}

func (c *compacting) GetAllowedWithoutPermission() int { return 1 }
func (c *compacting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return true, pebble.WaitingCompaction{}
}
func (c *compacting) Schedule(h pebble.CompactionGrantHandle) bool {
	go c.run(h)
	return true
}

func (c *compacting) run(h pebble.CompactionGrantHandle) {
	c.began.Add(1)
	c.most.Store(max(c.most.Load(), c.running.Add(1)))
	time.Sleep(time.Millisecond)
	c.running.Add(-1)
	if err := c.err.Load(); err != nil {
		c.turns.failed(*err)
	} else {
		c.turns.succeeded()
	}
	h.Done()
	if ok, h := c.turns.TrySchedule(); ok { // as pebble does after every compaction
		c.run(h)
	}
}

func TestACompactionThatMeetsDamageIsRepeatedMoreAndMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &compacting{turns: newScheduler()}
		c.turns.Register(1, c)
		damage := pebble.ErrCorruption
		c.err.Store(&damage)
		ok, h := c.turns.TrySchedule()
		if !ok {
			t.Fatal("the first compaction was refused")
		}
		go c.run(h)
		time.Sleep(10 * time.Minute)
		if n := c.began.Load(); n < 10 || n > 16 {
			t.Errorf("the same damage was met %d times in ten minutes", n)
		}
		c.err.Store(nil) // the folder was restored, or what is damaged was replaced
		time.Sleep(damagedLast)
		before := c.began.Load()
		time.Sleep(time.Second)
		if n := c.began.Load() - before; n < 900 {
			t.Errorf("%d compactions in the second after they succeed again", n)
		}
		full := errors.New("the disk is full")
		c.err.Store(&full)
		before = c.began.Load()
		time.Sleep(time.Second)
		if n := c.began.Load() - before; n < 900 {
			t.Errorf("%d attempts in a second with another failure: another part holds those", n)
		}
		c.turns.Unregister()
		time.Sleep(time.Second) // what ran has ended
		if ok, _ := c.turns.TrySchedule(); ok || c.most.Load() != 1 {
			t.Errorf("after the end a compaction began: %t; at most %d ran at once", ok, c.most.Load())
		}
	})
}
