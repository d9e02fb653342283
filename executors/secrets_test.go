package executors

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// The canary has everything that spoils naive hiding: quotes, escapes, characters
// that encodings change, and another secret as its beginning.
const (
	canary = `cAnArY/+"\<&>-7f3a9`
	short  = "cAnArY"
)

// secretive is a project with secrets.
func secretive(o Options) Options {
	o.Secrets = func() map[string]string {
		return map[string]string{"TOKEN": canary, "SHORT": short, "FLAG": "on", "UNUSED": "unused-secret-of-the-project", "STAGE": "production"}
	}
	o.Unmask = expression.Unmask
	return o
}

// basic is the credentials of a call as they stand in its header.
func basic(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// leaks names the forms of the canary that a text holds.
func leaks(text string) []string {
	quoted := string(workflow.ValueOf(canary))
	var found []string
	for name, form := range map[string]string{
		"plain": canary, "beginning": short, "json": quoted[1 : len(quoted)-1], "query": url.QueryEscape(canary), "path": url.PathEscape(canary),
		"base64": base64.StdEncoding.EncodeToString([]byte(canary)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(canary)),
	} {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	for _, user := range []string{"u", "us", "use"} {
		pair := base64.StdEncoding.EncodeToString([]byte(user + canary + "!"))
		if strings.Contains(text, pair[8:20]) {
			found = append(found, "base64 after "+user)
		}
	}
	return found
}

// TestSecretsStayInside puts a secret into every place of a request, has the
// far side send it back in every form, and looks for it in all that comes out.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	var seen string // that the far side got
	blab := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			seen = r.Header.Get("X-Token") + r.Header.Get("Authorization") + r.URL.Query().Get("t") + string(body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Reflected", r.Header.Get("X-Token"))
			w.WriteHeader(code)
			_, _ = io.WriteString(w, encode(map[string]any{
				"error": map[string]any{"message": "your key is " + canary + " or " + url.QueryEscape(canary) + " or " + base64.StdEncoding.EncodeToString([]byte(canary)) + " or " + basic(r) + " or " + base64.StdEncoding.EncodeToString([]byte("us"+canary+"!"))},
				"key":   canary, canary: 1, "stage": "production", "flag": "on",
			}))
		}
	}
	fine, broken := service(t, blab(200)), service(t, blab(400))
	made := hands(t, secretive(Options{AllowPrivate: true, Dir: t.TempDir(), Getenv: os.Getenv}))
	web := func(address string, more string) string {
		return `{"tool":{"id":"x","type":"http","url":"` + address + `/p?t=⟦secret:TOKEN⟧","headers":{"x-token":"⟦secret:TOKEN⟧","authorization":"Basic ⟦b64enc:u⟦secret:TOKEN⟧!⟧"},"body":{"b":"⟦secret:TOKEN⟧","flag":"⟦secret:FLAG⟧"}` + more + `}}`
	}
	model := func(address string) string {
		return `{"agent":{"id":"a"},"prompt":"use ⟦secret:TOKEN⟧","model":{"provider":"local","model":"m","api_url":"` + address + `","api_key":"⟦secret:TOKEN⟧"}}`
	}
	for _, c := range []struct {
		name, executor, request string
		fails, reaches          bool
	}{
		{"http success", "tool", web(fine.URL, ``), false, true},
		{"http status", "tool", web(broken.URL, ``), true, true},
		{"http address", "tool", `{"tool":{"id":"x","type":"http","url":"http://[⟦secret:TOKEN⟧"}}`, true, false},
		{"http header", "tool", `{"tool":{"id":"x","type":"http","url":"http://127.0.0.1:1/","headers":{"⟦secret:TOKEN⟧ ":"x"}}}`, true, false},
		{"http refused connection", "tool", `{"tool":{"id":"x","type":"http","url":"http://u:⟦secret:SHORT⟧@127.0.0.1:1/⟦secret:SHORT⟧?q=⟦secret:SHORT⟧"}}`, true, false},
		{"http expectation", "tool", web(fine.URL, `,"expect":"⟦secret:TOKEN⟧"`), true, false},
		{"http timeout", "tool", web(fine.URL, `,"timeout":"⟦secret:TOKEN⟧"`), true, false},
		{"model status", "agent", model(broken.URL), true, true},
		{"model answer", "agent", model(fine.URL), true, true},
		{"unknown provider", "agent", `{"agent":{"id":"a"},"prompt":"x","model":{"provider":"⟦secret:TOKEN⟧"}}`, true, false},
		{"mock", "agent", `{"agent":{"id":"a"},"prompt":"use ⟦secret:TOKEN⟧","model":{"provider":"mock"}}`, false, false},
		{"mock failure", "agent", `{"agent":{"id":"a"},"prompt":"x","model":{"provider":"mock","params":{"fail":"with ⟦secret:TOKEN⟧"}}}`, true, false},
		{"process output", "tool", `{"tool":{"id":"x","type":"process","command":"printf '\"%s\"' \"$T\" | tr -d '\\\\\\\\' | sed 's/.*/\"fine\"/'","env":{"T":"⟦secret:TOKEN⟧"}}}`, false, false},
		{"process reflects stdin", "tool", `{"tool":{"id":"x","type":"process","argv":["cat"]},"with":{"t":"⟦secret:TOKEN⟧","⟦secret:TOKEN⟧":[{"u":"x⟦secret:TOKEN⟧y"}]}}`, false, false},
		{"process stderr", "tool", `{"tool":{"id":"x","type":"process","command":"printf %s \"$T\" >&2; exit 1","env":{"T":"⟦secret:TOKEN⟧"}}}`, true, false},
		{"process not JSON", "tool", `{"tool":{"id":"x","type":"process","command":"printf %s \"$T\"","env":{"T":"⟦secret:TOKEN⟧"}}}`, true, false},
		{"process program", "tool", `{"tool":{"id":"x","type":"process","argv":["./⟦secret:TOKEN⟧"]}}`, true, false},
		{"schema violation", "tool", `{"tool":{"id":"x","type":"echo"},"with":{"t":"⟦secret:TOKEN⟧"},"schema":{"properties":{"t":{"enum":["y"],"pattern":"^z"}}}}`, true, false},
		{"schema of the input", "tool", `{"tool":{"id":"x","type":"echo"},"with":{"t":"⟦secret:TOKEN⟧"},"input_schema":{"properties":{"t":{"format":"uri","const":"y"}}}}`, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen = ""
			out, f := try(t, made[c.executor], jobFor(c.request))
			if (f != nil) != c.fails {
				t.Fatalf("output %s, failure %+v", out, f)
			}
			text := out
			if f != nil {
				text = f.Message + encode(f.Details)
			}
			if found := leaks(text); len(found) > 0 {
				t.Errorf("the secret leaks (%v): %s", found, text)
			}
			if c.reaches && !strings.Contains(seen, canary) {
				t.Errorf("the far side never got the secret, only %q", seen)
			}
		})
	}
}

