package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// TestExitCodes maps every kind of failure to the code that scripts rely on.
func TestExitCodes(t *testing.T) {
	dial := &url.Error{Op: "Get", URL: "http://127.0.0.1:9/api", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	for _, c := range []struct {
		err  error
		want int
		says string
	}{
		{nil, exitOK, ""},
		{errSaid, exitFailed, ""},
		{errors.New("disk on fire"), exitFailed, "disk on fire"},
		{wrongUsage("no such flag"), exitUsage, "no such flag"},
		{hinted(failed("cannot listen"), "take another port"), exitFailed, "hint:  take another port"},
		{fmt.Errorf("asking: %w", dial), exitUnreachable, "no node answers at http://127.0.0.1:9"},
		{&url.Error{Op: "Get", URL: "http://h/", Err: io.ErrUnexpectedEOF}, exitUnreachable, "broke"},
		{&http.Problem{Status: 404, Code: workflow.CodeNoExecution, Detail: "no such execution"}, exitRefused, "404 execution_not_found"},
		{&http.Problem{Status: 422, Detail: "bad payload", Errors: []workflow.Violation{{Pointer: "/a", Message: "is missing"}}}, exitRefused, "at /a: is missing"},
		{&http.Problem{Status: 401, Detail: "a key is needed"}, exitRefused, "SIGNALBOX_KEY"},
		{&http.Problem{Status: 429, Detail: "full"}, exitRefused, "full"},
		{&http.Problem{Status: 500, Detail: "internal"}, exitFailed, "internal"},
		{&http.Problem{Status: 503, Code: workflow.CodeStopping, Detail: "stopping"}, exitUnreachable, "stopping"},
		{&http.Problem{Status: 503, Code: workflow.CodeTimeout, Detail: "not known"}, exitTimedOut, "not known"},
		{&http.Problem{Status: 408, Detail: "still running"}, exitTimedOut, "still running"},
		{context.DeadlineExceeded, exitTimedOut, "repeat"},
		{&url.Error{Op: "Get", URL: "http://h/", Err: context.DeadlineExceeded}, exitTimedOut, "repeat"},
		{context.Canceled, exitInterrupted, "interrupted"},
	} {
		var said strings.Builder
		if got := report(&said, c.err); got != c.want {
			t.Errorf("%v ends with %d, want %d", c.err, got, c.want)
		}
		if !strings.Contains(said.String(), c.says) || (c.says == "" && said.Len() > 0) {
			t.Errorf("%v says %q, want %q in it", c.err, &said, c.says)
		}
	}
}

// TestPlain keeps what users wrote from moving the cursor or breaking a table.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"two\nlines\tand tab": "two lines and tab",
		"\x1b[31mred\x1b[0m":  "[31mred[0m",
		"bell\a, c1 \u009b2J": "bell, c1 2J",
		"Grüße, 世界":           "Grüße, 世界",
	} {
		if got := plain(text); got != want {
			t.Errorf("plain(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestObject(t *testing.T) {
	file := t.TempDir() + "/payload.json"
	if err := os.WriteFile(file, []byte("{ \"a\": 1 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ said, stdin, want, wrong string }{
		{"", "", "", ""},
		{`{"a": 1}`, "", `{"a":1}`, ""},
		{"@" + file, "", `{"a":1}`, ""},
		{"-", `{"b":2}`, `{"b":2}`, ""},
		{"[1]", "", "", "not a JSON object"},
		{"null", "", "", "null"},
		{"{", "", "", "not a JSON object"},
		{`{"a":1} {"b":2}`, "", "", "not a JSON object"},
		{"@" + file + "x", "", "", "no such file"},
		{"-", "{\"a\":\"" + strings.Repeat("x", maxInput) + "\"}", "", "larger than"},
	} {
		a := &app{terminal: terminal{in: strings.NewReader(c.stdin)}}
		got, err := a.object("payload", c.said)
		text, _ := got.(json.RawMessage) // nil when there is none
		if string(text) != c.want {
			t.Errorf("%.20q is %s, want %s", c.said, text, c.want)
		}
		if (err == nil) != (c.wrong == "") || (err != nil && !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%.20q: %v, want something about %q", c.said, err, c.wrong)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for said, want := range map[string]time.Time{
		"": {}, "2h": now.Add(-2 * time.Hour), "1d": now.Add(-24 * time.Hour),
		"2026-01-31T12:00:00Z": time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	} {
		if got, err := moment(said, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", said, got, err, want)
		}
	}
	if _, err := moment("yesterday", now); explain(err).code != exitUsage {
		t.Errorf("yesterday: %v", err)
	}
}

func TestDifferences(t *testing.T) {
	project := func(hashes map[string]string) *definitions.Project {
		p := &definitions.Project{}
		for id, hash := range hashes {
			p.Workflows = append(p.Workflows, &definitions.Workflow{Definition: &workflow.Definition{ID: id, Hash: hash}})
		}
		return p
	}
	before := project(map[string]string{"kept": "11111111", "edited": "22222222", "gone": "33333333"})
	after := project(map[string]string{"kept": "11111111", "edited": "4444444444", "fresh": "55"})
	got := strings.Join(differences(before, after), "\n")
	want := "edited changed (22222222 to 44444444)\nfresh is new (55)\ngone is gone; its executions go on"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestVersionName(t *testing.T) {
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":                           {Main: debug.Module{Version: "v1.2.3"}},
		"development":                      {Main: debug.Module{Version: "(devel)"}},
		"development-0123456789ab+changes": {Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}},
	} {
		if got := nameOfBuild(info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRunInProcess runs the whole program without a process of its own.
func TestRunInProcess(t *testing.T) {
	var out, said strings.Builder
	terminal := terminal{in: strings.NewReader(""), out: &out, err: &said, env: func(string) string { return "" }}
	if code := run(t.Context(), []string{"version"}, terminal); code != exitOK || !strings.HasPrefix(out.String(), "signalbox") {
		t.Errorf("version: %d, %q, %q", code, &out, &said)
	}
	if code := run(t.Context(), []string{"no-such-verb"}, terminal); code != exitUsage || !strings.Contains(said.String(), "--help") {
		t.Errorf("no-such-verb: %d, %q", code, &said)
	}
}
