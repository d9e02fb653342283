package executors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// reply is one answer of a model.
type reply struct {
	text string
	cut  bool // it stopped at its limit of tokens
}

// ours are the fields of a call that params may not set: the answer could not
// be read any more.
var ours = []string{"messages", "model", "n", "stream", "stream_options", "response_format", "tools", "functions"}

// complete asks a model once. Nothing is sent twice: the retry policy of the task
// decides, and its attempts are recorded.
func (a *agent) complete(ctx context.Context, job Job, m *model, talk conversation, round int) (reply, error) {
	body, err := completionBody(m, talk)
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base.JoinPath("chat", "completions").String(), bytes.NewReader(body))
	if err != nil {
		return reply{}, permanent(CodeModelConfig, "%s cannot be asked: %s", m, withoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Idempotency-Key", keyOf(job, round))
	req.Header.Set("User-Agent", "signalbox")
	if m.key != "" {
		req.Header.Set("Authorization", "Bearer "+m.key)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return reply{}, a.refusal(ctx, job, m, nil, err)
	}
	defer res.Body.Close()
	answer, err := readCompletion(res)
	if err != nil {
		return reply{}, a.refusal(ctx, job, m, res, err)
	}
	a.options.OnUsage(Usage{
		Provider:           m.who,
		Model:              m.name,
		PromptTokens:       int64(answer.Usage.Prompt),
		CompletionTokens:   int64(answer.Usage.Completion),
		TotalTokens:        int64(answer.Usage.Total),
		CachedPromptTokens: int64(answer.Usage.PromptDetails.Cached),
		ReasoningTokens:    int64(answer.Usage.CompletionDetails.Reasoning),
	})
	return readReply(m, answer)
}

// message is one turn of what a model is told.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// completionBody is what is sent to a model.
func completionBody(m *model, talk conversation) ([]byte, error) {
	body := map[string]any{"model": m.name}
	system := talk.system
	if !absent(talk.schema) {
		if m.provider.schema && objectSchema(talk.schema) {
			body["response_format"] = responseFormat(talk.schema)
		} else {
			system = strings.TrimSpace(system + "\n\nAnswer with one JSON value that conforms to this JSON Schema, and with nothing else: " + string(talk.schema))
		}
	}
	messages := make([]message, 0, len(talk.turns)+1)
	if system != "" {
		messages = append(messages, message{"system", system})
	}
	for _, t := range talk.turns {
		messages = append(messages, message{t.role, t.content})
	}
	body["messages"] = messages
	for name, value := range m.params {
		if slices.Contains(ours, name) {
			return nil, permanent(CodeModelConfig, "%s: params may not set %s, which the agent sets itself; remove it", m, name)
		}
		body[name] = value
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, permanent(CodeModelConfig, "%s: params cannot be encoded as JSON: %s; correct them", m, excerpt(err.Error()))
	}
	return encoded, nil
}

// responseFormat asks for an answer of the schema's shape.
func responseFormat(schema workflow.Value) map[string]any {
	format := map[string]any{"name": "output", "schema": json.RawMessage(schema)}
	if strict(schema) {
		format["strict"] = true
	}
	return map[string]any{"type": "json_schema", "json_schema": format}
}

// chatAnswer is what is read of a model's answer. Providers differ in the rest,
// and some in the types of this: numbers come with a point, texts as lists.
type chatAnswer struct {
	Choices []struct {
		Finish  text `json:"finish_reason"`
		Message struct {
			Content text `json:"content"`
			Refusal text `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
	Usage struct {
		Prompt        float64 `json:"prompt_tokens"`
		Completion    float64 `json:"completion_tokens"`
		Total         float64 `json:"total_tokens"`
		PromptDetails struct {
			Cached float64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionDetails struct {
			Reasoning float64 `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	} `json:"usage"`
}

// readCompletion reads a model's answer; of one that is an error it leaves the body.
func readCompletion(res *http.Response) (*chatAnswer, error) {
	if res.StatusCode >= http.StatusBadRequest {
		return nil, errors.New(res.Status)
	}
	if elsewhere, err := res.Location(); err == nil && res.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("it refers to %s", where(elsewhere))
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, fmt.Errorf("its content type is %q", excerpt(res.Header.Get("Content-Type")))
	}
	answer := new(chatAnswer)
	return answer, json.NewDecoder(res.Body).Decode(answer)
}

// objectSchema reports whether the root of a schema is an object, which is all
// that response formats can express.
func objectSchema(schema workflow.Value) bool {
	var root struct {
		Type any `json:"type"`
	}
	return json.Unmarshal(schema, &root) == nil && root.Type == "object"
}

// strict reports whether a schema is of the kind that can be enforced token by
// token: every object closed and all of its properties required. Others are
// refused by the providers when strictness is asked for.
func strict(schema workflow.Value) bool {
	tree, err := decodeJSON(schema)
	return err == nil && closed(tree)
}

func closed(tree any) bool {
	switch node := tree.(type) {
	case []any:
		return !slices.ContainsFunc(node, func(part any) bool { return !closed(part) })
	case map[string]any:
		if properties, ok := node["properties"].(map[string]any); ok || node["type"] == "object" {
			required, _ := node["required"].([]any)
			if node["additionalProperties"] != false || len(required) != len(properties) {
				return false
			}
		}
		for _, part := range node {
			if !closed(part) {
				return false
			}
		}
	}
	return true
}

// readReply takes the text out of an answer.
func readReply(m *model, answer *chatAnswer) (reply, error) {
	if len(answer.Choices) == 0 {
		return reply{}, passing(CodeModelAnswer, "%s answered without any choice; a retry may help, otherwise check that its api_url serves chat completions", m)
	}
	choice := answer.Choices[0]
	if choice.Message.Refusal != "" || choice.Finish == "content_filter" {
		why := cmp.Or(excerpt(string(choice.Message.Refusal)), "its content filter stopped the answer")
		return reply{}, permanent(CodeModelRefused, "%s refused to answer: %s; change the prompt", m, why)
	}
	return reply{text: string(choice.Message.Content), cut: choice.Finish == "length"}, nil
}

// refusal makes a failure of a call that did not end in an answer.
func (a *agent) refusal(ctx context.Context, job Job, m *model, res *http.Response, err error) *Failure {
	if f := ended(ctx, job); f != nil {
		return f
	}
	if errors.Is(err, errTooLong) {
		return permanent(CodeResponseTooLarge, "%s answered more than %d bytes, which is all that is read; lower params.max_tokens", m, MaxModelResponseBytes)
	}
	if res == nil {
		return failureOf(ctx, job, fmt.Sprintf("%s at %s", m, where(m.base)), err)
	}
	if res.StatusCode < http.StatusBadRequest {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return passing(CodeNetwork, "%s broke off in the middle of its answer; a retry may help", m)
		}
		return passing(CodeModelAnswer, "%s gave an answer of status %d that is not a chat completion (%s); check that its api_url serves chat completions", m, res.StatusCode, withoutURL(err))
	}
	return statusFailure(m, res)
}

