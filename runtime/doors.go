package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// What follows is the front door's view of the node: it satisfies http.Node.

// Signal delivers a signal to its execution and answers after the commit.
func (n *Node) Signal(ctx context.Context, s workflow.Signal) (workflow.Answer, error) {
	at := workflow.InstantOf(time.Now())
	s.ReceivedAt = at
	r, err := n.system.Ask(ctx, &actors.Deliver{ExecID: s.ExecID, Input: workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: s}})
	n.telemetry.Signal(outcome(r.Answer, err))
	return r.Answer, err
}

// Signals delivers many signals and answers after the commits of all. It appends
// the results to into, in the order of the signals.
func (n *Node) Signals(ctx context.Context, signals []workflow.Signal, into []workflow.SignalResult) []workflow.SignalResult {
	stamp := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	err := n.system.AskAll(ctx, len(signals), func(i int, d *actors.Deliver) {
		s := &signals[i]
		s.ReceivedAt = stamp.At
		d.ExecID, d.Input = s.ExecID, workflow.Signalled{Stamp: stamp, Signal: *s}
	}, func(r *actors.Reply) {
		into = append(into, workflow.SignalResult{Answer: r.Answer, Err: r.Err})
		n.telemetry.Signal(outcome(r.Answer, r.Err))
	})
	if err != nil {
		for range signals {
			into = append(into, workflow.SignalResult{Err: err})
			n.telemetry.Signal(outcome(workflow.Answer{}, err))
		}
	}
	return into
}

// SignalsTogether delivers signals to one execution in one commit, or none.
func (n *Node) SignalsTogether(ctx context.Context, signals []workflow.Signal) ([]workflow.Answer, int, error) {
	if len(signals) == 0 {
		return nil, -1, nil
	}
	stamp := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	inputs := make([]workflow.Signalled, len(signals))
	for i, s := range signals {
		s.ReceivedAt = stamp.At
		inputs[i] = workflow.Signalled{Stamp: stamp, Signal: s}
	}
	answers, refused, err := n.system.Together(ctx, signals[0].ExecID, inputs)
	if err != nil {
		n.telemetry.Signal(outcome(workflow.Answer{}, err))
	}
	for i := range answers {
		n.telemetry.Signal(outcome(answers[i], nil))
	}
	return answers, refused, err
}

