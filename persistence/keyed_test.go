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
		short, long := AppendRecordsUnder(nil, exec, records), AppendRecords(nil, records)
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
	})
	sig := workflow.Signal{ID: "01a214cd-876b-764d-82d1-4c3c00d4be4a", ExecID: "order-17", Name: "paid", Payload: workflow.Value(`{"amount":9}`), Source: "api", ReceivedAt: 1795645343586}
	in := workflow.Signalled{Stamp: workflow.Stamp{At: sig.ReceivedAt}, Signal: sig}
	records := []workflow.Record{{Seq: 1, At: sig.ReceivedAt, Type: in.Kind(), Signal: sig.ID, Data: workflow.ValueOf(in)}}
	if short, long := len(AppendRecordsUnder(nil, "order-17", records)), len(AppendRecords(nil, records)); short > long-110 {
		t.Errorf("under its key a signal takes %d bytes, without %d", short, long)
	}
}
