package expression

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestExplainFillsInWhatTheScopeHas(t *testing.T) {
	for _, c := range []struct{ source, without, with string }{
		{``, ``, ``},
		{`signal.payload.amount <= workflow.input.count`, `signal.payload.amount <= 12345678`, `900 <= 12345678`},
		{`signal.payload.amount <= workflow . input . count`, `signal.payload.amount <= 12345678`, `900 <= 12345678`},
		{`signal["payload"].amount <= workflow["input"]["count"]`, `signal["payload"].amount <= 12345678`, `900 <= 12345678`},
		{`signal.payload.who == trigger.payload.who`, `signal.payload.who == "ann"`, `(signal.payload.who is missing) == "ann"`},
		{`signal.payload.amount > tasks.never.output.x`, `signal.payload.amount > (tasks.never is missing)`, `900 > (tasks.never is missing)`},
		{`has(signal.payload.amount) && has(workflow.input.count)`, `has(signal.payload.amount) && has(workflow.input.count)`, `has(signal.payload.amount) && has(workflow.input.count)`},
		{`env.API_KEY == signal.payload.email`, `*** == signal.payload.email`, `*** == "bob@example.org"`},
		{`env.REGION == "eu"`, `"eu" == "eu"`, `"eu" == "eu"`},
		{`signal.payload.tags.exists(t, t == workflow.id)`, `signal.payload.tags.exists(t, t == "approval")`, `["a", "b"].exists(t, t == "approval")`},
		{"signal.payload.amount\n  <= workflow.input.count", `signal.payload.amount <= 12345678`, `900 <= 12345678`},
		{`signal.payload.email == "ä" && workflow.id == "ö"`, `signal.payload.email == "ä" && "approval" == "ö"`, `"bob@example.org" == "ä" && "approval" == "ö"`},
		{`signal.payload.amount <= {{ .workflow.input.count }}`, `signal.payload.amount <= 12345678`, `900 <= 12345678`},
		{`signal.payload.status == "{{ .signal.payload.status }}"`, `signal.payload.status == "{{ .signal.payload.status }}"`, `"ready" == "ready"`},
		{`processor.output.ok`, `processor.output.ok`, `processor.output.ok`},
	} {
		condition, err := NewCondition(c.source, testEnv)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		without := judgeScope(`{}`)
		without.Signal = nil
		if got := condition.Explain(without); got != c.without {
			t.Errorf("%s without a signal:\n  got  %s\n  want %s", c.source, got, c.without)
		}
		if got := condition.Explain(judgeScope(`{"status":"ready","amount":900,"email":"bob@example.org","tags":["a","b"]}`)); got != c.with {
			t.Errorf("%s with one:\n  got  %s\n  want %s", c.source, got, c.with)
		}
	}
}

func TestExplainIsShortAndTotal(t *testing.T) {
	condition, err := NewCondition(strings.Repeat(`workflow.input.long == "x" || `, 500)+`true`, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	scope := judgeScope(`{}`)
	scope.State.Input = workflow.Value(`{"long":"` + strings.Repeat("y", 100_000) + `"}`)
	if got := condition.Explain(scope); len(got) > MaxExplanationBytes || !strings.Contains(got, "...") {
		t.Fatalf("%d bytes: %.200s", len(got), got)
	}
	scope.State.Input = workflow.Value(`{"long":`)
	if got := condition.Explain(scope); got == "" {
		t.Fatal("damaged input explains nothing")
	}
	if got := condition.Explain(&workflow.Scope{}); got == "" {
		t.Fatal("an empty scope explains nothing")
	}
}
