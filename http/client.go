package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Client calls the routes of a node. Errors of the node are *Problem; others
// mean that no answer came, so that the outcome of a write is not known: send it
// again under the same id. It is safe for use by many goroutines.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient makes a client for a node at a base URL like http://127.0.0.1:8080.
// The token may be "" for a node without keys.
func NewClient(baseURL, token string) *Client {
	// Its own transport, because a stream must not end by a client's timeout:
	// callers bound each call by its context.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, http: &http.Client{Transport: transport}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// SignalRequest is a signal to send. Name is required.
type SignalRequest struct {
	Name          string
	Payload       any           // encodes to an object; nil: none
	ID            string        // "": the node makes one, and a repeat is another signal
	TTL           time.Duration // how long it may stay buffered; 0: as long as the execution lives
	CorrelationID string
	Force         bool // keep it even when the workflow never waits for that name
}

// Signal sends a signal to one execution and returns when it is durable.
func (c *Client) Signal(ctx context.Context, execID string, q SignalRequest) (SignalAnswer, error) {
	var query url.Values
	if q.Force {
		query = url.Values{"force": {"true"}}
	}
	return call[SignalAnswer](ctx, c, "POST", executionURL(execID)+"/signals", query, q.body())
}

func (q SignalRequest) body() map[string]any {
	body := map[string]any{"signal_name": q.Name}
	set(body, "payload", q.Payload, q.Payload != nil)
	set(body, "signal_id", q.ID, q.ID != "")
	set(body, "ttl", q.TTL.String(), q.TTL != 0)
	set(body, "correlation_id", q.CorrelationID, q.CorrelationID != "")
	return body
}

// EventRequest is an event to send. Name is required.
type EventRequest struct {
	Name          string
	Payload       any    // encodes to an object; nil: none
	ID            string // "": the node makes one, and a repeat is another event
	CorrelationID string
	TTL           time.Duration // how long it is kept for a wait that opens later, when nobody takes it; 0: it is not
}

// Event sends an event and returns when it is durable.
func (c *Client) Event(ctx context.Context, q EventRequest) (EventAnswer, error) {
	return call[EventAnswer](ctx, c, "POST", api+"/events", nil, q.body())
}

func (q EventRequest) body() map[string]any {
	body := map[string]any{"name": q.Name}
	set(body, "payload", q.Payload, q.Payload != nil)
	set(body, "event_id", q.ID, q.ID != "")
	set(body, "correlation_id", q.CorrelationID, q.CorrelationID != "")
	set(body, "ttl", q.TTL.String(), q.TTL != 0)
	return body
}

// StartRequest is an execution to start.
type StartRequest struct {
	Input   any               // encodes to an object; nil: none
	ExecID  string            // "": the node chooses
	Key     string            // business key; "": what the workflow says
	Labels  map[string]string // beside those of the workflow
	Signal  *SignalRequest    // delivered in the commit of the start, or to the execution that is there
	NoStart bool              // only signal the execution that is there
}

func (q StartRequest) body() map[string]any {
	body := make(map[string]any)
	set(body, "input", q.Input, q.Input != nil)
	set(body, "exec_id", q.ExecID, q.ExecID != "")
	set(body, "key", q.Key, q.Key != "")
	set(body, "labels", q.Labels, len(q.Labels) > 0)
	set(body, "start", false, q.NoStart)
	if q.Signal != nil {
		body["signal"] = q.Signal.body()
	}
	return body
}

// Start starts an execution and returns when it is durable.
func (c *Client) Start(ctx context.Context, workflowID string, q StartRequest) (StartAnswer, error) {
	return call[StartAnswer](ctx, c, "POST", api+"/workflows/"+url.PathEscape(workflowID)+"/executions", nil, q.body())
}

// StartSync starts an execution and waits for its end, at most timeout (0: the
// node's default). When it still runs then, the error is a *Problem with the code
// still_running, and the answer holds the execution as it is.
func (c *Client) StartSync(ctx context.Context, workflowID string, q StartRequest, timeout time.Duration) (SyncAnswer, error) {
	body := q.body()
	set(body, "timeout", timeout.Seconds(), timeout > 0)
	answer, err := call[SyncAnswer](ctx, c, "POST", api+"/workflows/"+url.PathEscape(workflowID)+"/executions/sync", nil, body)
	var p *Problem
	if errors.As(err, &p) && len(p.Data) > 0 {
		if bad := json.Unmarshal(p.Data, &answer); bad != nil {
			return answer, errors.Join(err, fmt.Errorf("read the execution in the answer: %w", bad))
		}
	}
	return answer, err
}

// Execution gets one execution.
func (c *Client) Execution(ctx context.Context, execID string) (Execution, error) {
	return call[Execution](ctx, c, "GET", executionURL(execID), nil, nil)
}

// Executions lists executions, newest first. A zero query lists the first page of all.
func (c *Client) Executions(ctx context.Context, q workflow.Query) (ExecutionList, error) {
	query := executionValues(q)
	if q.WorkflowID != "" {
		query.Set("workflow_id", q.WorkflowID)
	}
	return call[ExecutionList](ctx, c, "GET", api+"/executions/workflows", query, nil)
}

// WorkflowExecutions lists the executions of q.WorkflowID, newest first.
func (c *Client) WorkflowExecutions(ctx context.Context, q workflow.Query) (ExecutionList, error) {
	return call[ExecutionList](ctx, c, "GET", api+"/workflows/"+url.PathEscape(q.WorkflowID)+"/executions", executionValues(q), nil)
}

func executionValues(q workflow.Query) url.Values {
	query := pageValues(q.Limit, q.Cursor)
	add(query, "status", string(q.Status))
	add(query, "waiting_for", q.WaitingFor)
	add(query, "since", q.Since.String())
	add(query, "key", q.Key)
	add(query, "labels", labelText(q.Labels))
	return query
}

// labelText writes labels in one line.
func labelText(labels []workflow.Label) string {
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = l.Name + "=" + l.Value
	}
	return strings.Join(parts, ",")
}

