package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The codes of problems that the front door itself finds; those that the node
// finds are the codes of package workflow.
const (
	CodeUnauthenticated  = "unauthenticated"
	CodeScopeMissing     = "scope_missing"
	CodeCrossSite        = "cross_site_request"
	CodeNoRoute          = "route_not_found"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeMediaType        = "unsupported_media_type"
	CodeBodyTooLarge     = "body_too_large"
	CodeBodyTimeout      = "body_timeout"
	CodeStillRunning     = "still_running"
	CodeNoKey            = "key_not_found"
	CodeTooManyKeys      = "too_many_keys"
	CodeBootstrapped     = "already_bootstrapped"
	CodeInternal         = "internal"
)

// Problem is the one shape of every error: RFC 9457, and in Reference the code
// and message that clients of the reference system read.
type Problem struct {
	Type      string               `json:"type"`
	Title     string               `json:"title"`
	Status    int                  `json:"status"`
	Detail    string               `json:"detail"`
	Instance  string               `json:"instance,omitempty"`
	Code      string               `json:"code"`
	Reference ReferenceError       `json:"error"`
	Errors    []workflow.Violation `json:"errors,omitempty"`
	Hint      string               `json:"hint,omitempty"`
	Details   map[string]any       `json:"details,omitempty"`
	RequestID string               `json:"request_id,omitempty"`
	Data      json.RawMessage      `json:"data,omitempty"` // only with the code still_running and its like

	// RetryAfter is the answer's Retry-After header; zero when it has none.
	RetryAfter time.Duration `json:"-"`
}

// ReferenceError is the error object of the reference system.
type ReferenceError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details string `json:"details,omitempty"`
}

// Error is what went wrong and what to do, in one line.
func (p *Problem) Error() string {
	text := p.Detail
	for _, v := range p.Errors {
		if v.Pointer != "" {
			text += fmt.Sprintf("; %s: %s", v.Pointer, v.Message)
		}
	}
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return fmt.Sprintf("%s (%d %s)", text, p.Status, p.Code)
}

// problemKind is one row of the table of problems.
type problemKind struct {
	code      string
	status    int
	title     string
	reference string // code of the reference system
	remedy    string // for the page that `type` points to
}

// forgotten is the remedy where a receipt is not found.
const forgotten = "It was not accepted, or it was forgotten after the node's retention; send it only if it is younger than that."

