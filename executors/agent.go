package executors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// agent asks models. The request says who is asked, with which instructions,
// and which shape the answer must have.
type agent struct {
	options Options
	schemas *schemaCache
	client  *http.Client
	guard   *guard // nil: every address is allowed

	saying sync.Mutex
	said   map[string]bool // providers chosen by the environment that the log has named
}

// agentRequest is the rendered request of an agent.
type agentRequest struct {
	Agent struct {
		ID           text `json:"id"`
		Instructions text `json:"instructions"`
	} `json:"agent"`
	Model  *modelSpec `json:"model"`
	Prompt text       `json:"prompt"`
	Action struct {
		ID     text `json:"id"`
		Prompt text `json:"prompt"`
	} `json:"action"`
	With        workflow.Value `json:"with"`
	Schema      workflow.Value `json:"schema"`
	InputSchema workflow.Value `json:"input_schema"`
}

// modelSpec is a model as the YAML defines it, rendered.
type modelSpec struct {
	Provider text           `json:"provider"`
	Model    text           `json:"model"`
	APIURL   text           `json:"api_url"`
	APIKey   text           `json:"api_key"`
	Params   map[string]any `json:"params"`
}

// turn is one message of a conversation.
type turn struct {
	role    string // "user" or "assistant"
	content string
}

// conversation is what a model is asked.
type conversation struct {
	system string
	turns  []turn
	schema workflow.Value // absent: any text
}

func newAgent(o Options, schemas *schemaCache) *agent {
	a := &agent{options: o, schemas: schemas, said: make(map[string]bool)}
	if !o.AllowPrivate && o.Transport == nil {
		a.guard = modelGuard()
	}
	next := o.Transport
	if next == nil {
		next = transport(a.guard, true)
	}
	// A prompt goes where the project says, and not on to where that refers to.
	a.client = &http.Client{Transport: boundedTransport{next}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return a
}

// Run asks the model of one task.
func (a *agent) Run(ctx context.Context, job Job) (workflow.Value, error) {
	return a.options.perform(ctx, job, a.work)
}

// Close gives idle connections back.
func (a *agent) Close() error {
	a.client.CloseIdleConnections()
	return nil
}

// Lane is the agents' own: models are slow, and nobody else should wait for them.
func (a *agent) Lane(Job) Lane { return LaneAgent }

func (a *agent) work(ctx context.Context, job Job, request workflow.Value) (workflow.Value, error) {
	var r agentRequest
	if err := decodeRequest(request, &r); err != nil {
		return nil, err
	}
	found, err := a.schemas.check(r.InputSchema, r.With)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, brokenInput(r.name(), found)
	}
	if !absent(r.Schema) {
		if _, err := a.schemas.get(r.Schema); err != nil {
			return nil, err // before anything is paid for
		}
	}
	m, err := a.resolve(&r)
	if err != nil {
		return nil, err
	}
	talk := r.conversation()
	if talk.system == "" && len(talk.turns) == 0 {
		return nil, permanent(CodeRequestInvalid, "%s: there is nothing to ask; give the task a prompt or an action, or the agent instructions", r.name())
	}
	if m.provider.mock {
		return a.mock(ctx, job, &r, m, talk)
	}
	out, err := a.converse(ctx, job, m, talk)
	if err != nil {
		return nil, hiding(err, "of model "+m.name, m.key)
	}
	return out, nil
}

// name is how failures call the agent.
func (r *agentRequest) name() string {
	if r.Agent.ID == "" {
		return "prompt"
	}
	return "agent " + string(r.Agent.ID)
}

