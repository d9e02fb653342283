package executors

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/executors/rules"
	"github.com/signalbox/signalbox/workflow"
)

// httpTool calls HTTP services: every call carries the key of its attempt, goes
// to public addresses only unless the node allows others, and is bounded in
// time, redirects and bytes.
type httpTool struct {
	client *http.Client
	guard  *guard // nil: every address is allowed
}

func newHTTPTool(o Options) *httpTool {
	if o.AllowPrivate || o.Transport != nil {
		return guardedHTTPTool(o, nil)
	}
	return guardedHTTPTool(o, toolGuard())
}

// guardedHTTPTool makes an HTTP tool that asks g before it connects anywhere.
func guardedHTTPTool(o Options, g *guard) *httpTool {
	h := &httpTool{guard: g}
	switch {
	case o.Transport != nil:
		h.client = &http.Client{Transport: o.Transport}
	default:
		// A proxy would look names up itself, out of the guard's sight.
		h.client = &http.Client{Transport: transport(g, g == nil)}
	}
	h.client.CheckRedirect = h.redirect
	return h
}

// call does one call and makes an output of the response.
func (h *httpTool) call(ctx context.Context, job Job, spec *toolSpec) (workflow.Value, error) {
	expect, err := readExpect(spec)
	if err != nil {
		return nil, err
	}
	req, err := h.request(withTrip(ctx, expect), job, spec)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%s: %s %s", spec.name(), req.Method, where(req.URL))
	res, err := h.client.Do(req)
	if err != nil {
		return nil, failureOf(ctx, job, what, err)
	}
	defer res.Body.Close()
	body, err := readBounded(res.Body, MaxResponseBytes)
	if errors.Is(err, errTooLong) {
		return nil, permanent(CodeResponseTooLarge, "%s: the response has more than %d bytes, which is all that is read; ask the service for less", what, MaxResponseBytes)
	}
	if err != nil {
		return nil, failureOf(ctx, job, what+": the response broke off", err)
	}
	if !expect.Has(res.StatusCode) {
		return nil, unexpectedStatus(what, expect, res, body)
	}
	return responseOutput(res, body), nil
}

// request makes the HTTP request of a tool.
func (h *httpTool) request(ctx context.Context, job Job, spec *toolSpec) (*http.Request, error) {
	body, mediaType, err := readBody(spec.Body)
	if err != nil {
		return nil, permanent(CodeRequestInvalid, "%s: %v", spec.name(), err)
	}
	method := string(spec.Method)
	if method == "" {
		method = http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
	}
	method, err = rules.Method(method)
	if err != nil {
		return nil, invalid(spec, err)
	}
	target, err := h.target(spec)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, permanent(CodeRequestInvalid, "%s: the request cannot be made: %s", spec.name(), withoutURL(err))
	}
	req.Header.Set("User-Agent", "signalbox")
	req.Header.Set("Accept", "application/json, */*;q=0.5")
	req.Header.Set("Idempotency-Key", job.Key)
	if job.TraceParent != "" {
		req.Header.Set("Traceparent", job.TraceParent)
	}
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	for name, value := range spec.Headers {
		if err := setHeader(req, name, string(value)); err != nil {
			return nil, permanent(CodeRequestInvalid, "%s: %v", spec.name(), err)
		}
	}
	return req, nil
}

// target reads the address of a tool and refuses what can be refused by reading.
func (h *httpTool) target(spec *toolSpec) (*url.URL, error) {
	u, err := rules.URL(string(spec.URL))
	if err != nil {
		return nil, invalid(spec, err)
	}
	if h.guard != nil {
		if err := h.guard.checkURL(u); err != nil {
			return nil, permanent(CodeAddressRefused, "%s: %s: %s", spec.name(), where(u), err)
		}
	}
	u.RawQuery = sendable(u.RawQuery)
	return u, nil
}

// sendable is a query whose end is the end of the address: net/url takes one with
// spaces in it, and net/http writes it into the request line as it is. What is encoded
// already, and what parts the query, stays.
func sendable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// setHeader sets a header of the user's, or says why it cannot be sent.
func setHeader(req *http.Request, name, value string) error {
	token := name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
	if !token {
		return fmt.Errorf("%q is not the name of a header; use letters, digits and hyphens", excerpt(name))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("the value of header %s holds a line break or another control character; remove it", name)
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Host":
		req.Host = value
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return fmt.Errorf("header %s is set by the client itself; remove it", name)
	default:
		req.Header.Set(name, value)
	}
	return nil
}

// readBody makes bytes of a rendered body: a string goes as it is, anything
// else as JSON, null not at all.
func readBody(v workflow.Value) (body []byte, mediaType string, err error) {
	switch {
	case absent(v):
		return nil, "", nil
	case v[0] == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return nil, "", fmt.Errorf("the body cannot be read: %w", err)
		}
		return []byte(s), "text/plain; charset=utf-8", nil
	}
	return v, "application/json", nil
}

// readBounded reads at most limit bytes and says errTooLong when there is more.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = errTooLong
	}
	return body, err
}

// responseOutput is what a task sees of a response.
func responseOutput(res *http.Response, body []byte) workflow.Value {
	headers := make(map[string]any, len(res.Header))
	for name, values := range res.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	out := map[string]any{"status": res.StatusCode, "headers": headers, "body": nil}
	mediaType, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	isJSON := err == nil && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
	switch {
	case len(body) == 0:
	case isJSON && json.Valid(body):
		out["body"] = workflow.Value(body)
	case utf8.Valid(body):
		out["body"] = string(body)
	default:
		out["body"] = base64.StdEncoding.EncodeToString(body)
		out["encoding"] = "base64"
	}
	return workflow.ValueOf(out)
}

// unexpectedStatus is the failure of a response that the tool did not expect.
func unexpectedStatus(what string, expect rules.Statuses, res *http.Response, body []byte) *Failure {
	f := &Failure{
		Code:       CodeHTTPStatus,
		Permanent:  !worthARetry(res.StatusCode),
		RetryAfter: retryAfter(res.Header, time.Now()),
		Details:    map[string]any{"status": res.StatusCode, "body": excerpt(string(body))},
	}
	advice := "correct the request, or name the status in expect if it is fine"
	if !f.Permanent {
		advice = "the service may do better on a retry"
	}
	f.Message = fmt.Sprintf("%s answered %d %s where %s was expected; %s", what, res.StatusCode, http.StatusText(res.StatusCode), expect, advice)
	if text := excerpt(string(body)); text != "" {
		f.Message += ": " + firstLine(text)
	}
	return f
}

// firstLine is the beginning of a text, for a message.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	if len(line) > maxFirstLine {
		line = strings.ToValidUTF8(line[:maxFirstLine], "") + "..."
	}
	return line
}

// where is an address without what may be secret: user, password, query, fragment.
func where(u *url.URL) string {
	return rules.Where(u)
}
