package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Begin starts an execution, or returns the one that was started under the same
// id with the same input, or that has the same unique key. A signal that comes
// along is delivered in the commit of the start, or to the execution that is
// there; a signal that is refused starts nothing.
func (n *Node) Begin(ctx context.Context, s workflow.Start) (workflow.Begun, error) {
	begun, err := n.begin(ctx, s, n.system.Ask)
	if s.Signal != nil && code(err) != workflow.CodeNoWorkflow {
		r := actors.Reply{}
		if begun.Answer != nil {
			r.Answer = *begun.Answer
		}
		n.telemetry.Signal(outcome(r.Answer, err))
	}
	return begun, err
}

// begin asks executions by that function: a dry run only looks at them.
func (n *Node) begin(ctx context.Context, s workflow.Start, ask asker) (workflow.Begun, error) {
	w := n.catalog.Current(s.WorkflowID)
	if w == nil {
		return workflow.Begun{}, n.noWorkflow(s.WorkflowID)
	}
	b := &beginning{Node: n, start: s, def: w, ask: ask}
	if s.NoStart {
		b.started.Key = s.Key
		if s.ExecID == "" && s.Key == "" {
			return workflow.Begun{}, unaddressed(s.WorkflowID)
		}
	} else if err := b.prepare(); err != nil {
		return workflow.Begun{}, err
	}
	return b.run(ctx)
}

// asker brings an input to an execution and gives its reply.
type asker func(context.Context, *actors.Deliver) (actors.Reply, error)

func unaddressed(workflowID string) *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeInvalid,
		Message: "nothing is to be started, and neither an exec_id nor a key says which execution of workflow " + workflowID + " is meant",
		Hint:    "name one of them, or leave `start` out",
	}
}

// beginning is one Begin under way.
type beginning struct {
	*Node
	start   workflow.Start
	def     *definitions.Workflow
	ask     asker
	started workflow.Started
	fresh   bool // the id is new: nobody can have used it
}

// prepare makes the input of the start: defaults, key, labels, id.
func (b *beginning) prepare() error {
	s := &b.start
	input, refusal := actors.Input(b.def.Definition, s.Input)
	if refusal != nil {
		return refusal
	}
	origin := workflow.Origin{Type: workflow.FromAPI}
	if s.Origin != nil {
		origin = *s.Origin
	}
	if s.Signal != nil {
		origin.SignalID = s.Signal.ID
	}
	b.started = workflow.Started{
		Stamp: workflow.Stamp{At: workflow.InstantOf(time.Now())}, ExecID: s.ExecID, WorkflowID: b.def.ID, Definition: b.def.Hash,
		Input: input, Origin: &origin, By: s.By, Key: s.Key,
	}
	if refusal := b.def.Mark(&b.started, s.Labels); refusal != nil {
		return refusal
	}
	if s.Signal != nil && s.ExecID == "" && b.started.Key != "" && !b.started.Unique {
		return b.notUnique()
	}
	if b.started.ExecID == "" {
		b.started.ExecID, b.fresh = b.chooseID()
	}
	return nil
}

// chooseID makes the id of an execution, from the seed when there is one. The
// same signal id may start executions of several keys.
func (b *beginning) chooseID() (id string, fresh bool) {
	switch {
	case b.start.Seed == "":
		return mintID(), true
	case b.start.Signal != nil && b.started.Unique:
		return workflow.DerivedID("start", b.def.ID, b.start.Seed, b.started.Key), false
	}
	return workflow.DerivedID("start", b.def.ID, b.start.Seed), false
}

func (b *beginning) notUnique() *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeInvalid,
		Message: fmt.Sprintf("the keys of workflow %s are not unique, so %q does not say which execution gets the signal", b.def.ID, b.started.Key),
		Hint:    "write `unique: true` into the workflow's `key`, or name the exec_id",
		Details: map[string]any{"workflow_id": b.def.ID, "key": b.started.Key},
	}
}

// run finds the execution or starts it. It begins again when the holder of the
// key finished meanwhile, which leaves the key to whoever comes next.
func (b *beginning) run(ctx context.Context) (workflow.Begun, error) {
	byKey := b.start.Signal != nil && b.start.ExecID == "" && (b.started.Unique || b.start.NoStart)
	for range maxTakeovers {
		if byKey {
			if begun, done, err := b.signalHolder(ctx); done || err != nil {
				return begun, err
			}
		}
		if b.start.NoStart {
			return b.signalOnly(ctx)
		}
		begun, err := b.try(ctx)
		holder := actors.Holder(err)
		if holder == "" {
			return begun, err
		}
		if begun, done, err := b.taken(ctx, holder, err); done {
			return begun, err
		}
	}
	return workflow.Begun{}, &workflow.Refusal{
		Code:    workflow.CodeOverloaded,
		Message: fmt.Sprintf("the key %q went from one execution to the next %d times meanwhile; nothing was kept", b.started.Key, maxTakeovers),
		Hint:    "send it again with the same signal_id or Idempotency-Key", RetryAfter: unavailableRetryAfter,
	}
}