// Short and unused secrets do not spoil what has nothing to do with them.
func TestHidingIsNotDestroying(t *testing.T) {
	t.Parallel()
	made := hands(t, secretive(Options{}))
	got := must(t, made["agent"], jobFor(`{"agent":{"id":"a"},"prompt":"turn it on in production: ⟦secret:TOKEN⟧","model":{"provider":"mock"}}`))
	if want := `{"response":"Mock response for: turn it on in production: [secret TOKEN]"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A secret that stands in a request in another form only is found all the same.
func TestTransformedSecretsStayInside(t *testing.T) {
	t.Parallel()
	server := service(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_, _ = io.WriteString(w, user+" has the password "+password+" in "+basic(r))
	})
	tool := hands(t, secretive(Options{AllowPrivate: true}))["tool"]
	out := must(t, tool, jobFor(`{"tool":{"type":"http","url":"`+server.URL+`","headers":{"authorization":"Basic ⟦b64enc:user:⟦secret:TOKEN⟧⟧"}}}`))
	if found := leaks(out); len(found) > 0 || !strings.Contains(out, "user has the password [secret TOKEN] in ") {
		t.Errorf("the secret leaks (%v): %s", found, out)
	}
}

// Built-in tools give back what they got, with names in the place of secrets,
// however short those are, and leave everything else alone.
func TestBuiltinToolsNameSecrets(t *testing.T) {
	t.Parallel()
	tool := hands(t, secretive(Options{}))["tool"]
	for _, kind := range []string{"echo", "transform"} {
		got := must(t, tool, jobFor(`{"tool":{"type":"`+kind+`"},"with":{"t":"⟦secret:TOKEN⟧","f":"⟦secret:FLAG⟧","x":"on ⟦(⟧"},"schema":{"properties":{"t":{"pattern":"^cAn"}}}}`))
		if want := `{"t":"[secret TOKEN]","f":"[secret FLAG]","x":"on ⟦"}`; got != want {
			t.Errorf("%s gives %s, want %s", kind, got, want)
		}
	}
	if f := mustFail(t, tool, jobFor(`{"tool":{"type":"echo"},"with":"⟦secret:MISSING⟧"}`), CodeSecretMissing, "MISSING", ".env"); !f.Permanent {
		t.Error("a missing secret is retried")
	}
}

func TestPanicHoldsNoSecret(t *testing.T) {
	t.Parallel()
	o := secretive(Options{}).withDefaults()
	_, err := o.perform(context.Background(), jobFor(`{"t":"⟦secret:TOKEN⟧"}`), func(_ context.Context, _ Job, request workflow.Value) (workflow.Value, error) {
		var r struct{ T string }
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, err
		}
		panic("cannot go on with " + r.T)
	})
	f := asFailure(err)
	wantFailure(t, f, CodePanic, "cannot go on with [secret TOKEN]")
}

// Any secret, wherever it stands in a value, is gone from the output, and what
// is left is still JSON of the same shape.
func TestErasing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringN(MinSecretBytes, 40, 60).Draw(t, "secret")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		masked := workflow.ValueOf(map[string]any{"t": "⟦secret:S⟧"})
		request := workflow.ValueOf(map[string]any{"t": value})
		e := Options{Unmask: expression.Unmask}.newEraser(map[string]string{"S": value}, masked, request)
		out, err := e.output(workflow.ValueOf(map[string]any{"a": []any{before + value + after}, "n": 1}))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			A []string
			N int
		}
		if err := json.Unmarshal(out, &got); err != nil || len(got.A) != 1 || got.N != 1 {
			t.Fatalf("%s: %v", out, err)
		}
		if strings.Contains(strings.ReplaceAll(got.A[0], "[secret S]", "\x00"), value) {
			t.Fatalf("%q holds %q", got.A[0], value)
		}
	})
}
