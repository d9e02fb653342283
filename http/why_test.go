package http

import (
	"strings"
	"testing"
)

func TestWhyIsASentenceAndData(t *testing.T) {
	d := newDoor(t)
	d.begin("exec_1")
	d.post(signalPath("exec_1"), `{"signal_name":"approval-decision","signal_id":"s1","payload":{"decision":"pending"}}`).want(200)
	y := data[Why](d.get("/api/v0/executions/workflows/exec_1/why").want(200))
	if y.ExecID != "exec_1" || y.Buffered != 1 || len(y.Waits) != 1 || y.Waits[0].SignalName != "approval-decision" || y.Waits[0].AtDeadline != "" {
		t.Fatalf("%+v", y)
	}
	if !strings.Contains(y.Sentence, `waits for signal "approval-decision"`) || len(y.Signals) != 1 || y.Signals[0].SignalID != "s1" {
		t.Fatalf("%+v", y)
	}
	d.get("/api/v0/executions/workflows/nobody/why").want(404)
	d.get("/api/v0/executions/workflows/exec_1/why?verbose=true").want(400)
}
