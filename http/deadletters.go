package http

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// undertaker is what the front door needs of the node for dead letters.
type undertaker interface {
	// Letters lists dead letters without payloads, those that died last first.
	Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error)
	// LetterGroups counts dead letters by what they have in common, the largest group first.
	LetterGroups(ctx context.Context, q workflow.LetterQuery) ([]workflow.LetterGroup, error)
	// Letter returns a dead letter whole.
	Letter(ctx context.Context, id string) (*workflow.DeadLetter, error)
	// Redeliver sends the message of a dead letter on its way again.
	Redeliver(ctx context.Context, id string, who workflow.Redeliverer) (workflow.Redelivery, error)
	// RedeliverAll does so with all that a query selects, up to its limit.
	RedeliverAll(ctx context.Context, q workflow.LetterQuery, who workflow.Redeliverer) (workflow.Redeliveries, error)
	// Discard forgets one dead letter, DiscardAll those that a query selects, up to its limit.
	Discard(ctx context.Context, id string) error
	DiscardAll(ctx context.Context, q workflow.LetterQuery) (discarded int, more bool, err error)
}

// DeadLetter is a message that came to nothing.
type DeadLetter struct {
	ID            string               `json:"id"`
	Kind          workflow.MessageKind `json:"kind"`
	MessageID     string               `json:"message_id"`
	Name          string               `json:"name"`
	ExecID        string               `json:"exec_id,omitempty"`
	WorkflowID    string               `json:"workflow_id,omitempty"`
	Cause         workflow.Cause       `json:"cause"`
	Reason        string               `json:"reason,omitempty"`
	Accepted      bool                 `json:"accepted"` // its sender had been told that it was accepted
	Near          *NearMiss            `json:"near,omitempty"`
	ReceivedAt    Time                 `json:"received_at"`
	DiedAt        Time                 `json:"died_at"`
	CorrelationID string               `json:"correlation_id,omitempty"`
	Source        string               `json:"source,omitempty"`
	By            string               `json:"by,omitempty"`
	Payload       workflow.Value       `json:"payload,omitempty"` // only of a single one
}

// NearMiss is what almost took the message.
type NearMiss struct {
	Reason   string `json:"reason"`
	Name     string `json:"name,omitempty"`
	ExecID   string `json:"exec_id,omitempty"`
	WaitID   string `json:"wait_id,omitempty"`
	ClosedAt Time   `json:"closed_at,omitzero"` // of the wait; absent while it is open
}

// DeadLetterList is one page of dead letters, or their groups.
type DeadLetterList struct {
	DeadLetters []DeadLetter      `json:"dead_letters"`
	Page        PageInfo          `json:"page"`
	Groups      []DeadLetterGroup `json:"groups,omitempty"`
}

// DeadLetterGroup is dead letters of one cause, kind, name and workflow.
type DeadLetterGroup struct {
	Cause      workflow.Cause       `json:"cause"`
	Kind       workflow.MessageKind `json:"kind"`
	Name       string               `json:"name"`
	WorkflowID string               `json:"workflow_id,omitempty"`
	Count      int                  `json:"count"`
	FirstAt    Time                 `json:"first_at"`
	LastAt     Time                 `json:"last_at"`
	Latest     DeadLetter           `json:"latest"`
}

// RedeliveryAnswer is what became of a message that was sent on its way again.
type RedeliveryAnswer struct {
	Message    string               `json:"message"`
	LetterID   string               `json:"letter_id"`
	Kind       workflow.MessageKind `json:"kind"`
	MessageID  string               `json:"message_id"`
	ExecID     string               `json:"exec_id,omitempty"`
	Name       string               `json:"name"`
	State      workflow.Fate        `json:"state"` // of its receipt
	Outcome    workflow.Outcome     `json:"outcome,omitempty"`
	Reason     string               `json:"reason,omitempty"`
	Duplicate  bool                 `json:"duplicate"` // it had been taken up before
	ReceiptURL string               `json:"receipt_url"`
}

// RedeliveriesAnswer is what became of many.
type RedeliveriesAnswer struct {
	Redelivered int                 `json:"redelivered"`
	Refused     []RefusedRedelivery `json:"refused"`
	More        bool                `json:"more"` // there were more than one request redelivers: ask again
}

