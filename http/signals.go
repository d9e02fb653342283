package http

import (
	"fmt"

	"github.com/signalbox/signalbox/workflow"
)

// sendSignal answers after the signal is durable, with what became of it.
func (x *exchange) sendSignal() error {
	execID, err := x.pathID("exec_id")
	if err != nil {
		return err
	}
	q, err := decodeSignal(x.in.b)
	if err != nil {
		return err
	}
	if q.id, err = x.unitedID(q.id, "signal_id"); err != nil {
		return err
	}
	force, err := x.flag("force")
	if err != nil {
		return err
	}
	signal := x.signal(q, execID, force)
	dry, err := x.dry()
	if err != nil {
		return err
	}
	if dry {
		return x.foreseeSignal(signal)
	}
	answer, err := x.server.node.Signal(x.context(), signal)
	if err != nil {
		return err
	}
	if answer.Duplicate {
		x.replayed()
	}
	out := x.output()
	out.b = appendSignalAnswer(out.b[:0], &answer)
	x.send(200, jsonHeader, out.b)
	return nil
}

// signal is the message that a request asks to send.
func (x *exchange) signal(q signalRequest, execID string, force bool) workflow.Signal {
	signal := workflow.Signal{
		ID: q.id, ExecID: execID, Name: q.name, Payload: q.payload, CorrelationID: q.correlation,
		Source: workflow.FromAPI, By: x.by(), From: x.from(), RequestID: x.id, ReceivedAt: x.now(), Force: force,
	}
	if signal.ID == "" {
		signal.ID, signal.Minted = mintID(x.start), true
	}
	if q.ttl > 0 {
		signal.ExpiresAt = signal.ReceivedAt.Add(q.ttl)
	}
	return signal
}

// unitedID is the id in the body, or its alias in the header.
func (x *exchange) unitedID(id, field string) (string, error) {
	header, err := x.idempotencyKey()
	if err != nil || header == "" {
		return id, err
	}
	return sameID(id, field, header, "the header "+IdempotencyHeader)
}

// flag is a parameter that is true, false or absent.
func (x *exchange) flag(name string) (bool, error) {
	switch value := x.query(name); value {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, refuse(workflow.CodeInvalid, fmt.Sprintf("the parameter %s is %q", name, truncate(value)), "it is true or false")
	}
}

// sendEvent answers after the event is durable; who listens is found
// afterwards. Many of them, in an array or in lines, are answered one by one.
func (x *exchange) sendEvent() error {
	dry, err := x.dry()
	if err != nil {
		return err
	}
	switch many := x.format == formatLines || x.format == formatCloudBatch || x.format == formatJSON && isArray(x.in.b); {
	case many:
		return x.sendEvents(dry)
	case len(x.in.b) > MaxBodyBytes:
		return x.tooLarge(MaxBodyBytes)
	}
	event, err := x.oneEvent()
	if err != nil {
		return err
	}
	if len(event.Payload) > MaxBodyBytes {
		return x.tooLarge(MaxBodyBytes) // binary data grows when it becomes text
	}
	if dry {
		return x.foreseeEvent(event)
	}
	stored, known, err := x.server.node.Event(x.context(), event)
	if err != nil {
		return err
	}
	if known {
		if err := sameBody(&event, stored); err != nil {
			return err
		}
		x.replayed()
	}
	out := x.output()
	out.b = appendEventAnswer(out.b[:0], event.ID, known)
	x.send(202, jsonHeader, out.b)
	return nil
}

// oneEvent is the event that the whole body is.
func (x *exchange) oneEvent() (workflow.Event, error) {
	if x.format != formatJSON {
		return x.cloudEvent()
	}
	q, err := decodeEvent(x.in.b)
	if err != nil {
		return workflow.Event{}, err
	}
	if q.id, err = x.unitedID(q.id, "event_id"); err != nil {
		return workflow.Event{}, err
	}
	return x.event(q), nil
}

// event is the message that a request asks to send.
func (x *exchange) event(q eventRequest) workflow.Event {
	event := workflow.Event{
		ID: q.id, Name: q.name, Payload: q.payload, CorrelationID: q.correlation,
		Source: workflow.FromAPI, By: x.by(), From: x.from(), RequestID: x.id, ReceivedAt: x.now(), TraceParent: traceParent(x.r.Header.Get("Traceparent")),
	}
	if event.ID == "" {
		event.ID = mintID(x.start)
	}
	if q.ttl > 0 {
		event.ExpiresAt = event.ReceivedAt.Add(q.ttl)
	}
	return event
}

// eventItem reads one event of several.
func (x *exchange) eventItem(m *members) (workflow.Event, error) {
	if x.format == formatCloudBatch {
		return x.cloudEventItem(m)
	}
	q, err := readEvent(m)
	if err != nil {
		return workflow.Event{}, err
	}
	return x.event(q), nil
}

// sameBody refuses an id that stands for another event.
func sameBody(event *workflow.Event, stored *workflow.EventReceipt) error {
	if stored == nil {
		return fmt.Errorf("the node knows event %q and has no receipt of it", event.ID)
	}
	first, now := stored.Event.Digest(), event.Digest()
	if first == now {
		return nil
	}
	return &workflow.Refusal{
		Code:    workflow.CodeIDReused,
		Message: fmt.Sprintf("the event id %q was used for another event", event.ID),
		Hint:    "use a new id for a new event, and the same name and payload for a repeat",
		Details: map[string]any{"first_digest": first, "digest": now},
	}
}

// traceParent keeps a W3C trace context of version 00, which is all that fits.
func traceParent(header string) string {
	const length = 55
	if len(header) != length {
		return ""
	}
	for i := range len(header) {
		c := header[i]
		if i == 2 || i == 35 || i == 52 {
			if c != '-' {
				return ""
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return header
}

// echo answers a body with itself.
func (x *exchange) echo() error {
	x.send(200, jsonHeader, x.in.b)
	return nil
}
