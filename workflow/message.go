package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Signal is a named message with a payload to one execution.
type Signal struct {
	ID            string  `json:"id"`
	ExecID        string  `json:"exec,omitempty"`
	Name          string  `json:"name"`
	Payload       Value   `json:"payload,omitempty"`
	CorrelationID string  `json:"correlation_id,omitempty"`
	Source        string  `json:"source,omitempty"` // FromAPI, FromEvent, or "broadcast:ID"
	By            string  `json:"by,omitempty"`     // name of the key that sent it
	From          string  `json:"-"`                // address of the client, for the receipt only
	RequestID     string  `json:"-"`                // of the request that brought it, for the receipt only
	ReceivedAt    Instant `json:"received"`
	ExpiresAt     Instant `json:"expires,omitempty"` // a buffered one is dropped then; zero keeps it as long as the execution lives

	Minted  bool `json:"minted,omitempty"` // the id was made by us for this attempt: nobody can have sent it before, and who does so later has its receipt
	Seeking bool `json:"-"`                // the sender looks for whoever has a key: one that is gone is no loss to it
	Force   bool `json:"force,omitempty"`  // accept a name that the workflow can never wait for

	Redelivered   bool   `json:"redelivered,omitempty"` // it was a dead letter; its receipt goes on
	RedeliveredBy string `json:"-"`                     // name of the key that sent it on its way again, from From; for the receipt only
}

// Digest identifies the body of a message: equal bodies, equal digests.
func (s Signal) Digest() string { return digest(s.Name, s.Payload) }

// Event is a named message with a payload to whoever listens.
type Event struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	Payload       Value   `json:"payload,omitempty"`
	CorrelationID string  `json:"correlation_id,omitempty"`
	Source        string  `json:"source,omitempty"` // FromAPI, "workflow:WORKFLOW_ID", or a CloudEvent's source
	By            string  `json:"by,omitempty"`
	ReceivedAt    Instant `json:"received"`
	TraceParent   string  `json:"traceparent,omitempty"`
	ExpiresAt     Instant `json:"expires,omitempty"` // when nobody takes it, it is kept until then for a wait that opens later; zero: it is not
	From          string  `json:"from,omitempty"`    // address of the client
	RequestID     string  `json:"request,omitempty"` // of the request that brought it

	CloudEvent *CloudEvent `json:"cloudevent,omitempty"` // of one that came as such
}

// CloudEvent is what a CloudEvent says beside what every event has. Its type is
// the event's name and its source the event's source.
type CloudEvent struct {
	ID         string `json:"id"` // unique within its source
	Subject    string `json:"subject,omitempty"`
	Time       string `json:"time,omitempty"` // RFC 3339, as it was sent
	DataType   string `json:"datacontenttype,omitempty"`
	DataSchema string `json:"dataschema,omitempty"`
	Extensions Value  `json:"extensions,omitempty"` // an object of the other attributes
}

// EventKey is what to watch to hear when an event is settled: its id, by which
// its owner is found too. An execution of the same id wakes the watcher for
// nothing, which does no harm.
func EventKey(eventID string) string { return eventID }

// Digest identifies the body of a message: equal bodies, equal digests.
func (e Event) Digest() string { return digest(e.Name, e.Payload) }

func digest(name string, payload Value) string {
	room := make([]byte, 0, usualBody)
	sum := sha256.Sum256(append(append(append(room, name...), 0), payload...))
	return string(hex.AppendEncode(room[:0], sum[:16]))
}

// FromAPI is the Source of a signal or an event that a client sent, and the Type
// of the Origin of a start by one. FromEvent is the Source of a signal that an
// event delivered.
const (
	FromAPI   = "api"
	FromEvent = "event"
)

// Outcome is what a sender is told became of an accepted signal.
type Outcome string

// The outcomes of an accepted signal.
const (
	Delivered   Outcome = "delivered"
	KeptForWait Outcome = "buffered"
)

// Answer is what a sender gets back, after the commit.
type Answer struct {
	SignalID  string  `json:"signal_id"`
	Outcome   Outcome `json:"outcome"`
	Duplicate bool    `json:"duplicate"`
	Reason    string  `json:"reason,omitempty"`
	WaitID    string  `json:"wait_id,omitempty"`
	WaitTask  string  `json:"wait_task,omitempty"`
	ExpiresAt Instant `json:"expires,omitempty"`
	Status    Status  `json:"status"` // of the execution, after the signal
}

// SignalResult is what became of one of several signals: an answer, or an error
// when it was not kept or its outcome is not known.
type SignalResult struct {
	Answer Answer
	Err    error
}

// EventResult is what became of one of several events.
type EventResult struct {
	Stored *EventReceipt
	Known  bool // its id had been accepted before
	Err    error
}

// Fate is where an accepted message stands.
type Fate string

// The fates. Consumed, expired and dead are final.
const (
	FateAccepted Fate = "accepted" // an event that is still being fanned out, or about which some wait has yet to decide
	FateBuffered Fate = "buffered"
	FateConsumed Fate = "consumed"
	FateExpired  Fate = "expired"
	FateDead     Fate = "dead"
)

// Final reports whether nothing more can become of the message.
func (f Fate) Final() bool { return f == FateConsumed || f == FateExpired || f == FateDead }

// Receipt is what can be looked up for ever about a signal.
type Receipt struct {
	SignalID string  `json:"id"`
	ExecID   string  `json:"exec"`
	Name     string  `json:"name"`
	Digest   string  `json:"digest"`
	By       string  `json:"by,omitempty"`
	Source   string  `json:"source,omitempty"`
	Fate     Fate    `json:"fate"`
	Answer   Answer  `json:"answer"` // the first one
	Steps    []Step  `json:"steps"`
	At       Instant `json:"at"`

	From      string `json:"from,omitempty"`    // address of the client
	RequestID string `json:"request,omitempty"` // of the request that brought it

	Was Fate `json:"-"` // of a receipt in a commit: its fate before, "" when it is new; the books follow from it
}

