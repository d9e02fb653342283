package http

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Broadcast is a signal to every live execution that a filter selects.
type Broadcast struct {
	BroadcastID string                  `json:"broadcast_id"`
	State       workflow.BroadcastState `json:"state"`
	SignalName  string                  `json:"signal_name"`
	Filter      BroadcastFilter         `json:"filter"`
	Rate        int                     `json:"rate"` // signals a second, at most
	By          string                  `json:"by,omitempty"`
	Reason      string                  `json:"reason,omitempty"` // why it failed or was canceled
	Progress    BroadcastProgress       `json:"progress"`
	CreatedAt   Time                    `json:"created_at"`
	UpdatedAt   Time                    `json:"updated_at"`
	FinishedAt  Time                    `json:"finished_at,omitzero"`
	Duplicate   bool                    `json:"duplicate"` // it had been accepted before
}

// BroadcastProgress counts the targets of a broadcast.
type BroadcastProgress struct {
	Matched   int `json:"matched"` // so far, while the state is matching
	Delivered int `json:"delivered"`
	Buffered  int `json:"buffered"`
	Refused   int `json:"refused"`
	Failed    int `json:"failed"`
	Pending   int `json:"pending"`
}

// BroadcastFilter says which live executions are meant: those for which all of it is true.
type BroadcastFilter struct {
	WorkflowID  string            `json:"workflow_id,omitempty"`
	Status      workflow.Status   `json:"status,omitempty"`
	WaitingFor  string            `json:"waiting_for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Correlation string            `json:"correlation,omitempty"`
}

// BroadcastPreview is what a dry run of a broadcast answers.
type BroadcastPreview struct {
	Matched int      `json:"matched"`
	TooMany bool     `json:"too_many"` // more than a broadcast may reach: it would fail
	Sample  []string `json:"sample"`   // ids of the first few
}

// BroadcastTarget is what became of the signal to one execution.
type BroadcastTarget struct {
	ExecID   string `json:"exec_id"`
	SignalID string `json:"signal_id"`
	Outcome  string `json:"outcome"`        // delivered, buffered, refused, failed, pending, canceled
	Code     string `json:"code,omitempty"` // of the refusal
	Reason   string `json:"reason,omitempty"`
	WaitID   string `json:"wait_id,omitempty"`
}

// BroadcastResults is one page of targets.
type BroadcastResults struct {
	Results []BroadcastTarget `json:"results"`
	Page    PageInfo          `json:"page"`
}

// The outcomes of targets that are no longer or not yet decided.
const outcomeCanceled = "canceled"

var targetOutcomes = []string{string(workflow.Delivered), string(workflow.KeptForWait), workflow.TargetRefused, workflow.TargetFailed, "pending"}

func broadcastOf(b *workflow.Broadcast, known bool) Broadcast {
	return Broadcast{
		BroadcastID: b.ID, State: b.State, SignalName: b.Name, Rate: b.Rate, By: b.By, Reason: b.Reason, Duplicate: known,
		Filter: BroadcastFilter{
			WorkflowID: b.Filter.WorkflowID, Status: b.Filter.Status, WaitingFor: b.Filter.WaitingFor,
			Labels: labelsOf(b.Filter.Labels), Correlation: b.Filter.Correlation,
		},
		Progress: BroadcastProgress{
			Matched: b.Matched, Delivered: b.Delivered, Buffered: b.Buffered, Refused: b.Refused, Failed: b.Failed, Pending: b.Pending(),
		},
		CreatedAt: Time(b.CreatedAt), UpdatedAt: Time(b.UpdatedAt), FinishedAt: Time(b.FinishedAt),
	}
}

// isBroadcast tells the body of a broadcast, one object with a filter, from one
// that holds signals to named executions.
func isBroadcast(body []byte) bool {
	if body = bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 || body[0] != '{' || len(body) > MaxBodyBytes {
		return false
	}
	m, err := open(body)
	if err != nil {
		return false
	}
	for m.next() {
		if string(m.name) == "filter" {
			return true
		}
	}
	return false
}

// broadcast answers when the broadcast is durable; it goes on by itself.
func (x *exchange) broadcast() error {
	if err := x.needs(ExecutionsRead); err != nil {
		return err
	}
	b, ttl, err := decodeBroadcast(x.in.b)
	if err != nil {
		return err
	}
	if b.ID, err = x.unitedID(b.ID, "broadcast_id"); err != nil {
		return err
	}
	if x.query("atomic") != "" || x.query("force") != "" {
		return refuse(workflow.CodeInvalid, "atomic and force are not for a broadcast", "leave them out")
	}
	dry, err := x.dry()
	if err != nil {
		return err
	}
	if dry {
		matched, sample, err := x.server.node.CountTargets(x.context(), b.Filter)
		if err != nil {
			return err
		}
		return x.answer(200, "dry run: nothing was sent", BroadcastPreview{
			Matched: matched, TooMany: matched > workflow.MaxTargets, Sample: append([]string{}, sample...),
		})
	}
	if b.ID == "" {
		b.ID = mintID(x.start)
	}
	if ttl > 0 {
		b.ExpiresAt = x.now().Add(ttl)
	}
	b.By = x.by()
	one, known, err := x.server.node.Broadcast(x.context(), b)
	if err != nil {
		return err
	}
	if known {
		x.replayed()
	}
	x.w.Header()["Location"] = []string{broadcastURL(one.ID)}
	return x.answer(202, "broadcast accepted", broadcastOf(one, known))
}

func broadcastURL(id string) string { return api + "/broadcasts/" + url.PathEscape(id) }

func (x *exchange) getBroadcast() error {
	id, err := x.pathID("broadcast_id")
	if err != nil {
		return err
	}
	one, err := x.server.node.ReadBroadcast(x.context(), id)
	if err != nil {
		return err
	}
	return x.answer(200, "broadcast retrieved", broadcastOf(one, false))
}

func (x *exchange) listBroadcasts() error {
	all, err := x.server.node.Broadcasts(x.context())
	if err != nil {
		return err
	}
	list := make([]Broadcast, 0, len(all))
	for _, one := range all {
		list = append(list, broadcastOf(one, false))
	}
	return x.answer(200, "broadcasts retrieved", map[string][]Broadcast{"broadcasts": list})
}

func (x *exchange) cancelBroadcast() error {
	id, err := x.pathID("broadcast_id")
	if err != nil {
		return err
	}
	reason, err := decodeReason(x.in.b)
	if err != nil {
		return err
	}
	one, err := x.server.node.CancelBroadcast(x.context(), id, reason)
	if err != nil {
		return err
	}
	return x.answer(200, "broadcast canceled", broadcastOf(one, false))
}

func (x *exchange) broadcastResults() error {
	id, err := x.pathID("broadcast_id")
	if err != nil {
		return err
	}
	limit, err := x.limit(DefaultListLimit, MaxListLimit)
	if err != nil {
		return err
	}
	outcome := x.query("outcome")
	if outcome != "" && !slices.Contains(targetOutcomes, outcome) {
		return refuse(workflow.CodeInvalid, fmt.Sprintf("there is no outcome %q", truncate(outcome)), "the outcomes are "+strings.Join(targetOutcomes, ", "))
	}
	one, err := x.server.node.ReadBroadcast(x.context(), id)
	if err != nil {
		return err
	}
	page, err := x.server.node.Targets(x.context(), id, outcome, x.query("cursor"), limit)
	if err != nil {
		return err
	}
	list := BroadcastResults{Results: make([]BroadcastTarget, 0, len(page.Items)), Page: PageInfo{Limit: limit, NextCursor: page.Next}}
	for _, t := range page.Items {
		shown := BroadcastTarget{ExecID: t.ExecID, SignalID: one.SignalID(t.ExecID), Outcome: t.Outcome, Code: t.Code, Reason: t.Reason, WaitID: t.WaitID}
		if shown.Outcome == "" {
			shown.Outcome = "pending"
			if one.State.Final() {
				shown.Outcome = outcomeCanceled
			}
		}
		list.Results = append(list.Results, shown)
	}
	return x.answer(200, "results of the broadcast", list)
}

// filter is the member as a filter, which must say something.
func (m *members) filter() (f workflow.Filter, err error) {
	if m.value[0] != '{' {
		return f, invalidField("filter", "is "+kindOf(m.value)+", not an object", "")
	}
	var labels map[string]string
	in := members{rest: m.value[1:]}
	for in.next() {
		var status string
		switch string(in.name) {
		case "workflow_id":
			f.WorkflowID, err = in.label()
		case "status":
			status, err = in.label()
			f.Status = workflow.Status(strings.ToUpper(status))
		case "waiting_for":
			f.WaitingFor, err = in.label()
		case "correlation":
			f.Correlation, err = in.label()
		case "labels":
			labels, err = in.labels()
		default:
			err = in.unknown(filterFields)
		}
		if err != nil {
			return f, err
		}
	}
	f.Labels, _ = workflow.Labels(labels) // checked above
	text, err := json.Marshal(f)
	switch {
	case err != nil:
		return f, fmt.Errorf("encode a filter: %w", err)
	case string(text) == "{}":
		return f, invalidField("filter", "selects every live execution", `say which are meant, like {"waiting_for":"approval"}, or {"status":"WAITING"} for all that wait`)
	case f.Status != "" && (!slices.Contains(workflow.Statuses, f.Status) || f.Status.Finished()):
		return f, invalidField("filter", fmt.Sprintf("has the status %q", truncate(string(f.Status))), "executions that take signals are RUNNING, WAITING or PAUSED")
	}
	return f, nil
}

var (
	broadcastFields = []string{"filter", "signal_name", "payload", "broadcast_id", "ttl", "correlation_id", "rate"}
	filterFields    = []string{"workflow_id", "status", "waiting_for", "labels", "correlation"}
)

func decodeBroadcast(body []byte) (b workflow.Broadcast, ttl time.Duration, err error) {
	b.Rate = workflow.DefaultRate
	m, err := open(body)
	if err != nil {
		return b, 0, err
	}
	for m.next() {
		switch string(m.name) {
		case "filter":
			b.Filter, err = m.filter()
		case "signal_name":
			b.Name, err = m.text()
		case "payload":
			b.Payload, err = m.object()
		case "broadcast_id":
			b.ID, err = m.id()
		case "ttl":
			ttl, err = m.duration()
		case "correlation_id":
			b.CorrelationID, err = m.label()
		case "rate":
			b.Rate, err = m.rate()
		default:
			err = m.unknown(broadcastFields)
		}
		if err != nil {
			return b, 0, err
		}
	}
	if b.Name == "" {
		return b, 0, invalidField("signal_name", "is missing", `name the signal: {"filter":{"waiting_for":"approved"},"signal_name":"approved"}`)
	}
	return b, ttl, checkName("signal_name", b.Name)
}

// rate is the member as signals a second; null is the default.
func (m *members) rate() (int, error) {
	if m.isNull() {
		return workflow.DefaultRate, nil
	}
	n, err := strconv.Atoi(string(m.value))
	if err != nil || n < 1 || n > workflow.MaxRate {
		return 0, invalidField("rate", fmt.Sprintf("must be a whole number from 1 to %d", workflow.MaxRate), "it is in signals a second")
	}
	return n, nil
}
