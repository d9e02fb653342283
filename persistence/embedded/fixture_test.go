package embedded

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// answerLimit is how long a test waits for an answer before it calls the store stuck.
const answerLimit = 30 * time.Second

// submit submits a commit and returns where its answer comes.
func submit(s *Store, c *persistence.Commit) <-chan error {
	answer := make(chan error, 1)
	copied := *c
	copied.Done = func(err error) { answer <- err }
	s.Submit(&copied)
	return answer
}

// commitOne submits a commit and returns its answer.
func commitOne(t testing.TB, s *Store, c *persistence.Commit) error {
	t.Helper()
	select {
	case err := <-submit(s, c):
		return err
	case <-time.After(answerLimit):
		t.Fatalf("no answer within %v", answerLimit)
		return nil
	}
}

// openOn opens a store in memory, with small segments.
func openOn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// smallSegment turns over after about ten commits of the lives below.
const smallSegment = 16 << 10

// life is an execution whose every version is known: version v has this state,
// these records up to it, a receipt for each version and an event for each.
func life(exec string, version uint64) *workflow.State {
	s := storetest.Sample(exec, 1_700_000_000_000)
	s.Version, s.Seq = version, 2*version
	s.UpdatedAt += workflow.Instant(version)
	s.Timers[0].Due = s.CreatedAt + workflow.Instant(version)
	s.Waits[0].Name = fmt.Sprintf("decision-%d", version%3)
	s.Last = fmt.Sprintf("version %d", version)
	s.Key, s.Unique = "of "+exec, version%4 != 0 // given back and claimed again now and then
	return s
}

// lived is the commit that leads to a version of a life.
func lived(exec string, version uint64) *persistence.Commit {
	c := &persistence.Commit{ExecID: exec, Expect: version - 1, Epoch: 1, Now: life(exec, version), Working: version%2 == 0, Worked: version > 1 && version%2 == 1}
	if version > 1 {
		c.Was = life(exec, version-1)
	}
	for seq := 2*version - 1; seq <= 2*version; seq++ {
		c.Records = append(c.Records, workflow.Record{Seq: seq, At: c.Now.UpdatedAt, Type: workflow.TaskStarted, Reason: exec})
	}
	signal := fmt.Sprintf("signal-%d", version)
	c.Receipts = []workflow.Receipt{{SignalID: signal, ExecID: exec, Name: "decision", Fate: workflow.FateConsumed, At: c.Now.UpdatedAt}}
	c.Events = []workflow.Event{{ID: fmt.Sprintf("%s-%d", exec, version), Name: "moved", ReceivedAt: c.Now.UpdatedAt}}
	return c
}

// checkLife checks that an execution is exactly at one version of its life, at
// least at the given one, and returns it; nothing of a later version is there.
func checkLife(t testing.TB, s *Store, exec string, least uint64) uint64 {
	t.Helper()
	ctx := t.Context()
	var version uint64
	snapshot, err := s.Load(ctx, exec)
	if err == nil {
		version = snapshot.State.Version
		if d := cmp.Diff(life(exec, version), snapshot.State); d != "" {
			t.Fatalf("execution %s at version %d differs (-want +got):\n%s", exec, version, d)
		}
	}
	if version < least {
		t.Fatalf("execution %s is at version %d (%v), but version %d was acknowledged", exec, version, err, least)
	}
	records, err := s.Records(ctx, exec, 0, maxPage)
	if err != nil || uint64(len(records)) != 2*version {
		t.Fatalf("execution %s at version %d has %d records, %v", exec, version, len(records), err)
	}
	every := uint64(1)
	if testing.Short() {
		every = 8 // under the race detector, which sees the same in each, pebble writes down a stack for each row that is read
	}
	for v := uint64(1); v <= version+1; v++ {
		if v < version && v%every != 0 {
			continue
		}
		_, receipt := s.Receipt(ctx, fmt.Sprintf("signal-%d", v), exec)
		_, event := s.Event(ctx, fmt.Sprintf("%s-%d", exec, v))
		if there := v <= version; (receipt == nil) != there || (event == nil) != there {
			t.Fatalf("execution %s is at version %d; receipt of version %d: %v, event: %v", exec, version, v, receipt, event)
		}
	}
	return version
}

// checkIndexes checks that waits, timers and working set are those of the versions.
func checkIndexes(t testing.TB, s *Store, versions map[string]uint64) {
	t.Helper()
	ctx := t.Context()
	var waits, timers, working int
	for exec, v := range versions {
		holder, err := s.Holder(ctx, life(exec, 1).WorkflowID, "of "+exec)
		if held := v%4 != 0; held != (holder == exec) || !held && !errors.Is(err, persistence.ErrNotFound) {
			t.Fatalf("the key of execution %s at version %d is held by %q, %v", exec, v, holder, err)
		}
		if v > 0 {
			waits, timers = waits+1, timers+1
		}
		if v > 0 && v%2 == 0 {
			working++
		}
	}
	page, err := s.Waits(ctx, workflow.WaitQuery{Limit: maxPage})
	if err != nil || len(page.Items) != waits || s.Stats().Waits != int64(waits) {
		t.Fatalf("%d waits are listed and %d counted, %v, want %d", len(page.Items), s.Stats().Waits, err, waits)
	}
	for _, w := range page.Items {
		if want := life(w.ExecID, versions[w.ExecID]).Waits[0]; w.OpenWait != want {
			t.Fatalf("execution %s at version %d is listed as waiting for %v, want %v", w.ExecID, versions[w.ExecID], w.OpenWait, want)
		}
	}
	due, err := s.Due(ctx, 1<<62, nil, maxPage)
	if err != nil || len(due) != timers {
		t.Fatalf("%d timers, %v, want %d", len(due), err, timers)
	}
	ids, err := s.Working(ctx, "", maxPage)
	if err != nil || len(ids) != working {
		t.Fatalf("%d work, %v, want %d", len(ids), err, working)
	}
	list, err := s.Executions(ctx, workflow.Query{Limit: maxPage})
	if err != nil || len(list.Items) != waits {
		t.Fatalf("%d executions are listed, %v, want %d", len(list.Items), err, waits)
	}
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return // the other comparison takes twenty times as long
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}
