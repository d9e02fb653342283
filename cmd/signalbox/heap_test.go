package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestASmallHeapMayGrowByTheRoomAndALargeOneByItself(t *testing.T) {
	const room = 256 << 20
	for live, want := range map[uint64]int{0: 3200, 1 << 20: 3200, 64 << 20: 400, room: 100, 4 * room: 100} {
		if got := growth(live, room, time.Second); got != want {
			t.Errorf("%d bytes may grow by %d %%, want %d", live, got, want)
		}
		if got := growth(live, room, time.Minute); got != 100 {
			t.Errorf("at rest %d bytes may grow by %d %%, want 100", live, got)
		}
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
	roomyHeap(func(string) string { return "" })
	if percent := debug.SetGCPercent(100); percent <= 100 {
		t.Errorf("a small heap may grow by %d %%, Go's own rule is 100", percent)
	}
	roomyHeap(func(string) string { return "100" })
	if percent := debug.SetGCPercent(100); percent != 100 {
		t.Errorf("GOGC=100 was overruled with %d %%", percent)
	}
}
