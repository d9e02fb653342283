package expression

import (
	"strings"
	"testing"
)

// TestAConditionThatHoldsSaysWhyWhenItIsAsked shows the values that decided, of
// names, calls and loops, and no secret; who does not ask pays nothing.
func TestAConditionThatHoldsSaysWhyWhenItIsAsked(t *testing.T) {
	const payload = `{"status":"ready","age":18,"amount":400,"email":"bob@example.org","tags":["a","b"],"key":"s3cr3t-value"}`
	for _, c := range []struct{ source, want string }{
		{``, ``},
		{`signal.payload.amount <= 500`, `signal.payload.amount <= 500: 400 <= 500 is true`},
		{`signal.payload.amount <= 500 && signal.payload.status == "ready"`, `signal.payload.amount <= 500: 400 <= 500 is true; signal.payload.status == "ready": "ready" == "ready" is true`},
		{`signal.payload.amount > 500 || signal.payload.age >= 18`, `signal.payload.age >= 18: 18 >= 18 is true`},
		{`signal.payload.missing == 1 || signal.payload.age >= 18`, `signal.payload.age >= 18: 18 >= 18 is true`},
		{`has(signal.payload.age)`, `has(signal.payload.age) is true`},
		{`has(signal.payload.status) || signal.payload.age > 100`, `has(signal.payload.status) is true`},
		{`has(signal.payload.age) == true`, `has(signal.payload.age) == true: true == true is true`},
		{`!(signal.payload.age == 19)`, `!(signal.payload.age == 19): signal.payload.age == 19 is false`},
		{`signal.payload.email.matches("^bob")`, `signal.payload.email.matches("^bob"): "bob@example.org".matches("^bob") is true`},
		{`"a" in signal.payload.tags`, `"a" in signal.payload.tags: "a" in ["a", "b"] is true`},
		{`size(signal.payload.tags) == 2`, `size(signal.payload.tags) == 2: 2 == 2 is true`},
		{`signal.payload.tags.exists(t, t == "b")`, `signal.payload.tags.exists(t, t == "b") is true`},
		{`env.API_KEY != signal.payload.email`, `env.API_KEY != signal.payload.email: *** != "bob@example.org" is true`},
		{`signal.payload.age > {{ .input.amount }}`, `signal.payload.age > 10: 18 > 10 is true`},
	} {
		cond, err := NewCondition(c.source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		scope := judgeScope(payload)
		if v := cond.Judge(scope); !v.Holds || v.Reason != "" {
			t.Errorf("%s, not asked: %v, %s", c.source, v.Holds, v.Reason)
		}
		scope.Grounds = true
		v := cond.Judge(scope)
		if !v.Holds || v.Reason != c.want {
			t.Errorf("%s\n got %v, %s\nwant %s", c.source, v.Holds, v.Reason, c.want)
		}
	}
	long, err := NewCondition(strings.Repeat(`signal.payload.email != "`+strings.Repeat("x", 90)+`" && `, 20)+"true", testEnv)
	if err != nil {
		t.Fatal(err)
	}
	scope := judgeScope(payload)
	scope.Grounds = true
	if v := long.Judge(scope); !v.Holds || len(v.Reason) > MaxReasonBytes {
		t.Errorf("a long one: %v, %d bytes", v.Holds, len(v.Reason))
	}
}

// BenchmarkJudgeGrounds is a condition that holds and says why.
func BenchmarkJudgeGrounds(b *testing.B) {
	c, err := NewCondition(`signal.payload.amount <= 500`, testEnv)
	if err != nil {
		b.Fatal(err)
	}
	scope := judgeScope(`{"status":"ready","order_id":"o-1","amount":400}`)
	scope.Grounds = true
	b.ReportAllocs()
	for b.Loop() {
		if v := c.Judge(scope); !v.Holds {
			b.Fatal(v)
		}
	}
}
