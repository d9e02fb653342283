package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestASmallHeapMayGrowByTheRoomAndALargeOneByItself(t *testing.T) {
	const room = 256 << 20
	for live, want := range map[uint64]int{0: 3200, 1 << 20: 3200, 64 << 20: 400, room: 100, 4 * room: 100} {
		if got := growth(live, room); got != want {
			t.Errorf("%d bytes may grow by %d %%, want %d", live, got, want)
		}
	}
}

func TestTheRoomGrowsWithWhatCollectionsWalkOver(t *testing.T) {
	h := &heap{most: heapRoom}
	for walked, want := range map[uint64]uint64{0: leastHeapRoom, leastHeapRoom / heapPerWalked: leastHeapRoom, 16 << 20: 128 << 20, 1 << 30: heapRoom} {
		if got := h.room(walked); got != want {
			t.Errorf("%d bytes of garbage may gather when a collection walks over %d, want %d", got, walked, want)
		}
	}
	if small := (&heap{most: 8 << 20}); small.room(1<<20) != 8<<20 {
		t.Errorf("on a machine that has room for %d bytes of garbage %d may gather", small.most, small.room(1<<20))
	}
}

func TestTheRoomIsKeptAfterEveryCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	told := make(chan struct{}, 8)
	afterCollection(func() { told <- struct{}{} })
	<-told // at once
	for range 2 {
		runtime.GC()
		<-told
	}
	if machineMemory() < 16<<20 {
		t.Error("no machine that runs this has less than 16 MiB")
	}
	newHeap(func(string) string { return "" })
	if percent := debug.SetGCPercent(100); percent <= 100 {
		t.Errorf("a small heap may grow by %d %%, Go's own rule is 100", percent)
	}
	newHeap(func(string) string { return "100" })
	if percent := debug.SetGCPercent(100); percent != 100 {
		t.Errorf("GOGC=100 was overruled with %d %%", percent)
	}
}

func TestANodeThatIsQuietRestsSoonAndOnceMoreWhenExecutionsHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		began := time.Now()
		var total atomic.Uint64
		var rests []time.Duration
		h := new(heap)
		go h.watch(ctx, total.Load, func() {
			if !h.resting.Load() {
				t.Error("the heap may still grow as under load")
			}
			rests = append(rests, time.Since(began))
			total.Add(100 * restBytes) // what resting itself takes is no load
		})
		work := func(seconds int, bytes uint64) {
			for range seconds {
				total.Add(bytes)
				time.Sleep(time.Second)
			}
			synctest.Wait()
		}
		time.Sleep(restLook / 2)
		work(30, 2*restBytes)
		if len(rests) > 0 {
			t.Errorf("a node under load rested after %v", rests)
		}
		work(3600, restBytes/10)
		want := []time.Duration{35 * time.Second, 50 * time.Second}
		if !slices.Equal(rests, want) {
			t.Errorf("it rested after %v, want %v", rests, want)
		}
		work(1, 2*restBytes)
		if h.resting.Load() {
			t.Error("a load has come, and the heap is kept small")
		}
		work(5, 0)
		if len(rests) != 3 {
			t.Errorf("after another load it rested %d times, want 3", len(rests))
		}
		stop()
		synctest.Wait()
	})
}
