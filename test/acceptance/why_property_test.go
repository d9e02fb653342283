package acceptance

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// TestWhyNeverLies lives random lives and asks of each open wait what it says
// that it takes: a signal that makes the condition true as it is shown, with the
// values of the context in it and nothing else to look at, is taken by that wait,
// and one that makes it false is not.
func TestWhyNeverLies(t *testing.T) {
	asked := map[bool]int{}
	lived(t, 40, func(l *life) {
		switch l.r.IntN(3) {
		case 0:
			_, _ = l.run.Begin(l.ctx, l.start())
			l.pass()
			return
		case 1:
			_, _ = l.run.Signal(l.ctx, l.signal())
			l.pass()
			return
		}
		exec := l.exec()
		y, err := l.run.Why(l.ctx, exec)
		if err != nil || y.State.Paused || len(y.Waits) == 0 {
			return
		}
		w := y.Waits[l.r.IntN(len(y.Waits))]
		if w.Behind != nil || w.Task == "votes" || y.State.WorkflowID == "keyed" {
			return // others are asked first, the vote may count already, a processor is asked
		}
		l.n++
		sig := workflow.Signal{
			ID: fmt.Sprint("why", l.n), ExecID: exec, Name: w.Name, Source: "api",
			Payload: workflow.Value(fmt.Sprintf(`{"n":%d,"by":"ada"}`, l.r.IntN(8))),
		}
		takes := true
		if w.Takes != "" {
			condition, err := expression.NewCondition(w.Takes, expression.Env{})
			if err != nil {
				t.Fatalf("%q cannot be read: %v", w.Takes, err)
			}
			takes = condition.Judge(&workflow.Scope{Signal: workflow.Value(`{"payload":` + string(sig.Payload) + `}`)}).Holds
		}
		answer, err := l.run.Signal(l.ctx, sig)
		if err != nil {
			t.Fatal(err)
		}
		if taken := answer.WaitID == w.ID; taken != takes {
			t.Fatalf("%s\nthen %s was answered with %+v, and was to be taken: %v", w.Text, sig.Payload, answer, takes)
		}
		asked[takes]++
		synctest.Wait()
	})
	if (asked[true] == 0 || asked[false] == 0) && !testing.Short() {
		t.Errorf("asked %v", asked)
	}
}
