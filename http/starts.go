package http

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/signalbox/signalbox/workflow"
)

// starting reads what both kinds of start need. Which execution it is about is
// for the node to find: by the caller's own id, by the workflow's key, or under an
// id that follows from the Idempotency-Key.
func (x *exchange) starting(sync bool) (workflow.Start, startRequest, error) {
	workflowID, err := x.pathID("workflow_id")
	if err != nil {
		return workflow.Start{}, startRequest{}, err
	}
	q, err := decodeStart(x.in.b, sync)
	if err != nil {
		return workflow.Start{}, q, err
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return workflow.Start{}, q, err
	}
	if err := x.mayStart(&q); err != nil {
		return workflow.Start{}, q, err
	}
	start := workflow.Start{
		WorkflowID: workflowID, ExecID: q.execID, Seed: key, Input: q.input, Key: q.key, Labels: q.labels,
		Origin: &workflow.Origin{Type: workflow.FromAPI}, By: x.by(), NoStart: q.noStart,
	}
	if q.signal != nil {
		start.Signal = x.startSignal(*q.signal, key)
		if start.Seed == "" && !start.Signal.Minted {
			start.Seed = start.Signal.ID
		}
	}
	return start, q, nil
}

// mayStart asks for the scope of each thing that the body wants: the route opens
// to those who have one of them.
func (x *exchange) mayStart(q *startRequest) error {
	if !q.noStart {
		if err := x.needs(ExecutionsWrite); err != nil {
			return err
		}
	}
	if q.signal != nil {
		return x.needs(SignalsWrite)
	}
	return nil
}

// needs refuses a key that lacks a scope which only some requests of a route need.
func (x *exchange) needs(scope Scope) error {
	if x.key == nil || x.key.Has(scope) {
		return nil
	}
	return x.lacks(x.key, scope)
}

// startSignal is the signal that comes with a start. Its id is its own, or the
// Idempotency-Key, or a new one.
func (x *exchange) startSignal(q signalRequest, key string) *workflow.Signal {
	q.id = cmp.Or(q.id, key)
	signal := x.signal(q, "", false)
	return &signal
}

// startExecution answers after the execution, and the signal that came along, are
// durable: 202 when it came to life, 200 when the signal went to one that was there.
func (x *exchange) startExecution() error {
	start, _, err := x.starting(false)
	if err != nil {
		return err
	}
	dry, err := x.dry()
	if err != nil {
		return err
	}
	if dry {
		return x.foreseeStart(start, false)
	}
	begun, err := x.server.node.Begin(x.context(), start)
	if err != nil {
		return refusedStart(&start, err)
	}
	state := begun.State
	address := x.begun(&begun)
	status, message := http.StatusAccepted, "workflow execution started"
	if begun.Answer != nil && !begun.Started {
		status, message = http.StatusOK, "signal sent to the execution that was there"
	}
	return x.answer(status, message, StartAnswer{
		ExecURL: address, ExecID: state.ExecID, WorkflowID: state.WorkflowID, Key: state.Key,
		Duplicate: duplicate(&begun), Started: begun.Started, Signal: signalAnswerOf(begun.Answer),
	})
}

// refusedStart is what a start was refused for.
func refusedStart(start *workflow.Start, err error) error {
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return startRefusal(start, refusal)
}

// startRefusal gives the refusal of a signal that is never awaited another hint: its
// own names a parameter that a start does not have.
func startRefusal(start *workflow.Start, refusal *workflow.Refusal) *workflow.Refusal {
	if refusal == nil || refusal.Code != workflow.CodeNeverAwaited {
		return refusal
	}
	own := *refusal
	own.Hint = "a start does not keep it: start without it, then send it to the execution with ?force=true"
	if start.NoStart {
		own.Hint = "send it to the execution itself, with ?force=true, to keep it all the same"
	}
	if near, ok := refusal.Details["did_you_mean"].(string); ok {
		own.Hint = fmt.Sprintf("did you mean %q? Otherwise, ", near) + own.Hint
	}
	return &own
}

// begun sets the headers of an answer to a start.
func (x *exchange) begun(b *workflow.Begun) string {
	if b.Known {
		x.replayed()
	}
	address := executionURL(b.State.ExecID)
	x.w.Header()["Location"] = []string{address}
	return address
}

// duplicate says that nothing happened: a repeat, or a start whose unique key had
// been taken.
func duplicate(b *workflow.Begun) bool { return b.Known || !b.Started && b.Answer == nil }

// startSync starts and waits for the end, woken by commits of the execution.
func (x *exchange) startSync() error {
	start, q, err := x.starting(true)
	if err != nil {
		return err
	}
	dry, err := x.dry()
	if err != nil {
		return err
	}
	if dry {
		return x.foreseeStart(start, true)
	}
	begun, err := x.server.node.Begin(x.context(), start)
	if err != nil {
		return refusedStart(&start, err)
	}
	state := begun.State
	x.begun(&begun)
	changed, stop := x.server.node.Watch(state.ExecID)
	defer stop()
	if !state.Status.Finished() {
		// Read once more: it may have moved on before the watch began.
		if state, err = x.server.node.Execution(x.context(), state.ExecID); err != nil {
			return err
		}
	}
	state, early, err := x.awaitEnd(state, changed, q.timeout)
	if err != nil {
		return err
	}
	answer := SyncAnswer{
		Workflow: executionOf(state, versionsOf(x.server.node.Workflows())),
		Output:   state.Result(), ExecID: state.ExecID,
		Duplicate: duplicate(&begun), Started: begun.Started, Signal: signalAnswerOf(begun.Answer),
	}
	if early != nil {
		return x.unfinished(early, answer)
	}
	return x.answer(http.StatusOK, "workflow execution completed", answer)
}
