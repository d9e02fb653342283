package expression

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// testScope is an execution of the approval project after its signal came.
func testScope() *workflow.Scope {
	return &workflow.Scope{
		State: &workflow.State{
			ExecID: "exec_123", WorkflowID: "approval", Definition: "cafe", Status: workflow.Running,
			Input:     workflow.Value(`{"x":"1","count":12345678,"big":12345678901234567890,"half":0.5,"null":null,"items":[{"name":"a"},{"name":"b"}],"message":"hi","obj":{"b":1,"a":[1,2]},"hyphen-ated":"h","text":"{\"k\":1}"}`),
			Trigger:   &workflow.Origin{Type: "signal", Name: "approval-request", Payload: workflow.Value(`{"who":"ann"}`), EventID: "ev1"},
			CreatedAt: 1_764_000_000_000,
			Tasks: []workflow.TaskState{
				{ID: "wait-for-decision", Kind: workflow.Wait, Status: workflow.Success,
					Output:   workflow.Value(`{"wait_status":"completed","signal":{"payload":{"decision":"approved","n":5,"obj":{"a":1}}}}`),
					Envelope: workflow.Value(`{"payload":{"decision":"approved","approved_by":"eve"},"metadata":{"received_at_utc":"2026-11-23T00:00:00Z"}}`)},
				{ID: "broken_one", Kind: workflow.Basic, Status: workflow.Failed, Error: &workflow.Failure{Message: "it broke", Code: "X", Details: workflow.Value(`{"at":3}`)}},
				{ID: "late", Kind: workflow.Wait, Status: workflow.TimedOut, Error: &workflow.Failure{Message: "too late", Code: "WAIT_TIMEOUT"}},
			},
		},
		Task:     &workflow.Task{ID: "process", Kind: workflow.Basic},
		Input:    workflow.Value(`{"amount":10,"tags":["x","y"]}`),
		Signal:   workflow.Value(`{"payload":{"status":"ready"},"metadata":{"signal_id":"s1"}}`),
		Previous: "late",
		Now:      1_764_000_000_123,
	}
}

var testEnv = Env{Public: map[string]string{"REGION": "eu"}, Secret: map[string]string{"API_KEY": `se"cret`}, Version: "1.2.0"}

func renderTree(t *testing.T, tree any) (string, error) {
	t.Helper()
	tmpl, err := NewTemplate(tree, testEnv)
	if err != nil {
		return "", err
	}
	v, err := tmpl.Render(testScope())
	return string(v), err
}

