package executors

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/signalbox/signalbox/executors/rules"
)

// readExpect reads a tool's expect: 201, "2xx", or a list of such. Without one
// it is any success.
func readExpect(spec *toolSpec) (rules.Statuses, error) {
	if absent(spec.Expect) {
		return rules.Success(), nil
	}
	var list []text
	if err := json.Unmarshal(spec.Expect, &list); err != nil {
		var one text
		if err := json.Unmarshal(spec.Expect, &one); err != nil {
			return nil, permanent(CodeRequestInvalid, "%s: expect cannot be read: %v", spec.name(), err)
		}
		list = []text{one}
	}
	expect, err := rules.Expect(plainTexts(list))
	if err != nil {
		return nil, invalid(spec, err)
	}
	return expect, nil
}

// plainTexts are texts as what asks for strings takes them.
func plainTexts(list []text) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

// tripKey finds what a call expects while it is redirected.
type tripKey struct{}

// withTrip lets redirects know what the call expects.
func withTrip(ctx context.Context, expect rules.Statuses) context.Context {
	return context.WithValue(ctx, tripKey{}, expect)
}

// redirect decides about each redirect of a call. The address of the next
// service is checked like that of the first, and a service elsewhere gets
// neither the headers nor the body that were meant for the first.
func (h *httpTool) redirect(req *http.Request, via []*http.Request) error {
	expect, _ := req.Context().Value(tripKey{}).(rules.Statuses)
	if expect.Has(req.Response.StatusCode) {
		return http.ErrUseLastResponse // the tool wants to see the redirect itself
	}
	if len(via) > MaxRedirects {
		return permanent(CodeRedirectRefused, "%s: more than %d redirects; give the tool the final address", where(via[0].URL), MaxRedirects)
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return permanent(CodeRedirectRefused, "%s: redirected to an address of scheme %q, which is not followed", where(via[0].URL), excerpt(req.URL.Scheme))
	}
	if h.guard != nil {
		if err := h.guard.checkURL(req.URL); err != nil {
			return permanent(CodeAddressRefused, "%s: redirected to %s: %s", where(via[0].URL), where(req.URL), err)
		}
	}
	req.URL.RawQuery = sendable(req.URL.RawQuery)
	if sameOrigin(via[0].URL, req.URL) {
		return nil
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return permanent(CodeRedirectRefused, "%s: redirected with its body to %s, which is another service; give the tool the final address", where(via[0].URL), where(req.URL))
	}
	keep := http.Header{}
	for _, name := range []string{"Accept", "User-Agent", "Idempotency-Key", "Traceparent"} {
		if value := req.Header.Get(name); value != "" {
			keep.Set(name, value)
		}
	}
	req.Header = keep
	return nil
}

// sameOrigin reports whether two addresses belong to the same service. Going
// from http to https on the same host is the same service, the way back is not.
func sameOrigin(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == "" {
		return true
	}
	return from.Scheme == to.Scheme && portOf(from) == portOf(to)
}

// portOf is the port of an address, the scheme's own when it names none.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
