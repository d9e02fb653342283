package expression

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/workflow"
)

// TestEqualitiesBecomeKeys says which equalities an index can use, and with which key.
func TestEqualitiesBecomeKeys(t *testing.T) {
	for _, c := range []struct {
		source, path, key string
		volatile          bool
	}{
		{`signal.payload.n == workflow.input.count`, "/payload/n", "12345678", false},
		{`workflow.input.count == signal.payload.n`, "/payload/n", "12345678", false},
		{`signal.payload.a["b/c"].d == trigger.payload.who`, "/payload/a/b~1c/d", "ann", false},
		{`signal.correlation_id == "order-" + string(workflow.input.count)`, "/correlation_id", "order-12345678", false},
		{`signal.metadata.correlation_id == workflow.exec_id`, "/correlation_id", "exec_123", false},
		{`signal.payload.amount > 5 && (has(signal.payload.x) && signal.payload.who == trigger.payload.who)`, "/payload/who", "ann", false},
		{`signal.payload.who == "ann" && signal.payload.n == workflow.input.count`, "/payload/n", "12345678", false},
		{`signal.payload.d == tasks.wait_for_decision.result.payload.decision`, "/payload/d", "approved", true},
		{`signal.payload.d == tasks.wait_for_decision.id && signal.payload.n == workflow.input.count`, "/payload/n", "12345678", false},
		{`signal.payload.n == {{ .workflow.input.count }} && signal.payload.kind == "paid"`, "/payload/n", "12345678", false},
		{`signal.payload.kind == "paid" && signal.payload.who == "{{ .trigger.payload.who }}"`, "/payload/who", "ann", false},
		// None of these can be indexed:
		{`signal.payload.who == "ann"`, "", "", false},                                    // the same for everybody
		{`signal.payload.n == workflow.input.count || signal.payload.ok`, "", "", false},  // not needed
		{`!(signal.payload.n == workflow.input.count)`, "", "", false},                    // the opposite
		{`signal.payload.n != workflow.input.count`, "", "", false},                       // the opposite
		{`signal.payload.n == signal.payload.m`, "", "", false},                           // not known yet
		{`signal.payload.n == env.REGION`, "", "", false},                                 // another one after a restart
		{`signal.payload.n == workflow.status`, "", "", false},                            // changes at any time
		{`signal.payload[0] == workflow.input.count`, "", "", false},                      // no path
		{`signal.payload == workflow.input`, "", "", false},                               // no scalar
		{`signal.payload.n == workflow.input`, "", "", false},                             // no scalar
		{`has(signal.payload.n) == workflow.input.count`, "", "", false},                  // says nothing of the value
		{`signal.payload.n == workflow.input.missing`, "", "", false},                     // there is none
		{`signal.payload.n == {{ .signal.payload.m }}`, "", "", false},                    // not known yet
		{`{{ if true }}signal.payload.n == workflow.input.count{{ end }}`, "", "", false}, // known only when it is judged
	} {
		condition, err := NewCondition(c.source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		index := condition.Correlation()
		if index == nil {
			if c.path != "" {
				t.Errorf("%s: not indexed", c.source)
			}
			continue
		}
		path, key := index.Key(testScope())
		if path != c.path || key != c.key || c.path != "" && index.Volatile() != c.volatile {
			t.Errorf("%s: indexed at %q by %q, volatile=%t", c.source, path, key, index.Volatile())
		}
	}
}

func TestASecretIsNoKey(t *testing.T) {
	condition, err := NewCondition(`signal.payload.token == input.token`, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	scope := testScope()
	masked, err := NewMaskedTemplate(map[string]any{"token": "{{ .env.API_KEY }}"}, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if scope.Input, err = masked.Render(scope); err != nil {
		t.Fatal(err)
	}
	if path, key := condition.Correlation().Key(scope); key != "" {
		t.Fatalf("indexed at %q by %q", path, key)
	}
}

// TestTheIndexNeverMisses compares with the judge of conditions: whenever the
// condition holds, the message has the wait's key at the wait's path.
func TestTheIndexNeverMisses(t *testing.T) {
	condition, err := NewCondition(`signal.payload.k == workflow.input.k`, Env{})
	if err != nil {
		t.Fatal(err)
	}
	index := condition.Correlation()
	scalar := rapid.OneOf(
		rapid.Custom(func(rt *rapid.T) string { return string(workflow.ValueOf(rapid.String().Draw(rt, "text"))) }),
		rapid.Custom(func(rt *rapid.T) string { return fmt.Sprint(rapid.Int64().Draw(rt, "whole")) }),
		rapid.Custom(func(rt *rapid.T) string { return string(workflow.ValueOf(rapid.Float64().Draw(rt, "number"))) }),
		rapid.SampledFrom([]string{"1", "1.0", "1e0", "10e-1", "-0", "0", "-0.0", `"1"`, "true", "false", "null", `"true"`, `""`, "9007199254740993", "9007199254740992",
			"9007199254740992.0", "18446744073709551615", "1e300", "123456789012345678901234567890", `"\u0061"`, `"a"`, `"\ud800"`, `"�"`, `[1]`, `{"a":1}`}),
	)
	rapid.Check(t, func(rt *rapid.T) {
		mine := scalar.Draw(rt, "mine")
		theirs := mine
		if rapid.Bool().Draw(rt, "another") {
			theirs = scalar.Draw(rt, "theirs")
		}
		payload := workflow.Value(fmt.Sprintf(`{"k":%s}`, theirs))
		scope := &workflow.Scope{State: &workflow.State{Input: workflow.Value(fmt.Sprintf(`{"k":%s}`, mine))}}
		path, key := index.Key(scope)
		scope.Signal = workflow.Value(fmt.Sprintf(`{"payload":%s}`, payload))
		if !condition.Judge(scope).Holds || key == "" {
			return
		}
		if got := workflow.KeysOf(&workflow.Event{Payload: payload}).At(path); got != key {
			rt.Fatalf("%s equals %s, but the keys are %q and %q", theirs, mine, got, key)
		}
	})
}

func TestScalars(t *testing.T) {
	for source, want := range map[string]string{
		`workflow.input.count`:                      `12345678`,
		`"order-" + string(workflow.input.count)`:   `"order-12345678"`,
		`workflow.input.count > 5 ? "big" : "none"`: `"big"`,
	} {
		s, err := NewScalar(source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if v, err := s.Render(testScope()); err != nil || string(v) != want {
			t.Errorf("%s: got %s, %v, want %s", source, v, err, want)
		}
	}
	for source, want := range map[string]string{
		`workflow.input`:      "workflow.input is an object, and must be a text or a number",
		`workflow.input.none`: "workflow.input.none: no such key: none",
	} {
		s, err := NewScalar(source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if v, err := s.Render(testScope()); err == nil || err.Error() != want {
			t.Errorf("%s: got %s, %v", source, v, err)
		}
	}
	if _, err := NewScalar(`order-17`, testEnv); err == nil {
		t.Error("a word without quotes is no expression")
	}
}
