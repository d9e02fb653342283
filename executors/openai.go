package executors

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

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

// complete asks a model once. The client's own retries are off: the retry
// policy of the task decides, and its attempts are recorded.
func (a *agent) complete(ctx context.Context, job Job, m *model, talk conversation, round int) (reply, error) {
	body, err := completionBody(m, talk)
	if err != nil {
		return reply{}, err
	}
	var res *http.Response
	options := []option.RequestOption{
		option.WithHTTPClient(a.client),
		option.WithBaseURL(m.base.String()),
		option.WithMaxRetries(0),
		option.WithHeader("Idempotency-Key", keyOf(job, round)),
		option.WithHeader("User-Agent", "signalbox"),
		option.WithResponseInto(&res),
	}
	if m.key != "" {
		options = append(options, option.WithAPIKey(m.key))
	}
	// The service is made without the client around it, because the client
	// takes keys and headers from the environment and would send them anywhere.
	service := openai.NewChatCompletionService(options...)
	answer, err := service.New(ctx, body)
	if err != nil {
		return reply{}, a.refusal(ctx, job, m, res, err)
	}
	a.options.OnUsage(Usage{
		Provider:           m.who,
		Model:              m.name,
		PromptTokens:       answer.Usage.PromptTokens,
		CompletionTokens:   answer.Usage.CompletionTokens,
		TotalTokens:        answer.Usage.TotalTokens,
		CachedPromptTokens: answer.Usage.PromptTokensDetails.CachedTokens,
		ReasoningTokens:    answer.Usage.CompletionTokensDetails.ReasoningTokens,
	})
	return readReply(m, answer)
}

// completionBody is what is sent to a model.
func completionBody(m *model, talk conversation) (openai.ChatCompletionNewParams, error) {
	body := openai.ChatCompletionNewParams{Model: m.name}
	system := talk.system
	if !absent(talk.schema) {
		if m.provider.schema && objectSchema(talk.schema) {
			body.ResponseFormat = responseFormat(talk.schema)
		} else {
			system = strings.TrimSpace(system + "\n\nAnswer with one JSON value that conforms to this JSON Schema, and with nothing else: " + string(talk.schema))
		}
	}
	if system != "" {
		body.Messages = append(body.Messages, openai.SystemMessage(system))
	}
	for _, t := range talk.turns {
		if t.role == "assistant" {
			body.Messages = append(body.Messages, openai.AssistantMessage(t.content))
		} else {
			body.Messages = append(body.Messages, openai.UserMessage(t.content))
		}
	}
	for name := range m.params {
		if slices.Contains(ours, name) {
			return body, permanent(CodeModelConfig, "%s: params may not set %s, which the agent sets itself; remove it", m, name)
		}
	}
	if len(m.params) > 0 {
		body.SetExtraFields(m.params)
	}
	return body, nil
}

// responseFormat asks for an answer of the schema's shape.
func responseFormat(schema workflow.Value) openai.ChatCompletionNewParamsResponseFormatUnion {
	format := shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "output", Schema: schema}
	if strict(schema) {
		format.Strict = param.NewOpt(true)
	}
	return openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{JSONSchema: format},
	}
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
func readReply(m *model, answer *openai.ChatCompletion) (reply, error) {
	if answer == nil || len(answer.Choices) == 0 {
		return reply{}, passing(CodeModelAnswer, "%s answered without any choice; a retry may help, otherwise check that its api_url serves chat completions", m)
	}
	choice := answer.Choices[0]
	if choice.Message.Refusal != "" || choice.FinishReason == "content_filter" {
		why := cmp.Or(excerpt(choice.Message.Refusal), "its content filter stopped the answer")
		return reply{}, permanent(CodeModelRefused, "%s refused to answer: %s; change the prompt", m, why)
	}
	return reply{text: choice.Message.Content, cut: choice.FinishReason == "length"}, nil
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
