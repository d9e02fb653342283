package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Broadcast is one signal to every live execution that a filter selects: an
// operation that takes its time, survives crashes and can be followed. First it
// is found out who matches, then the signal is delivered to those.
type Broadcast struct {
	ID            string         `json:"id"`
	Filter        Filter         `json:"filter"`
	Name          string         `json:"name"`
	Payload       Value          `json:"-"` // kept apart: the rest is written often
	CorrelationID string         `json:"correlation_id,omitempty"`
	ExpiresAt     Instant        `json:"expires,omitempty"` // of the signal where it is kept for a later wait
	Rate          int            `json:"rate"`              // signals a second, at most
	By            string         `json:"by,omitempty"`
	Digest        string         `json:"digest"`
	State         BroadcastState `json:"state"`
	Reason        string         `json:"reason,omitempty"` // why it failed or was canceled

	CreatedAt  Instant `json:"created"`
	UpdatedAt  Instant `json:"updated"`
	FinishedAt Instant `json:"finished,omitempty"`

	Matched   int `json:"matched"`
	Delivered int `json:"delivered"`
	Buffered  int `json:"buffered"`
	Refused   int `json:"refused"` // by the execution, with a reason
	Failed    int `json:"failed"`  // the execution cannot act any more

	Pages  int    `json:"pages"`            // of targets written so far
	Next   int    `json:"next"`             // page to deliver to
	Cursor string `json:"cursor,omitempty"` // of the executions that were not looked at yet
}

// BroadcastState is where a broadcast stands.
type BroadcastState string

// The states of a broadcast. The last three are final.
const (
	BroadcastMatching   BroadcastState = "matching"
	BroadcastDelivering BroadcastState = "delivering"
	BroadcastDone       BroadcastState = "done"
	BroadcastCanceled   BroadcastState = "canceled"
	BroadcastFailed     BroadcastState = "failed"
)

// Final reports whether nothing more happens.
func (s BroadcastState) Final() bool {
	return s == BroadcastDone || s == BroadcastCanceled || s == BroadcastFailed
}

// Pending is how many targets have not got the signal yet.
func (b *Broadcast) Pending() int {
	return b.Matched - b.Delivered - b.Buffered - b.Refused - b.Failed
}

// Identify sets the digest of what is sent to whom: equal requests, equal digests.
func (b *Broadcast) Identify() {
	filter, _ := json.Marshal(b.Filter) // texts only, which always encode
	b.Digest = digest(string(filter)+"\x00"+b.Name, b.Payload)
}

// SignalID is the id of the signal to one target: it follows from both, so that
// a repeat or a crash in the middle delivers to nobody twice.
func (b *Broadcast) SignalID(execID string) string { return DerivedID("broadcast", b.ID, execID) }

// Signal is what one target gets.
func (b *Broadcast) Signal(execID string, at Instant) Signal {
	return Signal{
		ID: b.SignalID(execID), ExecID: execID, Name: b.Name, Payload: b.Payload, CorrelationID: b.CorrelationID,
		Source: "broadcast:" + b.ID, By: b.By, ReceivedAt: at, ExpiresAt: b.ExpiresAt,
	}
}

// Target is one execution of a broadcast and what became of its signal.
type Target struct {
	ExecID  string `json:"exec"`
	Outcome string `json:"outcome,omitempty"` // delivered, buffered, refused, failed; "" while it is pending
	Code    string `json:"code,omitempty"`    // of a refusal
	Reason  string `json:"reason,omitempty"`
	WaitID  string `json:"wait_id,omitempty"`
}

// Outcomes of a target beside those of a signal.
const (
	TargetRefused = "refused"
	TargetFailed  = "failed"
)

// Count adds a target that has its outcome to the progress.
func (b *Broadcast) Count(t *Target) {
	switch t.Outcome {
	case string(Delivered):
		b.Delivered++
	case string(KeptForWait):
		b.Buffered++
	case TargetRefused:
		b.Refused++
	case TargetFailed:
		b.Failed++
	}
}

// Filter selects live executions. Zero fields select everything.
type Filter struct {
	WorkflowID  string  `json:"workflow,omitempty"`
	Status      Status  `json:"status,omitempty"`
	WaitingFor  string  `json:"waiting_for,omitempty"`
	Labels      []Label `json:"labels,omitempty"`
	Correlation string  `json:"correlation,omitempty"` // key of one of its open waits, or of the message that started it
}

// Query is the part of a filter that a store looks for.
func (f Filter) Query() Query {
	return Query{WorkflowID: f.WorkflowID, Status: f.Status, WaitingFor: f.WaitingFor, Labels: f.Labels, Live: true}
}

// Selects reports whether an execution that the query found is meant.
func (f Filter) Selects(s *State) bool {
	if s.Status.Finished() || !f.Query().Selects(s) {
		return false
	}
	if f.Correlation == "" || s.Trigger != nil && s.Trigger.CorrelationID == f.Correlation {
		return true
	}
	key := KeyText(f.Correlation)
	return slices.ContainsFunc(s.Waits, func(w OpenWait) bool {
		return w.Key == key && (f.WaitingFor == "" || w.Name == f.WaitingFor)
	})
}

// String is the filter as people write it.
func (f Filter) String() string {
	var parts []string
	for _, p := range [][2]string{{"workflow_id", f.WorkflowID}, {"status", string(f.Status)}, {"waiting_for", f.WaitingFor}, {"correlation", f.Correlation}} {
		if p[1] != "" {
			parts = append(parts, p[0]+"="+p[1])
		}
	}
	for _, l := range f.Labels {
		parts = append(parts, "label "+l.Name+"="+l.Value)
	}
	return cmp.Or(strings.Join(parts, ", "), "everything")
}

// TooMany is the reason of a broadcast that matches more than it may.
func (f Filter) TooMany() string {
	return fmt.Sprintf("more than %d live executions match (%s); nothing was sent: narrow the filter down", MaxTargets, f)
}
