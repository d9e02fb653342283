package http

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// waitSeparator stands between the parts of a wait's address. Neither task ids
// nor branches can contain it, and it needs no escaping in a URL.
const waitSeparator = "~"

// waitAddress is the id of a wait among all executions, EXEC~TASK~RUN or
// EXEC~TASK~RUN.BRANCH: the execution's id and the wait's own, task/run. It is
// read from the right, so that the execution's id may contain anything.
func waitAddress(execID, waitID string) string {
	return execID + waitSeparator + strings.Replace(waitID, "/", waitSeparator, 1)
}

// parseWaitAddress is the inverse of waitAddress.
func parseWaitAddress(address string) (execID, waitID string, err error) {
	run := strings.LastIndex(address, waitSeparator)
	task := -1
	if run > 0 {
		task = strings.LastIndex(address[:run], waitSeparator)
	}
	if task < 1 || task+1 == run || run+1 == len(address) {
		return "", "", refuse(workflow.CodeInvalid, fmt.Sprintf("%q is no id of a wait", truncate(address)),
			"it is EXEC~TASK~RUN, as `wait_id` in GET /api/v0/waits has it")
	}
	execID = address[:task]
	return execID, address[task+1:run] + "/" + address[run+1:], checkID("wait_id", execID)
}

type moveRequest struct {
	deadline workflow.Instant
	reason   string
}

var moveFields = []string{"deadline", "reason"}

// decodeMove reads the body of a PATCH of a wait.
func decodeMove(body []byte, now workflow.Instant) (q moveRequest, err error) {
	m, err := open(body)
	if err != nil {
		return q, err
	}
	for m.next() {
		switch string(m.name) {
		case "deadline":
			var text string
			if text, err = m.text(); err == nil && text != "" {
				if q.deadline, err = workflow.ParseDeadline(text, now); err != nil {
					err = invalidField("deadline", "cannot be read: "+err.Error(), "")
				}
			}
		case "reason":
			q.reason, err = m.text()
		default:
			err = m.unknown(moveFields)
		}
		if err != nil {
			return q, err
		}
	}
	switch {
	case q.deadline == 0:
		return q, invalidField("deadline", "is missing", `write how long from now or until when: {"deadline":"2h"} or {"deadline":"2027-01-31T18:00:00Z"}`)
	case len(q.reason) > MaxReasonBytes:
		return q, invalidField("reason", fmt.Sprintf("has %d bytes, at most %d are allowed", len(q.reason), MaxReasonBytes), "")
	}
	return q, nil
}

// moveWait gives an open wait another deadline.
func (x *exchange) moveWait() error {
	execID, waitID, err := parseWaitAddress(x.params.ByName("wait_id"))
	if err != nil {
		return err
	}
	q, err := decodeMove(x.in.b, x.now())
	if err != nil {
		return err
	}
	state, err := x.server.node.Steer(x.context(), execID, workflow.DeadlineMoved{
		Stamp: workflow.Stamp{At: x.now()}, Wait: waitID, Deadline: q.deadline, By: x.by(), Reason: q.reason,
	})
	if err != nil {
		return err
	}
	moved := MovedWait{Message: "deadline moved", Waits: []WaitRow{}}
	for i := range state.Waits {
		// Of a wait with branches all that are open, because the whole may have moved.
		if w := &state.Waits[i]; w.Branch != workflow.ExtendBranch && (w.ID == waitID || strings.HasPrefix(w.ID, waitID+".")) {
			moved.Waits = append(moved.Waits, WaitRow{WorkflowID: state.WorkflowID, WorkflowExecID: execID, WaitingTask: waitingTaskOf(execID, w)})
		}
	}
	return x.answer(http.StatusOK, moved.Message, moved)
}