// try asks the execution of the chosen id to start.
func (b *beginning) try(ctx context.Context) (workflow.Begun, error) {
	s := &b.start
	var signal *workflow.Signal
	if s.Signal != nil {
		copied := *s.Signal
		copied.ExecID, copied.ReceivedAt = b.started.ExecID, b.started.At
		signal = &copied
	}
	r, err := b.ask(ctx, &actors.Deliver{
		ExecID: b.started.ExecID, Definition: b.def.Definition, Fresh: b.fresh, Input: b.started, Signal: signal,
	})
	b.fresh = false
	if err != nil {
		return workflow.Begun{}, err
	}
	if s.Key != "" && r.State.Key != s.Key {
		return workflow.Begun{}, &workflow.Refusal{
			Code:    workflow.CodeExecutionExists,
			Message: fmt.Sprintf("execution %q exists already, with the key %q", r.State.ExecID, r.State.Key),
			Hint:    "choose another exec_id or Idempotency-Key for another key",
			Details: map[string]any{"exec_id": r.State.ExecID, "workflow_id": r.State.WorkflowID, "key": r.State.Key},
		}
	}
	if signal != nil {
		return signalled(r, signal.ID), nil
	}
	return workflow.Begun{State: r.State, Started: true, Known: r.Known}, nil
}

// signalled says whether the execution was started with that very signal.
func signalled(r actors.Reply, signalID string) workflow.Begun {
	origin := r.State.Trigger
	return workflow.Begun{
		State: r.State, Started: origin != nil && origin.SignalID == signalID, Known: r.Answer.Duplicate, Answer: &r.Answer,
	}
}

// taken is for a start whose key another execution has: a signal goes there, and
// whoever only wanted an execution gets that one, unless the workflow refuses.
// done is false when the holder has finished.
func (b *beginning) taken(ctx context.Context, holder string, why error) (workflow.Begun, bool, error) {
	if b.start.Signal != nil {
		return b.signalTo(ctx, holder)
	}
	if b.def.Key.Refuse {
		return workflow.Begun{}, true, why
	}
	state, err := b.Execution(ctx, holder)
	switch {
	case code(err) == workflow.CodeNoExecution, err == nil && state.Status.Finished():
		return workflow.Begun{}, false, why
	case err != nil:
		return workflow.Begun{}, true, err
	}
	return workflow.Begun{State: state}, true, nil
}

// signalHolder delivers the signal to the live execution that has the key, unless
// an earlier attempt of this request reached one, which may have finished since.
// The holder is asked for first: whatever an earlier attempt did to one that has
// given the key back is visible by then.
func (b *beginning) signalHolder(ctx context.Context) (workflow.Begun, bool, error) {
	holder, err := b.store.Holder(ctx, b.def.ID, b.started.Key)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		return workflow.Begun{}, true, b.reading(err, "")
	}
	if !b.start.Signal.Minted {
		if begun, done, err := b.signalEarlier(ctx); done {
			return begun, true, err
		}
	}
	if holder == "" {
		return workflow.Begun{}, false, nil
	}
	begun, done, err := b.signalTo(ctx, holder)
	if !done {
		err = nil // it has finished meanwhile, and left the key to the next one
	}
	return begun, done, err
}

// signalEarlier finds the execution of this key that has a receipt of the signal
// and asks it again, which gives the first answer.
func (b *beginning) signalEarlier(ctx context.Context) (workflow.Begun, bool, error) {
	receipts, err := b.store.Receipts(ctx, b.start.Signal.ID, "", maxEarlier)
	if err != nil {
		return workflow.Begun{}, true, b.reading(err, "")
	}
	for i := range receipts {
		snapshot, err := b.store.Load(ctx, receipts[i].ExecID)
		if err != nil || snapshot.State.WorkflowID != b.def.ID || snapshot.State.Key != b.started.Key {
			continue // it is gone, damaged, or another one: no earlier attempt of this request
		}
		if begun, done, err := b.signalTo(ctx, receipts[i].ExecID); done {
			return begun, true, err
		}
	}
	return workflow.Begun{}, false, nil
}

// signalTo delivers the signal to an execution; done is false when it has
// finished or is gone.
func (b *beginning) signalTo(ctx context.Context, execID string) (workflow.Begun, bool, error) {
	signal := *b.start.Signal
	at := workflow.InstantOf(time.Now())
	signal.ExecID, signal.ReceivedAt = execID, at
	signal.Seeking = b.start.ExecID == ""
	r, err := b.ask(ctx, &actors.Deliver{ExecID: execID, Whole: true, Input: workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: signal}})
	switch code(err) {
	case workflow.CodeFinished, workflow.CodeNoExecution:
		return workflow.Begun{}, false, err
	}
	if err != nil {
		return workflow.Begun{}, true, err
	}
	return signalled(r, signal.ID), true, nil
}

// signalOnly delivers the signal to the execution of the id that was named, or
// says that nobody has the key.
func (b *beginning) signalOnly(ctx context.Context) (workflow.Begun, error) {
	execID := b.start.ExecID
	if execID == "" {
		return workflow.Begun{}, b.nobody("no live execution of workflow " + b.def.ID + fmt.Sprintf(" has the key %q", b.start.Key))
	}
	state, err := b.Execution(ctx, execID)
	if err != nil {
		return workflow.Begun{}, err
	}
	if state.WorkflowID != b.def.ID || b.start.Key != "" && state.Key != b.start.Key {
		return workflow.Begun{}, b.nobody(fmt.Sprintf("execution %q is of workflow %s with the key %q", execID, state.WorkflowID, state.Key))
	}
	begun, _, err := b.signalTo(ctx, execID)
	return begun, err
}

func (b *beginning) nobody(why string) *workflow.Refusal {
	return &workflow.Refusal{
		Code: workflow.CodeNoExecution, Message: why + "; nothing was kept", Hint: "leave `start: false` out to start one",
		Details: map[string]any{"workflow_id": b.def.ID, "exec_id": b.start.ExecID, "key": b.start.Key},
	}
}

// code is the code of a refusal, "" for any other error.
func code(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}
