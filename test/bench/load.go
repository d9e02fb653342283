package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measured is what a closed loop of requests came to.
type measured struct {
	requests  int
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

// perSecond is the rate.
func (m measured) perSecond() float64 { return float64(m.requests) / m.elapsed.Seconds() }

// add counts another closed loop in.
func (m *measured) add(o measured) {
	m.requests += o.requests
	m.elapsed += o.elapsed
	m.latencies = append(m.latencies, o.latencies...)
	slices.Sort(m.latencies)
}

// at returns the latency below which p percent of the requests lie.
func (m measured) at(p float64) time.Duration { return quantile(m.latencies, p) }

// quantile returns the value below which p percent of sorted values lie.
func quantile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p/100))]
}

// closedLoop makes n requests over all connections of the pool, each sending
// the next one after the answer to the last. one makes request number i on a
// connection; conn is that connection's place in the pool.
func closedLoop(p pool, n int, one func(w *wire, conn, i int) error) (measured, error) {
	var next atomic.Int64
	var once sync.Once
	var failed error
	latencies := make([][]time.Duration, len(p))
	var group sync.WaitGroup
	begun := time.Now()
	for conn, w := range p {
		group.Go(func() {
			own := make([]time.Duration, 0, 2*n/len(p))
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					break
				}
				sent := time.Now()
				if err := one(w, conn, i); err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(n)) // the others need not go on
					break
				}
				own = append(own, time.Since(sent))
			}
			latencies[conn] = own
		})
	}
	group.Wait()
	m := measured{requests: n, elapsed: time.Since(begun), latencies: slices.Concat(latencies...)}
	slices.Sort(m.latencies)
	return m, failed
}