// statusFailure says what a status of a provider means and what to do about it.
func statusFailure(m *model, res *http.Response) *Failure {
	said, code := providerSaid(res)
	f := &Failure{
		Code:       CodeModelStatus,
		Permanent:  !worthARetry(res.StatusCode),
		RetryAfter: retryAfter(res.Header, time.Now()),
		Details:    map[string]any{"status": res.StatusCode, "provider": m.who, "model": m.name},
	}
	if code == "insufficient_quota" {
		f.Permanent = true // nobody's patience fills an account
	}
	f.Message = fmt.Sprintf("%s answered %d %s", m, res.StatusCode, http.StatusText(res.StatusCode))
	if said != "" {
		f.Message += " (" + said + ")"
	}
	f.Message += "; " + advice(res.StatusCode, code)
	return f
}

// advice is what a person can do about a status.
func advice(status int, code string) string {
	switch {
	case code == "insufficient_quota":
		return "the account has no credit left: check its plan and billing"
	case status == http.StatusUnauthorized:
		return "the key is missing or wrong: check api_key of the model"
	case status == http.StatusForbidden:
		return "the key may not use this model: check the rights of the key"
	case status == http.StatusNotFound:
		return "there is no such model or address: check model and api_url"
	case status == http.StatusTooManyRequests:
		return "the provider asks for patience; a retry may help"
	case worthARetry(status):
		return "the provider has a problem of its own; a retry may help"
	}
	return "the provider cannot accept the request: check the model's params and the prompt"
}

// providerSaid reads the message and code of an error answer, whatever shape
// the provider gives it.
func providerSaid(res *http.Response) (said, code string) {
	if res.Body == nil {
		return "", ""
	}
	body, err := readBounded(res.Body, MaxModelResponseBytes)
	if err != nil {
		return "", ""
	}
	var shape struct {
		Error json.RawMessage `json:"error"`
	}
	var object struct {
		Message text `json:"message"`
		Code    text `json:"code"`
	}
	var plain string
	switch {
	case json.Unmarshal(body, &shape) != nil || absent(shape.Error):
		return firstLine(excerpt(string(body))), ""
	case json.Unmarshal(shape.Error, &object) == nil:
		return excerpt(string(object.Message)), string(object.Code)
	case json.Unmarshal(shape.Error, &plain) == nil:
		return excerpt(plain), ""
	}
	return "", ""
}

// boundedTransport keeps a model from answering without end.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip passes the call on and bounds the body of its response.
func (b boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: MaxModelResponseBytes}
	return res, nil
}

// CloseIdleConnections gives the connections of the inner transport back.
func (b boundedTransport) CloseIdleConnections() {
	if closer, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// boundedBody is a body that fails once it is too long.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read reads until the bound and says errTooLong beyond it.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLong
	}
	return n, err
}
