package http

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The challenges of WWW-Authenticate (RFC 6750).
var (
	challenge        = []string{`Bearer realm="signalbox"`}
	challengeInvalid = []string{`Bearer realm="signalbox", error="invalid_token"`}
)

// authorise finds the request's key and asks whether it opens the route.
func (x *exchange) authorise() error {
	s := x.server
	if s.keys == nil {
		if err := s.fromThisMachine(x.r); err != nil {
			return x.deny(deniedCrossSite, err)
		}
		return nil
	}
	if x.route.access == forEverybody || x.route.access == forLoopback && s.onLoopback() {
		return nil
	}
	token, err := x.token()
	if err != nil {
		return err
	}
	entry, err := s.keys.find(x.context(), token, x.start)
	if err != nil {
		return x.rejected(err)
	}
	if !entry.Has(x.route.scopes...) {
		return x.withoutScope(&entry.Key)
	}
	x.key = &entry.Key
	return nil
}

// stillOpen says why the key that opened the route opens nothing any more, nil while
// it does: whoever is answered for long is asked again.
func (x *exchange) stillOpen() error {
	if x.key == nil {
		return nil
	}
	token, err := x.token()
	if err != nil {
		return err
	}
	if _, err := x.server.keys.find(x.soon(), token, time.Now()); err != nil {
		return x.rejected(err)
	}
	return nil
}

// token is the key that the request carries in its one Authorization header.
func (x *exchange) token() (string, error) {
	if keyInQuery(x.r.URL.RawQuery, x.route.query) {
		x.w.Header()["Www-Authenticate"] = challengeInvalid
		return "", x.deny(deniedInQuery, denial(deniedInQuery, "the API key is in the address, where logs and histories keep it",
			"send it in the header Authorization: Bearer ..., and revoke this one"))
	}
	values := x.r.Header["Authorization"]
	if len(values) == 0 {
		x.w.Header()["Www-Authenticate"] = challenge
		return "", x.deny(deniedMissing, denial(deniedMissing, "an API key is needed", "send the header Authorization: Bearer sbx_..."))
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if len(values) > 1 || !found || !strings.EqualFold(scheme, "Bearer") {
		x.w.Header()["Www-Authenticate"] = challengeInvalid
		return "", x.deny(deniedMalformed, denial(deniedMalformed, "the Authorization header is not one bearer token", "send exactly one header Authorization: Bearer sbx_..."))
	}
	return strings.TrimSpace(token), nil
}

// keyInQuery finds an API key by the usual names of its parameter or by its look.
// A parameter of the route's own, such as a business key, is told by its look alone.
func keyInQuery(query string, known []string) bool {
	if query == "" {
		return false
	}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(name) {
		case "key", "api_key", "apikey", "api-key", "token", "access_token", "authorization":
			if !slices.Contains(known, name) {
				return true
			}
		}
		if strings.HasPrefix(value, tokenPrefix) {
			return true
		}
	}
	return false
}

// rejected tells a refused key, which is the client's problem, from keys that
// could not be read, which is ours.
func (x *exchange) rejected(err error) error {
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) || refusal.Code != CodeUnauthenticated {
		return err
	}
	x.w.Header()["Www-Authenticate"] = challengeInvalid
	reason, _ := refusal.Details["reason"].(string)
	return x.deny(reason, refusal)
}

func (x *exchange) withoutScope(key *Key) error { return x.lacks(key, x.route.scopes...) }

// lacks refuses a key that has none of the scopes.
func (x *exchange) lacks(key *Key, scopes ...Scope) error {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	x.w.Header()["Www-Authenticate"] = []string{`Bearer realm="signalbox", error="insufficient_scope", scope="` + strings.Join(names, " ") + `"`}
	x.key = key
	return x.deny(deniedScope, &workflow.Refusal{
		Code:    CodeScopeMissing,
		Message: fmt.Sprintf("the key %q lacks the scope %s", key.Name, strings.Join(names, " or ")),
		Hint:    "use a key that has it, or create one with `signalbox keys create --name NAME --scopes " + names[0] + "`",
		Details: map[string]any{"scopes": names},
	})
}

// deny counts a denial and keeps a sample of it for the audit trail.
func (x *exchange) deny(reason string, err error) error {
	s := x.server
	s.metrics.authFailures.WithLabelValues(reason).Inc()
	x.closeIfBody()
	if s.keys == nil {
		return err
	}
	record := AuditRecord{What: AuditDenied, Reason: reason, Route: x.route.method + " " + x.route.path}
	if x.key != nil {
		record.KeyID, record.KeyName = x.key.ID, x.key.Name
	}
	s.keys.audit.sample(record, x.start)
	return err
}

// closeIfBody ends the connection of a stranger instead of reading its body.
func (x *exchange) closeIfBody() {
	if x.r.Body != nil && x.r.Body != http.NoBody && x.r.ContentLength != 0 {
		x.closeAfter()
	}
}
