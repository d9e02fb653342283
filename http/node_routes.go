package http

import (
	"fmt"
	"html"
	"net/http"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// Handlers about the node itself: workflows, keys, probes and documents.

func (x *exchange) listWorkflows() error {
	loaded := x.server.node.Workflows()
	list := make([]Workflow, 0, len(loaded))
	for _, w := range loaded {
		list = append(list, workflowOf(w, false))
	}
	return x.answer(http.StatusOK, "workflows retrieved", map[string]any{"workflows": list})
}

func (x *exchange) getWorkflow() error {
	id, err := x.pathID("workflow_id")
	if err != nil {
		return err
	}
	var ids []string
	for _, w := range x.server.node.Workflows() {
		if w.ID == id {
			return x.answer(http.StatusOK, "workflow retrieved", workflowOf(w, true))
		}
		ids = append(ids, w.ID)
	}
	hint := "GET /api/v0/workflows lists those that the node has loaded"
	if near := workflow.Nearest(id, ids); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return refuse(workflow.CodeNoWorkflow, fmt.Sprintf("there is no workflow %q", truncate(id)), hint)
}

// ring is the key ring, or a refusal on a node that has none.
func (x *exchange) ring() (*KeyRing, error) {
	if x.server.keys == nil {
		return nil, refuse(workflow.CodeWrongStatus, "this node runs without API keys, so it manages none", "it has some when it is started with `signalbox serve`, without --no-auth")
	}
	return x.server.keys, nil
}

func (x *exchange) listKeys() error {
	ring, err := x.ring()
	if err != nil {
		return err
	}
	keys, err := ring.List(x.context())
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "keys retrieved", map[string]any{"keys": keys})
}

// CreatedKey is a new key with its token, which is shown this once.
type CreatedKey struct {
	Key
	Token string `json:"token"`
}

func (x *exchange) createKey() error {
	ring, err := x.ring()
	if err != nil {
		return err
	}
	q, err := decodeKey(x.in.b)
	if err != nil {
		return err
	}
	token, key, err := ring.Create(x.context(), KeySpec{Name: q.name, Scopes: q.scopes, Expires: q.expires, By: x.by()})
	if err != nil {
		return err
	}
	return x.answer(http.StatusCreated, "key created; its token is shown only now", CreatedKey{Key: key, Token: token})
}

func (x *exchange) revokeKey() error {
	ring, err := x.ring()
	if err != nil {
		return err
	}
	key, err := ring.Revoke(x.context(), x.params.ByName("key_id"), x.by())
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "key revoked", key)
}

func (x *exchange) listAudit() error {
	ring, err := x.ring()
	if err != nil {
		return err
	}
	limit, err := x.limit(DefaultListLimit, MaxListLimit)
	if err != nil {
		return err
	}
	records, err := ring.Audit(x.context(), limit)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "audit records", map[string]any{"records": records})
}

func (x *exchange) alive() error {
	return x.answer(http.StatusOK, "Success", map[string]string{"status": "ok"})
}

// ready is 200 when the node can do its work and 503 with the reasons when not.
func (x *exchange) ready() error {
	r := x.readiness()
	if r.Ready {
		return x.answer(http.StatusOK, "ready", r)
	}
	x.w.Header()["Retry-After"] = []string{"1"}
	return x.answer(http.StatusServiceUnavailable, "not ready", r)
}

func (x *exchange) readiness() Readiness {
	s := x.server
	h := s.node.Health()
	r := Readiness{
		Status: h.Status, Version: h.Version, Ready: h.Ready && s.ready(),
		Durability: h.Durability, Problems: h.Problems, Actors: h.Executions,
	}
	select {
	case <-s.stopping:
		r.Ready, r.Status = false, "draining"
	default:
		if s.unready.Load() {
			r.Ready, r.Status = false, "draining"
		}
	}
	if !r.Ready && r.Status == "ready" {
		r.Status = "starting"
	}
	return r
}

func (x *exchange) card() error {
	r := x.readiness()
	return x.answer(http.StatusOK, "Success", Card{
		Name: "signalbox", Version: r.Version, Status: r.Status, Durability: r.Durability,
		Links: map[string]string{
			"openapi": "/openapi.json", "errors": "/docs/errors", "ready": "/readyz", "metrics": "/metrics",
			"workflows": api + "/workflows", "executions": api + "/executions/workflows", "waits": api + "/waits",
		},
	})
}

// scrape answers with the metrics; promhttp writes them itself.
func (x *exchange) scrape() error {
	x.status = http.StatusOK
	x.server.scraper.ServeHTTP(x.w, x.r)
	return nil
}

func (x *exchange) openapi() error {
	document, err := openAPI()
	if err != nil {
		return err
	}
	x.send(http.StatusOK, jsonHeader, document)
	return nil
}

var htmlHeader = []string{"text/html; charset=utf-8"}

// errorDocs is the page that the `type` of every problem points to.
func (x *exchange) errorDocs() error {
	var page strings.Builder
	page.WriteString("<!doctype html><meta charset=utf-8><title>Signalbox: problems</title><h1>Problems and what to do</h1>\n")
	for _, kind := range problemKinds {
		fmt.Fprintf(&page, "<h2 id=%q>%s</h2><p>%s (status %d). %s</p>\n", kind.code, kind.code,
			html.EscapeString(kind.title), kind.status, html.EscapeString(kind.remedy))
	}
	x.send(http.StatusOK, htmlHeader, []byte(page.String()))
	return nil
}

func (x *exchange) noRoute() error {
	return refuse(CodeNoRoute, fmt.Sprintf("there is no route %s %s", truncate(x.r.Method), truncate(x.r.URL.EscapedPath())),
		"see /openapi.json for all routes; ids must not contain a slash")
}

// wrongMethod is 405; to OPTIONS it tells the methods, which the router has put
// into the header Allow.
func (x *exchange) wrongMethod() error {
	if x.r.Method == http.MethodOptions {
		x.status = http.StatusNoContent
		x.w.WriteHeader(x.status)
		return nil
	}
	return refuse(CodeMethodNotAllowed, fmt.Sprintf("%s has no method %s", truncate(x.r.URL.EscapedPath()), truncate(x.r.Method)),
		"it has "+x.w.Header().Get("Allow"))
}
