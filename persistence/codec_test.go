package persistence

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalbox/signalbox/workflow"
)

var update = flag.Bool("update", false, "write the golden row of the newest format when it is missing")

// goldenState is what the golden rows hold. It is not changed: a new field of a
// state is a new golden row.
func goldenState() *workflow.State {
	return &workflow.State{
		ExecID: "exec_123", WorkflowID: "approval-processor", Definition: "6f1ed002ab5595859014ebf0951522d9",
		Version: 5, Seq: 12, Status: workflow.Waiting,
		Input:     workflow.Value(`{"order_id":"A-17","note":"<b>&\"é\""}`),
		Trigger:   &workflow.Origin{Type: "signal", Name: "approval-request", Payload: workflow.Value(`{"order_id":"A-17"}`), EventID: "ev-1", CorrelationID: "c-1"},
		CreatedAt: 1_700_000_000_000, UpdatedAt: 1_700_000_000_123,
		Tasks: []workflow.TaskState{
			{ID: "check", Kind: workflow.Basic, Run: 1, Attempt: 2, Status: workflow.Failed, Component: "tool", ToolID: "http",
				Error: &workflow.Failure{Message: "no answer", Code: "timeout", Details: workflow.Value(`{"after":"5s"}`)}, CreatedAt: 1_700_000_000_001, UpdatedAt: 1_700_000_000_002},
			{ID: "wait-for-decision", Kind: workflow.Wait, Run: 1, Status: workflow.Waiting, Component: "task", Previous: "check", CreatedAt: 1_700_000_000_003, UpdatedAt: 1_700_000_000_003},
		},
		Waits:  []workflow.OpenWait{{ID: "wait-for-decision/1", Task: "wait-for-decision", Name: "approval-decision", Condition: "signal.payload.ok", OpenedAt: 1_700_000_000_003, Deadline: 1_700_003_600_003}},
		Buffer: []workflow.Buffered{{Signal: workflow.Signal{ID: "s-1", Name: "later", Payload: workflow.Value(`1`), Source: "api", By: "key", ReceivedAt: 1_700_000_000_004, ExpiresAt: 1_700_000_900_004}, Reason: "no wait"}},
		Timers: []workflow.Timer{{ID: "deadline/wait-for-decision/1", Kind: workflow.TimerDeadline, Of: "wait-for-decision/1", Due: 1_700_003_600_003}},
		Held:   []workflow.HeldInput{{Done: &workflow.TaskDone{Stamp: workflow.Stamp{At: 1_700_000_000_005}, Task: "x", Run: 1, Attempt: 1, Output: workflow.Value(`true`)}}},
		Last:   "check",
		Recent: []string{"s-0", "s-1"},
	}
}

var goldenStamp = Stamp{Version: 5, Epoch: 3, Commit: 0xfeedface}

// TestGolden: a row that any release wrote loads in this one. Golden rows are
// added and never changed.
func TestGolden(t *testing.T) {
	newest := filepath.Join("testdata", fmt.Sprintf("snapshot.format%d", formatNow))
	if _, err := os.Stat(newest); *update && errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(newest, AppendSnapshot(nil, goldenState(), 3, 0xfeedface), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "snapshot.format*"))
	if err != nil || len(files) != len(decoders) {
		t.Fatalf("%d golden rows for %d formats, %v", len(files), len(decoders), err)
	}
	for _, file := range files {
		row, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSnapshot("exec_123", row)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d := cmp.Diff(&Snapshot{State: goldenState(), Stamp: goldenStamp}, got); d != "" {
			t.Errorf("%s decodes differently (-want +got):\n%s", file, d)
		}
		if stamp, err := StampOf("exec_123", row); stamp != goldenStamp || err != nil {
			t.Errorf("%s has stamp %+v, %v, want %+v", file, stamp, err, goldenStamp)
		}
	}
}

// TestDamagedSnapshot flips every bit of a row, and cuts it everywhere: all of
// it is noticed, and so is a row under another execution's key.
func TestDamagedSnapshot(t *testing.T) {
	row := AppendSnapshot(nil, goldenState(), 3, 0xfeedface)
	damaged := func(what string, i int, id string, row []byte) {
		t.Helper()
		_, err := DecodeSnapshot(id, row)
		var corrupt *Corrupt
		if !errors.As(err, &corrupt) || corrupt.ExecID != id || corrupt.Cause == "" {
			t.Fatalf("%s at %d: got error %v, want *Corrupt of %q", what, i, err, id)
		}
	}
	for i := range row {
		for bit := range 8 {
			flipped := bytes.Clone(row)
			flipped[i] ^= 1 << bit
			damaged("flipped bit", i, "exec_123", flipped)
		}
		damaged("cut", i, "exec_123", row[:i])
	}
	damaged("another key", 0, "exec_124", row)
	damaged("longer", 0, "exec_123", append(slices.Clone(row), 0))
	if _, err := DecodeSnapshot("exec_123", row); err != nil {
		t.Fatal(err)
	}
}

// FuzzSnapshot: no bytes make decoding panic, and what decodes is stable.
func FuzzSnapshot(f *testing.F) {
	f.Add("exec_123", AppendSnapshot(nil, goldenState(), 3, 0xfeedface))
	f.Add("e", []byte{formatJSON1})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, id string, row []byte) {
		s, err := DecodeSnapshot(id, row)
		if err != nil {
			var corrupt *Corrupt
			if !errors.As(err, &corrupt) {
				t.Fatalf("got error %v, want *Corrupt", err)
			}
			return
		}
		again, err := DecodeSnapshot(id, AppendSnapshot(nil, s.State, s.Epoch, s.Commit))
		if err != nil {
			t.Fatalf("what was decoded and encoded again: %v", err)
		}
		if again.Stamp != s.Stamp {
			t.Fatalf("the stamp changed from %+v to %+v", s.Stamp, again.Stamp)
		}
	})
}
