package actors

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/signalbox/signalbox/workflow"
)

// trigger starts executions of one workflow for the events that it accepts.
type trigger struct{ system *System }

// triggered asks a trigger to judge an event.
type triggered struct {
	listener Listener
	event    workflow.Event
	fanout   *actor.PID
}

// Receive implements actor.Actor.
func (t *trigger) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(triggered)
	if !ok {
		return
	}
	d := workflow.Delivery{Kind: "trigger", WorkflowID: m.listener.Definition.ID, At: now()}
	defer func() {
		// A listener that breaks must not touch the others, nor lose the answer.
		if cause := recover(); cause != nil {
			t.system.Logger.Error("a trigger broke on an event", "workflow", d.WorkflowID, "event_id", m.event.ID, "cause", cause, "stack", string(debug.Stack()))
			d.Outcome, d.Reason = "failed", fmt.Sprint("the trigger broke: ", cause)
			ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}})
		}
	}()
	spec := m.listener.Definition.Triggers[m.listener.Index]
	if d.Outcome, d.Reason = accepts(spec, m.event); d.Outcome != "" {
		ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}, invalid: d.Outcome == "refused"})
		return
	}
	t.start(ctx, m, d)
}

// accepts judges an event by the trigger's schema and filter; the outcome "" means yes.
func accepts(spec workflow.Trigger, ev workflow.Event) (outcome, reason string) {
	payload := ev.Payload
	if payload == nil {
		payload = workflow.Value("{}")
	}
	if spec.Schema != nil {
		if broken := spec.Schema.Check(payload); len(broken) > 0 {
			return "refused", fmt.Sprintf("the payload violates the trigger's schema at %q: %s", broken[0].Pointer, broken[0].Message)
		}
	}
	if spec.Filter != nil {
		envelope := workflow.ValueOf(map[string]workflow.Value{"payload": payload})
		verdict := spec.Filter.Judge(&workflow.Scope{Payload: payload, Signal: envelope, Now: ev.ReceivedAt, Grounds: true})
		if !verdict.Holds {
			return "ignored", "the trigger's filter is false: " + verdict.Reason
		}
		if verdict.Reason != "" {
			return "", "the trigger's filter is true: " + verdict.Reason
		}
	}
	return "", ""
}

func (t *trigger) start(ctx actor.Context, m triggered, d workflow.Delivery) {
	started, refusal := m.listener.start(&m.event)
	if refusal != nil {
		d.Outcome, d.Reason = "refused", refusal.Error()
		ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}, invalid: refusal.Code == workflow.CodeInputInvalid && refusal.Violations != nil})
		return
	}
	d.ExecID = started.ExecID
	root := ctx.ActorSystem().Root
	t.system.Tell(&Deliver{
		ExecID: d.ExecID, Definition: m.listener.Definition, Input: started,
		Reply: func(r Reply) {
			d.At = now()
			m.listener.became(&d, r.Err)
			root.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}})
		},
	})
}

// start is the execution that an event starts, or why it cannot.
func (l Listener) start(ev *workflow.Event) (workflow.Started, *workflow.Refusal) {
	def := l.Definition
	started := workflow.Started{
		Stamp: workflow.Stamp{At: now()}, ExecID: DerivedID(ev.ID, def.ID, l.Index), WorkflowID: def.ID, Definition: def.Hash, By: ev.By,
		Origin: &workflow.Origin{Type: "signal", Name: ev.Name, Payload: ev.Payload, EventID: ev.ID, CorrelationID: ev.CorrelationID, TraceParent: ev.TraceParent},
	}
	input, broken := Input(def, ev.Payload)
	if broken != nil {
		return started, broken
	}
	started.Input = input
	return started, def.Mark(&started, nil)
}

// became notes what became of a start.
func (l Listener) became(d *workflow.Delivery, err error) {
	d.Outcome = "started"
	var refusal *workflow.Refusal
	switch {
	case err == nil:
	case errors.As(err, &refusal) && refusal.Code == workflow.CodeExecutionExists:
		// The definition's defaults changed between two attempts at the same
		// start: the first one stands.
	case errors.As(err, &refusal) && refusal.Code == workflow.CodeKeyTaken && !l.Definition.Key.Refuse:
		d.Outcome, d.Reason, d.ExecID = "ignored", refusal.Message, Holder(refusal)
	default: // nothing was started that the delivery could name
		d.Outcome, d.Reason, d.ExecID = outcomeOf(err), err.Error(), ""
	}
}

// Input fills the defaults of a workflow's input schema into an input and
// checks it; the refusal lists every violation.
func Input(def *workflow.Definition, input workflow.Value) (workflow.Value, *workflow.Refusal) {
	if def.Input == nil {
		return input, nil
	}
	if input == nil {
		input = workflow.Value("{}")
	}
	input = def.Input.Default(input)
	broken := def.Input.Check(input)
	if len(broken) == 0 {
		return input, nil
	}
	return nil, &workflow.Refusal{
		Code:       workflow.CodeInputInvalid,
		Message:    fmt.Sprintf("the input violates the schema of workflow %s at %q: %s", def.ID, broken[0].Pointer, broken[0].Message),
		Hint:       "correct the input at the pointers listed; nothing was started",
		Violations: broken,
		Details:    map[string]any{"workflow_id": def.ID},
	}
}

// triggerSpace is the name space of the ids that derive from events (RFC 9562,
// version 5): the same event and trigger always start the same execution.
var triggerSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("signalbox:trigger"))

// DerivedID is the id of the execution that an event starts through a trigger.
func DerivedID(eventID, workflowID string, trigger int) string {
	name := make([]byte, 0, 128)
	name = append(append(name, eventID...), 0)
	name = append(append(name, workflowID...), 0)
	return uuid.NewSHA1(triggerSpace, strconv.AppendInt(name, int64(trigger), 10)).String()
}
