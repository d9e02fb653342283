package executors

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// tool runs tools: the two that are built in, calls of HTTP services, and
// processes. The request says which.
type tool struct {
	options Options
	schemas *schemaCache
	http    *httpTool
}

// toolRequest is the rendered request of a tool.
type toolRequest struct {
	Tool        toolSpec       `json:"tool"`
	With        workflow.Value `json:"with"`
	Schema      workflow.Value `json:"schema"`
	InputSchema workflow.Value `json:"input_schema"`
}

// toolSpec is a tool as the YAML defines it, rendered. Which fields count
// depends on the type.
type toolSpec struct {
	ID      text           `json:"id"`
	Type    text           `json:"type"`
	Timeout text           `json:"timeout"`
	Output  workflow.Value `json:"output"` // transform: the output; process: "json" or "text"

	// http
	Method  text            `json:"method"`
	URL     text            `json:"url"`
	Headers map[string]text `json:"headers"`
	Body    workflow.Value  `json:"body"`
	Expect  workflow.Value  `json:"expect"`

	// process
	Argv    []text          `json:"argv"`
	Command text            `json:"command"`
	Cwd     text            `json:"cwd"`
	Env     map[string]text `json:"env"`
}

// name is how failures call the tool.
func (s *toolSpec) name() string {
	if s.ID == "" {
		return "tool of type " + string(s.Type)
	}
	return "tool " + string(s.ID)
}

// toolTypes does the work of each type. Builtin ones never leave the process.
var toolTypes = map[string]struct {
	builtin bool
	run     func(*tool, context.Context, Job, *toolRequest) (workflow.Value, error)
}{
	"echo":      {true, (*tool).echo},
	"transform": {true, (*tool).transform},
	"http":      {false, (*tool).call},
	"process":   {false, (*tool).process},
}

func newTool(o Options, schemas *schemaCache) *tool {
	return &tool{options: o, schemas: schemas, http: newHTTPTool(o)}
}

// Run does the job of one tool.
func (t *tool) Run(ctx context.Context, job Job) (workflow.Value, error) {
	return t.options.perform(ctx, job, t.work)
}

// Close gives idle connections back.
func (t *tool) Close() error {
	t.http.client.CloseIdleConnections()
	return nil
}

// Lane sorts a job by what it waits for: nothing, a process, or the network.
func (t *tool) Lane(job Job) Lane {
	switch kind := kindOfTool(job.Request); {
	case kind == "process":
		return LaneProcess
	case kind == "" || toolTypes[kind].builtin:
		return LaneBuiltin // without a type it fails at once, and says why
	}
	return LaneHTTP
}

// Pure reports whether a job is one of a built-in tool.
func (t *tool) Pure(job Job) bool { return toolTypes[kindOfTool(job.Request)].builtin }

// kindOfTool reads the type of a tool out of a request, and no further than it
// must: the caller is in a hurry, and `with` may be large.
func kindOfTool(request workflow.Value) string {
	if kind, plain := plainKind(request); plain {
		return kind
	}
	dec := json.NewDecoder(bytes.NewReader(request))
	if _, err := dec.Token(); err != nil {
		return ""
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return ""
		}
		var spec struct {
			Type text `json:"type"`
		}
		var other workflow.Value
		into := any(&other)
		if name == "tool" {
			into = &spec
		}
		if err := dec.Decode(into); err != nil {
			return ""
		}
		if name == "tool" {
			return string(spec.Type)
		}
	}
	return ""
}

// plainKind is kindOfTool of a request that begins as definitions render it: a tool
// with its id and its type. A quote within a text has a backslash before it.
func plainKind(request workflow.Value) (kind string, plain bool) {
	rest, plain := bytes.CutPrefix(request, []byte(`{"tool":{"id":"`))
	if !plain {
		return "", false
	}
	id, rest, typed := bytes.Cut(rest, []byte(`","type":"`))
	of, _, ended := bytes.Cut(rest, []byte{'"'})
	if !typed || !ended || bytes.ContainsAny(id, `"\`) || bytes.IndexByte(of, '\\') >= 0 {
		return "", false
	}
	return string(of), true
}

func (t *tool) work(ctx context.Context, job Job, request workflow.Value) (workflow.Value, error) {
	var r toolRequest
	if err := decodeRequest(request, &r); err != nil {
		return nil, err
	}
	kind, known := toolTypes[string(r.Tool.Type)]
	if !known {
		types := strings.Join(slices.Sorted(maps.Keys(toolTypes)), ", ")
		return nil, permanent(CodeUnknownTool, "%s: there is no tool type %q; the types are %s", r.Tool.name(), excerpt(string(r.Tool.Type)), types)
	}
	if job.Now && !kind.builtin { // Pure looked at the beginning of the request only
		return nil, permanent(CodeUnknownTool, "%s: its request says that it is a built-in tool, and then that its type is %q; name the type once", r.Tool.name(), r.Tool.Type)
	}
	if absent(r.With) {
		r.With = workflow.Value("{}")
	}
	found, err := t.schemas.check(r.InputSchema, r.With)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, brokenInput(r.Tool.name(), found)
	}
	ctx, cancel, err := t.options.within(ctx, r.Tool.name(), r.Tool.Timeout)
	if err != nil {
		return nil, err
	}
	defer cancel()
	out, err := kind.run(t, ctx, job, &r)
	if err != nil {
		return nil, err
	}
	found, err = t.schemas.check(r.Schema, out)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, brokenOutput(r.Tool.name(), found)
	}
	if kind.builtin && !bytes.Equal(request, job.Request) {
		return t.labelled(ctx, job, kind.run)
	}
	return out, nil
}

// labelled runs a built-in tool on a request that has the names of secrets in
// their place: what such a tool gives back is what it got, and goes to the state.
func (t *tool) labelled(ctx context.Context, job Job, run func(*tool, context.Context, Job, *toolRequest) (workflow.Value, error)) (workflow.Value, error) {
	request, err := t.options.Unmask(job.Request, labels(t.options.Secrets()))
	if err != nil {
		return nil, missingSecret(err)
	}
	var r toolRequest
	if err := decodeRequest(request, &r); err != nil {
		return nil, err
	}
	if absent(r.With) {
		r.With = workflow.Value("{}")
	}
	return run(t, ctx, job, &r)
}

// echo gives its `with` back.
func (t *tool) echo(_ context.Context, _ Job, r *toolRequest) (workflow.Value, error) {
	return r.With, nil
}

// transform gives the tool's own `output` back, or else `with.output`, or else
// `with`: the templates in it have been rendered to typed values by then.
func (t *tool) transform(_ context.Context, _ Job, r *toolRequest) (workflow.Value, error) {
	if !absent(r.Tool.Output) {
		return r.Tool.Output, nil
	}
	var with struct {
		Output workflow.Value `json:"output"`
	}
	if err := json.Unmarshal(r.With, &with); err == nil && !absent(with.Output) {
		return with.Output, nil
	}
	return r.With, nil
}

// call asks an HTTP service.
func (t *tool) call(ctx context.Context, job Job, r *toolRequest) (workflow.Value, error) {
	return t.http.call(ctx, job, &r.Tool)
}