// TestMeasured is the table of the reference engine, with the results that
// people expected of it.
func TestMeasured(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{{ .tasks.wait-for-decision.output.signal.payload.decision }}`, `"approved"`},
		{`{{ .tasks.wait-for-decision.output.signal.payload.n }}`, `5`},
		{`{{ .tasks.wait-for-decision.output.signal.payload.obj }}`, `{"a":1}`},
		{`{{ .tasks.wait-for-decision.output.signal.payload.obj | toJson }}`, `{"a":1}`},
		{`x {{ .tasks.wait-for-decision.output.signal.payload.obj | toJson }}`, `"x {\"a\":1}"`},
		{`{{ .tasks.wait_for_decision.result.payload.decision }}`, `"approved"`},
		{`{{ .tasks.wait-for-decision.result.payload.approved_by }}`, `"eve"`},
		{`{{ index .tasks "wait-for-decision" "output" "wait_status" }}`, `"completed"`},
		{`{{ index .tasks "wait_for_decision" "output" "wait_status" }}`, `"completed"`},
		{`{{ .workflow.input.missing | default "d" }}`, `"d"`},
		{`{{ .workflow.input.missing.deeper.still | default "d" }}`, `"d"`},
		{`{{ .tasks.never.output.x | default "d" }}`, `"d"`},
		{`{{ index .workflow.input "missing" | default "d" }}`, `"d"`},
		{`{{ .workflow.input.null | default "d" }}`, `"d"`},
		{`{{ .tasks.broken-one.error.message }}`, `"it broke"`},
		{`{{ .tasks.broken_one.error.Message }}`, `"it broke"`},
		{`{{ .tasks.broken_one.error.details.at }}`, `3`},
		{`{{ "a.b-c" }}`, `"a.b-c"`},
		{`{{ now }}`, `"2025-11-24T16:00:00.123Z"`},
		{`true`, `"true"`},
		{`{{ eq 1 1 }}`, `"true"`},
		{`{{ .workflow.input.x }}`, `"1"`},
	} {
		got, err := renderTree(t, c.template)
		if err != nil || got != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.template, got, err, c.want)
		}
	}
}

func TestRenders(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		// typed references
		{`{{ .workflow.input.count }}`, `12345678`},
		{`n={{ .workflow.input.count }}`, `"n=12345678"`},
		{`{{ .workflow.input.big }}`, `12345678901234567890`},
		{`{{ .workflow.input.half }} {{ .workflow.input.null }}.`, `"0.5 ."`},
		{`{{ .workflow.input.null }}`, `null`},
		{`{{ .workflow.input.items.0.name }}{{ .workflow.input.items.1.name }}`, `"ab"`},
		{`{{ .workflow.input.items.1 }}`, `{"name":"b"}`},
		{`{{ .workflow.input.hyphen-ated }}`, `"h"`},
		{`{{ .workflow.input.text }}`, `"{\"k\":1}"`},
		{`{{ .workflow.input.text | trim }}`, `{"k":1}`},
		{`{{ .workflow.input.text | trim }}!`, `"{\"k\":1}!"`},
		{`{{ .workflow.input.obj }}`, `{"b":1,"a":[1,2]}`},
		{`{{- .workflow.input.count -}}`, `12345678`},
		{` {{ .workflow.input.count }}`, `" 12345678"`},
		{`{{ .workflow.input.count | default 5 }}`, `"12345678"`},
		{`{{ with .workflow.input.obj }}{{ .a }}{{ end }}`, `"[1,2]"`},
		// the roots
		{`{{ .workflow.id }}/{{ .workflow.exec_id }}/{{ .workflow.status }}/{{ .workflow.version }}/{{ .workflow.started_at }}`, `"approval/exec_123/RUNNING/1.2.0/2025-11-24T16:00:00.000Z"`},
		{`{{ .workflow_id }} {{ .workflow_exec_id }} {{ .status }}`, `"approval exec_123 RUNNING"`},
		{`{{ .input.amount }}`, `10`},
		{`{{ .with.tags }}`, `["x","y"]`},
		{`{{ .env.REGION }} {{ .env.API_KEY }}`, `"eu se\"cret"`},
		{`{{ .trigger.type }} {{ .trigger.name }} {{ .trigger.payload.who }} {{ .trigger.event_id }}`, `"signal approval-request ann ev1"`},
		{`{{ .signal.payload.status }} {{ .signal.metadata.signal_id }}`, `"ready s1"`},
		{`{{ .task.id }} {{ .task.type }} {{ .task.timed_out }} {{ .task.error.message }}`, `"process basic true too late"`},
		{`{{ .tasks.late.status }}`, `"TIMED_OUT"`},
		// missing keys
		{`{{ if .workflow.input.missing }}a{{ else }}b{{ end }}`, `"b"`},
		{`{{ if and .workflow.input.message .tasks.never }}a{{ else }}b{{ end }}`, `"b"`},
		{`{{ if or .workflow.input.missing .workflow.input.message }}a{{ else }}b{{ end }}`, `"a"`},
		{`{{ if not .workflow.input.missing }}a{{ end }}`, `"a"`},
		{`{{ with .workflow.input.missing }}a{{ else }}b{{ end }}`, `"b"`},
		{`{{ coalesce .workflow.input.missing .tasks.never.output "c" }}`, `"c"`},
		{`{{ empty .workflow.input.missing }}`, `"true"`},
		{`{{ .workflow.input.missing | ternary "y" "n" }}`, `"n"`},
		{`{{ kindIs "invalid" .workflow.input.missing }}`, `"true"`},
		{`{{ $x := .workflow.input.missing }}{{ $x | default "late" }}`, `"late"`},
		{`{{ if .tasks.wait_for_decision }}ran{{ end }}`, `"ran"`},
		// loops, variables, definitions
		{`{{ range $i, $e := .workflow.input.items }}{{ $i }}={{ $e.name }};{{ end }}`, `"0=a;1=b;"`},
		{`{{ range $k, $v := .workflow.input.obj }}{{ $k }}={{ $v }};{{ end }}`, `"a=[1,2];b=1;"`},
		{`{{ range .workflow.input.items }}{{ .name }}{{ $.workflow.input.x }}{{ end }}`, `"a1b1"`},
		{`{{ range 3 }}{{ . }}{{ end }}`, `"012"`},
		{`{{ range $i := until 5 }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}`, `"02"`},
		{`{{ range list }}a{{ else }}none{{ end }}`, `"none"`},
		{`{{ define "greet" }}hello {{ . }}{{ end }}{{ template "greet" .workflow.input.message }}`, `"hello hi"`},
		{`{{ block "b" .input }}{{ .amount }}{{ end }}`, `"10"`},
		{`{{ $n := 1 }}{{ range list 1 2 3 }}{{ $n = mul $n . }}{{ end }}{{ $n }}`, `"6"`},
		{`{{ range $id, $task := .tasks }}{{ $id }}:{{ $task.status }} {{ end }}`, `"broken_one:FAILED late:TIMED_OUT wait-for-decision:SUCCESS "`},
		{`a {{/* a comment .x-y */}}b`, `"a b"`},
		// functions
		{`{{ printf "%05d|%s|%.2f|%q|%v" 42 "x" 3.14159 "q" .workflow.input.obj }}`, `"00042|x|3.14|\"q\"|{\"a\":[1,2],\"b\":1}"`},
		{`{{ now | date "2006-01-02" }} {{ now | dateModify "-24h" | date "02" }} {{ now | unixEpoch }}`, `"2025-11-24 23 1764000000"`},
		{`{{ date_in_zone "15:04" now "+02:00" }} {{ now.Format "2006" }} {{ now.Year }}`, `"18:00 2025 2025"`},
		{`{{ upper "abc" }}{{ "ABC" | lower }}{{ title "a b" }}`, `"ABCabcA B"`},
		{`{{ list 3 1 2 | toJson }}`, `[3,1,2]`},
		{`{{ dict "b" 1 "a" (list 1 "x") }}`, `{"a":[1,"x"],"b":1}`},
		{`{{ (dict "a" (dict "b" 2)).a.b }}`, `2`},
		{`{{ (fromJson .workflow.input.text).k }}`, `1`},
		{`{{ regexMatch "^h" .workflow.input.message }} {{ regexReplaceAll "(h)(i)" "hi hi" "$2$1" }}`, `"true ih ih"`},
		{`{{ join "," .input.tags }} {{ splitList "," "a,b" | toJson }} {{ .input.tags | has "x" }}`, `"x,y [\"a\",\"b\"] true"`},
		{`{{ add 1 2 }} {{ sub 5 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ add 1.5 1 }} {{ round 3.14159 2 }} {{ max 1 5 3 }}`, `"3 3 6 3 1 2.5 3.14 5"`},
		{`{{ b64enc "a" }} {{ b64dec "YQ==" }} {{ sha256sum "a" | trunc 8 }} {{ urlquery "a b" }}`, `"YQ== a ca978112 a+b"`},
		{`{{ $d := dict "a" 1 }}{{ $_ := set $d "self" $d }}{{ $d | toJson }}`, `"{\"a\":1,\"self\":{\"a\":1}}"`},
		{`{{ seq 3 | toJson }}{{ seq 2 4 | toJson }}{{ untilStep 0 10 5 | toJson }}`, `"[1,2,3][2,3,4][0,5]"`},
		{`{{ if gt .input.amount 5.5 }}big{{ end }}`, `"big"`},
		{`{{ "a-1" }} {{ sub 3 -1 }} {{ 1e3 }} {{ .input.amount }}`, `"a-1 4 1000 10"`},
		{"{{ `raw .a-b` }}", "\"raw .a-b\""},
		{`{{ merge (dict "a" 1) (dict "a" 2 "b" 3) | toJson }}`, `{"a":1,"b":3}`},
		{`{{ dig "a" "b" "none" (dict "a" (dict "b" 1)) }}{{ dig "a" "x" "none" (dict "a" 1) }}`, `"1none"`},
		{`{{ index .workflow.input.items 1 "name" }}`, `"b"`},
		{`{{ substr 0 2 "größe" }} {{ abbrev 6 "abcdefgh" }} {{ snakecase "FooBar" }} {{ quote "a\"b" }}`, `"gr abc... foo_bar \"a\\\"b\""`},
	} {
		got, err := renderTree(t, c.template)
		if err != nil || got != c.want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.template, got, err, c.want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{{ .workflow.input.mesage }}`, `line 1, column 4: .workflow.input.mesage: no such key; did you mean .workflow.input.message?`},
		{`a {{ .workflow.input.missing }}`, `line 1, column 6: .workflow.input.missing: no such key; use "| default ..." where it may be missing`},
		{"a\nb {{ .tasks.never.output.x }}", `line 2, column 6: .tasks.never.output.x: no such key "never" in .tasks; task "never" has not run`},
		{`{{ .workflow.input.message.first }}`, `.workflow.input.message is text and has no keys`},
		{`{{ .workflow.input.items.7 }}`, `.workflow.input.items.7: no such key; a list is read by number`},
		{`{{ .workfow.id }}`, `did you mean .workflow?`},
		{`{{ upper .workflow.input.missing }}`, `.workflow.input.missing: no such key`},
		{`{{ range .workflow.input.missing }}{{ end }}`, `no such key`},
		{`{{ eq .workflow.input.count "5" }}`, `a number and text are never equal`},
		{`{{ div 1 0 }}`, `div: division by zero`},
		{`{{ fail "no good" }}`, `no good`},
		{`{{ repeat 100000000 "x" }}`, `the count is 100000000`},
		{`{{ printf "%1000000000d" 1 }}`, `larger than 1000`},
		{`{{ until 100000 }}`, `more than 10000 numbers`},
		{`{{ indent 5000 "x" }}`, `the indentation is 5000`},
		{`{{ dateModify "x" now }}`, `is no duration`},
		{`{{ date_in_zone "15" now "Europe/Berlin" }}`, `use UTC or an offset`},
		{`{{ mul 9223372036854775807 2 }}`, `does not fit`},
	} {
		got, err := renderTree(t, c.template)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %s, %v\nwant %s", c.template, got, err, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{{ .workflow.input.x `, `line 1, column 1: unclosed action; close it with }}`},
		{`ok {{ if .a }} no end`, `line 1, column 4: a block that starts here has no {{ end }}`},
		{"{{ .a }}\n{{ end }}", `line 2, column 1: unexpected {{end}}`},
		{`{{ uper "x" }}`, `line 1, column 4: there is no function "uper"; did you mean upper?`},
		{`{{ env "HOME" }}`, `.env.NAME`},
		{`{{ randAlphaNum 5 }}`, `no randomness`},
		{`{{ .a "x" }}`, `is a value and takes no arguments`},
		{`{{ default "x" }}`, `default takes 2 arguments, not 1; as in`},
		{`{{ $y }}`, `undefined variable "$y"`},
		{`{{ template "nope" }}`, `there is no template "nope"`},
		{`{{ regexMatch "(" "x" }}`, `the pattern does not compile`},
		{`{{ .a-}}`, `bad character`},
		{`{{ "open }}`, `unterminated quoted string`},
		{`{{ workflow.id }}`, `did you mean .workflow, with a dot?`},
	} {
		_, err := NewTemplate(c.template, Env{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.template, err, c.want)
		}
	}
}

// TestFields wants each name that Fields lists to be found in a scope that has everything.
func TestFields(t *testing.T) {
	scope := testScope()
	scope.State.Output, scope.State.Error, scope.State.Trigger.CorrelationID = workflow.Value(`1`), &workflow.Failure{Message: "m"}, "c"
	scope.State.Tasks = append(scope.State.Tasks, workflow.TaskState{ID: "whole", Status: workflow.Failed, Output: workflow.Value(`1`), Error: scope.State.Error})
	scope.Previous = "whole"
	r := newRun(scope, newEnvironment(testEnv), false)
	defer r.free()
	for root := range rootFields {
		v, ok := r.rootMember(root).value.(view)
		for _, name := range Fields(root) {
			if ok && !r.member(v, name).ok {
				t.Errorf("a %s has no %s", root, name)
			}
		}
	}
	if Fields("input") != nil || Fields("env") != nil {
		t.Error("what the user shapes has fields of its own")
	}
}
