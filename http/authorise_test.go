package http

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// filled replaces the parameters of a path with ids.
func filled(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = "some-id"
		}
	}
	return strings.Join(parts, "/")
}

// TestAuthMatrix sends every route of the table with every kind of wrong key,
// and with keys of every single scope. Whatever is due 401 or 403 must get it.
func TestAuthMatrix(t *testing.T) {
	d := newLockedDoor(t, func(o *Options) { o.Echo = true })
	ctx, keys := context.Background(), d.server.keys
	make := func(spec KeySpec) (string, Key) {
		spec.Name = "test"
		token, key, err := keys.Create(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		return token, key
	}
	byScope := map[Scope]string{}
	for _, s := range Scopes {
		byScope[s], _ = make(KeySpec{Scopes: []Scope{s}})
	}
	revoked, key := make(KeySpec{Scopes: Scopes})
	if _, err := keys.Revoke(ctx, key.ID, "root"); err != nil {
		t.Fatal(err)
	}
	expired, _ := make(KeySpec{Scopes: Scopes, Expires: time.Nanosecond})
	unknown := tokenPrefix + strings.Repeat("A", tokenLength-len(tokenPrefix))
	good := d.token

	wrong := map[string]func(*http.Request){
		"none":         func(r *http.Request) {},
		"unknown":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+unknown) },
		"revoked":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+revoked) },
		"expired":      func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+expired) },
		"other case":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.ToUpper(good)) },
		"cut":          func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good[:len(good)-1]) },
		"longer":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good+"A") },
		"empty":        func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
		"no scheme":    func(r *http.Request) { r.Header.Set("Authorization", good) },
		"other scheme": func(r *http.Request) { r.Header.Set("Authorization", "Basic "+good) },
		"doubled":      func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good} },
		"two in one":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good+", Bearer "+good) },
		"in the query": func(r *http.Request) { r.URL.RawQuery = "api_key=" + good },
		"query and header": func(r *http.Request) {
			r.URL.RawQuery = "access_token=x"
			r.Header.Set("Authorization", "Bearer "+good)
		},
		"query by its look": func(r *http.Request) { r.URL.RawQuery = "foo=" + good },
		"another header":    func(r *http.Request) { r.Header.Set("X-Api-Key", good) },
		"a cookie":          func(r *http.Request) { r.Header.Set("Cookie", "Authorization=Bearer "+good) },
	}
	for _, rt := range append(slices.Clone(routes), echoRoute) {
		for name, spoil := range wrong {
			r := httptest.NewRequest(rt.method, filled(rt.path), nil)
			spoil(r)
			a := d.request(r)
			if rt.access == forEverybody {
				if a.Status == 401 || a.Status == 403 {
					t.Errorf("%s is public, but with a key that is %q it answers %d", rt.name, name, a.Status)
				}
				continue
			}
			p := a.problem(401, CodeUnauthenticated)
			if challenge := a.Header.Get("Www-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="signalbox"`) {
				t.Errorf("%s, %s: WWW-Authenticate %q", rt.name, name, challenge)
			} else if sent := strings.Contains(challenge, "invalid_token"); sent != (name != "none" && name != "another header" && name != "a cookie") {
				t.Errorf("%s, %s: WWW-Authenticate %q", rt.name, name, challenge)
			}
			if strings.Contains(string(a.Body), good[8:]) || p.Hint == "" {
				t.Errorf("%s, %s: %s", rt.name, name, a.Body)
			}
		}
		for scope, token := range byScope {
			a := d.do(rt.method, filled(rt.path), "", "Authorization", "", "Authorization", "bEaReR "+token)
			opens := rt.access == forEverybody || scope == Admin || slices.Contains(rt.scopes, scope)
			if opens && rt.mixed {
				continue // TestScopesOfAStart
			}
			if opens == (a.Status == 401 || a.Status == 403) {
				t.Errorf("%s with the scope %s answers %d", rt.name, scope, a.Status)
			}
			if !opens {
				p := a.problem(403, CodeScopeMissing)
				if !strings.Contains(p.Detail, string(rt.scopes[0])) || !strings.Contains(a.Header.Get("Www-Authenticate"), "insufficient_scope") {
					t.Errorf("%s: %s", rt.name, a.Body)
				}
			}
		}
	}
}

