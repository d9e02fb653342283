package persistence

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// TestSignalUnderItsKey: what a signal leaves behind comes back whole from the row
// under its key, whatever its ids are, and from the longer row of before; what was
// said twice is said once.
func TestSignalUnderItsKey(t *testing.T) {
	ids := rapid.SampledFrom([]string{"order-17", "01a214cd-876b-764d-82d1-4c3c00d4be4a", `with "quotes"`, "line\n", "é", "", `\u0022`})
	rapid.Check(t, func(t *rapid.T) {
		at := workflow.Instant(rapid.SampledFrom([]int64{0, 5, 1795645343586}).Draw(t, "at"))
		sig := workflow.Signal{
			ID: ids.Draw(t, "signal"), ExecID: ids.Draw(t, "its execution"), Name: "paid", Payload: workflow.Value(`{"amount":9}`),
			Source: rapid.SampledFrom([]string{"api", "event", ""}).Draw(t, "source"), By: ids.Draw(t, "by"),
			ReceivedAt: workflow.Instant(rapid.SampledFrom([]int64{0, 5, 1795645343586}).Draw(t, "received")),
		}
		exec := ids.Draw(t, "execution")
		in := workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: sig}
		records := []workflow.Record{
			{Seq: 3, At: workflow.Instant(rapid.SampledFrom([]int64{0, 5, 1795645343586}).Draw(t, "recorded")), Type: in.Kind(), Signal: sig.ID, Data: workflow.ValueOf(in)},
			{Seq: 4, Type: workflow.SignalConsumed, Task: "hold", Wait: "hold/1", Signal: sig.ID},
			{Seq: 5, Type: workflow.WaitOpened, Task: "hold", Wait: "hold/2", Data: workflow.Value(`{"name":"paid"}`)},
			{Seq: 6, Type: workflow.SignalDead, Signal: ids.Draw(t, "another"), Reason: "none"},
		}
		short, long := AppendTurnUnder(nil, exec, records, nil), AppendRecords(nil, records)
		for _, row := range [][]byte{short, long} {
			got, err := DecodeRecordsUnder(exec, row)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(records, got); d != "" {
				t.Fatalf("the records come back changed (-want +got)\n%s", d)
			}
		}
		receipt := &workflow.Receipt{SignalID: sig.ID, ExecID: exec, Name: sig.Name, Answer: workflow.Answer{SignalID: ids.Draw(t, "answered")}}
		for _, row := range [][]byte{AppendReceiptUnder(nil, receipt), AppendReceipt(nil, receipt)} {
			got, err := DecodeReceiptUnder(exec, sig.ID, row)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(receipt, got); d != "" {
				t.Fatalf("the receipt comes back changed (-want +got)\n%s", d)
			}
		}
		checkTurn(t, exec, records, []workflow.Receipt{{SignalID: ids.Draw(t, "first"), ExecID: exec, Name: "other"}, *receipt}[rapid.IntRange(0, 2).Draw(t, "without"):])
	})
	sig := workflow.Signal{ID: "01a214cd-876b-764d-82d1-4c3c00d4be4a", ExecID: "order-17", Name: "paid", Payload: workflow.Value(`{"amount":9}`), Source: "api", ReceivedAt: 1795645343586}
	in := workflow.Signalled{Stamp: workflow.Stamp{At: sig.ReceivedAt}, Signal: sig}
	records := []workflow.Record{{Seq: 1, At: sig.ReceivedAt, Type: in.Kind(), Signal: sig.ID, Data: workflow.ValueOf(in)}}
	if short, long := len(AppendTurnUnder(nil, "order-17", records, nil)), len(AppendRecords(nil, records)); short > long-110 {
		t.Errorf("under its key a signal takes %d bytes, without %d", short, long)
	}
}

// checkTurn: records and receipts come back from one row, and of a row that is cut off
// nothing is invented.
func checkTurn(t *rapid.T, exec string, records []workflow.Record, receipts []workflow.Receipt) {
	row := AppendTurnUnder(nil, exec, records, receipts)
	got, err := DecodeRecordsUnder(exec, row)
	if d := cmp.Diff(records, got); d != "" || err != nil {
		t.Fatalf("the records of a turn come back changed: %v (-want +got)\n%s", err, d)
	}
	last := map[string]workflow.Receipt{}
	for _, r := range receipts {
		last[r.SignalID] = r
	}
	for id, want := range last {
		got, err := ReceiptUnder(exec, id, row)
		if d := cmp.Diff(&want, got); d != "" || err != nil {
			t.Fatalf("a receipt of a turn comes back changed: %v (-want +got)\n%s", err, d)
		}
	}
	if none, err := ReceiptUnder(exec, "nobody's", row); none != nil || err != nil {
		t.Fatalf("a receipt that is not there is %v, %v", none, err)
	}
	short := row[:rapid.IntRange(0, len(row)-1).Draw(t, "bytes that are left")]
	if _, err := DecodeRecordsUnder(exec, short); err == nil {
		t.Fatalf("%d of %d bytes decode", len(short), len(row))
	}
}
