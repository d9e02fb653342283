package executors

import (
	"context"
	"encoding/json"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// mockParams are the params that the mock provider understands; it takes all
// others, such as temperature, and does nothing with them.
type mockParams struct {
	Delay text      `json:"delay"` // how long it thinks, as a duration text
	Fail  *mockFail `json:"fail"`  // how it fails
}

// mockFail is a failure that a test asks for: a text, or an object. An empty one
// asks for none, so that a template can decide.
type mockFail struct {
	Message   text `json:"message"`
	Code      text `json:"code"`
	Permanent bool `json:"permanent"`
	Attempts  int  `json:"attempts"` // only the first so many attempts fail; 0: all
}

// UnmarshalJSON takes the short form, a text, as the message.
func (f *mockFail) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &f.Message)
	}
	type plain mockFail
	return json.Unmarshal(data, (*plain)(f))
}

// mock answers without any model. It is honest: it says that it is a mock, its
// answer holds what it was asked, nothing in a prompt changes how it behaves,
// and the same request gets the same answer.
func (a *agent) mock(ctx context.Context, job Job, r *agentRequest, m *model, talk conversation) (workflow.Value, error) {
	params, err := a.mockParams(r, m)
	if err != nil {
		return nil, err
	}
	if err := a.think(ctx, job, r, params.Delay); err != nil {
		return nil, err
	}
	if f := params.Fail; f != nil && *f != (mockFail{}) && (f.Attempts == 0 || job.Attempt <= f.Attempts) {
		code := string(f.Code)
		if code == "" {
			code = CodeMockFailure
		}
		return nil, &Failure{Code: code, Message: r.name() + ": the mock provider failed as its params say: " + excerpt(string(f.Message)), Permanent: f.Permanent}
	}
	if absent(talk.schema) {
		return workflow.ValueOf(map[string]any{"response": "Mock response for: " + talk.text()}), nil
	}
	out, err := mockValue(talk.schema)
	if err != nil {
		return nil, err
	}
	found, err := a.schemas.check(talk.schema, out)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, permanent(CodeMockFailure, "%s: the mock provider cannot make a value of this schema (%s); give the schema a default or examples", r.name(), listed(found))
	}
	return out, nil
}

// mockParams reads the params of a mock model.
func (a *agent) mockParams(r *agentRequest, m *model) (mockParams, error) {
	var p mockParams
	if len(m.params) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(workflow.ValueOf(m.params), &p); err != nil {
		return p, permanent(CodeModelConfig, "%s: the params of the mock model cannot be read: %v; delay is a duration, fail a text or {message, code, permanent, attempts}", r.name(), err)
	}
	return p, nil
}

// think holds for the delay that the params ask for, or until the attempt ends.
func (a *agent) think(ctx context.Context, job Job, r *agentRequest, delay text) error {
	if delay == "" {
		return nil
	}
	d, err := a.options.Duration(string(delay))
	if err != nil || d < 0 {
		return permanent(CodeModelConfig, "%s: delay %q of the mock model is not a duration; write one like 100ms", r.name(), excerpt(string(delay)))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx, job)
	}
}

// text is all that a model is told, in one piece.
func (c conversation) text() string {
	all := c.system
	for _, t := range c.turns {
		if all != "" {
			all += " "
		}
		all += t.content
	}
	return all
}
