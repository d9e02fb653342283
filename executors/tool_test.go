package executors

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func TestBuiltinTools(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{})["tool"]
	for _, c := range []struct{ name, request, want string }{
		{"echo gives with back", `{"tool":{"id":"echo","type":"echo"},"with":{"a":[1,2.50,"x"],"n":12345678901234567890}}`, `{"a":[1,2.50,"x"],"n":12345678901234567890}`},
		{"echo keeps any type", `{"tool":{"type":"echo"},"with":"text"}`, `"text"`},
		{"echo of nothing is an empty object", `{"tool":{"type":"echo"}}`, `{}`},
		{"echo of null is an empty object", `{"tool":{"type":"echo"},"with":null}`, `{}`},
		{"transform gives the tool's output", `{"tool":{"type":"transform","output":{"total":3}},"with":{"output":1}}`, `{"total":3}`},
		{"transform gives with.output", `{"tool":{"type":"transform"},"with":{"output":[1]}}`, `[1]`},
		{"transform gives with", `{"tool":{"type":"transform"},"with":{"a":1}}`, `{"a":1}`},
		{"transform of a list gives the list", `{"tool":{"type":"transform"},"with":[1]}`, `[1]`},
		{"schemas that hold", `{"tool":{"type":"echo"},"with":{"a":1},"input_schema":{"required":["a"]},"schema":{"properties":{"a":{"type":"integer"}}}}`, `{"a":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := must(t, tool, jobFor(c.request)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestToolRefusals(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{})["tool"]
	for _, c := range []struct {
		name, request, code string
		permanent           bool
		says                []string
	}{
		{"unknown type", `{"tool":{"id":"x","type":"ftp"}}`, CodeUnknownTool, true, []string{"tool x", `"ftp"`, "echo, http, process, transform"}},
		{"not JSON", `{`, CodeRequestInvalid, true, nil},
		{"wrong shape", `{"tool":{"id":"x","type":"http","headers":"a: b"}}`, CodeRequestInvalid, true, []string{"headers", "object"}},
		{"input breaks its schema", `{"tool":{"id":"x","type":"echo"},"with":{"n":"one"},"input_schema":{"properties":{"n":{"type":"number"}}}}`, CodeInputInvalid, true, []string{"/n", "got string, want number"}},
		{"output breaks its schema", `{"tool":{"id":"x","type":"echo"},"with":{"n":1},"schema":{"required":["m"]}}`, CodeOutputInvalid, false, []string{"missing property 'm'"}},
		{"broken schema", `{"tool":{"id":"x","type":"echo"},"with":{},"schema":{"type":"thing"}}`, CodeSchemaInvalid, true, []string{"/type: value must be one of"}},
		{"schema from elsewhere", `{"tool":{"id":"x","type":"echo"},"with":{},"schema":{"$ref":"https://example.com/s.json"}}`, CodeSchemaInvalid, true, []string{"parts of itself only"}},
		{"schema from a file", `{"tool":{"id":"x","type":"echo"},"with":{},"schema":{"$ref":"file:///etc/passwd"}}`, CodeSchemaInvalid, true, []string{"parts of itself only"}},
		{"timeout that is none", `{"tool":{"id":"x","type":"echo","timeout":"soon"}}`, CodeRequestInvalid, true, []string{`"soon"`, "30s"}},
		{"timeout of zero", `{"tool":{"id":"x","type":"echo","timeout":0}}`, CodeRequestInvalid, true, nil},
		{"output too large", `{"tool":{"id":"x","type":"echo"},"with":"` + strings.Repeat("x", 1<<20) + `"}`, CodeOutputTooLarge, true, []string{"1048578 bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := mustFail(t, tool, jobFor(c.request), c.code, c.says...)
			if f.Permanent != c.permanent {
				t.Errorf("permanent is %t, want %t", f.Permanent, c.permanent)
			}
		})
	}
}

func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	tool := hands(t, Options{})["tool"]
	f := mustFail(t, tool, jobFor(`{"tool":{"type":"echo"},"with":[`+strings.Repeat(`"x",`, 500)+`"x"],"schema":{"items":{"type":"number"}}}`), CodeOutputInvalid)
	if list, _ := f.Details["violations"].([]any); len(list) != MaxViolations {
		t.Errorf("%d violations are named, want %d", len(list), MaxViolations)
	}
}

func TestSchemaCacheIsBounded(t *testing.T) {
	t.Parallel()
	cache := newSchemaCache()
	for i := range 3 * MaxSchemas {
		if _, err := cache.check([]byte(encode(map[string]any{"minLength": i})), []byte(`"x"`)); err != nil {
			t.Fatal(err)
		}
	}
	if len(cache.compiled) > MaxSchemas {
		t.Errorf("%d schemas are kept", len(cache.compiled))
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	made := hands(t, Options{})
	for request, want := range map[string]Lane{
		`{"tool":{"type":"echo"}}`:      LaneBuiltin,
		`{"tool":{"type":"transform"}}`: LaneBuiltin,
		`{"tool":{"type":"http"}}`:      LaneHTTP,
		`{"tool":{"type":"process"}}`:   LaneProcess,
		`{"tool":{"type":"nothing"}}`:   LaneHTTP,
		`{`:                             LaneBuiltin,
	} {
		if got := made["tool"].(laner).Lane(jobFor(request)); got != want {
			t.Errorf("%s goes to lane %s, want %s", request, got, want)
		}
	}
	if got := made["agent"].(laner).Lane(jobFor(`{}`)); got != LaneAgent {
		t.Errorf("agents go to lane %s", got)
	}
}

// A panic inside of an executor is a failure of that job, with the cause in it.
func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	o := Options{}.withDefaults()
	_, err := o.perform(context.Background(), jobFor(`{}`), func(context.Context, Job, workflow.Value) (workflow.Value, error) {
		var none map[string]int
		none["x"] = 1
		return nil, nil
	})
	wantFailure(t, asFailure(err), CodePanic, "assignment to entry in nil map", "exec-1/charge/2.3")
}

func TestTypedTexts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`"a"`: "a", `null`: "", `5`: "5", `{ "a" : 1 }`: `{"a":1}`, `true`: "true"} {
		var r struct{ V text }
		if err := decodeRequest([]byte(`{"V":`+in+`}`), &r); err != nil || string(r.V) != want {
			t.Errorf("%s reads as %q (%v), want %q", in, r.V, err, want)
		}
	}
	for in, want := range map[string]bool{"": true, "null": true, "{ }": true, "[]": true, `""`: true, "0": false, `{"a":1}`: false, "false": false} {
		if got := empty([]byte(in)); got != want {
			t.Errorf("empty(%q) is %t", in, got)
		}
	}
}

func TestToolTimeoutOfItsOwn(t *testing.T) {
	t.Parallel()
	o := Options{Duration: func(s string) (time.Duration, error) { return time.ParseDuration(strings.ReplaceAll(s, " ", "")) }}.withDefaults()
	ctx, cancel, err := o.within(context.Background(), "tool x", "20 ms")
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	<-ctx.Done()
	wantFailure(t, ended(ctx, jobFor(`{}`)), CodeTimeout, "tool x", "its own timeout of 20ms")
	if _, cancel, err := o.within(context.Background(), "tool x", "1.5"); err != nil {
		t.Errorf("a number of seconds is refused: %v", err)
	} else {
		cancel()
	}
}