// Cancel ends an execution; the reason may be "".
func (c *Client) Cancel(ctx context.Context, execID, reason string) (Execution, error) {
	body := make(map[string]any)
	set(body, "reason", reason, reason != "")
	return call[Execution](ctx, c, "POST", executionURL(execID)+"/cancel", nil, body)
}

// Pause pauses an execution.
func (c *Client) Pause(ctx context.Context, execID string) (Execution, error) {
	return call[Execution](ctx, c, "POST", executionURL(execID)+"/pause", nil, nil)
}

// Resume resumes a paused execution.
func (c *Client) Resume(ctx context.Context, execID string) (Execution, error) {
	return call[Execution](ctx, c, "POST", executionURL(execID)+"/resume", nil, nil)
}

// History reads up to limit records after the one numbered after (limit 0: the
// node's default).
func (c *Client) History(ctx context.Context, execID string, after uint64, limit int) (History, error) {
	query := pageValues(limit, "")
	if after > 0 {
		query.Set("after", strconv.FormatUint(after, 10))
	}
	return call[History](ctx, c, "GET", executionURL(execID)+"/history", query, nil)
}

// Waits lists open waits.
func (c *Client) Waits(ctx context.Context, q workflow.WaitQuery) (WaitList, error) {
	query := pageValues(q.Limit, q.Cursor)
	add(query, "name", q.Name)
	add(query, "workflow_id", q.WorkflowID)
	add(query, "correlation", q.Key)
	return call[WaitList](ctx, c, "GET", api+"/waits", query, nil)
}

// MoveWait gives an open wait another deadline: a duration from now on, or a
// time as RFC 3339 has it. The reason may be "".
func (c *Client) MoveWait(ctx context.Context, waitID, deadline, reason string) (MovedWait, error) {
	body := map[string]any{"deadline": deadline}
	set(body, "reason", reason, reason != "")
	return call[MovedWait](ctx, c, "PATCH", api+"/waits/"+url.PathEscape(waitID), nil, body)
}

// SignalReceipt looks up what became of a signal; execID narrows to one
// execution and may be "".
func (c *Client) SignalReceipt(ctx context.Context, signalID, execID string) (SignalReceipts, error) {
	query := make(url.Values)
	add(query, "exec_id", execID)
	return call[SignalReceipts](ctx, c, "GET", api+"/signals/"+url.PathEscape(signalID), query, nil)
}

// AwaitSignalReceipt is SignalReceipt whose answer is held until the fate is
// final, at most so long; then it tells what is known.
func (c *Client) AwaitSignalReceipt(ctx context.Context, signalID, execID string, most time.Duration) (SignalReceipts, error) {
	query := url.Values{"wait": {most.String()}}
	add(query, "exec_id", execID)
	return call[SignalReceipts](ctx, c, "GET", api+"/signals/"+url.PathEscape(signalID), query, nil)
}

// AwaitEventReceipt is EventReceipt whose answer is held until every listener
// was reached, at most so long; then it tells what is known.
func (c *Client) AwaitEventReceipt(ctx context.Context, eventID string, most time.Duration) (EventReceipt, error) {
	return call[EventReceipt](ctx, c, "GET", api+"/events/"+url.PathEscape(eventID), url.Values{"wait": {most.String()}}, nil)
}

// EventReceipt looks up what became of an event.
func (c *Client) EventReceipt(ctx context.Context, eventID string) (EventReceipt, error) {
	return call[EventReceipt](ctx, c, "GET", api+"/events/"+url.PathEscape(eventID), nil, nil)
}

// Workflows lists the loaded workflows.
func (c *Client) Workflows(ctx context.Context) ([]Workflow, error) {
	list, err := call[struct {
		Workflows []Workflow `json:"workflows"`
	}](ctx, c, "GET", api+"/workflows", nil, nil)
	return list.Workflows, err
}

