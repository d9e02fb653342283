package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"
)

// heap is how this process uses memory for what it allocates. Under load it may
// grow between two collections by far more than lives in it, where Go's own rule
// would collect a small heap many times a second; a heap that is larger than
// its room follows Go's rule. At rest it follows that rule, too, and what a load has
// left behind is given back. Whoever sets GOGC decides on the growth instead;
// GOMEMLIMIT holds in both cases.
type heap struct {
	most    uint64 // that the room may be
	resting atomic.Bool
}

func newHeap(getenv func(string) string) *heap {
	h := &heap{most: min(heapRoom, machineMemory()/heapShare)}
	if getenv("GOGC") != "" {
		return h
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	last := leastGrowth
	afterCollection(func() {
		metrics.Read(live)
		percent := leastGrowth
		if !h.resting.Load() {
			percent = growth(live[0].Value.Uint64(), h.room(live[1].Value.Uint64()))
		}
		// Each setting stops the world for a moment, so small changes are left.
		if d := percent - last; d > last/8 || -d > last/8 {
			debug.SetGCPercent(percent)
			last = percent
		}
	})
	return h
}

// room is how much garbage may gather when a collection walks over so many bytes:
// as much for each of them, so that collections take the same share of the time.
// What lives without pointers, like the rows that were written last, costs them nothing.
func (h *heap) room(walked uint64) uint64 {
	return min(max(heapPerWalked*walked, leastHeapRoom), h.most)
}

// growth is by how many percent of what lives in it a heap may grow under load.
func growth(live, room uint64) int {
	return int(min(max(100*room/max(live, 1), leastGrowth), mostGrowth))
}

// watch has the process rest whenever next to nothing was allocated for a while,
// until the context ends: first soon, and once more when what was in use then has
// had the time to leave memory. let lets others give up what they remember.
func (h *heap) watch(ctx context.Context, allocated func() uint64, let func()) {
	ticks := time.NewTicker(restLook)
	defer ticks.Stop()
	before, quiet := allocated(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		now := allocated()
		quiet++
		if now-before > restBytes {
			quiet = 0
			h.resting.Store(false)
		}
		before = now
		if quiet == restSoon || quiet == restLate {
			h.resting.Store(true)
			let()
			before = allocated()
		}
	}
}

// allocatedBytes is how much this process has allocated so far.
func allocatedBytes() uint64 {
	all := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64()
}

// afterCollection calls do now and after every collection from then on.
func afterCollection(do func()) {
	type sentinel struct{ _ [16]byte }
	var next func(*sentinel)
	next = func(s *sentinel) {
		do()
		runtime.SetFinalizer(s, next)
	}
	next(new(sentinel))
}

// machineMemory is how many bytes this process may have: those of the machine,
// or of the container that it runs in. What cannot be read limits nothing.
func machineMemory() uint64 {
	memory := uint64(math.MaxUint64)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := bytes.Cut(text, []byte("MemTotal:")); ok {
			if fields := bytes.Fields(rest); len(fields) > 0 {
				if kib, err := strconv.ParseUint(string(fields[0]), 10, 64); err == nil {
					memory = kib << 10
				}
			}
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(file); err == nil {
			if limit, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil {
				memory = min(memory, limit)
			}
		}
	}
	return memory
}
