package executors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// modelServer speaks the wire format of chat completions. Its answers are given
// in order; the last one goes on for ever.
type modelServer struct {
	*httptest.Server
	mu      sync.Mutex
	calls   []modelCall
	answers []http.HandlerFunc
}

type modelCall struct {
	path   string
	header http.Header
	body   map[string]any
}

func newModelServer(t *testing.T, answers ...http.HandlerFunc) *modelServer {
	t.Helper()
	s := &modelServer{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := map[string]any{}
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(raw, &body)
		}
		if err != nil {
			t.Errorf("the call has no JSON body: %v", err)
		}
		s.mu.Lock()
		s.calls = append(s.calls, modelCall{r.URL.Path, r.Header.Clone(), body})
		answer := s.answers[min(len(s.calls), len(s.answers))-1]
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *modelServer) call(t *testing.T, i int) modelCall {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.calls) {
		t.Fatalf("there were %d calls, call %d is asked for", len(s.calls), i)
	}
	return s.calls[i]
}

func (s *modelServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// says answers with a completion.
func says(content string) http.HandlerFunc { return completion(content, "stop", "") }

func completion(content, finish, refusal string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		message := map[string]any{"role": "assistant", "content": content, "refusal": nil}
		if refusal != "" {
			message["refusal"] = refusal
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "test-1",
			"choices": []any{map[string]any{"index": 0, "finish_reason": finish, "logprobs": nil, "message": message}},
			"usage": map[string]any{
				"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
				"prompt_tokens_details":     map[string]any{"cached_tokens": 5},
				"completion_tokens_details": map[string]any{"reasoning_tokens": 3},
			},
		})
	}
}

// status answers with an error.
func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// asking is the request of an agent on a server.
func asking(s *modelServer, provider string, more map[string]any) Job {
	r := map[string]any{
		"agent":  map[string]any{"id": "clerk", "instructions": "Be brief."},
		"model":  map[string]any{"provider": provider, "model": "test-1", "api_url": s.URL + "/v1", "api_key": "sk-test-canary-123456"},
		"prompt": "Approve order 7?",
	}
	for key, value := range more {
		r[key] = value
	}
	return jobFor(encode(r))
}

var decisionSchema = map[string]any{
	"type": "object", "properties": map[string]any{"decision": map[string]any{"enum": []any{"yes", "no"}}},
	"required": []any{"decision"}, "additionalProperties": false,
}

