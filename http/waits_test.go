package http

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestAddressesOfWaitsAreReadAsTheyAreWritten(t *testing.T) {
	for _, one := range []struct{ exec, wait, address string }{
		{"e", "hold/1", "e~hold~1"},
		{"order-17~b", "check.all:x/12.legal-team", "order-17~b~check.all:x~12.legal-team"},
	} {
		if got := waitAddress(one.exec, one.wait); got != one.address {
			t.Errorf("got %q, want %q", got, one.address)
		}
		if exec, wait, err := parseWaitAddress(one.address); err != nil || exec != one.exec || wait != one.wait {
			t.Errorf("%q is read as %q and %q: %v", one.address, exec, wait, err)
		}
	}
	for _, bad := range []string{"", "e", "e~hold", "~hold~1", "e~~1", "e~hold~", "a/b~hold~1"} {
		if exec, wait, err := parseWaitAddress(bad); err == nil {
			t.Errorf("%q is read as %q and %q", bad, exec, wait)
		}
	}
}

func TestADeadlineIsMoved(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	wait := data[WaitList](d.get("/api/v0/waits").want(200)).Waits[0]
	at := "/api/v0/waits/" + wait.WaitID
	moved := data[MovedWait](d.do("PATCH", at, `{"deadline":"2h","reason":"a holiday"}`).want(200))
	if len(moved.Waits) != 1 || moved.Waits[0].ID != wait.ID || moved.Waits[0].WorkflowExecID != "e" || moved.Waits[0].Until == 0 {
		t.Fatalf("%+v", moved)
	}
	d.do("PATCH", at, `{"deadline":"2999-01-31T18:00:00Z"}`).problem(400, workflow.CodeInvalid)
	for _, bad := range []string{`{}`, `{"deadline":"soon"}`, `{"deadline":7}`, `{"deadline":"2h","why":"x"}`, `{"deadline":"2h","reason":7}`, `[]`} {
		d.do("PATCH", at, bad).problem(400, workflow.CodeInvalid)
	}
	d.do("PATCH", "/api/v0/waits/e~nothing~1", `{"deadline":"2h"}`).problem(404, workflow.CodeNoWait)
	d.do("PATCH", "/api/v0/waits/nobody~hold~1", `{"deadline":"2h"}`).problem(404, workflow.CodeNoExecution)
	d.do("PATCH", "/api/v0/waits/e", `{"deadline":"2h"}`).problem(400, workflow.CodeInvalid)
}
