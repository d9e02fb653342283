package chaos

import (
	"testing"
	"time"
)

// sum counts the pieces that cables held so far.
func (c *several) sum() int {
	n := int64(0)
	for i := range c.peers {
		n += c.peers[i].held.Load() + c.stores[i].held.Load()
	}
	return int(n)
}

// partition cuts, lets the load run, makes the network whole and waits until
// everybody is well, by themselves.
func (c *several) partition(t *testing.T, i int, off bool, d time.Duration, cut func()) int {
	t.Helper()
	c.partitions++
	m := c.mark(t)
	before := c.sum()
	cut()
	m.struck()
	if off {
		c.trouble(i, true)
	}
	c.alive(t, d)
	if off {
		c.readiness(t, i, false)
	}
	held := c.sum() - before
	c.held += held
	if held == 0 {
		t.Error("no cable that was cut held anything: the load did not meet the partition")
	}
	c.heal()
	c.back(t, i)
	if off {
		m.reborn(t, c.peers[i].Addr)
		return m.met(t)
	}
	return 0
}

func (c *several) heal() {
	for i := range c.peers {
		c.peers[i].heal()
		c.stores[i].heal()
	}
}

// cutPeers cuts a node off from the other nodes, both ways.
func (c *several) cutPeers(i int) {
	c.peers[i].cut(everybody, both)
	for _, other := range c.peers {
		other.cut(c.peers[i].Addr, both)
	}
}

// cutOff leaves a node alone, without Redis and without the others.
func (c *several) cutOff(t *testing.T, i, _ int) int {
	t.Helper()
	return c.partition(t, i, true, standStill, func() {
		c.cutPeers(i)
		c.stores[i].cut(everybody, both)
	})
}

// cutStore cuts a node off from the Redis and not from the others. What it sent to
// the Redis arrives there when others own its executions.
func (c *several) cutStore(t *testing.T, i, _ int) int {
	t.Helper()
	return c.partition(t, i, true, standStill, func() { c.stores[i].cut(everybody, both) })
}

// cutPair cuts a node off from one of the others; both hold their leases.
func (c *several) cutPair(t *testing.T, i, other int) int {
	t.Helper()
	return c.partition(t, i, false, standStill, func() {
		c.peers[i].cut(c.peers[other].Addr, both)
		c.peers[other].cut(c.peers[i].Addr, both)
	})
}

// cutOneWay lets nothing through from a node to one of the others, which still
// reaches it: requests do not arrive there, answers do not come back from here.
func (c *several) cutOneWay(t *testing.T, i, other int) int {
	t.Helper()
	return c.partition(t, i, false, standStill, func() { c.peers[other].cut(c.peers[i].Addr, both) })
}

// flap cuts a node off and heals it again and again, with every connection broken
// in between.
func (c *several) flap(t *testing.T, i, _ int) int {
	t.Helper()
	return c.partition(t, i, false, 0, func() {
		for range flaps {
			c.cutPeers(i)
			c.stores[i].cut(everybody, both)
			c.alive(t, flapEvery)
			c.peers[i].drop()
			c.stores[i].drop()
			c.heal()
			c.alive(t, flapEvery)
		}
	})
}

// slowDown delays whatever a node says to anybody and is told.
func (c *several) slowDown(t *testing.T, i, _ int) int {
	t.Helper()
	return c.partition(t, i, false, standStill/2, func() {
		c.peers[i].slow(slowBy)
		c.stores[i].slow(slowBy)
	})
}