// conversation puts the parts of a request into the messages of a model:
// instructions as the system's, then the prompts of action and task, and the
// input of the task as JSON.
func (r *agentRequest) conversation() conversation {
	var parts []string
	add := func(part string) {
		if part = strings.TrimSpace(part); part != "" && (len(parts) == 0 || parts[len(parts)-1] != part) {
			parts = append(parts, part)
		}
	}
	add(string(r.Action.Prompt))
	add(string(r.Prompt))
	if !empty(r.With) {
		var b bytes.Buffer
		if err := json.Compact(&b, r.With); err == nil {
			add("Input: " + b.String())
		}
	}
	c := conversation{system: strings.TrimSpace(string(r.Agent.Instructions)), schema: r.Schema}
	if len(parts) > 0 {
		c.turns = []turn{{"user", strings.Join(parts, "\n\n")}}
	} else if c.system != "" {
		// Models answer messages of users only.
		c.turns, c.system = []turn{{"user", c.system}}, ""
	}
	return c
}

// converse asks until the answer fits the schema, at most MaxRepairs times more.
func (a *agent) converse(ctx context.Context, job Job, m *model, talk conversation) (workflow.Value, error) {
	var problem string
	for round := range MaxRepairs + 1 {
		said, err := a.complete(ctx, job, m, talk, round)
		if err != nil {
			return nil, err
		}
		if absent(talk.schema) {
			return workflow.ValueOf(map[string]any{"response": said.text}), nil
		}
		var out workflow.Value
		out, problem, err = a.fit(said.text, talk.schema)
		if err != nil || problem == "" {
			return out, err
		}
		if said.cut {
			return nil, permanent(CodeOutputInvalid, "%s stopped at its limit of tokens before its answer was complete; raise params.max_tokens (or max_completion_tokens)", m)
		}
		talk.turns = append(talk.turns[:len(talk.turns):len(talk.turns)],
			turn{"assistant", said.text},
			turn{"user", "That answer cannot be used: " + problem + ". Answer again with the corrected JSON value and nothing else."})
	}
	return nil, passing(CodeOutputInvalid, "%s gave %d answers that break the output schema; the last one: %s; simplify the schema, describe it in the prompt, or use a stronger model", m, MaxRepairs+1, problem)
}

// fit finds the JSON value in an answer that conforms to the schema. problem
// says, in words for a model, what is wrong when there is none.
func (a *agent) fit(answer string, schema workflow.Value) (out workflow.Value, problem string, err error) {
	problem = "it holds no JSON value"
	for i, candidate := range candidates(answer) {
		found, err := a.schemas.check(schema, candidate)
		if err != nil {
			return nil, "", err
		}
		if len(found) == 0 {
			return candidate, "", nil
		}
		if i == 0 {
			problem = listed(found)
		}
	}
	return nil, problem, nil
}

// candidates lists the JSON values that an answer may mean, the likeliest first:
// the whole of it, or whatever starts as an object or a list and parses.
func candidates(answer string) []workflow.Value {
	answer = strings.TrimSpace(answer)
	if json.Valid([]byte(answer)) {
		return []workflow.Value{workflow.Value(answer)}
	}
	var found []workflow.Value
	for at, tried := 0, 0; tried < MaxAnswerStarts; tried++ {
		next := strings.IndexAny(answer[at:], "{[")
		if next < 0 {
			break
		}
		at += next
		dec := json.NewDecoder(strings.NewReader(answer[at:]))
		var v workflow.Value
		if err := dec.Decode(&v); err != nil {
			at++
			continue
		}
		found = append(found, v)
		at += int(dec.InputOffset())
	}
	return found
}

// announce tells the log once which provider answers for agents without a model.
// A mock that nobody asked for is worth a warning.
func (a *agent) announce(level slog.Level, m *model, why string) {
	a.saying.Lock()
	defer a.saying.Unlock()
	if a.said[m.String()] {
		return
	}
	a.said[m.String()] = true
	a.options.Logger.Log(context.Background(), level, "agents without a model are answered by "+m.String(), "why", why)
}

// keyOf is the idempotency key of one round. A repair asks something else, so
// it must not get the answer of the round before.
func keyOf(job Job, round int) string {
	if round == 0 {
		return job.Key
	}
	return fmt.Sprintf("%s/repair.%d", job.Key, round)
}
