package expression

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func benchRender(b *testing.B, tree any, masked bool) {
	b.Helper()
	tmpl, err := newTemplate(tree, testEnv, masked)
	if err != nil {
		b.Fatal(err)
	}
	scope := testScope()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(scope); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderStatic(b *testing.B) {
	benchRender(b, map[string]any{"a": 1, "b": []any{"x", "y"}}, false)
}

func BenchmarkRenderLoneReference(b *testing.B) {
	benchRender(b, "{{ .tasks.wait_for_decision.result.payload.decision }}", false)
}

func BenchmarkRenderText(b *testing.B) {
	benchRender(b, "Decision: {{ .tasks.wait_for_decision.result.payload.decision }} by {{ .tasks.wait_for_decision.result.payload.approved_by }}", false)
}

func BenchmarkRenderRequest(b *testing.B) {
	benchRender(b, map[string]any{
		"agent":  map[string]any{"id": "processor-agent", "instructions": "You process {{ .workflow.input.message | default \"things\" | upper }}."},
		"model":  map[string]any{"provider": "openai", "api_key": "{{ .env.API_KEY }}"},
		"prompt": "Decision: {{ .tasks.wait_for_decision.result.payload.decision }}\nAt {{ now }}{{ if .workflow.input.missing }} late{{ end }}",
		"with":   "{{ .input }}",
	}, true)
}

func BenchmarkRenderLoop(b *testing.B) {
	benchRender(b, "{{ range $i, $e := .workflow.input.items }}{{ $i }}: {{ $e.name | upper }}\n{{ end }}", false)
}

func BenchmarkUnmask(b *testing.B) {
	tmpl, err := NewMaskedTemplate(map[string]any{"url": "https://example.org/", "headers": map[string]any{"Authorization": "Bearer {{ .env.API_KEY }}"}}, testEnv)
	if err != nil {
		b.Fatal(err)
	}
	v, err := tmpl.Render(testScope())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmask(v, testEnv.Secret); err != nil {
			b.Fatal(err)
		}
	}
}

func benchJudge(b *testing.B, source string, holds bool) {
	b.Helper()
	c, err := NewCondition(source, testEnv)
	if err != nil {
		b.Fatal(err)
	}
	scope := judgeScope(`{"status":"ready","order_id":"o-1","amount":900}`)
	b.ReportAllocs()
	for b.Loop() {
		if v := c.Judge(scope); v.Holds != holds {
			b.Fatal(v)
		}
	}
}

func BenchmarkJudgeTrue(b *testing.B) {
	benchJudge(b, `signal.payload.status == "ready"`, true)
}

func BenchmarkJudgeCorrelated(b *testing.B) {
	benchJudge(b, `signal.payload.status == "ready" && workflow.input.message == "hi" && signal.payload.amount > 10`, true)
}

func BenchmarkJudgeFalse(b *testing.B) {
	benchJudge(b, `signal.payload.amount <= 500`, false)
}

func BenchmarkJudgeMissing(b *testing.B) {
	benchJudge(b, `signal.payload.age >= 18`, false)
}

func BenchmarkJudgeTemplated(b *testing.B) {
	benchJudge(b, `signal.payload.status == {{ .signal.payload.status }}`, true)
}

func BenchmarkCompileTemplate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewTemplate("Decision: {{ .tasks.wait_for_decision.result.payload.decision | default \"none\" }}", testEnv); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileCondition(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewCondition(`signal.payload.status == "ready" && signal.payload.amount <= 500`, testEnv); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSchemaCheck(b *testing.B) {
	s, err := NewSchema(map[string]any{"type": "object", "required": []any{"amount"}, "properties": map[string]any{
		"amount": map[string]any{"type": "number", "minimum": 1}, "email": map[string]any{"type": "string", "format": "email"}}})
	if err != nil {
		b.Fatal(err)
	}
	v := workflow.Value(`{"amount":5,"email":"a@example.org"}`)
	b.ReportAllocs()
	for b.Loop() {
		if list := s.Check(v); list != nil {
			b.Fatal(list)
		}
	}
}