// RefusedRedelivery is a dead letter that stays what it is.
type RefusedRedelivery struct {
	LetterID string `json:"letter_id"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
}

// DiscardAnswer says how many dead letters were forgotten.
type DiscardAnswer struct {
	Message   string `json:"message"`
	Discarded int    `json:"discarded"`
	More      bool   `json:"more"` // there were more than one request discards: ask again
}

func deadLetterOf(l *workflow.DeadLetter) DeadLetter {
	out := DeadLetter{
		ID: l.ID, Kind: l.Kind, MessageID: l.MessageID, Name: l.Name, ExecID: l.ExecID, WorkflowID: l.WorkflowID,
		Cause: l.Cause, Reason: l.Reason, Accepted: l.Accepted, ReceivedAt: Time(l.ReceivedAt), DiedAt: Time(l.At),
		CorrelationID: l.CorrelationID, Source: l.Source, By: l.By, Payload: l.Payload,
	}
	if n := l.Near; n != nil {
		out.Near = &NearMiss{Reason: n.Reason, Name: n.Name, ExecID: n.ExecID, WaitID: n.Wait, ClosedAt: Time(n.Closed)}
	}
	return out
}

func (x *exchange) listLetters() error {
	q, err := x.letterQuery()
	if err != nil {
		return err
	}
	if q.Limit, err = x.limit(DefaultListLimit, MaxListLimit); err != nil {
		return err
	}
	q.Cursor = x.query("cursor")
	grouped, err := x.flag("grouped")
	if err != nil {
		return err
	}
	list := DeadLetterList{DeadLetters: []DeadLetter{}, Page: PageInfo{Limit: q.Limit}}
	if grouped {
		groups, err := x.server.node.LetterGroups(x.context(), q)
		if err != nil {
			return err
		}
		for i := range groups {
			g := &groups[i]
			list.Groups = append(list.Groups, DeadLetterGroup{
				Cause: g.Cause, Kind: g.Kind, Name: g.Name, WorkflowID: g.WorkflowID, Count: g.Count,
				FirstAt: Time(g.First), LastAt: Time(g.Last), Latest: deadLetterOf(g.Latest),
			})
		}
		return x.answer(http.StatusOK, "groups of dead letters", list)
	}
	page, err := x.server.node.Letters(x.context(), q)
	if err != nil {
		return err
	}
	list.Page.NextCursor = page.Next
	for _, l := range page.Items {
		list.DeadLetters = append(list.DeadLetters, deadLetterOf(l))
	}
	return x.answer(http.StatusOK, "dead letters", list)
}

// letterQuery reads the filters that a list and a group have in common.
func (x *exchange) letterQuery() (workflow.LetterQuery, error) {
	q := workflow.LetterQuery{
		Name: x.query("name"), Cause: workflow.Cause(x.query("cause")), Kind: workflow.MessageKind(x.query("kind")),
		ExecID: x.query("exec_id"), WorkflowID: x.query("workflow_id"),
	}
	if q.Cause != "" && !slices.Contains(workflow.Causes, q.Cause) {
		return q, refuse(workflow.CodeInvalid, fmt.Sprintf("there is no cause %q", truncate(string(q.Cause))), fmt.Sprintf("the causes are %v", workflow.Causes))
	}
	if q.Kind != "" && q.Kind != workflow.KindSignal && q.Kind != workflow.KindEvent {
		return q, refuse(workflow.CodeInvalid, fmt.Sprintf("there is no kind %q", truncate(string(q.Kind))), "it is signal or event")
	}
	if since := x.query("since"); since != "" {
		at, err := time.Parse(time.RFC3339, since)
		if err != nil {
			return q, refuse(workflow.CodeInvalid, fmt.Sprintf("since is %q, which is not a time", truncate(since)), "write it like 2026-01-31T09:30:00Z")
		}
		q.Since = workflow.InstantOf(at)
	}
	return q, nil
}

// letterGroup reads the filters of a request that changes many letters: at least
// one, so that nobody discards everything by leaving something out.
func (x *exchange) letterGroup() (workflow.LetterQuery, error) {
	q, err := x.letterQuery()
	if err == nil && q == (workflow.LetterQuery{}) {
		err = refuse(workflow.CodeInvalid, "no group of dead letters is named",
			"narrow it down by at least one of cause, name, kind, exec_id, workflow_id and since")
	}
	if err == nil {
		q.Limit, err = x.limit(MaxRedeliveries, MaxRedeliveries)
	}
	return q, err
}

func (x *exchange) getLetter() error {
	id, err := x.pathID("letter_id")
	if err != nil {
		return err
	}
	l, err := x.server.node.Letter(x.context(), id)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "dead letter", deadLetterOf(l))
}

func (x *exchange) redeliverer(force bool) workflow.Redeliverer {
	return workflow.Redeliverer{By: x.by(), From: x.from(), Force: force}
}

func (x *exchange) redeliverLetter() error {
	id, err := x.pathID("letter_id")
	if err != nil {
		return err
	}
	force, err := x.flag("force")
	if err != nil {
		return err
	}
	done, err := x.server.node.Redeliver(x.context(), id, x.redeliverer(force))
	if err != nil {
		return err
	}
	out := RedeliveryAnswer{
		Message: "dead letter redelivered", LetterID: done.LetterID, Kind: done.Kind, MessageID: done.MessageID, ExecID: done.ExecID,
		Name: done.Name, State: done.Fate, ReceiptURL: api + "/" + string(done.Kind) + "s/" + url.PathEscape(done.MessageID),
	}
	if a := done.Answer; a != nil {
		out.Outcome, out.Reason, out.Duplicate = a.Outcome, a.Reason, a.Duplicate
	}
	return x.answer(http.StatusOK, out.Message, out)
}

func (x *exchange) redeliverLetters() error {
	q, err := x.letterGroup()
	if err != nil {
		return err
	}
	force, err := x.flag("force")
	if err != nil {
		return err
	}
	done, err := x.server.node.RedeliverAll(x.context(), q, x.redeliverer(force))
	if err != nil {
		return err
	}
	out := RedeliveriesAnswer{Redelivered: done.Redelivered, Refused: []RefusedRedelivery{}, More: done.More}
	for _, r := range done.Refused {
		out.Refused = append(out.Refused, RefusedRedelivery{LetterID: r.LetterID, Code: r.Code, Reason: r.Reason})
	}
	return x.answer(http.StatusOK, fmt.Sprintf("%d dead letters redelivered", out.Redelivered), out)
}

func (x *exchange) discardLetter() error {
	id, err := x.pathID("letter_id")
	if err != nil {
		return err
	}
	if err := x.server.node.Discard(x.context(), id); err != nil {
		return err
	}
	return x.answer(http.StatusOK, "dead letter discarded", DiscardAnswer{Message: "dead letter discarded", Discarded: 1})
}

func (x *exchange) discardLetters() error {
	q, err := x.letterGroup()
	if err != nil {
		return err
	}
	n, more, err := x.server.node.DiscardAll(x.context(), q)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%d dead letters discarded", n)
	return x.answer(http.StatusOK, message, DiscardAnswer{Message: message, Discarded: n, More: more})
}

// DeadLetters lists dead letters, those that died last first.
func (c *Client) DeadLetters(ctx context.Context, q workflow.LetterQuery) (DeadLetterList, error) {
	query := letterValues(q)
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	add(query, "cursor", q.Cursor)
	return call[DeadLetterList](ctx, c, "GET", letterPath, query, nil)
}

// DeadLetterGroups counts dead letters by cause, kind, name and workflow.
func (c *Client) DeadLetterGroups(ctx context.Context, q workflow.LetterQuery) ([]DeadLetterGroup, error) {
	query := letterValues(q)
	query.Set("grouped", "true")
	list, err := call[DeadLetterList](ctx, c, "GET", letterPath, query, nil)
	return list.Groups, err
}

// DeadLetter gets a dead letter with its payload.
func (c *Client) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	return call[DeadLetter](ctx, c, "GET", letterPath+"/"+url.PathEscape(id), nil, nil)
}

// Redeliver sends the message of a dead letter on its way again, under its own
// id. A call without an answer may be repeated.
func (c *Client) Redeliver(ctx context.Context, id string, force bool) (RedeliveryAnswer, error) {
	return call[RedeliveryAnswer](ctx, c, "POST", letterPath+"/"+url.PathEscape(id)+"/redeliver", forced(nil, force), nil)
}

// RedeliverAll does so with all dead letters that a query selects.
func (c *Client) RedeliverAll(ctx context.Context, q workflow.LetterQuery, force bool) (RedeliveriesAnswer, error) {
	return call[RedeliveriesAnswer](ctx, c, "POST", api+"/redeliveries", forced(letterValues(q), force), nil)
}

// Discard forgets a dead letter.
func (c *Client) Discard(ctx context.Context, id string) (DiscardAnswer, error) {
	return call[DiscardAnswer](ctx, c, "DELETE", letterPath+"/"+url.PathEscape(id), nil, nil)
}

// DiscardAll forgets all dead letters that a query selects.
func (c *Client) DiscardAll(ctx context.Context, q workflow.LetterQuery) (DiscardAnswer, error) {
	return call[DiscardAnswer](ctx, c, "DELETE", letterPath, letterValues(q), nil)
}

const letterPath = api + "/deadletters"

func letterValues(q workflow.LetterQuery) url.Values {
	query := make(url.Values)
	add(query, "name", q.Name)
	add(query, "cause", string(q.Cause))
	add(query, "kind", string(q.Kind))
	add(query, "exec_id", q.ExecID)
	add(query, "workflow_id", q.WorkflowID)
	add(query, "since", q.Since.String())
	return query
}

func forced(query url.Values, force bool) url.Values {
	if force {
		if query == nil {
			query = make(url.Values)
		}
		query.Set("force", "true")
	}
	return query
}
