package embedded

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// harmed are the files of sorted rows that were found to be damaged.
type harmed struct {
	mu    sync.Mutex
	found map[string]bool      // not mended yet
	tried map[string]time.Time // when they were mended last, or could not be
	over  chan struct{}        // closed when those that were found are mended; nil for none
	wake  chan struct{}        // has a token when one was found
	finds uint64               // so many were found so far
}

func newHarmed() harmed {
	return harmed{found: map[string]bool{}, tried: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// note reports whether a file was found only now. Who cannot mend it is not asked again
// for a while.
func (h *harmed) note(path string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, tried := h.tried[path]; h.found[path] || tried && time.Since(at) < damagedLast {
		return false
	}
	h.found[path] = true
	h.finds++
	if h.over == nil {
		h.over = make(chan struct{})
	}
	poke(h.wake)
	return true
}

// any reports whether one was found, and seen how many were so far as well.
func (h *harmed) any() bool {
	_, any := h.seen()
	return any
}

func (h *harmed) seen() (finds uint64, any bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.finds, len(h.found) > 0
}

// take returns what was found; mended says that it is over with it.
func (h *harmed) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.found))
}

func (h *harmed) mended(paths []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, path := range paths {
		delete(h.found, path)
		h.tried[path] = time.Now()
	}
	if len(h.found) == 0 && h.over != nil {
		close(h.over)
		h.over = nil
	}
}

// wait waits until what was found is mended, or ended is closed.
func (h *harmed) wait(ctx context.Context, ended <-chan struct{}) {
	h.mu.Lock()
	over := h.over
	h.mu.Unlock()
	if over == nil {
		return
	}
	select {
	case <-over:
	case <-ended:
	case <-ctx.Done():
	}
}
