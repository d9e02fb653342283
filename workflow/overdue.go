package workflow

import (
	"encoding/json"
	"fmt"
)

// waitTimedOut ends a wait whose deadline has come. Of several branches those
// end whose deadline it is; the task times out when too few are left.
func (t *transition) waitTimedOut(waitID string) {
	w := *t.s.Wait(waitID)
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	left := 0
	for i := 0; i < len(t.s.Waits); {
		other := t.s.Waits[i]
		switch {
		case other.Task != w.Task || other.Branch == ExtendBranch:
			i++
		case other.Deadline == 0 || other.Deadline > w.Deadline:
			left++
			i++
		default:
			t.record(Record{Type: WaitTimedOut, Task: other.Task, Wait: other.ID, Reason: other.Progress()})
			t.close(other.ID, "the wait's time is over")
		}
	}
	if g := ts.Gathered; g != nil {
		if len(g.Satisfied)+left >= g.Need && left > 0 {
			ts.UpdatedAt = t.at
			return
		}
		t.closeRest(task, "the wait timed out")
		ts.Output = g.output("timed_out", nil, nil, "")
		ts.Gathered = nil
	}
	after := (w.Deadline - w.OpenedAt).duration()
	details, _ := json.Marshal(map[string]any{"signal_name": w.Name, "timeout": after.String(), "timeout_ms": after.Milliseconds()})
	t.lose(task, ts, TimedOut, Failure{
		Code: "WAIT_TIMEOUT", Message: fmt.Sprintf("wait task timed out after %s", after), Details: details,
	})
}
