package embedded

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// ledger is what a client knows: the versions that were acknowledged to it.
type ledger struct {
	mu    sync.Mutex
	acked map[string]uint64
}

func (l *ledger) ack(exec string, version uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[exec] = max(l.acked[exec], version)
}

func (l *ledger) copy() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

// outage is what a power cut left, and what had been acknowledged before it.
type outage struct {
	where string
	acked map[string]uint64
	fs    *vfs.MemFS
}

// TestPowerLoss cuts the power before and after syncs of every file there is -
// journal, rows, their manifest, folders - and checks what is there afterwards:
// nothing acknowledged is lost, nothing is there by half, and the store goes on.
// What was not synced is dropped, kept, or kept in part, by the seed.
func TestPowerLoss(t *testing.T) {
	surviveEvery := 1
	if testing.Short() {
		surviveEvery = 3 // under the race detector, which sees the same in each
	}
	for _, percent := range []int{0, 30, 70, 100} {
		t.Run(fmt.Sprintf("unsynced=%d%%", percent), func(t *testing.T) {
			t.Parallel()
			outages := cutPower(t, percent, 90)
			for i, o := range outages {
				if i%surviveEvery != 0 {
					continue
				}
				versions := survive(t, o)
				if t.Failed() {
					t.Fatalf("outage %d of %d at %s, acknowledged %v, found %v", i, len(outages), o.where, o.acked, versions)
				}
			}
		})
	}
}

// cutPower works on a disk and returns some states that a power cut could leave.
func cutPower(t *testing.T, percent, count int) []outage {
	t.Helper()
	disk := vfs.NewCrashableMem()
	fs := storetest.NewFaultyFS(disk)
	known := &ledger{acked: map[string]uint64{}}
	rng := rand.New(rand.NewPCG(uint64(percent), 7))
	var mu sync.Mutex
	var outages []outage
	calls := 0
	fs.OnSync(func(path string) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%7 != 0 && calls > 60 || len(outages) >= count {
			return // the first ones, of an opening, all count
		}
		acked := known.copy() // before the picture is taken: it must hold all of this
		outages = append(outages, outage{path, acked, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})})
	})
	for range 2 {
		s := openOn(t, fs)
		work(t, s, known, 40)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return outages
}

// work takes a few executions some versions further, several at once.
func work(t *testing.T, s *Store, known *ledger, steps uint64) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			exec := fmt.Sprintf("life-%d", i)
			from := known.copy()[exec]
			for v := from + 1; v <= from+steps; v++ {
				if err := <-submit(s, lived(exec, v)); err != nil {
					t.Errorf("%s, version %d: %v", exec, v, err)
					return
				}
				known.ack(exec, v)
			}
		})
	}
	wg.Wait()
}

// survive opens what a power cut left, checks it, goes on with it, and checks
// it once more after an orderly end.
func survive(t *testing.T, o outage) map[string]uint64 {
	t.Helper()
	s := openOn(t, o.fs)
	versions := map[string]uint64{}
	for i := range 4 {
		exec := fmt.Sprintf("life-%d", i)
		versions[exec] = checkLife(t, s, exec, o.acked[exec])
	}
	checkIndexes(t, s, versions)
	for exec := range versions {
		versions[exec]++
		if err := commitOne(t, s, lived(exec, versions[exec])); err != nil {
			t.Fatalf("the first commit after the outage: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, o.fs)
	for exec, v := range versions {
		if got := checkLife(t, s, exec, v); got != v {
			t.Fatalf("execution %s went from version %d to %d by itself", exec, v, got)
		}
	}
	checkIndexes(t, s, versions)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return versions
}

// TestPowerLossAgain cuts the power while a store recovers from an outage.
func TestPowerLossAgain(t *testing.T) {
	t.Parallel()
	for _, o := range cutPower(t, 50, 12) {
		fs := storetest.NewFaultyFS(o.fs)
		rng := rand.New(rand.NewPCG(1, 2))
		var again []outage
		var mu sync.Mutex
		fs.OnSync(func(path string) {
			mu.Lock()
			defer mu.Unlock()
			if len(again) < 8 {
				again = append(again, outage{path, o.acked, o.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})})
			}
		})
		s := openOn(t, fs)
		mu.Lock()
		second := again
		mu.Unlock()
		for _, o := range second {
			survive(t, o)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
