package workflow

import (
	"crypto/sha256"
	"encoding/hex"
)

// Cause is why a message came to nothing: a stable word, by which dead letters
// are grouped. A refusal that leaves a dead letter gives it its code as cause.
type Cause string

// The causes of dead letters.
const (
	CauseUnmatched      Cause = "unmatched"       // an event that nobody listens for
	CauseNotTaken       Cause = "not_taken"       // an event whose listeners did not want it: a condition or filter was false
	CauseListenerFailed Cause = "listener_failed" // an event that every listener refused or broke on
	CauseExpired        Cause = "expired"         // its time to live ended before a wait took it
	CauseFinished       Cause = CodeFinished      // its execution ended before a wait took it, or had ended before it came
	CauseNoExecution    Cause = CodeNoExecution
	CauseNeverAwaited   Cause = CodeNeverAwaited
	CausePayloadInvalid Cause = CodePayloadInvalid // also of an event that every listener's schema refused
	CauseBufferFull     Cause = CodeBufferFull
	CauseQuarantined    Cause = CodeQuarantined
)

// Causes lists them all, in the order of a message's way.
var Causes = []Cause{
	CauseNoExecution, CauseNeverAwaited, CausePayloadInvalid, CauseBufferFull, CauseQuarantined, CauseFinished,
	CauseExpired, CauseUnmatched, CauseNotTaken, CauseListenerFailed,
}

// Buries reports whether a refusal of that code leaves a dead letter: when it
// speaks of what the message is for, so that the same message may do at another
// time. One that speaks of the request's form, of a reused id or of the node's
// condition does not: nothing but sending again can help there.
func Buries(code string) bool {
	switch Cause(code) {
	case CauseNoExecution, CauseNeverAwaited, CausePayloadInvalid, CauseBufferFull, CauseQuarantined, CauseFinished:
		return true
	}
	return false
}

// MessageKind says what sort of message a dead letter was.
type MessageKind string

// The kinds of messages.
const (
	KindSignal MessageKind = "signal"
	KindEvent  MessageKind = "event"
)

// DeadLetter is a message that came to nothing, kept whole, so that a person can
// see why and send it on its way again with the same receipt.
type DeadLetter struct {
	ID            string      `json:"id"` // see LetterID
	Kind          MessageKind `json:"kind"`
	MessageID     string      `json:"message"` // the signal's or event's id: its receipt's
	ExecID        string      `json:"exec,omitempty"`
	WorkflowID    string      `json:"workflow,omitempty"` // of the execution, where it is known
	Name          string      `json:"name"`
	Payload       Value       `json:"payload,omitempty"`
	CorrelationID string      `json:"correlation_id,omitempty"`
	Source        string      `json:"source,omitempty"`
	By            string      `json:"by,omitempty"`
	TraceParent   string      `json:"traceparent,omitempty"`
	Force         bool        `json:"force,omitempty"`
	ReceivedAt    Instant     `json:"received"`
	ExpiresAt     Instant     `json:"expires,omitempty"`

	Cause    Cause     `json:"cause"`
	Reason   string    `json:"reason,omitempty"` // what, where and why, for a person
	Accepted bool      `json:"accepted"`         // its sender had been told that it was accepted
	Near     *NearMiss `json:"near,omitempty"`
	At       Instant   `json:"at"` // when it died
}

// NearMiss is what almost took a message.
type NearMiss struct {
	Name   string  `json:"name,omitempty"`   // a name that the sender may have meant
	ExecID string  `json:"exec,omitempty"`   // of the wait
	Wait   string  `json:"wait,omitempty"`   // a wait that was open or had just closed
	Closed Instant `json:"closed,omitempty"` // when it closed; zero while it is open
	Reason string  `json:"reason"`           // one sentence with the values that decided
}

// LetterID is the id of the dead letter of a message: one message has at most
// one. An event has no execution.
func LetterID(kind MessageKind, execID, messageID string) string {
	h := sha256.New()
	for _, part := range [...]string{string(kind), execID, messageID} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Size is what a letter counts for against the bounds in bytes.
func (l *DeadLetter) Size() int {
	return len(l.Payload) + len(l.Name) + len(l.Reason) + letterOverhead
}

// Redeliverer is who sends dead letters on their way again.
type Redeliverer struct {
	By    string // name of the key
	From  string // address of the client
	Force bool   // also where the workflow can never wait for the name
}

// Redelivery is what became of the message of a dead letter that was sent on its
// way again: of a signal its answer, of an event that it is fanned out anew.
type Redelivery struct {
	LetterID  string
	Kind      MessageKind
	MessageID string
	ExecID    string
	Name      string
	Answer    *Answer
	Fate      Fate
}

// Redeliveries is what became of many.
type Redeliveries struct {
	Redelivered int
	Refused     []RefusedRedelivery
	More        bool // the query selects more than its limit
}

// RefusedRedelivery is a dead letter that stays what it is.
type RefusedRedelivery struct {
	LetterID string
	Code     string
	Reason   string
}

// LetterGroup is dead letters of one cause, kind, name and workflow.
type LetterGroup struct {
	Cause       Cause
	Kind        MessageKind
	Name        string
	WorkflowID  string
	Count       int
	First, Last Instant // when the first and the last of them died
	Latest      *DeadLetter
}

// LetterQuery selects dead letters, those that died last first. Zero fields
// select everything.
type LetterQuery struct {
	Kind       MessageKind
	Name       string
	Cause      Cause
	ExecID     string
	WorkflowID string
	Since      Instant // died at or after
	Limit      int
	Cursor     string // of the page before; "" for the first
}

// Selects reports whether a letter is one of those asked for.
func (q LetterQuery) Selects(l *DeadLetter) bool {
	return (q.Kind == "" || q.Kind == l.Kind) && (q.Name == "" || q.Name == l.Name) && (q.Cause == "" || q.Cause == l.Cause) &&
		(q.ExecID == "" || q.ExecID == l.ExecID) && (q.WorkflowID == "" || q.WorkflowID == l.WorkflowID) && l.At >= q.Since
}

// LetterOfEvent is the dead letter of an event whose fate is dead.
func LetterOfEvent(r *EventReceipt) DeadLetter {
	ev := &r.Event
	at := ev.ReceivedAt
	if n := len(r.Steps); n > 0 {
		at = r.Steps[n-1].At
	}
	return DeadLetter{
		ID: LetterID(KindEvent, "", ev.ID), Kind: KindEvent, MessageID: ev.ID, Name: ev.Name, Payload: ev.Payload,
		CorrelationID: ev.CorrelationID, Source: ev.Source, By: ev.By, TraceParent: ev.TraceParent, ReceivedAt: ev.ReceivedAt,
		ExpiresAt: ev.ExpiresAt, Cause: r.Cause, Reason: r.Reason, Accepted: true, Near: r.Near, At: at,
	}
}

// LetterOfSignal begins the dead letter of a signal.
func LetterOfSignal(sig *Signal, workflowID string, cause Cause, reason string, at Instant) DeadLetter {
	return DeadLetter{
		ID: LetterID(KindSignal, sig.ExecID, sig.ID), Kind: KindSignal, MessageID: sig.ID, ExecID: sig.ExecID, WorkflowID: workflowID,
		Name: sig.Name, Payload: sig.Payload, CorrelationID: sig.CorrelationID, Source: sig.Source, By: sig.By, Force: sig.Force,
		ReceivedAt: sig.ReceivedAt, ExpiresAt: sig.ExpiresAt, Cause: cause, Reason: reason, At: at,
	}
}
