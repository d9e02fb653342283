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
// grow by a room between two collections where Go's own rule, by as much as lives
// in it, would collect a small heap many times a second; a heap that is larger than
// the room follows Go's rule. What a load fills lies in large pages. At rest it
// follows that rule, too, and what a load has left behind is given back. Whoever
// sets GOGC decides on the growth instead; GOMEMLIMIT holds in both cases.
type heap struct {
	room     uint64
	resting  atomic.Bool
	reserved bool // the room has addresses, or is not to have any
}

func newHeap(getenv func(string) string) *heap {
	h := &heap{room: min(heapRoom, machineMemory()/heapShare)}
	h.reserved = debug.SetMemoryLimit(-1) < math.MaxInt64 // somebody has bounded the addresses, too
	if getenv("GOGC") != "" {
		h.reserved = true
		return h
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	last := 100
	afterCollection(func() {
		metrics.Read(live)
		percent := 100
		if !h.resting.Load() {
			percent = growth(live[0].Value.Uint64(), h.room)
		}
		// Each setting stops the world for a moment, so small changes are left.
		if d := percent - last; d > last/8 || -d > last/8 {
			debug.SetGCPercent(percent)
			last = percent
		}
	})
	return h
}

// growth is by how many percent of what lives in it a heap may grow under load.
func growth(live, room uint64) int {
	const fewest, most = 100, 100 * 32
	return int(min(max(100*room/max(live, 1), fewest), most))
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
		if now-before > loadBytes {
			h.loaded()
		}
		before = now
		if quiet == restSoon || quiet == restLate {
			h.resting.Store(true)
			inSmallPages()
			let()
			before = allocated()
		}
	}
}

// loaded has what a load fills lie in large pages. One becomes large at no cost when
// it is first written to, so at first the heap gets the addresses of all its room: it
// would grow into it by a few megabytes at a time, and each would be filled with small
// pages before anybody could say so. What is in small ones is copied.
func (h *heap) loaded() {
	var room []byte
	first := !h.reserved
	if first {
		h.reserved = true
		room = make([]byte, h.room)
	}
	inLargePages()
	runtime.KeepAlive(room)
	if room = nil; first {
		runtime.GC() // nobody has written to it, and now it is free
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
