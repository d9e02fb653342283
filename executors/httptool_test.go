package executors

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// service is a web service that answers with one handler.
func service(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// calling is the request of an HTTP tool.
func calling(url string, more map[string]any) Job {
	tool := map[string]any{"id": "pay", "type": "http", "url": url}
	for key, value := range more {
		tool[key] = value
	}
	return jobFor(encode(map[string]any{"tool": tool}))
}

// mirror answers with what it was sent.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, encode(map[string]any{
		"method": r.Method, "body": string(body), "type": r.Header.Get("Content-Type"),
		"key": r.Header.Get("Idempotency-Key"), "trace": r.Header.Get("X-Trace"), "host": r.Host == "other.example.com",
	}))
}

func TestHTTPToolCalls(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	server := service(t, mirror)
	for _, c := range []struct {
		name string
		tool map[string]any
		want string // the body of the output
	}{
		{"GET by default", nil, `{"body":"","host":false,"key":"exec-1/charge/2.3","method":"GET","trace":"","type":""}`},
		{"POST with a JSON body", map[string]any{"body": map[string]any{"n": 1}}, `{"body":"{\"n\":1}","host":false,"key":"exec-1/charge/2.3","method":"POST","trace":"","type":"application/json"}`},
		{"a text goes as it is", map[string]any{"body": "hello", "method": "put"}, `{"body":"hello","host":false,"key":"exec-1/charge/2.3","method":"PUT","trace":"","type":"text/plain; charset=utf-8"}`},
		{"headers of the user", map[string]any{"body": "<a/>", "headers": map[string]any{"content-type": "application/xml", "x-trace": 42, "idempotency-key": "mine", "Host": "other.example.com"}}, `{"body":"\u003ca/\u003e","host":true,"key":"mine","method":"POST","trace":"42","type":"application/xml"}`},
		{"null is no body", map[string]any{"body": nil}, `{"body":"","host":false,"key":"exec-1/charge/2.3","method":"GET","trace":"","type":""}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := must(t, tool, calling(server.URL+"/x", c.tool))
			if !strings.Contains(got, `"body":`+strings.ReplaceAll(strings.ReplaceAll(c.want, `\u003c`, "<"), `\u003e`, ">")) {
				t.Errorf("the output is %s, want the body %s", got, c.want)
			}
			if !strings.Contains(got, `"status":200`) || !strings.Contains(got, `"content-type":"application/json"`) {
				t.Errorf("the output is %s", got)
			}
		})
	}
}

func TestHTTPToolReadsBodies(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	for _, c := range []struct{ mediaType, body, want string }{
		{"application/json", `{"a": 1}`, `"body":{"a": 1}`},
		{"application/problem+json; charset=utf-8", `[1]`, `"body":[1]`},
		{"application/json", `{"a":`, `"body":"{\"a\":"`},
		{"text/plain", `{"a":1}`, `"body":"{\"a\":1}"`},
		{"application/octet-stream", "\xff\x00", `"body":"/wA=","encoding":"base64"`},
		{"application/json", "", `"body":null`},
	} {
		server := service(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			_, _ = io.WriteString(w, c.body)
		})
		got := must(t, tool, calling(server.URL, nil))
		if compacted := strings.ReplaceAll(got, `{"a":1}`, `{"a": 1}`); !strings.Contains(compacted, strings.ReplaceAll(c.want, `{"a":1}`, `{"a": 1}`)) {
			t.Errorf("%s %q gives %s, want %s", c.mediaType, c.body, got, c.want)
		}
		if !strings.Contains(got, `"x-two":"a, b"`) {
			t.Errorf("headers are missing: %s", got)
		}
	}
}

func TestHTTPToolStatuses(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	server := service(t, func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "why it is so\nmore")
	})
	for _, c := range []struct {
		status    int
		expect    any // nil: the default
		fine      bool
		permanent bool
	}{
		{200, nil, true, false}, {201, nil, true, false}, {404, nil, false, true}, {400, nil, false, true}, {409, nil, false, true},
		{408, nil, false, false}, {425, nil, false, false}, {429, nil, false, false}, {500, nil, false, false}, {503, nil, false, false},
		{404, 404, true, false}, {404, "404", true, false}, {404, []any{200, "4xx"}, true, false}, {201, 200, false, true}, {302, "302", true, false}, {200, "2XX", true, false},
	} {
		job := calling(server.URL+"/"+strconv.Itoa(c.status)+"?token=query-canary", map[string]any{"expect": c.expect})
		if c.fine {
			must(t, tool, job)
			continue
		}
		f := mustFail(t, tool, job, CodeHTTPStatus, "tool pay: GET "+server.URL+"/"+strconv.Itoa(c.status)+" answered", "why it is so")
		if f.Permanent != c.permanent || f.RetryAfter != 3*time.Second || f.Details["status"] != c.status {
			t.Errorf("%d expecting %v: %+v", c.status, c.expect, f)
		}
		if strings.Contains(f.Message, "query-canary") {
			t.Errorf("the query is in the message: %s", f.Message)
		}
	}
	for _, expect := range []any{"fine", 99, 600, "20x", []any{}, map[string]any{}, "-1"} {
		mustFail(t, tool, calling(server.URL+"/200", map[string]any{"expect": expect}), CodeRequestInvalid, "expect")
	}
}

func TestHTTPToolRefusesRequests(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	for _, c := range []struct {
		name string
		tool map[string]any
		says string
	}{
		{"no url", map[string]any{"url": ""}, "no url"},
		{"scheme", map[string]any{"url": "file:///etc/passwd"}, "https://host/path"},
		{"gopher", map[string]any{"url": "gopher://127.0.0.1:70/1"}, "https://host/path"},
		{"no host", map[string]any{"url": "https:///x"}, "https://host/path"},
		{"unreadable", map[string]any{"url": "https://[::1"}, "check what its template renders to"},
		{"control characters in the url", map[string]any{"url": "https://example.com/\r\nX: y"}, "check what its template renders to"},
		{"method", map[string]any{"method": "CONNECT"}, "CONNECT"},
		{"header name", map[string]any{"headers": map[string]any{"a b": "c"}}, "name of a header"},
		{"header injection", map[string]any{"headers": map[string]any{"a": "b\r\nX-Evil: 1"}}, "line break"},
		{"framing header", map[string]any{"headers": map[string]any{"transfer-encoding": "chunked"}}, "set by the client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := mustFail(t, tool, calling("https://example.com", c.tool), CodeRequestInvalid, "tool pay", c.says); !f.Permanent {
				t.Error("it is retried")
			}
		})
	}
}

func TestHTTPToolBounds(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	flood := service(t, func(w http.ResponseWriter, _ *http.Request) {
		block := strings.Repeat("x", 1<<16)
		for {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	})
	if f := mustFail(t, tool, calling(flood.URL, nil), CodeResponseTooLarge, "1048576 bytes"); !f.Permanent {
		t.Error("a flood is retried")
	}
	bomb := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		block := make([]byte, 1<<20)
		for range 64 {
			if _, err := z.Write(block); err != nil {
				return
			}
		}
		_ = z.Close()
	})
	mustFail(t, tool, calling(bomb.URL, nil), CodeResponseTooLarge)
	headers := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2*MaxResponseHeaderBytes))
	})
	mustFail(t, tool, calling(headers.URL, nil), CodeNetwork, "header")
	half := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	if f := mustFail(t, tool, calling(half.URL, nil), CodeNetwork, "broke off"); f.Permanent {
		t.Error("a broken response is not retried")
	}
	down := service(t, mirror)
	down.Close()
	if f := mustFail(t, tool, calling(down.URL, nil), CodeNetwork, "a retry may help"); f.Permanent {
		t.Error("a service that is down is not retried")
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // it will complain of the client
	secure.StartTLS()
	defer secure.Close()
	if f := mustFail(t, tool, calling(secure.URL, nil), CodeTLS, "certificate"); !f.Permanent {
		t.Error("a wrong certificate is retried")
	}
}

func TestHTTPToolIsStopped(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	arrived := make(chan struct{}, 1)
	release := make(chan struct{})
	slow := service(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/canceled" { // a call that times out may never arrive
			arrived <- struct{}{}
		}
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	if f := mustFail(t, tool, calling(slow.URL, map[string]any{"timeout": "50ms"}), CodeTimeout, "tool pay", "its own timeout of 50ms"); f.Permanent {
		t.Error("a timeout is not retried")
	}
	job := calling(slow.URL, nil)
	job.Timeout = 50 * time.Millisecond
	mustFail(t, tool, job, CodeTimeout, "within 50ms")
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	_, f := tryWith(t, ctx, tool, calling(slow.URL+"/canceled", nil))
	wantFailure(t, f, CodeCanceled)
}

func TestHTTPToolRedirects(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	var got http.Header
	other := service(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		mirror(w, r)
	})
	home := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; path {
		case "/0":
			mirror(w, r)
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/other-with-body":
			http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
		case "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		default:
			n, err := strconv.Atoi(path[1:])
			if err != nil {
				t.Error(err)
			}
			http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusTemporaryRedirect)
		}
	})
	headers := map[string]any{"headers": map[string]any{"x-trace": "header-canary", "authorization": "Bearer header-canary"}}

	// On the same service everything goes along.
	out := must(t, tool, calling(home.URL+"/"+strconv.Itoa(MaxRedirects), map[string]any{"body": "b", "headers": headers["headers"]}))
	if !strings.Contains(out, `"trace":"header-canary"`) || !strings.Contains(out, `"method":"POST"`) {
		t.Errorf("a redirect loses the request: %s", out)
	}
	mustFail(t, tool, calling(home.URL+"/"+strconv.Itoa(MaxRedirects+1), nil), CodeRedirectRefused, "more than 5 redirects")

	// Another service gets neither headers nor body.
	must(t, tool, calling(home.URL+"/other?q=query-canary", headers))
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), "canary") {
			t.Errorf("header %s went to another service: %v", name, values)
		}
	}
	mustFail(t, tool, calling(home.URL+"/other-with-body", map[string]any{"body": "body-canary"}), CodeRedirectRefused, "another service")
	mustFail(t, tool, calling(home.URL+"/file", nil), CodeRedirectRefused, "file")

	// Who expects the redirect gets it.
	if out := must(t, tool, calling(home.URL+"/1", map[string]any{"expect": 307})); !strings.Contains(out, `"location":"/0"`) {
		t.Errorf("the redirect is not shown: %s", out)
	}
}

// wire answers each connection with the next of the answers, and tells the first
// line of what it was sent.
func wire(t *testing.T, answers ...string) (url string, lines <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	heard := make(chan string, len(answers))
	go func() {
		defer close(heard)
		for _, answer := range answers {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			request := bufio.NewReader(conn)
			first, _ := request.ReadString('\n')
			for line := first; err == nil && line != "\r\n"; {
				line, err = request.ReadString('\n')
			}
			heard <- strings.TrimSuffix(first, "\r\n")
			_, _ = io.WriteString(conn, "HTTP/1.1 "+answer+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String(), heard
}

// TestHTTPToolSendsNoQueryAsItIs looks at the request line: what a payload brings into
// the address stays in the address.
func TestHTTPToolSendsNoQueryAsItIs(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	for address, want := range map[string]string{
		"/find?name=Ada Lovelace":              "/find?name=Ada%20Lovelace",
		"/find?x HTTP/1.1":                     "/find?x%20HTTP/1.1",
		"/find?name=Zoë&b=\u0085":              "/find?name=Zo%C3%AB&b=%C2%85",
		"/find?a=1&b=2%20+%C3%AB/?;:@[,]=='!*": "/find?a=1&b=2%20+%C3%AB/?;:@[,]=='!*",
		"/a b/ë?":                              "/a%20b/%C3%AB?",
		"/find?a=1#b c":                        "/find?a=1",
	} {
		url, lines := wire(t, "200 OK")
		must(t, tool, calling(url+address, nil))
		if line := <-lines; line != "GET "+want+" HTTP/1.1" {
			t.Errorf("%s was sent as %q", address, line)
		}
	}
	mustFail(t, tool, calling("http://127.0.0.1/find?name=Ada\r\nX: y", nil), CodeRequestInvalid, "control character")

	url, lines := wire(t, "302 Found\r\nLocation: /there?name=Ada Lovelace", "200 OK")
	must(t, tool, calling(url+"/here", nil))
	if here, there := <-lines, <-lines; here != "GET /here HTTP/1.1" || there != "GET /there?name=Ada%20Lovelace HTTP/1.1" {
		t.Errorf("it sent %q and was redirected to %q", here, there)
	}
}

// The trace that an execution continues goes out with the call, also to where it
// is redirected within the service, unless the tool sets a header of its own.
func TestHTTPToolContinuesTheTrace(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	tool := hands(t, Options{AllowPrivate: true})["tool"]
	server := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/x", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "trace "+r.Header.Get("Traceparent"))
	})
	for path, more := range map[string]map[string]any{"/x": nil, "/moved": nil, "/own": {"headers": map[string]any{"traceparent": "mine"}}} {
		job := calling(server.URL+path, more)
		job.TraceParent = trace
		want := trace
		if path == "/own" {
			want = "mine"
		}
		if got := must(t, tool, job); !strings.Contains(got, "trace "+want) {
			t.Errorf("%s: the output is %s", path, got)
		}
	}
	if got := must(t, tool, calling(server.URL+"/x", nil)); !strings.Contains(got, `"trace "`) {
		t.Errorf("without a trace the output is %s", got)
	}
}
