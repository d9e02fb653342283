package actors

import "time"

// credit is how much of something may be had: it grows at a rate a second, up to a
// burst, and is full at first. Whoever asks it holds a lock of their own.
type credit struct {
	rate  float64
	burst float64
	left  float64
	since time.Time
}

// has reports whether there is so much of it at present.
func (c *credit) has(n float64, present time.Time) bool {
	c.left = min(c.burst, c.left+present.Sub(c.since).Seconds()*c.rate)
	c.since = present
	return c.left >= n
}

// take spends what it has.
func (c *credit) take(n float64) { c.left -= n }