// Events accepts many events; they are durable when this returns.
func (n *Node) Events(ctx context.Context, events []workflow.Event) []workflow.EventResult {
	at := workflow.InstantOf(time.Now())
	for i := range events {
		events[i].ReceivedAt = at
	}
	results, err := n.system.Events(ctx, events)
	if err != nil {
		results = make([]workflow.EventResult, len(events))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	for _, r := range results {
		switch {
		case r.Err != nil:
		case r.Known:
			n.telemetry.Event("duplicate")
		default:
			n.telemetry.Event("accepted")
		}
	}
	return results
}

// outcome is the label under which a signal is counted.
func outcome(a workflow.Answer, err error) string {
	switch {
	case err != nil:
		return refused(err)
	case a.Duplicate:
		return "duplicate"
	}
	return string(a.Outcome)
}

// refused is outcome of an error: the code of its refusal, if it is one.
func refused(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return "error"
}

// Event accepts an event; it is durable when this returns.
func (n *Node) Event(ctx context.Context, e workflow.Event) (*workflow.EventReceipt, bool, error) {
	e.ReceivedAt = workflow.InstantOf(time.Now())
	stored, known, err := n.system.Event(ctx, e)
	if err == nil {
		label := "accepted"
		if known {
			label = "duplicate"
		}
		n.telemetry.Event(label)
	}
	return stored, known, err
}

func (n *Node) noWorkflow(id string) *workflow.Refusal {
	r := &workflow.Refusal{
		Code: workflow.CodeNoWorkflow, Message: fmt.Sprintf("there is no workflow %q", id),
		Hint: "GET /api/v0/workflows lists those that are loaded", Details: map[string]any{"workflow_id": id},
	}
	var ids []string
	for _, w := range n.catalog.All() {
		ids = append(ids, w.ID)
	}
	if near := workflow.Nearest(id, ids); near != "" {
		r.Hint = fmt.Sprintf("did you mean %q? %s", near, r.Hint)
		r.Details["did_you_mean"] = near
	}
	return r
}

// Steer pauses, resumes or cancels an execution, or moves the deadline of a wait.
func (n *Node) Steer(ctx context.Context, execID string, what workflow.Input) (*workflow.State, error) {
	at := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	switch in := what.(type) {
	case workflow.PauseAsked:
		in.Stamp = at
		what = in
	case workflow.ResumeAsked:
		in.Stamp = at
		what = in
	case workflow.CancelAsked:
		in.Stamp = at
		what = in
	case workflow.DeadlineMoved:
		in.Stamp = at
		what = in
	default:
		return nil, &workflow.Refusal{Code: workflow.CodeInvalid, Message: "an execution can be paused, resumed or canceled, or the deadline of a wait moved, nothing else"}
	}
	r, err := n.system.Ask(ctx, &actors.Deliver{ExecID: execID, Input: what})
	return r.State, err
}

// Execution returns the execution as it is durable.
func (n *Node) Execution(ctx context.Context, execID string) (*workflow.State, error) {
	snapshot, err := n.store.Load(ctx, execID)
	if err != nil {
		return nil, n.reading(err, execID)
	}
	if cause, ill := n.system.Quarantined(execID); ill && !snapshot.State.Status.Finished() {
		state := *snapshot.State
		state.Error = &workflow.Failure{Code: "QUARANTINED", Message: cause}
		return &state, nil
	}
	return snapshot.State, nil
}

// reading turns an error of the store into a refusal.
func (n *Node) reading(err error, execID string) error {
	var corrupt *persistence.Corrupt
	var refusal *workflow.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal // of a cursor, say
	case errors.Is(err, persistence.ErrNotFound):
		return &workflow.Refusal{
			Code: workflow.CodeNoExecution, Message: fmt.Sprintf("there is no execution %q", execID),
			Hint: "check the id; finished executions are forgotten after the node's retention", Details: map[string]any{"exec_id": execID},
		}
	case errors.As(err, &corrupt):
		return &workflow.Refusal{
			Code: workflow.CodeQuarantined, Message: corrupt.Error(),
			Hint: "the other executions are not affected; restore this one from a backup", Details: map[string]any{"exec_id": execID},
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return &workflow.Refusal{Code: workflow.CodeStoreUnavailable, Message: "the store cannot be read: " + err.Error(), RetryAfter: unavailableRetryAfter}
}

// Executions lists executions, newest first.
func (n *Node) Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error) {
	q.Limit = min(max(q.Limit, 1), maxPage)
	page, err := n.store.Executions(ctx, q)
	if err != nil {
		return page, n.reading(err, "")
	}
	return page, nil
}

// History returns records after the one numbered after.
func (n *Node) History(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error) {
	records, err := n.store.Records(ctx, execID, after, min(max(limit, 1), maxPage))
	if err != nil {
		return nil, n.reading(err, execID)
	}
	if len(records) == 0 {
		// Nothing after that record, or no such execution: only the latter is a refusal.
		if _, err := n.Execution(ctx, execID); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// Waits lists open waits.
func (n *Node) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	q.Limit = min(max(q.Limit, 1), maxPage)
	page, err := n.store.Waits(ctx, q)
	if err != nil {
		return page, n.reading(err, "")
	}
	return page, nil
}

// SignalReceipts returns what became of a signal, for each execution it was sent
// to; none when it is not known here.
func (n *Node) SignalReceipts(ctx context.Context, signalID string, limit int) ([]workflow.Receipt, error) {
	receipts, err := n.store.Receipts(ctx, signalID, "", min(max(limit, 1), maxPage))
	if err != nil {
		return nil, n.reading(err, "")
	}
	return receipts, nil
}

// EventReceipt returns what became of an event; nil when it is not known here.
func (n *Node) EventReceipt(ctx context.Context, eventID string) (*workflow.EventReceipt, error) {
	receipt, err := n.store.Event(ctx, eventID)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, n.reading(err, "")
	}
	return receipt, nil
}

// Watch returns a channel that gets a value after each commit of the execution.
func (n *Node) Watch(execID string) (changed <-chan struct{}, stop func()) {
	return n.system.Watch(execID)
}
