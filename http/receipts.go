package http

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Receipts are biographies: what happened to a message, step by step, and what
// it caused, with links to where each is told in full.

// signalReceipt shows what became of a signal.
func (x *exchange) signalReceipt() error {
	id, err := x.pathID("signal_id")
	if err != nil {
		return err
	}
	only := x.query("exec_id")
	var found []workflow.Receipt
	read := func() (pending string, err error) {
		all, err := x.server.node.SignalReceipts(x.soon(), id, MaxReceipts)
		if err != nil {
			return "", err
		}
		found = found[:0]
		for i := range all {
			if only != "" && all[i].ExecID != only {
				continue
			}
			found = append(found, all[i])
			if pending == "" && !all[i].Fate.Final() {
				pending = all[i].ExecID
			}
		}
		return pending, nil
	}
	if err := x.await(read); err != nil {
		return err
	}
	if len(found) == 0 {
		return noReceipt(workflow.CodeNoSignal, "signal", id)
	}
	shown := make([]SignalReceipt, len(found))
	for i := range found {
		if shown[i], err = x.biography(&found[i], i < maxTraced); err != nil {
			return err
		}
	}
	return x.answer(200, "signal receipt", SignalReceipts{SignalReceipt: shown[0], Others: shown[1:]})
}

// noReceipt refuses to tell of a message: nobody knows any more whether it ever came.
func noReceipt(code, kind, id string) error {
	return refuse(code, fmt.Sprintf("there is no receipt of %s %q here: it was not accepted, or it was forgotten after the node's retention", kind, truncate(id)),
		"send it, with the same id, only if it is younger than that")
}

// biography is a receipt with what the signal caused.
func (x *exchange) biography(r *workflow.Receipt, traced bool) (SignalReceipt, error) {
	shown := signalReceiptOf(r, x.mayKnow(r.By))
	if !traced {
		return shown, nil
	}
	var err error
	shown.Caused, err = x.causedBy(r, "")
	return shown, err
}

// mayKnow says whether the reader may see from where a message came and what it
// held: who sent it may, and who may read executions.
func (x *exchange) mayKnow(by string) bool {
	return x.server.keys == nil || x.key.Has(ExecutionsRead) || x.key.Name == by
}

// eventReceipt shows what became of an event.
func (x *exchange) eventReceipt() error {
	id, err := x.pathID("event_id")
	if err != nil {
		return err
	}
	if source := x.query("source"); source != "" {
		id = cloudEventID(source, id)
	}
	var receipt *workflow.EventReceipt
	read := func() (pending string, err error) {
		if receipt, err = x.server.node.EventReceipt(x.soon(), id); err != nil {
			return "", err
		}
		if receipt != nil && !receipt.Fate.Final() {
			return workflow.EventKey(id), nil
		}
		return "", nil
	}
	if err := x.await(read); err != nil {
		return err
	}
	if receipt == nil {
		return noReceipt(workflow.CodeNoEvent, "event", id)
	}
	// A sender may see what became of its event; the content of others' events
	// is for those who may read executions.
	shown := eventReceiptOf(receipt, x.mayKnow(receipt.Event.By))
	if err := x.traceDeliveries(receipt, shown.Deliveries); err != nil {
		return err
	}
	return x.answer(200, "event receipt", shown)
}

// traceDeliveries adds to the waits that an event reached what happened there.
func (x *exchange) traceDeliveries(r *workflow.EventReceipt, deliveries []Delivery) error {
	reached := false
	for _, d := range r.Deliveries {
		reached = reached || d.Kind == "wait"
	}
	if !reached {
		return nil
	}
	receipts, err := x.server.node.SignalReceipts(x.soon(), r.Event.ID, MaxReceipts)
	if err != nil {
		return err
	}
	traced := 0
	for i := range receipts {
		for j := range deliveries {
			d := &deliveries[j]
			if d.Kind != "wait" || d.ExecID != receipts[i].ExecID {
				continue
			}
			d.Steps = stepsOf(receipts[i].ExecID, stepsAt(receipts[i].Steps, d.WaitID), false)
			if traced++; traced > maxTraced {
				continue
			}
			if d.Caused, err = x.causedBy(&receipts[i], d.WaitID); err != nil {
				return err
			}
		}
	}
	return nil
}

// stepsAt are the steps of an event in an execution that concern one wait of it.
func stepsAt(steps []workflow.Step, wait string) []workflow.Step {
	var own []workflow.Step
	for _, s := range steps {
		if s.Wait == "" || s.Wait == wait {
			own = append(own, s)
		}
	}
	return own
}

// await reads, and with ?wait= reads again after every change until nothing is
// pending or the time is up. What read returns as pending is what to watch.
func (x *exchange) await(read func() (pending string, err error)) error {
	most, err := x.wait()
	if err != nil {
		return err
	}
	var timeUp <-chan time.Time
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		timeUp = timer.C
	}
	var watched string
	var changed <-chan struct{}
	stop := func() {}
	defer func() { stop() }()
	for {
		pending, err := read()
		if err != nil || pending == "" || most == 0 {
			return err
		}
		if pending != watched {
			// What happened before the watch began is seen by reading once more.
			stop()
			watched = pending
			changed, stop = x.server.node.Watch(pending)
			continue
		}
		select {
		case <-changed:
		case <-timeUp:
			return nil
		case <-x.server.stopping:
			return nil
		case <-x.r.Context().Done():
			return x.r.Context().Err()
		}
	}
}

// wait is how long the answer may be held for a final fate; 0 when not at all.
func (x *exchange) wait() (time.Duration, error) {
	text := x.query("wait")
	if text == "" {
		return 0, nil
	}
	d, err := workflow.ParseDuration(text)
	ok := err == nil
	if !ok {
		d, ok = parseSeconds(text)
	}
	if !ok || d < 0 || d > MaxReceiptWait {
		return 0, refuse(workflow.CodeInvalid, fmt.Sprintf("the parameter wait is %q", truncate(text)),
			"write it like 5s or 500ms, at most "+MaxReceiptWait.String())
	}
	return d, nil
}

// recordLink is where a record of a history is read.
func recordLink(execID string, record uint64) string {
	if record == 0 {
		return ""
	}
	return executionURL(execID) + "/history?after=" + strconv.FormatUint(record-1, 10) + "&limit=1"
}

func eventURL(id string) string { return api + "/events/" + url.PathEscape(id) }
