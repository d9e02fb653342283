package embedded

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// wordy is as long as an id may be, nearly: an execution and a signal of such ids take
// the most room when they are forgotten.
var wordy = strings.Repeat("x", 240)

// manyReceipts finishes an execution that had so many turns of 256 signals
// each, a quarter of whose receipts lie with their records.
func manyReceipts(t *testing.T, s *Store, exec string, turns int) {
	t.Helper()
	c := storetest.Begun(storetest.Sample(exec, 1000), s.Epoch())
	if err := commitOne(t, s, c); err != nil {
		t.Fatal(err)
	}
	for turn := range turns {
		records := 1
		if turn == turns/4 {
			records = stayingRecords // from here on receipts have rows of their own
		}
		signals := make([]string, 256)
		for i := range signals {
			signals[i] = fmt.Sprintf("%s-%d-%d", wordy, turn, i)
		}
		c = signalled(c, records, workflow.FateConsumed, signals...)
		if err := commitOne(t, s, c); err != nil {
			t.Fatal(err)
		}
	}
	end := signalled(c, 1, "")
	end.Now.Status, end.Now.FinishedAt, end.Now.Waits, end.Now.Timers = workflow.Success, 2000, nil, nil
	end.Now.Tasks = nil
	if err := commitOne(t, s, end); err != nil {
		t.Fatal(err)
	}
}

// left counts the rows of a family.
func left(t *testing.T, s *Store, family byte) (n int) {
	t.Helper()
	prefix := []byte{family}
	err := scan(t.Context(), s.db, prefix, prefix, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sound checks that whatever is stored fits together, the samples themselves aside.
func sound(t *testing.T, s *Store) {
	t.Helper()
	say := func(wrong string) {
		if !strings.Contains(wrong, "breaks an invariant") {
			t.Errorf("%.300s", wrong)
		}
	}
	if _, err := persistence.Verify(t.Context(), s, say); err != nil {
		t.Fatal(err)
	}
}

// TestSweepOfManyReceipts: executions of more signals than one group takes are forgotten
// all the same, in groups of an ordinary size, and the store goes on writing.
func TestSweepOfManyReceipts(t *testing.T) {
	s, err := Open("data", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const turns = 44
	executions := 3
	if testing.Short() {
		executions = 2 // the race detector sees the same in each
	}
	for i := range executions {
		manyReceipts(t, s, fmt.Sprint(wordy, i), turns)
	}
	manyReceipts(t, s, "short", 1)
	stays := storetest.Begun(storetest.Sample("stays", 1000), s.Epoch())
	if err := commitOne(t, s, signalledOnce(t, s, stays)); err != nil {
		t.Fatal(err)
	}
	s.frame = sweepBytes + sweepBytes/2
	forgotten, groups := 0, s.Stats().Groups
	for {
		n, err := s.Sweep(t.Context(), 3000, 100)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		forgotten += n
		if err := s.PutDocument(t.Context(), "k", "id", []byte("x")); err != nil {
			t.Fatalf("a write of somebody else: %v", err)
		}
	}
	sound(t, s)
	if forgotten != executions+1 {
		t.Errorf("%d executions are forgotten, want %d", forgotten, executions+1)
	}
	if n := s.Stats().Groups - groups; n < 4 {
		t.Errorf("it took %d groups: this test tests nothing", n)
	}
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	for family, want := range map[byte]int{famState: 1, famRecord: 2, famReceipt: 0, famSignal: 1, famFinished: 0} {
		if n := left(t, s, family); n != want {
			t.Errorf("%d rows of the family %q are left, want %d", n, family, want)
		}
	}
}

// signalledOnce begins an execution and returns the commit of one signal to it.
func signalledOnce(t *testing.T, s *Store, begun *persistence.Commit) *persistence.Commit {
	t.Helper()
	if err := commitOne(t, s, begun); err != nil {
		t.Fatal(err)
	}
	return signalled(begun, 1, workflow.FateConsumed, "once")
}

// TestSweepThatACrashCutsShort: of an execution that is forgotten in several groups its
// state and its last records go last, so a crash between two of them leaves what is
// sound, and what the next sweep finds.
func TestSweepThatACrashCutsShort(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s, err := Open("data", Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	manyReceipts(t, s, wordy, 80)
	parts := 0
	for ; ; parts++ {
		w := newWrite(writeForget)
		if err := s.gather(t.Context(), w, 3000, 100); err != nil {
			t.Fatal(err)
		}
		if len(w.forget) != 1 || len(w.forget[0].ops.buf) > sweepBytes+sweepBytes/4 {
			t.Fatalf("%d are forgotten, the first by %d bytes", len(w.forget), len(w.forget[0].ops.buf))
		}
		if !w.forget[0].part {
			break
		}
		before := left(t, s, famSignal)
		w.swept = new(swept)
		if err := s.await(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if after := left(t, s, famSignal); after >= before {
			t.Fatalf("%d signals are left of %d", after, before)
		}
		left := copyOf(disk)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk = left
		if s, err = Open("data", Options{FS: disk}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), wordy); err != nil {
			t.Fatal(err)
		}
		sound(t, s)
	}
	defer s.Close()
	if parts < 2 {
		t.Errorf("it was forgotten in %d parts and the rest: this test tests nothing", parts)
	}
	if n, err := s.Sweep(t.Context(), 3000, 100); n != 1 || err != nil {
		t.Errorf("at the end %d executions were forgotten, %v", n, err)
	}
	for _, family := range []byte{famState, famRecord, famReceipt, famSignal, famFinished, famWorkflow} {
		if n := left(t, s, family); n != 0 {
			t.Errorf("%d rows of the family %q are left", n, family)
		}
	}
}

// TestSweepLeavesWhatIsDamaged: of an execution that has a damaged row of records nothing
// is forgotten, however large it is, and others are.
func TestSweepLeavesWhatIsDamaged(t *testing.T) {
	s, err := Open("data", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	manyReceipts(t, s, wordy, 44)
	manyReceipts(t, s, "well", 1)
	if err := s.db.drain(); err != nil {
		t.Fatal(err)
	}
	key := recordKey(nil, wordy, 5) // of its first signals
	row, found, err := s.db.get(key, nil)
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if err := s.db.pebble.Set(key, row[:len(row)/2], pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	receipts := left(t, s, famReceipt)
	for _, want := range []int{1, 0} {
		if n, err := s.Sweep(t.Context(), 3000, 100); n != want || err != nil {
			t.Fatalf("%d executions were forgotten, %v, want %d", n, err, want)
		}
	}
	if n := left(t, s, famReceipt); n != receipts {
		t.Errorf("%d receipts are left of %d", n, receipts)
	}
	if _, err := s.Load(t.Context(), "well"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the one that is well: %v, want ErrNotFound", err)
	}
}
