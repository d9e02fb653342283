package expression

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func judgeScope(payload string) *workflow.Scope {
	s := testScope()
	s.Signal = workflow.Value(`{"payload":` + payload + `,"metadata":{"signal_id":"s1"}}`)
	return s
}

// TestJudges is the table of the reference engine with our results, and more.
func TestJudges(t *testing.T) {
	const payload = `{"status":"ready","age":18,"amount":900,"half":0.5,"ok":false,"email":"bob@example.org","tags":["a","b"],"none":null,"big":9007199254740993}`
	for _, c := range []struct {
		source, reason string // reason "" means that it holds
	}{
		{``, ``},
		{`signal.payload.status == "ready"`, ``},
		{`signal.payload.missing == "x"`, `signal.payload.missing: no such key`},
		{`signal.payload.statu == "x"`, `signal.payload.statu: no such key (there is "status")`},
		{`has(signal.payload.missing)`, `has(signal.payload.missing) is false`},
		{`!has(signal.payload.missing)`, ``},
		{`signal.payload.age >= 18`, ``},
		{`signal.payload.age >= 18.5`, `signal.payload.age >= 18.5: 18 >= 18.5 is false`},
		{`signal.payload.half < 1`, ``},
		{`signal.payload.age == 18.0`, ``},
		{`signal.payload.missing != null && signal.payload.age > 1`, `signal.payload.missing: no such key`},
		{`signal.payload.none == null`, ``},
		{`signal.name == "x"`, `signal.name: no such key`},
		{`workflow.id == "approval"`, ``},
		{`processor.output.ok`, `processor.output.ok: there is no processor here`},
		{`!has(processor.error)`, ``},
		{`signal.payload.status`, `signal.payload.status is "ready", neither true nor false`},
		{`signal.payload.ok`, `signal.payload.ok is false`},
		{`signal.payload.amount <= 500`, `signal.payload.amount <= 500: 900 <= 500 is false`},
		{`signal.payload.status == "ready" && signal.payload.amount <= 500`, `signal.payload.amount <= 500: 900 <= 500 is false`},
		{`signal.payload.age > 20 && signal.payload.amount <= 500`, `signal.payload.age > 20: 18 > 20 is false; signal.payload.amount <= 500: 900 <= 500 is false`},
		{`signal.payload.age > 20 || signal.payload.status == "x"`, `signal.payload.age > 20: 18 > 20 is false; signal.payload.status == "x": "ready" == "x" is false`},
		{`!(signal.payload.age == 18)`, `!(signal.payload.age == 18): signal.payload.age == 18 is true`},
		{`signal.payload.email.matches("^ann")`, `signal.payload.email.matches("^ann"): "bob@example.org".matches("^ann") is false`},
		{`signal.payload.status in ["a", "b"]`, `signal.payload.status in ["a", "b"]: "ready" in ["a", "b"] is false`},
		{`"a" in signal.payload.tags`, ``},
		{`signal.payload.tags.exists(t, t == "z")`, `signal.payload.tags.exists(t, t == "z") is false`},
		{`signal.payload.email > 5`, `signal.payload.email > 5: this does not go with text and a whole number`},
		{`tasks.wait_for_decision.result.payload.decision == "approved"`, ``},
		{`tasks["wait-for-decision"].status == "SUCCESS"`, ``},
		{`tasks.broken_one.error.message == "it broke"`, ``},
		{`has(tasks.never)`, `has(tasks.never) is false`},
		{`tasks.never.output.x == 1`, `tasks.never: no such key`},
		{`size(tasks) == 3`, ``},
		{`tasks.exists(id, id == "late")`, ``},
		{`workflow.input.count == 12345678`, ``},
		{`trigger.payload.who == "ann" && trigger.type == "signal"`, ``},
		{`env.REGION == "eu"`, ``},
		{`env.API_KEY == signal.payload.email`, `env.API_KEY == signal.payload.email: *** == "bob@example.org" is false`},
		{`input.amount == 10 && with.amount == 10`, ``},
		{`task.timed_out`, ``},
		{`signal.payload.big == 9007199254740993`, ``},
		{`signal.payload.email.lowerAscii().contains("BOB".lowerAscii())`, ``},
		{`signal.payload.age > 20 ? true : false`, `is false`},
		{`signal.payload.map(k, k)[0] == "age" && [signal.payload].map(p, p.map(k, k)[1])[0] == "amount"`, ``},
		{`signal.payload == signal.payload && signal == signal`, ``},
		{`type(signal) == map && size(signal) == 2 && string(signal.payload.age) == "18"`, ``},
		{`output.x == 1`, `there is no output here`},
		{`signal != null && processor != null`, ``},
		// rendered first
		{`signal.payload.status == "{{ .workflow.input.message }}"`, `signal.payload.status == "hi": "ready" == "hi" is false`},
		{`signal.payload.age > {{ .input.amount }}`, ``},
		{`signal.payload.status == {{ .workflow.input.message }}`, `"ready" == "hi" is false`},
		{`{{ if .workflow.input.message }}signal.payload.age == 18{{ else }}false{{ end }}`, ``},
		{`signal.payload.status in {{ .input.tags }}`, `"ready" in ["x", "y"] is false`},
		{`signal.payload.x == {{ .workflow.input.nope }}`, `.workflow.input.nope: no such key`},
	} {
		cond, err := NewCondition(c.source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		v := cond.Judge(judgeScope(payload))
		if v.Holds != (c.reason == "") || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s\n got %v, %s\nwant %s", c.source, v.Holds, v.Reason, c.reason)
		}
		if len(v.Reason) > MaxReasonBytes {
			t.Errorf("%s: the reason has %d bytes", c.source, len(v.Reason))
		}
	}
}

func TestConditionMistakes(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{`signal.payload.email matches "a"`, `write signal.payload.email.matches("a")`},
		{`"text"`, `a condition is true or false, but this is of type string`},
		{`1 + 1`, `of type int`},
		{`sginal.payload.x == 1`, `line 1, column 1: unknown name 'sginal'; did you mean signal?`},
		{`signal.payload.x = 1`, `compare with == instead of =`},
		{`signal.payload.x == 1 and true`, `write && for and`},
		{"signal.payload.x == 1 &&\n  ready", `line 2, column 3: unknown name 'ready'`},
		{`tasks.wait-decision.output == 1`, `write ids with underscores`},
		{`{"a": 1, "b": 2}.map(k, k)[0] == "a"`, `come in no order`},
		{`[1].map(i, {"a": i, "b": 2}).exists(m, m.map(k, k)[0] == "a")`, `come in no order`},
		{`"a" == 1`, `'==' cannot work on (string, int)`},
		{`signal.payload.x == {{ uper "x" }}`, `did you mean upper?`},
		{`signal.payload.x === "{{ .workflow.input.x }}"`, `line 1, column 20: Syntax error`},
		{`(`, `Syntax error`},
	} {
		_, err := NewCondition(c.source, testEnv)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.source, err, c.want)
		}
	}
}