func TestAgentAsksAModel(t *testing.T) {
	t.Parallel()
	server := newModelServer(t, says("Yes."))
	var used []Usage
	agent := hands(t, Options{OnUsage: func(u Usage) { used = append(used, u) }})["agent"]
	got := must(t, agent, asking(server, "openai", map[string]any{
		"model":  map[string]any{"provider": "OpenAI", "model": "test-1", "api_url": server.URL + "/v1/", "api_key": "sk-test", "params": map[string]any{"temperature": 0.2, "max_tokens": 50, "seed": 7}},
		"action": map[string]any{"id": "judge", "prompt": "Judge the order."},
		"with":   map[string]any{"order": 7},
	}))
	if got != `{"response":"Yes."}` {
		t.Errorf("the output is %s", got)
	}
	call := server.call(t, 0)
	if call.path != "/v1/chat/completions" {
		t.Errorf("the path is %s", call.path)
	}
	for name, want := range map[string]string{"Authorization": "Bearer sk-test", "Idempotency-Key": "exec-1/charge/2.3", "Content-Type": "application/json"} {
		if got := call.header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	want := `{"max_tokens":50,"messages":[{"content":"Be brief.","role":"system"},{"content":"Judge the order.\n\nApprove order 7?\n\nInput: {\"order\":7}","role":"user"}],"model":"test-1","seed":7,"temperature":0.2}`
	if got := encode(call.body); got != want {
		t.Errorf("the call is\n%s, want\n%s", got, want)
	}
	wantUsage := []Usage{{Provider: "openai", Model: "test-1", PromptTokens: 11, CompletionTokens: 7, TotalTokens: 18, CachedPromptTokens: 5, ReasoningTokens: 3}}
	if !slices.Equal(used, wantUsage) {
		t.Errorf("usage is %+v, want %+v", used, wantUsage)
	}
}

func TestAgentWantsAShape(t *testing.T) {
	t.Parallel()
	server := newModelServer(t, says(`{"decision":"yes"}`))
	agent := hands(t, Options{})["agent"]
	if got := must(t, agent, asking(server, "openai", map[string]any{"schema": decisionSchema})); got != `{"decision":"yes"}` {
		t.Errorf("the output is %s", got)
	}
	want := `{"json_schema":{"name":"output","schema":` + encode(decisionSchema) + `,"strict":true},"type":"json_schema"}`
	if got := encode(server.call(t, 0).body["response_format"]); got != want {
		t.Errorf("the response format is\n%s, want\n%s", got, want)
	}

	// An open schema cannot be enforced, and a list cannot be a response format.
	open := map[string]any{"type": "object", "properties": map[string]any{"decision": map[string]any{"type": "string"}}}
	must(t, agent, asking(server, "openai", map[string]any{"schema": open}))
	if got := encode(server.call(t, 1).body["response_format"]); strings.Contains(got, "strict") {
		t.Errorf("strictness is asked for where it would be refused: %s", got)
	}
	list := newModelServer(t, says("Here: [1, 2]"))
	if got := must(t, agent, asking(list, "openai", map[string]any{"schema": map[string]any{"type": "array"}})); got != `[1, 2]` {
		t.Errorf("the output is %s", got)
	}
	if list.call(t, 0).body["response_format"] != nil {
		t.Error("a response format is sent for a list")
	}
}

func TestAgentFindsJSONInProse(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	for _, answer := range []string{
		`{"decision":"yes"}`,
		"Sure!\n```json\n{\"decision\":\"yes\"}\n```\nAnything else?",
		`<think>{"decision": maybe {"a":1} }</think> {"decision":"yes"}`,
		strings.Repeat("{", MaxAnswerStarts/2) + `{"decision":"yes"}`,
		`First {"decision":"perhaps"}, then {"decision":"yes"}.`,
	} {
		server := newModelServer(t, says(answer))
		if got := must(t, agent, asking(server, "groq", map[string]any{"schema": decisionSchema})); got != `{"decision":"yes"}` {
			t.Errorf("%q gives %s", answer, got)
		}
		call := server.call(t, 0)
		if call.body["response_format"] != nil {
			t.Error("a response format is sent to a provider that does not take one")
		}
		if !strings.Contains(encode(call.body["messages"]), "conforms to this JSON Schema") {
			t.Error("the model is not told the schema")
		}
	}
	// A flood of braces ends without a value and without work.
	if got := candidates(strings.Repeat("{[", 1<<19)); len(got) != 0 {
		t.Errorf("found %d values in braces", len(got))
	}
}

func TestAgentRepairsAnAnswer(t *testing.T) {
	t.Parallel()
	server := newModelServer(t, says(`{"decision":"maybe"}`), says("yes"), says(`{"decision":"no"}`))
	var used int
	agent := hands(t, Options{OnUsage: func(Usage) { used++ }})["agent"]
	if got := must(t, agent, asking(server, "openai", map[string]any{"schema": decisionSchema})); got != `{"decision":"no"}` {
		t.Errorf("the output is %s", got)
	}
	last := server.call(t, 2)
	for _, text := range []string{`{\"decision\":\"maybe\"}`, "/decision: value must be one of", "it holds no JSON value"} {
		if got := encode(last.body["messages"]); !strings.Contains(got, text) {
			t.Errorf("the model is not told %s: %s", text, got)
		}
	}
	keys := []string{server.call(t, 0).header.Get("Idempotency-Key"), server.call(t, 1).header.Get("Idempotency-Key"), last.header.Get("Idempotency-Key")}
	if want := []string{"exec-1/charge/2.3", "exec-1/charge/2.3/repair.1", "exec-1/charge/2.3/repair.2"}; !slices.Equal(keys, want) {
		t.Errorf("the keys are %v, want %v", keys, want)
	}
	if used != 3 {
		t.Errorf("usage is told %d times, want 3", used)
	}
}

func TestAgentGivesUpOnAnswers(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	server := newModelServer(t, says(`{"decision":"maybe"}`))
	f := mustFail(t, agent, asking(server, "openai", map[string]any{"schema": decisionSchema}), CodeOutputInvalid, "model test-1 of openai", "/decision")
	if f.Permanent || server.count() != MaxRepairs+1 {
		t.Errorf("permanent %t after %d calls", f.Permanent, server.count())
	}
	cut := newModelServer(t, completion(`{"decision":`, "length", ""))
	mustFail(t, agent, asking(cut, "openai", map[string]any{"schema": decisionSchema}), CodeOutputInvalid, "max_tokens")
	if cut.count() != 1 {
		t.Errorf("a cut answer is asked for %d times", cut.count())
	}
	refused := newModelServer(t, completion("", "stop", "I cannot help with that."))
	if f := mustFail(t, agent, asking(refused, "openai", nil), CodeModelRefused, "I cannot help with that."); !f.Permanent {
		t.Error("a refusal is retried")
	}
	filtered := newModelServer(t, completion("", "content_filter", ""))
	mustFail(t, agent, asking(filtered, "openai", nil), CodeModelRefused, "content filter")
	none := newModelServer(t, status(200, `{"object":"chat.completion","choices":[]}`))
	mustFail(t, agent, asking(none, "openai", nil), CodeModelAnswer, "without any choice")
	broken := newModelServer(t, says(`{}`))
	mustFail(t, agent, asking(broken, "openai", map[string]any{"schema": map[string]any{"type": "thing"}}), CodeSchemaInvalid)
	if broken.count() != 0 {
		t.Error("a model was paid for a schema that cannot be used")
	}
}

func TestAgentStatuses(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name       string
		answer     http.HandlerFunc
		permanent  bool
		low, high  time.Duration // of RetryAfter
		says       []string
		wantStatus int
	}{
		{"429 with seconds", status(429, `{"error":{"message":"Slow down","type":"requests","code":"rate_limit_exceeded"}}`, "Retry-After", "7"), false, 7 * time.Second, 7 * time.Second, []string{"429 Too Many Requests", "Slow down", "patience"}, 429},
		{"429 with a date", status(429, `{}`, "Retry-After", soon), false, 80 * time.Second, 90 * time.Second, nil, 429},
		{"429 with milliseconds", status(429, `{}`, "Retry-After-Ms", "250"), false, 250 * time.Millisecond, 250 * time.Millisecond, nil, 429},
		{"429 for ever", status(429, `{}`, "Retry-After", "99999999999"), false, MaxRetryAfter, MaxRetryAfter, nil, 429},
		{"429 of an empty account", status(429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`), true, 0, 0, []string{"billing"}, 429},
		{"500 with a page", status(500, `<html>oops</html>`), false, 0, 0, []string{"500 Internal Server Error", "<html>oops</html>", "a retry may help"}, 500},
		{"503", status(503, ``, "Retry-After", "2"), false, 2 * time.Second, 2 * time.Second, nil, 503},
		{"408", status(408, `{}`), false, 0, 0, nil, 408},
		{"400", status(400, `{"error":{"message":"Unknown parameter: 'tmeperature'"}}`), true, 0, 0, []string{"tmeperature", "params"}, 400},
		{"401", status(401, `{"error":{"message":"Incorrect API key provided: sk-test-canary-123456"}}`), true, 0, 0, []string{"api_key", "[secret of model test-1]"}, 401},
		{"403", status(403, `{"error":"forbidden here"}`), true, 0, 0, []string{"forbidden here", "rights"}, 403},
		{"404", status(404, `{"error":{"message":"The model does not exist","code":"model_not_found"}}`), true, 0, 0, []string{"does not exist", "check model and api_url"}, 404},
		{"422 in another shape", status(422, `{"detail":"bad field"}`), true, 0, 0, []string{"bad field"}, 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newModelServer(t, c.answer)
			f := mustFail(t, agent, asking(server, "openai", nil), CodeModelStatus, append(c.says, "model test-1 of openai")...)
			if f.Permanent != c.permanent {
				t.Errorf("permanent is %t", f.Permanent)
			}
			if f.RetryAfter < c.low || f.RetryAfter > c.high {
				t.Errorf("retry after %s, want between %s and %s", f.RetryAfter, c.low, c.high)
			}
			if f.Details["status"] != c.wantStatus {
				t.Errorf("the details are %v", f.Details)
			}
			if strings.Contains(f.Message, "canary") {
				t.Errorf("the key is in the message: %s", f.Message)
			}
			if server.count() != 1 {
				t.Errorf("the client called %d times; retries are the policy's", server.count())
			}
		})
	}
}

func TestAgentBrokenAnswers(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, `{"id":"chatcmpl-1","choices":[{"mess`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	f := mustFail(t, agent, asking(newModelServer(t, half), "openai", nil), CodeNetwork, "in the middle of its answer")
	if f.Permanent {
		t.Error("a broken answer is not retried")
	}
	page := newModelServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>a proxy's page</html>")
	})
	mustFail(t, agent, asking(page, "openai", nil), CodeModelAnswer, "not a chat completion", "api_url")
	flood := newModelServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		block := bytes.Repeat([]byte(" "), 1<<16)
		for range 2 * MaxModelResponseBytes / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	if f := mustFail(t, agent, asking(flood, "openai", nil), CodeResponseTooLarge, "max_tokens"); !f.Permanent {
		t.Error("a flood is retried")
	}
	gone := newModelServer(t, says("x"))
	gone.Close()
	if f := mustFail(t, agent, asking(gone, "openai", nil), CodeNetwork, "/v1", "a retry may help"); f.Permanent {
		t.Error("a server that is down is not retried")
	}
}

// A provider that redirects elsewhere does not get the key there.
func TestAgentKeepsItsKeyAtHome(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	other := newModelServer(t, says("stolen"))
	home := newModelServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/chat/completions", http.StatusTemporaryRedirect)
	})
	if _, f := try(t, agent, asking(home, "openai", nil)); f == nil {
		t.Error("the redirect was followed")
	}
	if other.count() != 0 {
		t.Error("the other service was called")
	}
}

func TestAgentSlowAnswers(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	arrived := make(chan struct{}, 2)
	release := make(chan struct{})
	server := newModelServer(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)

	job := asking(server, "openai", nil)
	job.Timeout = 100 * time.Millisecond
	f := mustFail(t, agent, job, CodeTimeout, "100ms")
	if f.Permanent {
		t.Error("a timeout is not retried")
	}
	<-arrived

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	_, f = tryWith(t, ctx, agent, asking(server, "openai", nil))
	wantFailure(t, f, CodeCanceled)
}

func TestModelResolution(t *testing.T) {
	t.Parallel()
	server := newModelServer(t, says("hello"))
	for _, c := range []struct {
		name, model string
		env         map[string]string
		auth        string // of the call, "" for none
		out         string
		code        string
		says        []string
	}{
		{name: "nothing configured", model: `null`, out: `{"response":"Mock response for: Be brief. Hi"}`},
		{name: "only a key", model: `null`, env: map[string]string{"OPENAI_API_KEY": "sk-env"}, out: `{"response":"Mock response for: Be brief. Hi"}`},
		{name: "mock by name", model: `null`, env: map[string]string{"SIGNALBOX_MODEL": "mock"}, out: `{"response":"Mock response for: Be brief. Hi"}`},
		{name: "mock by provider", model: `{"provider":"mock","model":"anything","params":{"temperature":1}}`, out: `{"response":"Mock response for: Be brief. Hi"}`},
		{name: "environment", model: `null`, env: map[string]string{"SIGNALBOX_MODEL": "test-1", "OPENAI_API_KEY": "sk-env", "OPENAI_BASE_URL": server.URL}, auth: "Bearer sk-env", out: `{"response":"hello"}`},
		{name: "environment with provider", model: `null`, env: map[string]string{"SIGNALBOX_MODEL": "openai:test-1", "OPENAI_BASE_URL": server.URL}, out: `{"response":"hello"}`},
		{name: "environment with a colon in the name", model: `null`, env: map[string]string{"SIGNALBOX_MODEL": "llama3:8b", "OPENAI_BASE_URL": server.URL}, out: `{"response":"hello"}`},
		{name: "environment moves openai", model: `{"provider":"openai","model":"test-1"}`, env: map[string]string{"OPENAI_API_KEY": "sk-env", "OPENAI_BASE_URL": server.URL}, auth: "Bearer sk-env", out: `{"response":"hello"}`},
		{name: "the key of the environment stays home", model: `{"provider":"openai","model":"test-1","api_url":"SERVER"}`, env: map[string]string{"OPENAI_API_KEY": "sk-env"}, out: `{"response":"hello"}`},
		{name: "any provider with api_url", model: `{"provider":"lmstudio","model":"test-1","api_url":"SERVER","api_key":"k"}`, auth: "Bearer k", out: `{"response":"hello"}`},
		{name: "no provider but api_url", model: `{"model":"test-1","api_url":"SERVER"}`, out: `{"response":"hello"}`},
		{name: "unknown provider", model: `{"provider":"acme","model":"x"}`, code: CodeModelConfig, says: []string{`"acme"`, "anthropic, cerebras, deepseek, google, groq, mock, ollama, openai, openrouter, xai", "api_url"}},
		{name: "no key", model: `{"provider":"groq","model":"x"}`, code: CodeModelConfig, says: []string{"GROQ_API_KEY"}},
		{name: "environment without key", model: `null`, env: map[string]string{"SIGNALBOX_MODEL": "test-1"}, code: CodeModelConfig, says: []string{"OPENAI_API_KEY"}},
		{name: "no name", model: `{"provider":"openai","api_key":"k"}`, code: CodeModelConfig, says: []string{"model:"}},
		{name: "address that is none", model: `{"provider":"x","model":"m","api_url":"localhost:11434"}`, code: CodeModelConfig, says: []string{"https://host/v1"}},
		{name: "key in the address", model: `{"provider":"x","model":"m","api_url":"https://u:p@example.com/v1"}`, code: CodeModelConfig, says: []string{"api_key"}},
		{name: "metadata address", model: `{"provider":"x","model":"m","api_url":"http://169.254.169.254/v1"}`, code: CodeAddressRefused, says: []string{"metadata", "--allow-private"}},
		{name: "key with a line break", model: `{"provider":"openai","model":"m","api_key":"a\nb"}`, code: CodeModelConfig, says: []string{"line break"}},
		{name: "params of ours", model: `{"provider":"openai","model":"m","api_key":"k","params":{"stream":true}}`, code: CodeModelConfig, says: []string{"stream"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := server.count()
			agent := hands(t, Options{Getenv: func(name string) string { return c.env[name] }})["agent"]
			job := jobFor(`{"agent":{"id":"clerk","instructions":"Be brief."},"prompt":"Hi","model":` + strings.ReplaceAll(c.model, "SERVER", server.URL) + `}`)
			if c.code != "" {
				if f := mustFail(t, agent, job, c.code, c.says...); !f.Permanent {
					t.Error("a configuration that is wrong is retried")
				}
				return
			}
			if got := must(t, agent, job); got != c.out {
				t.Errorf("the output is %s, want %s", got, c.out)
			}
			if strings.Contains(c.out, "hello") {
				if got := server.call(t, before).header.Get("Authorization"); got != c.auth {
					t.Errorf("authorization is %q, want %q", got, c.auth)
				}
			}
		})
	}
}

// The client library takes keys and headers from the process's own environment
// unless it is told not to; none of them may reach a provider.
func TestAmbientEnvironmentIsNotSent(t *testing.T) {
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"} {
		t.Setenv(name, "ambient-canary")
	}
	t.Setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: ambient-canary")
	server := newModelServer(t, says("hello"))
	agent := hands(t, Options{})["agent"]
	must(t, agent, jobFor(`{"agent":{},"prompt":"Hi","model":{"provider":"local","model":"m","api_url":"`+server.URL+`"}}`))
	if got := fmt.Sprint(server.call(t, 0)); strings.Contains(got, "ambient-canary") {
		t.Errorf("the environment was sent: %s", got)
	}
}

func TestProviderIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	agent := hands(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})["agent"]
	for range 3 {
		must(t, agent, jobFor(`{"agent":{"id":"a"},"prompt":"Hi"}`))
	}
	if n := strings.Count(log.String(), "level=WARN msg=\"agents without a model are answered by the mock provider\""); n != 1 {
		t.Errorf("the log names the provider %d times:\n%s", n, log.String())
	}
}

func TestAgentSaysNothing(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	mustFail(t, agent, jobFor(`{"agent":{"id":"a"}}`), CodeRequestInvalid, "nothing to ask")
	if got := must(t, agent, jobFor(`{"agent":{"id":"a","instructions":"Sing."}}`)); got != `{"response":"Mock response for: Sing."}` {
		t.Errorf("instructions alone give %s", got)
	}
	mustFail(t, agent, jobFor(`{"agent":{"id":"a"},"prompt":"x","with":{"n":1},"input_schema":{"required":["m"]}}`), CodeInputInvalid, "agent a")
}
