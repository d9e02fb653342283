package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"
)

// roomyHeap lets the heap grow by a room between two collections where Go's own
// rule, by as much as lives in it, would collect a small heap many times a
// second. A heap that is larger than the room follows Go's rule, and so does one
// that is collected seldom: a node at rest gives back what a load has filled.
// Whoever sets GOGC decides instead; GOMEMLIMIT holds in both cases.
func roomyHeap(getenv func(string) string) {
	if getenv("GOGC") != "" {
		return
	}
	room := min(heapRoom, machineMemory()/heapShare)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	last, before := 100, time.Now()
	afterCollection(func() {
		metrics.Read(live)
		now := time.Now()
		// Each setting stops the world for a moment, so small changes are left.
		percent := growth(live[0].Value.Uint64(), room, now.Sub(before))
		before = now
		if d := percent - last; d > last/8 || -d > last/8 {
			debug.SetGCPercent(percent)
			last = percent
		}
	})
}

// growth is by how many percent of what lives in it a heap may grow until the
// next collection, when there was none for so long.
func growth(live, room uint64, pause time.Duration) int {
	const fewest, most = 100, 100 * 32
	if pause > heapAtRest {
		return fewest
	}
	return int(min(max(100*room/max(live, 1), fewest), most))
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
