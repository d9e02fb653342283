package embedded

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// signalled is the commit after c, with so many records and a receipt for each of
// those signals.
func signalled(c *persistence.Commit, records int, fate workflow.Fate, signals ...string) *persistence.Commit {
	was, now := c.Now, *c.Now
	now.Version++
	now.Seq += uint64(records)
	next := &persistence.Commit{ExecID: was.ExecID, Expect: was.Version, Parent: c.ID, ID: now.Version, Epoch: c.Epoch, Was: was, Now: &now}
	for seq := was.Seq + 1; seq <= now.Seq; seq++ {
		next.Records = append(next.Records, workflow.Record{Seq: seq, At: now.UpdatedAt, Type: workflow.TaskStarted})
	}
	for _, id := range signals {
		next.Receipts = append(next.Receipts, workflow.Receipt{SignalID: id, ExecID: was.ExecID, Name: "decision", Fate: fate, At: now.UpdatedAt})
	}
	return next
}

// checkReceipts checks that an execution has exactly these receipts, wherever they
// lie, and that an export shows each of them once.
func checkReceipts(t *testing.T, s *Store, exec string, want map[string]workflow.Fate) {
	t.Helper()
	for id, fate := range want {
		r, err := s.Receipt(t.Context(), id, exec)
		if err != nil || r.Fate != fate || r.ExecID != exec || r.SignalID != id {
			t.Fatalf("the receipt of signal %q is %+v, %v, want one with the fate %q", id, r, err, fate)
		}
		all, err := s.Receipts(t.Context(), id, "", 10)
		if err != nil || len(all) != 1 || all[0].Fate != fate {
			t.Fatalf("the receipts of signal %q are %+v, %v, want one with the fate %q", id, all, err, fate)
		}
	}
	got := map[string]workflow.Fate{}
	for it, err := range s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if it.Kind != persistence.ItemReceipt {
			continue
		}
		r, err := it.Receipt()
		if _, twice := got[r.SignalID]; err != nil || twice {
			t.Fatalf("the export shows %+v, %v, twice: %v", r, err, twice)
		}
		got[r.SignalID] = r.Fate
	}
	same(t, "what an export shows of receipts", got, want)
}

// checkForgotten finishes an execution, sweeps it, and looks for what it left.
func checkForgotten(t *testing.T, s *Store, last *persistence.Commit) {
	t.Helper()
	end := signalled(last, 1, "")
	end.Now.Status, end.Now.FinishedAt, end.Now.Waits, end.Now.Timers = workflow.Success, end.Now.UpdatedAt+1, nil, nil
	if err := commitOne(t, s, end); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), never, 10); n != 1 || err != nil {
		t.Fatalf("%d executions are forgotten, %v", n, err)
	}
	for _, family := range []byte{famState, famRecord, famReceipt, famSignal} {
		prefix := []byte{family}
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: afterAll(prefix)})
		if err != nil {
			t.Fatal(err)
		}
		if it.First() {
			t.Errorf("%q is left of an execution that was forgotten", it.Key())
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReceiptsOfBefore: receipts that a release of before wrote in rows of their own
// are found, replaced, exported once and forgotten.
func TestReceiptsOfBefore(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	begun := storetest.Begun(storetest.Sample("x", 1_700_000_000_000), s.Epoch())
	c := signalled(begun, 2, workflow.FateBuffered, "stays", "moves")
	records, receipts := c.Records, c.Receipts
	c.Records, c.Receipts = nil, nil
	if err := errors.Join(commitOne(t, s, begun), commitOne(t, s, c)); err != nil {
		t.Fatal(err)
	}
	w := newWrite(writeRows)
	w.set(recordKey(nil, "x", records[0].Seq), persistence.AppendTurnUnder(nil, "x", records, nil))
	w.receipts(receipts)
	if err := s.await(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	checkReceipts(t, s, "x", map[string]workflow.Fate{"stays": workflow.FateBuffered, "moves": workflow.FateBuffered})
	c = signalled(c, 3, workflow.FateConsumed, "moves", "comes")
	if err := errors.Join(commitOne(t, s, c), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	checkReceipts(t, s, "x", map[string]workflow.Fate{"stays": workflow.FateBuffered, "moves": workflow.FateConsumed, "comes": workflow.FateConsumed})
	got, err := s.Records(t.Context(), "x", begun.Now.Seq, 100)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the records", got, append(records, c.Records...))
	checkForgotten(t, s, c)
}

// TestReceiptsOutliveTheirRecords: a receipt can be looked up when the records of its
// time are folded away, also one that lay in a row with records at first.
func TestReceiptsOutliveTheirRecords(t *testing.T) {
	s, err := Open("data", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const step = 500
	c := storetest.Begun(storetest.Sample("x", 1_700_000_000_000), s.Epoch())
	if err := commitOne(t, s, c); err != nil {
		t.Fatal(err)
	}
	want := map[string]workflow.Fate{}
	for c.Now.Seq < workflow.MaxRecords+3*stayingRecords {
		id := fmt.Sprint("signal-", c.Now.Version)
		signals, fate := []string{id}, workflow.Fate(workflow.FateConsumed)
		want[id] = fate
		if first := "signal-1"; c.Now.Seq > stayingRecords && want[first] != workflow.FateDead {
			signals, fate = append(signals, first), workflow.FateDead
			want[id], want[first] = fate, fate
		}
		c = signalled(c, step, fate, signals...)
		if err := commitOne(t, s, c); err != nil {
			t.Fatal(err)
		}
	}
	checkReceipts(t, s, "x", want)
	rs, err := s.Records(t.Context(), "x", 0, 10)
	if err != nil || rs[0].Type != workflow.HistoryFolded || rs[1].Seq != rs[0].Seq+1 {
		t.Fatalf("the records begin with %v, %v", rs, err)
	}
	shown := 0
	for it, err := range s.Export(t.Context()) {
		if err == nil && it.Kind == persistence.ItemRecords {
			records, err := it.Records()
			if err != nil || records[0].Seq <= rs[0].Seq {
				t.Fatalf("the export shows record %d, %v, although those up to %d are folded away", records[0].Seq, err, rs[0].Seq)
			}
			shown += len(records)
		}
	}
	if kept := int(c.Now.Seq - rs[0].Seq); shown != kept {
		t.Errorf("the export shows %d records, want %d", shown, kept)
	}
	checkForgotten(t, s, c)
}