// problemKinds is the one table from a code to a status: handlers only name codes.
var problemKinds = []problemKind{
	{workflow.CodeInvalid, 400, "The request is not valid", "BAD_REQUEST", "Correct what the detail names; nothing was kept."},
	{workflow.CodeInputInvalid, 400, "The input breaks the workflow's schema", "BAD_REQUEST", "Correct the places that `errors` points to."},
	{CodeUnauthenticated, 401, "An API key is needed", "UNAUTHORIZED", "Send `Authorization: Bearer sbx_...` with a key that is neither expired nor revoked."},
	{CodeScopeMissing, 403, "The API key lacks a scope", "FORBIDDEN", "Use a key that has the scope named in the detail."},
	{CodeCrossSite, 403, "The request comes from another site", "FORBIDDEN", "A node without keys answers only its own machine's pages and programs."},
	{CodeNoRoute, 404, "There is no such route", "NOT_FOUND", "See /openapi.json for all routes."},
	{workflow.CodeNoExecution, 404, "There is no such execution", "NOT_FOUND", "Check the execution id; finished executions are forgotten after the retention time."},
	{workflow.CodeNoWorkflow, 404, "There is no such workflow", "NOT_FOUND", "GET /api/v0/workflows lists those that the node has loaded."},
	{workflow.CodeNoSignal, 404, "There is no receipt of that signal", "NOT_FOUND", forgotten},
	{workflow.CodeNoEvent, 404, "There is no receipt of that event", "NOT_FOUND", forgotten},
	{workflow.CodeNoLetter, 404, "There is no such dead letter", "NOT_FOUND", "It was redelivered, discarded or dropped meanwhile; list those that are kept."},
	{workflow.CodeNoBroadcast, 404, "There is no such broadcast", "NOT_FOUND", "Check the id; finished ones are forgotten after the retention time."},
	{workflow.CodeNoWait, 404, "There is no such open wait", "NOT_FOUND", "GET /api/v0/waits lists those that are open, with their `wait_id`."},
	{CodeNoKey, 404, "There is no such key", "NOT_FOUND", "GET /api/v0/keys lists them."},
	{CodeMethodNotAllowed, 405, "The route has no such method", "METHOD_NOT_ALLOWED", "The Allow header names those it has."},
	{CodeBodyTimeout, 408, "The body came too slowly", "REQUEST_TIMEOUT", "Send it again; nothing was kept."},
	{CodeStillRunning, 408, "The execution is still running", "REQUEST_TIMEOUT", "Get the execution that `data.exec_id` names; it goes on."},
	{workflow.CodeFinished, 409, "The execution has finished", "CONFLICT", "It can take no signals any more; start another one."},
	{workflow.CodeExecutionExists, 409, "An execution of that id exists with another input", "CONFLICT", "Choose another exec_id or Idempotency-Key."},
	{workflow.CodeKeyTaken, 409, "A live execution has that key", "CONFLICT", "Signal the execution that `details.exec_id` names, or start again when it has finished."},
	{workflow.CodeWrongStatus, 409, "The execution's status does not allow it", "CONFLICT", "Look at the execution's status first."},
	{workflow.CodeQuarantined, 409, "The execution is quarantined", "CONFLICT", "Its `error`, GET .../why and the log of the node say why; an operator has to look at it."},
	{CodeTooManyKeys, 409, "There are too many keys", "CONFLICT", "Revoke keys that nobody uses."},
	{CodeBootstrapped, 409, "There is an admin key already", "CONFLICT", "Use it to create further keys."},
	{CodeBodyTooLarge, 413, "The body is too large", "PAYLOAD_TOO_LARGE", "Store large content elsewhere and send a link to it."},
	{CodeMediaType, 415, "The body's format is not supported", "UNSUPPORTED_MEDIA_TYPE", "Send JSON with `Content-Type: application/json`, not compressed."},
	{workflow.CodeNeverAwaited, 422, "The workflow never waits for that signal", "UNPROCESSABLE_ENTITY", "Check the name; `?force=true` keeps it nevertheless."},
	{workflow.CodeIDReused, 422, "The id was used for another message", "UNPROCESSABLE_ENTITY", "Use a new id for a new message, the same body for a repeat."},
	{workflow.CodePayloadInvalid, 422, "The payload breaks the wait's schema", "UNPROCESSABLE_ENTITY", "Correct the places that `errors` points to."},
	{workflow.CodeBufferFull, 429, "The execution holds too many signals", "TOO_MANY_REQUESTS", "Nothing was kept; send again after the time in Retry-After."},
	{CodeInternal, 500, "The node has an internal error", "INTERNAL_ERROR", "The log has the cause under the answer's request_id."},
	{workflow.CodeOverloaded, 503, "The node is overloaded", "SERVICE_UNAVAILABLE", "Nothing was kept; send again after the time in Retry-After."},
	{workflow.CodeStoreUnavailable, 503, "The store is not available", "SERVICE_UNAVAILABLE", "Nothing was acknowledged; send again with the same id."},
	{workflow.CodeStopping, 503, "The node is stopping", "SERVICE_UNAVAILABLE", "Send again; another node or the restarted one takes it."},
	{workflow.CodeTimeout, 503, "The outcome is not known", "SERVICE_UNAVAILABLE", "Send again with the same id: it takes effect once."},
}

var problemByCode = func() map[string]*problemKind {
	m := make(map[string]*problemKind, len(problemKinds))
	for i := range problemKinds {
		m[problemKinds[i].code] = &problemKinds[i]
	}
	return m
}()

// problemOf turns an error into its problem. known is false for an error that
// nobody foresaw: its text goes to the log and never to the client.
func problemOf(err error) (p *Problem, known bool) {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		kind, ok := problemByCode[refusal.Code]
		if !ok {
			return problemFrom(problemByCode[CodeInternal], &workflow.Refusal{Message: "the node refused for a reason that the front door does not know"}), false
		}
		return problemFrom(kind, refusal), true
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return problemFrom(problemByCode[workflow.CodeTimeout], &workflow.Refusal{
			Message: "the node did not answer in time, so the outcome is not known",
			Hint:    "send again with the same id (signal_id, event_id, exec_id or Idempotency-Key): it takes effect once",
		}), true
	}
	return problemFrom(problemByCode[CodeInternal], &workflow.Refusal{
		Message: "the node could not do it because of an internal error",
		Hint:    "the log has the cause under this request_id",
	}), false
}

func problemFrom(kind *problemKind, r *workflow.Refusal) *Problem {
	p := &Problem{
		Type:      "/docs/errors#" + kind.code,
		Title:     kind.title,
		Status:    kind.status,
		Detail:    r.Message,
		Code:      kind.code,
		Reference: ReferenceError{Code: kind.reference, Message: r.Message, Details: r.Hint},
		Errors:    r.Violations,
		Hint:      r.Hint,
		Details:   r.Details,
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		p.RetryAfter = max(r.RetryAfter, defaultRetryAfter)
	}
	return p
}

// retrySeconds is a Retry-After header: whole seconds, rounded up.
func retrySeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// refuse is a refusal of the front door itself.
func refuse(code, message, hint string) *workflow.Refusal {
	return &workflow.Refusal{Code: code, Message: message, Hint: hint}
}
