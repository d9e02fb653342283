package expression

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// stopsWithin is far more than any bounded evaluation takes, and far less than
// an unbounded one: it only has to tell the two apart on a busy machine.
const stopsWithin = 5 * time.Second

// TestBudget tries to keep a template busy for ever, or to make it huge.
func TestBudget(t *testing.T) {
	large := `{"s":"` + strings.Repeat("a", 200_000) + `","l":[` + strings.Repeat("1,", 50_000) + `1]}`
	for _, c := range []struct{ template, want string }{
		{`{{ range 100000000 }}{{ end }}`, "did more than 100000 steps"},
		{`{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}{{ end }}`, "did more than 100000 steps"},
		{`{{ range 1000 }}{{ range until 1000 }}x{{ end }}{{ end }}`, "did more than 100000 steps"},
		{`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "call each other more than 32 levels deep"},
		{`{{ define "a" }}{{ template "b" . }}{{ template "b" . }}{{ end }}{{ define "b" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, "call each other more than"},
		{`{{ $s := repeat 1000 "x" }}{{ range 1000 }}{{ $s = print $s $s }}{{ end }}`, "larger than 1048576 bytes"},
		{`{{ $s := repeat 1000 "x" }}{{ range 1000 }}{{ $s = replace "x" "xx" $s }}{{ end }}`, "larger than 1048576 bytes"},
		{`{{ range 1000 }}{{ repeat 10000 "x" }}{{ end }}`, "larger than 1048576 bytes"},
		{`{{ $l := list 1 }}{{ range 1000 }}{{ $l = concat $l $l }}{{ end }}`, "did more than 100000 steps"},
		{`{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ $l | toJson }}`, "larger than 1048576 bytes"},
		{`{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ eq $l (deepCopy $l) }}`, "did more than 100000 steps"},
		{`{{ $d := dict }}{{ range 200 }}{{ $d = dict "a" $d }}{{ end }}{{ $d | toJson }}`, "nests deeper"},
		{`{{ $d := dict }}{{ range 1000 }}{{ $_ := set $d "a" $d }}{{ end }}{{ $d | toJson }}`, "did more than 100000 steps"},
		{`{{ range 5000 }}{{ regexMatch "(a{0,30}){20}$" $.input.s }}{{ end }}`, "did more than 100000 steps"},
		{`{{ regexReplaceAll "a" .input.s "$0$0$0$0$0$0$0$0" }}`, "did more than 100000 steps"},
		{`{{ regexReplaceAll "a{10}" .input.s (repeat 10000 "b") }}`, "larger than 1048576 bytes"},
		{`{{ range 100000 }}{{ contains "b" $.input.s }}{{ end }}`, "did more than 100000 steps"},
		{`{{ uniq .input.l }}{{ $n := 0 }}{{ range 1000 }}{{ without $.input.l 2 }}{{ end }}`, "did more than 100000 steps"},
		{`{{ $x := splitList "" .input.s }}{{ range 1000 }}{{ $x = splitList "" $.input.s }}{{ end }}`, "did more than 100000 steps"},
		{`{{ range 1000 }}{{ toPrettyJson $.input.l }}{{ end }}`, "did more than 100000 steps"},
		{`{{ range 1000 }}{{ $x := fromJson "[1,2,3]" }}{{ end }}`, ""},
		{`{{ indent 1000 (repeat 100000 "\n") }}`, "larger than 1048576 bytes"},
		{`{{ printf "%999d%999d%999d" 1 2 3 | len }}`, ""},
		{`{{ join (repeat 1000 "-") (until 10000) }}`, "larger than 1048576 bytes"},
		{strings.Repeat(`{{ if .x }}`, 5000) + strings.Repeat(`{{ end }}`, 5000), "nest deeper than 100 levels"},
		{`{{ ` + strings.Repeat("(", 5000) + `1` + strings.Repeat(")", 5000) + ` }}`, "nest deeper than 100 levels"},
		{`{{ if .a }}` + strings.Repeat(`{{ else if .x }}`, 5000) + `{{ end }}`, "nest deeper than 100 levels"},
		{strings.Repeat(`{{ if .input.s }}a{{ else }}b{{ end }}`, 400), ""},
		{strings.Repeat("x", MaxStringBytes) + "{{ 1 }}", "at most 262144 are read"},
	} {
		name := shorten(c.template, 80)
		start := time.Now()
		tmpl, err := NewTemplate(c.template, Env{})
		if err == nil {
			_, err = tmpl.Render(&workflow.Scope{Input: workflow.Value(large), State: &workflow.State{}})
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if took := time.Since(start); took > stopsWithin {
			t.Errorf("%s: stopped only after %s", name, took)
		}
	}
}

// TestTreeBounds holds whole trees to their bounds.
func TestTreeBounds(t *testing.T) {
	var deep any = "x"
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	wide := make([]any, maxTreeNodes+1)
	many := make([]any, 100)
	for i := range many {
		many[i] = `{{ repeat 20000 "x" }}`
	}
	for name, c := range map[string]struct {
		tree any
		want string
	}{
		"deep":  {deep, "nests deeper"},
		"wide":  {wide, "more than 50000 values"},
		"large": {strings.Repeat("x", 2*workflow.MaxValue), ""},
		"many":  {many, "larger than 1048576 bytes"},
		"odd":   {map[string]any{"a": struct{}{}}, "has no JSON form"},
		"keys":  {map[any]any{1: 2}, "keys must be texts"},
	} {
		tmpl, err := NewTemplate(c.tree, Env{})
		if err == nil {
			_, err = tmpl.Render(&workflow.Scope{})
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestConditionBudget tries the same with conditions.
func TestConditionBudget(t *testing.T) {
	scope := testScope()
	scope.Payload = workflow.Value(`{"l":[` + strings.Repeat("1,", 5000) + `1],"s":"` + strings.Repeat("a", 100_000) + `","re":"(a{0,100}){10}b"}`)
	for source, want := range map[string]string{
		`payload.l.all(a, payload.l.all(b, payload.l.all(c, c == 1)))`:        "judging costs more than 10000",
		`payload.l.map(a, payload.l.map(b, payload.l)).size() > 1`:            "judging costs more than 10000",
		`payload.l.map(a, payload.s + payload.s).size() > 1`:                  "judging costs more than 10000",
		`payload.s.matches("(a{0,100}){10}b")`:                                "judging costs more than 10000",
		`payload.s.lowerAscii().upperAscii().reverse().size() == 0`:           "judging costs more than 10000",
		`payload.s.split("").map(x, payload.s.split("")).size() == 0`:         "judging costs more than 10000",
		`[payload.s].map(x, x + x + x + x).map(x, x + x + x + x).size() == 0`: "judging costs more than 10000",
		`[payload.s]` + strings.Repeat(`.map(x, x + x)`, 25) + `.size() == 0`: "judging costs more than 10000",
		`[payload.l]` + strings.Repeat(`.map(x, x + x)`, 25) + `.size() == 0`: "judging costs more than 10000",
		`payload.l == payload.l + [2] || payload.l + payload.l == [1]`:        "is false",
		`payload.l.exists(a, a == 2) || payload.l.exists_one(a, a == 1)`:      "judging costs more than 10000",
	} {
		c, err := NewCondition(source, Env{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		v := c.Judge(scope)
		if v.Holds || !strings.Contains(v.Reason, want) {
			t.Errorf("%s: %v, %s", source, v.Holds, v.Reason)
		}
		if took := time.Since(start); took > stopsWithin {
			t.Errorf("%s: stopped only after %s", source, took)
		}
	}
	for _, source := range []string{
		`payload.s.replace("a", payload.s) == ""`, `payload.l.join(payload.s) == ""`, `"%s".format([payload.s]) == ""`,
		`payload.s.indexOf(payload.s) == 1`, `payload.s.matches(payload.re)`, `payload.s.matches("(")`, `payload.l.exists(x, x.matches(x))`,
	} {
		if _, err := NewCondition(source, Env{}); err == nil {
			t.Errorf("%s was accepted", source)
		}
	}
	if _, err := NewCondition(strings.Repeat("(", 1000)+"true"+strings.Repeat(")", 1000), Env{}); err == nil {
		t.Error("a thousand parentheses were accepted")
	}
	if _, err := NewCondition(strings.Repeat("true && ", 100_000)+"true", Env{}); err == nil {
		t.Error("a condition of 800 KB was accepted")
	}
}

// TestLazy puts broken JSON wherever an expression must not look.
func TestLazy(t *testing.T) {
	scope := testScope()
	broken := workflow.Value(`{"broken`)
	scope.State.Tasks[1].Output, scope.State.Tasks[2].Input = broken, broken
	scope.Processor, scope.Output, scope.State.Trigger.Payload = broken, broken, broken
	for _, template := range []string{
		`{{ .tasks.wait_for_decision.output.wait_status }}`, `{{ .workflow.input.x }} {{ .trigger.name }}`, `{{ .tasks.broken_one.status }}`,
		`{{ with .tasks.wait_for_decision }}{{ .output.wait_status }}{{ end }}`, `{{ if .tasks.broken_one }}yes{{ end }}`,
	} {
		tmpl, err := NewTemplate(template, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.Render(scope); err != nil {
			t.Errorf("%s looked too far: %v", template, err)
		}
	}
	for _, source := range []string{`tasks.wait_for_decision.output.wait_status == "completed"`, `trigger.name == "approval-request"`, `has(tasks.broken_one)`} {
		c, err := NewCondition(source, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if v := c.Judge(scope); !v.Holds {
			t.Errorf("%s looked too far: %s", source, v.Reason)
		}
	}
	for _, template := range []string{`{{ .tasks.broken_one.output.x }} `, `{{ . }}`, `{{ range .tasks }}{{ end }}`} {
		tmpl, err := NewTemplate(template, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := tmpl.Render(scope); err == nil {
			t.Errorf("%s made %s of broken JSON", template, v)
		}
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct {
		template any
		want     string
	}{
		{`{{ .tasks.wait_for_decision.result.payload }}`, `[{tasks [wait_for_decision result payload] 1 4 }]`},
		{"a\n {{ .tasks.wait-for.output }}{{ .env.X }}", `[{tasks [wait-for output] 2 5 } {env [X] 2 33 }]`},
		{`{{ index .tasks "a-b" "output" }}`, `[{tasks [] 1 10 } {tasks [a-b output] 1 4 }]`},
		{`{{ index .tasks $.input.which }}`, `[{tasks [] 1 10 } {input [which] 1 17 }]`},
		{`{{ with .tasks.a }}{{ .output.x }}{{ end }}`, `[{tasks [a] 1 9 } {tasks [a output x] 1 23 }]`},
		{`{{ range .input.items }}{{ .name }}{{ $.status }}{{ end }}`, `[{input [items] 1 10 } {status [] 1 39 }]`},
		{`{{ $t := .tasks.a }}{{ $t.output }}`, `[{tasks [a] 1 10 } {tasks [a output] 1 24 }]`},
		{`{{ . }}`, `[{ [] 1 4 }]`},
		{map[string]any{"a/b": []any{"x", `{{ .input.y | default .signal.payload.z }}`}}, `[{signal [payload z] 1 23 /a~1b/1} {input [y] 1 4 /a~1b/1}]`},
	} {
		tmpl, err := NewTemplate(c.template, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(tmpl.References()); !sameSet(got, c.want) {
			t.Errorf("%v\n got %s\nwant %s", c.template, got, c.want)
		}
	}
	for source, want := range map[string]string{
		"signal.payload.x == 1 &&\n  tasks[\"a-b\"].output.y > workflow.input.z": `[{signal [payload x] 1 1 } {tasks [a-b output y] 2 3 } {workflow [input z] 2 27 }]`,
		`has(input.x) && input.items.exists(i, i.ok && signal.payload.y == i)`:   `[{input [x] 1 5 } {input [items] 1 17 } {signal [payload y] 1 47 }]`,
		`signal.payload.x == "{{ .workflow.input.y }}"`:                          `[{workflow [input y] 1 25 } {signal [payload x] 1 1 }]`,
	} {
		c, err := NewCondition(source, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.References()); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func sameSet(a, b string) bool {
	split := func(s string) map[string]bool {
		out := map[string]bool{}
		for _, part := range strings.Split(strings.Trim(s, "[]"), "} {") {
			out[strings.Trim(part, "{}")] = true
		}
		return out
	}
	return reflect.DeepEqual(split(a), split(b))
}

func TestLiteralAndStatic(t *testing.T) {
	tmpl, err := NewTemplate("approval-decision", Env{})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := tmpl.Literal(); !ok || s != "approval-decision" {
		t.Errorf("the literal is %q, %v", s, ok)
	}
	for _, tree := range []any{"{{ 1 }}", map[string]any{"a": 1}, nil, 5} {
		tmpl, err := NewTemplate(tree, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := tmpl.Literal(); ok {
			t.Errorf("%v counts as the literal %q", tree, s)
		}
	}
	tree := map[string]any{"b": []any{1, 2.5, uint64(1 << 63), nil, true, "x<y"}, "a": time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), "n": json.Number("7")}
	tmpl, err = NewTemplate(tree, Env{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := tmpl.Render(nil)
	if want := `{"a":"2026-11-23T00:00:00Z","b":[1,2.5,9223372036854776000,null,true,"x<y"],"n":7}`; err != nil || string(v) != want {
		t.Errorf("got %s, %v, want %s", v, err, want)
	}
}

// TestAllMistakesAtOnce checks that one bad string does not hide another.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := NewTemplate(map[string]any{"a": "{{ uper .x }}{{ lwer .x }}", "b": []any{"fine {{ .x }}", "{{ end }}"}}, Env{})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v", err)
	}
	var places []string
	for _, e := range joined.Unwrap() {
		p, ok := e.(*PositionError)
		if !ok {
			t.Fatalf("%T is no *PositionError", e)
		}
		places = append(places, fmt.Sprintf("%s:%d:%d", p.String, p.Line, p.Col))
	}
	if got, want := strings.Join(places, " "), "/a:1:4 /a:1:17 /b/1:1:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStringsDoNotChangeEachOther lets one string of a tree change what it reads.
func TestStringsDoNotChangeEachOther(t *testing.T) {
	got, err := renderTree(t, []any{
		`{{ $in := .workflow.input }}{{ $_ := set $in "x" "changed" }}{{ $in.x }}`, `{{ range .workflow.input }}{{ end }}{{ .workflow.input.x }}`,
	})
	if want := `["changed","1"]`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// TestManyAtOnce shares each compiled expression between goroutines.
func TestManyAtOnce(t *testing.T) {
	tmpl, err := NewTemplate("{{ .signal.payload.n }} {{ range $k, $v := .workflow.input }}{{ $k }}{{ end }}", testEnv)
	if err != nil {
		t.Fatal(err)
	}
	cond, err := NewCondition(`signal.payload.n < {{ .signal.payload.n }} && workflow.input.x == "1"`, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := NewSchema(map[string]any{"properties": map[string]any{"n": map[string]any{"type": "string"}}})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 50 {
				n := (g*50 + i) % (2 * maxPrograms)
				scope := judgeScope(fmt.Sprintf(`{"n":%d}`, n))
				v, err := tmpl.Render(scope)
				if err != nil || !strings.HasPrefix(string(v), fmt.Sprintf(`"%d big`, n)) {
					t.Errorf("rendered %s, %v", v, err)
				}
				if verdict := cond.Judge(scope); verdict.Holds || !strings.Contains(verdict.Reason, fmt.Sprintf("%d < %d is false", n, n)) {
					t.Errorf("judged %v", verdict)
				}
				if list := schema.Check(workflow.Value(fmt.Sprintf(`{"n":%d}`, n))); len(list) != 1 {
					t.Errorf("checked %v", list)
				}
			}
		})
	}
	group.Wait()
}