// TestScopesOfAStart: starting needs one scope, the signal in it another.
func TestScopesOfAStart(t *testing.T) {
	d := newLockedDoor(t)
	const signal = `"signal":{"signal_name":"approval-decision"}`
	for _, c := range []struct {
		scopes []Scope
		body   string
		lacks  Scope
	}{
		{[]Scope{ExecutionsWrite}, ``, ""},
		{[]Scope{ExecutionsWrite}, `{` + signal + `}`, SignalsWrite},
		{[]Scope{ExecutionsWrite}, `{"exec_id":"e","start":false,` + signal + `}`, SignalsWrite},
		{[]Scope{SignalsWrite}, ``, ExecutionsWrite},
		{[]Scope{SignalsWrite}, `{` + signal + `}`, ExecutionsWrite},
		{[]Scope{SignalsWrite}, `{"exec_id":"e","start":false,` + signal + `}`, ""},
		{[]Scope{ExecutionsWrite, SignalsWrite}, `{` + signal + `}`, ""},
		{[]Scope{Admin}, `{` + signal + `}`, ""},
	} {
		d.begin("e")
		token, _, err := d.server.keys.Create(t.Context(), KeySpec{Name: "test", Scopes: c.scopes})
		if err != nil {
			t.Fatal(err)
		}
		a := d.do("POST", "/api/v0/workflows/approval/executions", c.body, "Authorization", "", "Authorization", "Bearer "+token)
		if c.lacks == "" {
			if a.Status != 202 && a.Status != 200 {
				t.Errorf("%v may not send %s: %s", c.scopes, c.body, a.Body)
			}
		} else if p := a.problem(403, CodeScopeMissing); !strings.Contains(p.Detail, string(c.lacks)) {
			t.Errorf("%v sends %s: %s", c.scopes, c.body, a.Body)
		}
	}
}

// TestOddRequestsOpenNothing: ways around the router.
func TestOddRequestsOpenNothing(t *testing.T) {
	d := newLockedDoor(t)
	d.begin("e")
	d.token = ""
	for _, path := range []string{
		"/api/v0/keys/", "/API/V0/keys", "//api/v0/keys", "/api/v0/../v0/keys", "/api/v0/%6beys", "/api/v0/keys%2f", "/api/v0/keys;x",
		"/api/v0/executions/workflows/a%2Fb", "/api/v0/executions/workflows/e/signals/", "/metrics/", "/readyz/../api/v0/keys",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"} {
			a := d.do(method, path, "", "X-HTTP-Method-Override", "GET")
			if a.Status < 400 && method != "OPTIONS" {
				t.Errorf("%s %s answers %d", method, path, a.Status)
			}
			if a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s allows other origins", method, path)
			}
		}
	}
}

func TestKeyOfSenderSeesNoPayload(t *testing.T) {
	d := newLockedDoor(t)
	d.post("/api/v0/events", `{"name":"n","id":"ev","payload":{"iban":"DE89"}}`).want(202)
	if r := data[EventReceipt](d.get("/api/v0/events/ev").want(200)); string(r.Payload) != `{"iban":"DE89"}` || r.By != "root" {
		t.Fatalf("%+v", r)
	}
	token, _, err := d.server.keys.Create(t.Context(), KeySpec{Name: "sender", Scopes: []Scope{EventsWrite}})
	if err != nil {
		t.Fatal(err)
	}
	d.token = token
	if a := d.get("/api/v0/events/ev").want(200); strings.Contains(string(a.Body), "DE89") {
		t.Fatalf("a sender sees the payload: %s", a.Body)
	}
}

// TestOtherSites: a node without keys is not open to pages of other sites.
func TestOtherSites(t *testing.T) {
	d := newDoor(t)
	d.post("/api/v0/events", `{"name":"n"}`, "Sec-Fetch-Site", "cross-site").problem(403, CodeCrossSite)
	d.post("/api/v0/events", `{"name":"n"}`, "Origin", "http://evil.example").problem(403, CodeCrossSite)
	d.post("/api/v0/events", `{"name":"n"}`, "Sec-Fetch-Site", "same-origin").want(202)

	for addr, loopback := range map[string]bool{"127.0.0.1": true, "::1": true, "10.1.2.3": false, "0.0.0.0": false} {
		if got := isLoopback(&net.TCPAddr{IP: net.ParseIP(addr), Port: 1}); got != loopback {
			t.Errorf("isLoopback(%s) = %v", addr, got)
		}
	}
	d.server.loopback.Store(1)
	for host, status := range map[string]int{"localhost:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200, "app.localhost": 200, "rebound.example": 403, "rebound.example:8080": 403, "localhost.evil.example": 403} {
		r := httptest.NewRequest("GET", "/api/v0/workflows", nil)
		r.Host = host
		d.request(r).want(status)
	}
	d.server.loopback.Store(-1)
	r := httptest.NewRequest("GET", "/api/v0/workflows", nil)
	r.Host = "signalbox.internal:8080"
	d.request(r).want(200)
}

