package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A shared deadline frees its timer when it comes; it holds no goroutine.
	goleak.VerifyTestMain(m)
}

var _ io.Writer = (*buffer)(nil)

// door is a server over a fake node, and checks every JSON answer against the
// OpenAPI document.
type door struct {
	t      testing.TB
	node   *fakeNode
	server *Server
	token  string // sent with every request; "" sends none
}

func newDoor(t testing.TB, change ...func(*Options)) *door {
	t.Helper()
	node := newFakeNode()
	o := Options{Node: node}
	for _, c := range change {
		c(&o)
	}
	return &door{t: t, node: node, server: NewServer(o)}
}

// newLockedDoor gives the door a key ring over its own node, and the test an admin's token.
func newLockedDoor(t testing.TB, change ...func(*Options)) *door {
	t.Helper()
	node := newFakeNode()
	o := Options{Node: node, Keys: NewKeyRing(node)}
	for _, c := range change {
		c(&o)
	}
	d := &door{t: t, node: node, server: NewServer(o)}
	token, _, err := o.Keys.Bootstrap(context.Background(), "root", "")
	if err != nil {
		t.Fatal(err)
	}
	d.token = token
	t.Cleanup(o.Keys.Close)
	return d
}

// answer is what came back.
type answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   []byte
}

func (d *door) do(method, path, body string, header ...string) answer {
	d.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if d.token != "" {
		r.Header.Set("Authorization", "Bearer "+d.token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" {
			r.Header.Del(header[i]) // one kind of body, not two
		}
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	return d.request(r)
}

func (d *door) request(r *http.Request) answer {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, r)
	a := answer{t: d.t, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
	if r.Method != http.MethodHead {
		conforms(d.t, r, a)
	}
	return a
}

func (d *door) post(path, body string, header ...string) answer {
	d.t.Helper()
	return d.do("POST", path, body, header...)
}

func (d *door) get(path string, header ...string) answer {
	d.t.Helper()
	return d.do("GET", path, "", header...)
}

// begin starts an execution that waits for approval-decision.
func (d *door) begin(execID string) {
	d.t.Helper()
	d.post("/api/v0/workflows/approval/executions", `{"exec_id":"`+execID+`","input":{"n":1}}`).want(202)
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d; body: %s", a.Status, status, a.Body)
	}
	return a
}

// problem reads the answer as a problem of that status and code.
func (a answer) problem(status int, code string) Problem {
	a.t.Helper()
	a.want(status)
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" {
		a.t.Fatalf("content type %q, want a problem", kind)
	}
	var p Problem
	if err := json.Unmarshal(a.Body, &p); err != nil {
		a.t.Fatal(err)
	}
	if p.Code != code || p.Status != status || p.Detail == "" || p.Reference.Code == "" || p.Reference.Message == "" || p.Type != "/docs/errors#"+code {
		a.t.Fatalf("not a whole problem of code %q: %s", code, a.Body)
	}
	if p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") {
		a.t.Fatalf("request id %q, header %q", p.RequestID, a.Header.Get("X-Request-Id"))
	}
	if (status == 429 || status == 503) != (a.Header.Get("Retry-After") != "") {
		a.t.Fatalf("status %d with Retry-After %q", status, a.Header.Get("Retry-After"))
	}
	return p
}

// data reads the data of the answer's envelope.
func data[T any](a answer) T {
	a.t.Helper()
	var e struct {
		Status  int
		Message string
		Data    T
	}
	if err := json.Unmarshal(a.Body, &e); err != nil {
		a.t.Fatalf("%v in %s", err, a.Body)
	}
	if e.Status != a.Status || e.Message == "" {
		a.t.Fatalf("envelope says status %d and message %q, the answer is %d", e.Status, e.Message, a.Status)
	}
	return e.Data
}

// document is openapi.yaml, read and validated once.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

var documentRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// conforms checks one answer against the document. Requests to what is not in
// the document must get a problem.
func conforms(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	router, err := documentRouter()
	if err != nil {
		t.Fatal(err)
	}
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if kind != "application/json" && kind != "application/problem+json" {
		return
	}
	plain := &http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path}}
	route, params, err := router.FindRoute(plain)
	if err != nil {
		if a.Status != 404 && a.Status != 405 && !strings.HasSuffix(r.URL.Path, "/echo") && a.Status != 403 {
			t.Fatalf("%s %s is not in the document and answers %d", r.Method, r.URL.Path, a.Status)
		}
		return
	}
	if len(params) != strings.Count(route.Path, "{") {
		t.Fatalf("the document's path %s gives the parameters %v", route.Path, params)
	}
	schema, err := answerSchema(route.Path, r.Method, a.Status, kind)
	if err != nil {
		t.Fatalf("%s %s answers %d as %s: %v", r.Method, r.URL.Path, a.Status, kind, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.Body))
	if err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	if err := schema.Validate(value); err != nil {
		t.Fatalf("%s %s: the answer breaks the document: %v\n%s", r.Method, r.URL.Path, err, a.Body)
	}
}

// answers compiles the schemas of answers out of the whole document, as JSON
// Schema 2020-12, which is what OpenAPI 3.1 uses.
var answers = struct {
	sync.Mutex
	compiler *jsonschema.Compiler
	document map[string]any
	known    map[string]*jsonschema.Schema
}{known: make(map[string]*jsonschema.Schema)}

func answerSchema(path, method string, status int, kind string) (*jsonschema.Schema, error) {
	answers.Lock()
	defer answers.Unlock()
	if answers.compiler == nil {
		text, err := openAPI()
		if err != nil {
			return nil, err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		answers.compiler, answers.document = jsonschema.NewCompiler(), value.(map[string]any)
		answers.compiler.AssertFormat()
		if err := answers.compiler.AddResource("openapi.json", value); err != nil {
			return nil, err
		}
	}
	at := []string{"paths", path, strings.ToLower(method), "responses", strconv.Itoa(status)}
	response, ok := lookup(answers.document, at...).(map[string]any)
	if !ok {
		at[len(at)-1] = "default"
		if response, ok = lookup(answers.document, at...).(map[string]any); !ok {
			return nil, errors.New("the document has no such answer")
		}
	}
	if ref, ok := response["$ref"].(string); ok {
		at = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	at = append(at, "content", kind, "schema")
	if lookup(answers.document, at...) == nil {
		return nil, errors.New("the document's answer has another type")
	}
	var pointer strings.Builder
	for _, part := range at {
		pointer.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part)))
	}
	if known := answers.known[pointer.String()]; known != nil {
		return known, nil
	}
	schema, err := answers.compiler.Compile("openapi.json#" + pointer.String())
	answers.known[pointer.String()] = schema
	return schema, err
}

func lookup(in any, path ...string) any {
	for _, name := range path {
		object, ok := in.(map[string]any)
		if !ok {
			return nil
		}
		in = object[name]
	}
	return in
}
