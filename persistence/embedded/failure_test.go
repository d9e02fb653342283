package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// healLimit is how soon after its disk healed a store writes again.
const healLimit = 5 * time.Second

// trial is a store on a disk that fails, and what a client knows of it.
type trial struct {
	t     *testing.T
	fs    *storetest.FaultyFS
	store *Store
	known *ledger
	false int // commits that were answered as failed
}

// try runs a test of a failing disk in virtual time, so that back-offs and limits
// cost nothing, and checks at the end, after opening again, that what was
// acknowledged is there and that what was refused is not.
func try(t *testing.T, test func(*trial)) {
	synctest.Test(t, func(t *testing.T) {
		x := &trial{t: t, fs: storetest.NewFaultyFS(vfs.NewMem()), known: &ledger{acked: map[string]uint64{}}}
		x.store = openOn(t, x.fs)
		test(x)
		x.check()
		if err := x.store.Close(); err != nil {
			t.Fatal(err)
		}
		x.store = openOn(t, x.fs)
		x.check()
		if err := x.store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// step submits the next version of some executions and notes the answers. A
// refusal must be ErrUnavailable, and the state must be as before.
func (x *trial) step() (refused int) {
	x.t.Helper()
	acked := x.known.copy()
	var answers [4]<-chan error
	for i := range answers {
		exec := fmt.Sprintf("life-%d", i)
		answers[i] = submit(x.store, lived(exec, acked[exec]+1))
	}
	for i, answer := range answers {
		exec := fmt.Sprintf("life-%d", i)
		switch err := <-answer; {
		case err == nil:
			x.known.ack(exec, acked[exec]+1)
		case errors.Is(err, persistence.ErrUnavailable):
			refused++
		default:
			x.t.Fatalf("%s, version %d: %v, want nil or ErrUnavailable", exec, acked[exec]+1, err)
		}
	}
	x.false += refused
	return refused
}

// until steps until a commit is refused, or until none is, within a limit.
func (x *trial) until(refused bool, limit time.Duration) time.Duration {
	x.t.Helper()
	begin := time.Now()
	for steps := 0; (x.step() > 0) != refused; steps++ {
		if !refused {
			time.Sleep(20 * time.Millisecond) // of virtual time: a client that sends again
		}
		if time.Since(begin) > limit || steps > 10_000 {
			x.t.Fatalf("after %v and %d steps the store still %s", time.Since(begin), steps, map[bool]string{true: "writes", false: "refuses"}[refused])
		}
	}
	return time.Since(begin)
}

// check compares every execution with what was acknowledged: exactly that.
func (x *trial) check() {
	x.t.Helper()
	versions := map[string]uint64{}
	for exec, acked := range x.known.copy() {
		if versions[exec] = checkLife(x.t, x.store, exec, acked); versions[exec] != acked {
			x.t.Fatalf("execution %s is at version %d, which was answered as failed; %d was acknowledged", exec, versions[exec], acked)
		}
	}
	checkIndexes(x.t, x.store, versions)
}

// unhealthy checks what a store says and does while it cannot write.
func (x *trial) unhealthy(cause error) {
	x.t.Helper()
	if err := x.store.Health(); !errors.Is(err, persistence.ErrUnavailable) || !errors.Is(err, cause) {
		x.t.Fatalf("health is %v, want ErrUnavailable because of %v", err, cause)
	}
	x.check()
	if err := x.store.PutDocument(x.t.Context(), "k", "i", nil); !errors.Is(err, persistence.ErrUnavailable) {
		x.t.Fatalf("put: %v, want ErrUnavailable", err)
	}
}

// TestDiskFull fills the disk: reads go on, nothing is acknowledged that is not
// kept, and writes resume by themselves.
func TestDiskFull(t *testing.T) {
	try(t, func(x *trial) {
		for range 3 {
			for range 30 {
				x.step()
			}
			x.fs.SetFull(true)
			x.until(true, time.Hour)
			x.unhealthy(syscall.ENOSPC)
			time.Sleep(time.Minute) // segments that were given up meanwhile may have made some room
			x.until(true, time.Hour)
			x.unhealthy(syscall.ENOSPC)
			x.fs.SetFull(false)
			took := x.until(false, healLimit)
			x.t.Logf("wrote again %v after the disk had room; %d commits were refused", took, x.false)
			if err := x.store.Health(); err != nil {
				x.t.Fatalf("health after healing: %v", err)
			}
		}
	})
}

// TestDiskFails fails operations of the journal at random, with writes torn in
// half, over many seeds.
func TestDiskFails(t *testing.T) {
	seeds, lookEvery := uint64(12), 1
	if testing.Short() {
		// The race detector sees the same in each, and under it pebble takes a stack
		// trace for every row that is read, which is most of what this test does.
		seeds, lookEvery = 4, 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			try(t, func(x *trial) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var mu sync.Mutex
				for range 5 {
					odds := 0.05 + 0.4*rng.Float64()
					x.fs.Fail(seed%2 == 0, func(op storetest.Op, path string) error {
						mu.Lock()
						defer mu.Unlock()
						if op != storetest.OpRead && strings.Contains(path, "journal") && rng.Float64() < odds {
							return syscall.EIO
						}
						return nil
					})
					for i := range 40 {
						x.step()
						if i%lookEvery == 0 {
							x.check()
						}
						time.Sleep(30 * time.Millisecond) // of virtual time, so that it probes
					}
					x.fs.Fail(false, nil)
					x.until(false, healLimit)
				}
				if x.false == 0 {
					x.t.Fatal("no commit was refused: this test tests nothing")
				}
			})
		})
	}
}