// TestMetricsAccess: open on loopback or without keys, else for readers.
func TestMetricsAccess(t *testing.T) {
	newDoor(t).get("/metrics").want(200)
	d := newLockedDoor(t)
	d.get("/metrics").want(200)
	d.token = ""
	d.get("/metrics").want(401)
	d.server.loopback.Store(1)
	a := d.get("/metrics").want(200)
	for _, name := range []string{
		`signalbox_http_requests_total{code="401",method="GET",route="/metrics"} 1`, "signalbox_http_request_duration_seconds_bucket",
		"signalbox_http_in_flight_requests 0", "signalbox_http_open_streams 0", `signalbox_http_auth_failures_total{reason="missing"} 1`,
		"signalbox_http_request_size_bytes_sum", "signalbox_http_response_size_bytes_count",
	} {
		if !strings.Contains(string(a.Body), name) {
			t.Errorf("the metrics lack %s", name)
		}
	}
}

func TestKeysOverHTTP(t *testing.T) {
	d := newLockedDoor(t)
	created := data[CreatedKey](d.post("/api/v0/keys", `{"name":"gateway","scopes":["signals:write","signals:write"],"expires":"30d"}`).want(201))
	if len(created.Token) != tokenLength || !strings.HasPrefix(created.Token, created.Hint) || len(created.Scopes) != 1 || created.CreatedBy != "root" ||
		created.ExpiresAt.Time().Sub(created.CreatedAt.Time()) != 30*24*time.Hour {
		t.Fatalf("%+v", created)
	}
	list := data[map[string][]Key](d.get("/api/v0/keys").want(200))["keys"]
	if len(list) != 2 || !slices.ContainsFunc(list, func(k Key) bool { return k.ID == created.ID }) {
		t.Fatalf("%+v", list)
	}
	d.begin("e")
	send := func() answer {
		return d.post(signalPath("e"), approved, "Authorization", "", "Authorization", "Bearer "+created.Token)
	}
	sent := data[SignalAnswer](send().want(200))
	if r := data[SignalReceipts](d.get("/api/v0/signals/" + sent.SignalID).want(200)); r.By != "gateway" {
		t.Fatalf("the receipt says that %q sent it", r.By)
	}
	if k := data[Key](d.do("DELETE", "/api/v0/keys/"+created.ID, "").want(200)); k.RevokedAt == 0 {
		t.Fatalf("%+v", k)
	}
	if p := send().problem(401, CodeUnauthenticated); p.Details["reason"] != "revoked" {
		t.Fatalf("%+v", p)
	}
	d.do("DELETE", "/api/v0/keys/"+created.ID, "").want(200)
	d.do("DELETE", "/api/v0/keys/key_other", "").problem(404, CodeNoKey)
	for _, bad := range []string{`{}`, `{"name":"x"}`, `{"name":"x","scopes":[]}`, `{"name":"x","scopes":["root"]}`, `{"name":"x","scopes":"admin"}`, `{"name":"x","scopes":["admin"],"expires":"soon"}`, `{"name":"` + strings.Repeat("x", 200) + `","scopes":["admin"]}`} {
		d.post("/api/v0/keys", bad).problem(400, workflow.CodeInvalid)
	}
	d.server.keys.Close()
	records := data[map[string][]AuditRecord](d.get("/api/v0/audit").want(200))["records"]
	var what []string
	for _, r := range records {
		what = append(what, fmt.Sprint(r.What, " ", r.KeyName, " ", r.By, " ", r.Reason))
	}
	for _, want := range []string{"key.created root bootstrap ", "key.created gateway root ", "key.revoked gateway root ", "key.denied   revoked"} {
		if !slices.Contains(what, want) {
			t.Errorf("the audit trail %q lacks %q", what, want)
		}
	}
	newDoor(t).get("/api/v0/keys").problem(409, workflow.CodeWrongStatus)
}