// Workflow gets one workflow with its definition.
func (c *Client) Workflow(ctx context.Context, id string) (Workflow, error) {
	return call[Workflow](ctx, c, "GET", api+"/workflows/"+url.PathEscape(id), nil, nil)
}

// Keys lists the API keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	list, err := call[struct {
		Keys []Key `json:"keys"`
	}](ctx, c, "GET", api+"/keys", nil, nil)
	return list.Keys, err
}

// CreateKey makes an API key; the answer holds its token, which nobody can see again.
func (c *Client) CreateKey(ctx context.Context, spec KeySpec) (CreatedKey, error) {
	body := map[string]any{"name": spec.Name, "scopes": spec.Scopes}
	set(body, "expires", spec.Expires.String(), spec.Expires != 0)
	return call[CreatedKey](ctx, c, "POST", api+"/keys", nil, body)
}

// RevokeKey ends an API key.
func (c *Client) RevokeKey(ctx context.Context, id string) (Key, error) {
	return call[Key](ctx, c, "DELETE", api+"/keys/"+url.PathEscape(id), nil, nil)
}

// Audit reads the newest audit records (limit 0: the node's default).
func (c *Client) Audit(ctx context.Context, limit int) ([]AuditRecord, error) {
	list, err := call[struct {
		Records []AuditRecord `json:"records"`
	}](ctx, c, "GET", api+"/audit", pageValues(limit, ""), nil)
	return list.Records, err
}

// Card asks the node what it is.
func (c *Client) Card(ctx context.Context) (Card, error) {
	return call[Card](ctx, c, "GET", api, nil, nil)
}

// Alive is nil when the process answers.
func (c *Client) Alive(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, "GET", "/livez", nil, nil)
	return err
}

// Readiness asks whether the node can do its work. A node that cannot is an
// answer and not an error.
func (c *Client) Readiness(ctx context.Context) (Readiness, error) {
	return call[Readiness](ctx, c, "GET", "/readyz", nil, nil)
}

// Metrics reads the metrics as text.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) { return c.raw(ctx, "/metrics") }

// OpenAPI reads the OpenAPI document as JSON.
func (c *Client) OpenAPI(ctx context.Context) ([]byte, error) { return c.raw(ctx, "/openapi.json") }

func set(body map[string]any, name string, value any, when bool) {
	if when {
		body[name] = value
	}
}

func add(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func pageValues(limit int, cursor string) url.Values {
	query := make(url.Values)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	add(query, "cursor", cursor)
	return query
}

// call sends one request and reads the data of the answer's envelope.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (T, error) {
	var answer struct {
		Data T `json:"data"`
	}
	response, err := c.send(ctx, method, path, query, body, nil)
	if err != nil {
		return answer.Data, err
	}
	defer response.Body.Close()
	text, err := readAnswer(response)
	if err != nil {
		return answer.Data, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if err := problemIn(response, text); err != nil {
		return answer.Data, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer.Data, fmt.Errorf("%s %s: the answer is not that of a Signalbox node: %w", method, path, err)
	}
	return answer.Data, nil
}

func (c *Client) raw(ctx context.Context, path string) ([]byte, error) {
	response, err := c.send(ctx, "GET", path, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := readAnswer(response)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return text, problemIn(response, text)
}

// rawBody is a body that is sent as it is.
type rawBody []byte

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any, header http.Header) (*http.Response, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	var reader io.Reader
	if raw, ok := body.(rawBody); ok {
		reader = bytes.NewReader(raw)
	} else if body != nil {
		// Bytes stay as they were given: the same payload sent by curl under the
		// same id must have the same digest.
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			return nil, fmt.Errorf("encode the body of %s %s: %w", method, path, err)
		}
		reader = &text
	}
	request, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return nil, fmt.Errorf("make the request %s %s: %w", method, path, err)
	}
	if body != nil {
		request.Header["Content-Type"] = jsonHeader
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(request)
}

// readAnswer reads a whole answer, at most MaxClientAnswer.
func readAnswer(response *http.Response) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(response.Body, MaxClientAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(text) > MaxClientAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes; ask for a smaller page", MaxClientAnswer)
	}
	return text, nil
}

// problemIn returns the *Problem that an answer is, or nil.
func problemIn(response *http.Response, text []byte) error {
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if kind != problemHeader[0] {
		if response.StatusCode < 400 || kind == jsonHeader[0] {
			return nil // also /readyz of a node that is not ready: an answer like others
		}
		return &Problem{
			Title: http.StatusText(response.StatusCode), Status: response.StatusCode, Code: "unknown",
			Detail: "the answer is not that of a Signalbox node: " + truncate(string(text)),
		}
	}
	p := new(Problem)
	if err := json.Unmarshal(text, p); err != nil {
		return fmt.Errorf("the problem of the answer (status %d) cannot be read: %w", response.StatusCode, err)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