// TestSyncFails: what a failed sync was asked to keep is not asked again, and
// does not come back.
func TestSyncFails(t *testing.T) {
	try(t, func(x *trial) {
		x.step()
		x.fs.Fail(false, failing(storetest.OpSync, "journal/"))
		if refused := x.step(); refused != 4 {
			x.t.Fatalf("%d of 4 commits were refused", refused)
		}
		x.unhealthy(syscall.EIO)
		x.fs.Fail(false, nil)
		x.until(false, healLimit)
	})
}

// failing fails one kind of operation on files whose path has a part.
func failing(op storetest.Op, part string) func(storetest.Op, string) error {
	return func(o storetest.Op, path string) error {
		if o == op && strings.Contains(path, part) {
			return syscall.EIO
		}
		return nil
	}
}

// TestRowsFail: when the sorted rows cannot be written, the journal takes writes
// up to its bound, then they are refused, and all heals.
func TestRowsFail(t *testing.T) {
	for name, fail := range map[string]func(storetest.Op, string) error{
		"create tables":  failing(storetest.OpCreate, ".sst"),
		"write tables":   failing(storetest.OpWrite, ".sst"),
		"sync tables":    failing(storetest.OpSync, ".sst"),
		"write manifest": failing(storetest.OpWrite, "MANIFEST"),
		"sync manifest":  failing(storetest.OpSync, "MANIFEST"),
		"sync the rows":  failing(storetest.OpSync, "rows"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			try(t, func(x *trial) {
				x.step()
				x.fs.Fail(false, fail)
				x.until(true, time.Hour)
				if x.store.Health() == nil {
					x.t.Fatal("the store refuses writes and says that it is healthy")
				}
				x.check()
				time.Sleep(time.Minute)
				if refused := x.step(); refused != 4 {
					x.t.Fatalf("after a minute %d of 4 commits were refused", refused)
				}
				x.fs.Fail(false, nil)
				took := x.until(false, healLimit)
				x.t.Logf("wrote again after %v", took)
				for range 100 {
					if x.step() > 0 {
						x.t.Fatalf("a commit was refused after healing: %v", x.store.Health())
					}
				}
			})
		})
	}
}

// TestSlowSync: a disk that takes its time makes groups larger and loses nothing.
func TestSlowSync(t *testing.T) {
	try(t, func(x *trial) {
		x.fs.SetSlow(2 * time.Second)
		begin := time.Now()
		for range 5 {
			if refused := x.step(); refused > 0 {
				x.t.Fatalf("%d commits were refused", refused)
			}
		}
		if took := time.Since(begin); took < 10*time.Second || took > 40*time.Second {
			x.t.Errorf("20 commits in rounds of 4 took %v at 2 s a sync", took)
		}
		x.fs.SetSlow(0)
	})
}

// TestFatalRows: when pebble gives up, the store refuses writes for good, says
// that a restart is needed, and goes on reading.
func TestFatalRows(t *testing.T) {
	try(t, func(x *trial) {
		x.step()
		x.store.rowLog.Fatalf("MANIFEST %s", "went away")
		if refused := x.step(); refused != 4 {
			x.t.Fatalf("%d of 4 commits were refused", refused)
		}
		time.Sleep(time.Minute)
		if err := x.store.Health(); err == nil || !strings.Contains(err.Error(), "restart") {
			x.t.Fatalf("health is %v, want what to do", err)
		}
		x.check()
	})
}

// TestAWriteThatIsTooLarge: what no frame can hold is refused, alone: the store stays
// well, and nothing of it is there or counted.
func TestAWriteThatIsTooLarge(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	s.frame = 64 << 10
	large := workflow.Event{ID: "large", Name: "n", ReceivedAt: 1, Payload: workflow.ValueOf(strings.Repeat("x", 64<<10))}
	within := life("brings", 1)
	within.Last = strings.Repeat("x", 40<<10)
	for name, write := range map[string]func() error{
		"a document": func() error { return s.PutDocument(t.Context(), "k", "large", make([]byte, 64<<10)) },
		"an event": func() error {
			done := make(chan error, 1)
			s.AcceptEvent(large, func(_ *workflow.EventReceipt, _ bool, err error) { done <- err })
			return <-done
		},
		"a commit that emits an event": func() error {
			c := lived("emits", 1)
			c.Events = append(c.Events, large)
			return commitOne(t, s, c)
		},
		"a commit that only the writer finds too large": func() error {
			c := lived("brings", 1)
			c.Now = within
			for i := range 100 {
				c.Events = append(c.Events, workflow.Event{ID: fmt.Sprint(i, strings.Repeat("x", 200)), Name: "n", ReceivedAt: 1})
			}
			defer func(was int) { s.frame = was }(s.frame)
			s.frame = 80 << 10
			return commitOne(t, s, c)
		},
	} {
		before := s.Stats()
		want := "larger than the 57344" // of 64 KiB, with what is left for the writer
		if strings.Contains(name, "only the writer") {
			want = "larger than the 81920"
		}
		if err := write(); !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, want)
		}
		if err := s.Health(); err != nil {
			t.Errorf("after %s the store is ill: %v", name, err)
		}
		if err := s.PutDocument(t.Context(), "k", name, []byte("x")); err != nil {
			t.Errorf("after %s a write of somebody else: %v", name, err)
		}
		if after := s.Stats(); after.Commits != before.Commits {
			t.Errorf("%s was counted", name)
		}
	}
	if _, err := s.Document(t.Context(), "k", "large"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the document: %v, want ErrNotFound", err)
	}
	for _, id := range []string{"emits", "brings"} {
		if _, err := s.Load(t.Context(), id); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("the execution %q: %v, want ErrNotFound", id, err)
		}
	}
	if rows, err := s.Books(t.Context()); err != nil || len(rows) != 0 {
		t.Errorf("the books have %v, %v", rows, err)
	}
}
