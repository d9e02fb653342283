package embedded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// waiting is how many executions TestSizes stores; 1,000,000 takes some minutes.
var waiting = flag.Int("waiting", 0, "store that many waiting executions and report sizes and times")

// TestSizes reports what many waiting executions cost: bytes on disk for each,
// the time to open, the time to load a random one, and the memory.
func TestSizes(t *testing.T) {
	if *waiting == 0 {
		t.Skip("it stores many executions; say how many with -waiting")
	}
	dir := t.TempDir()
	s := openDir(t, dir)
	begin := time.Now()
	flight := make(chan struct{}, 1024)
	failed := make(chan error, 1)
	for i := range *waiting {
		flight <- struct{}{}
		c := storetest.Begun(storetest.Sample(fmt.Sprintf("2Z4PVTL6K27XVT4A3NP%08d", i*7919%*waiting), workflow.Instant(1_700_000_000_000+i)), s.Epoch())
		c.Done = func(err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
			<-flight
		}
		s.Submit(c)
	}
	for range cap(flight) {
		flight <- struct{}{}
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	t.Logf("stored %d in %v", *waiting, time.Since(begin))
	t.Logf("on disk before the end: %.0f bytes each", float64(diskUsage(t, dir))/float64(*waiting))
	crash := copyOpen(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("on disk: %.0f bytes each", float64(diskUsage(t, dir))/float64(*waiting))
	for name, dir := range map[string]string{"after an end": dir, "after a crash": crash} {
		begin = time.Now()
		s = openDir(t, dir)
		t.Logf("opened %s in %v", name, time.Since(begin))
		loads(t, s)
		if got := s.Stats().Waits; got != int64(*waiting) {
			t.Errorf("%s the store counts %d waits, want %d", name, got, *waiting)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// copyOpen copies the folder of an open store, as a crash would leave it. A copy
// during which a file went away is made again.
func copyOpen(t *testing.T, dir string) string {
	t.Helper()
	for {
		to := filepath.Join(t.TempDir(), "crash")
		err := os.CopyFS(to, os.DirFS(dir))
		if err == nil {
			return to
		}
		if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func loads(t *testing.T, s *Store) {
	t.Helper()
	var took []time.Duration
	for range 2000 {
		id := fmt.Sprintf("2Z4PVTL6K27XVT4A3NP%08d", rand.IntN(*waiting))
		begin := time.Now()
		if _, err := s.Load(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	begin := time.Now()
	page, err := s.Executions(context.Background(), workflow.Query{Limit: 100})
	if err := errors.Join(err, err); err != nil || len(page.Items) != 100 {
		t.Fatal(err, len(page.Items))
	}
	list := time.Since(begin)
	begin = time.Now()
	if _, err := s.NextDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	due := time.Since(begin)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("load p50 %v p99 %v, list of 100 %v, next due %v, heap %d MB, rss %s", took[len(took)/2], took[len(took)*99/100], list, due, m.HeapAlloc>>20, rss(t))
}

func rss(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d MB", resident*int64(os.Getpagesize())>>20)
}

func diskUsage(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func openDir(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