// Step is one thing that happened to a message.
type Step struct {
	At     Instant `json:"at"`
	What   string  `json:"what"` // accepted, buffered, judged, consumed, expired, dead, redelivered
	Wait   string  `json:"wait,omitempty"`
	Record uint64  `json:"record,omitempty"` // of the execution's history
	Reason string  `json:"reason,omitempty"`
	By     string  `json:"by,omitempty"`   // name of the key that redelivered it
	From   string  `json:"from,omitempty"` // and the address that it came from
}

// EventReceipt is what can be looked up for ever about an event.
type EventReceipt struct {
	Event      Event      `json:"event"`
	Fate       Fate       `json:"fate"` // accepted until everybody has decided, then consumed, buffered while it is kept, or dead when nobody took it
	Steps      []Step     `json:"steps,omitempty"`
	Deliveries []Delivery `json:"deliveries,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Cause      Cause      `json:"cause,omitempty"` // of one that is dead
	Near       *NearMiss  `json:"near,omitempty"`  // what almost took one that is dead
	Counts     Counts     `json:"counts,omitzero"` // of all deliveries, also of those that are not listed
}

// Standing is how an event stands with those who listen. Whoever decides about it says
// how it stood when he looked, and the store refuses him when that is not so any more.
type Standing string

const (
	StandsNowhere   Standing = ""          // there is no such event
	StandsAsking    Standing = "asking"    // it is brought to whoever listens; nobody has decided
	StandsUndecided Standing = "undecided" // everybody was asked, and some have yet to decide
	StandsKept      Standing = "kept"      // for the first wait that opens for it
	StandsConsumed  Standing = "consumed"  // some listener took it
	StandsBuried    Standing = "buried"    // dead or expired
)

// Standing is how the event stands; nowhere without a receipt.
func (r *EventReceipt) Standing() Standing {
	switch {
	case r == nil:
		return StandsNowhere
	case r.Fate == FateBuffered:
		return StandsKept
	case r.Fate == FateConsumed:
		return StandsConsumed
	case r.Fate.Final():
		return StandsBuried
	case r.Counts.Buffered > 0:
		return StandsUndecided
	}
	return StandsAsking
}

// Counts says how many listeners did what with an event.
type Counts struct {
	Started   int `json:"started,omitempty"`   // triggers that started an execution
	Delivered int `json:"delivered,omitempty"` // waits that took it
	Ignored   int `json:"ignored,omitempty"`   // triggers whose filter is false
	Refused   int `json:"refused,omitempty"`   // listeners that refuse it
	Failed    int `json:"failed,omitempty"`    // triggers that broke on it
	Passed    int `json:"passed,omitempty"`    // executions none of whose waits took it
	Buffered  int `json:"buffered,omitempty"`  // waits that have yet to decide; while there are any, the event's fate is not final
}

// Add counts what one listener did.
func (c *Counts) Add(outcome string) {
	switch outcome {
	case "started":
		c.Started++
	case "delivered":
		c.Delivered++
	case "ignored":
		c.Ignored++
	case "failed":
		c.Failed++
	case "passed":
		c.Passed++
	case "buffered":
		c.Buffered++
	default:
		c.Refused++
	}
}

// Delivery is what one listener did with an event.
type Delivery struct {
	Kind       string  `json:"kind"` // trigger or wait
	WorkflowID string  `json:"workflow_id,omitempty"`
	ExecID     string  `json:"exec_id,omitempty"` // that it started or reached
	WaitID     string  `json:"wait_id,omitempty"`
	Outcome    string  `json:"outcome"` // started, delivered, ignored, refused, failed, passed, buffered
	Reason     string  `json:"reason,omitempty"`
	At         Instant `json:"at"`
}

// Refusal is a request that was not carried out: nothing was kept. Its code is
// stable; the front door maps it to a status in one table.
type Refusal struct {
	Code       string
	Message    string // what, where and why
	Hint       string // what to do
	Violations []Violation
	Details    map[string]any
	RetryAfter time.Duration
}

// Error is the message and the hint in one line.
func (r *Refusal) Error() string {
	if r.Hint == "" {
		return r.Message
	}
	return fmt.Sprintf("%s; %s", r.Message, r.Hint)
}

// The codes of refusals.
const (
	CodeInvalid          = "invalid_request"
	CodeNoExecution      = "execution_not_found"
	CodeNoWorkflow       = "workflow_not_found"
	CodeNoSignal         = "signal_not_found"
	CodeNoEvent          = "event_not_found"
	CodeNoLetter         = "dead_letter_not_found"
	CodeNoBroadcast      = "broadcast_not_found"
	CodeNoWait           = "wait_not_found"
	CodeFinished         = "execution_finished"
	CodeNeverAwaited     = "signal_never_awaited"
	CodeIDReused         = "id_reused"        // same id, other body
	CodePayloadInvalid   = "payload_invalid"  // breaks a wait's schema
	CodeInputInvalid     = "input_invalid"    // breaks the workflow's input schema
	CodeExecutionExists  = "execution_exists" // same exec id, other input
	CodeKeyTaken         = "key_taken"        // a live execution of the workflow has the unique key
	CodeWrongStatus      = "wrong_status"     // pause of a paused one and the like
	CodeBufferFull       = "buffer_full"
	CodeOverloaded       = "overloaded"
	CodeStoreUnavailable = "store_unavailable"
	CodeQuarantined      = "execution_quarantined"
	CodeStopping         = "node_stopping"
	CodeTimeout          = "timeout" // outcome unknown: send again with the same id
)
