package expression

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// fuzzTime bounds one input. It is generous because fuzzing shares the machine.
const fuzzTime = 3 * time.Second

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		`{{ .tasks.wait-for-decision.result.payload.decision }}`, `{{ .workflow.input.missing | default "d" }}`,
		`{{ range $i, $e := .workflow.input.items }}{{ $e.name }}{{ else }}x{{ end }}`, `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`,
		`{{ if and .a (or .b "c-d") }}x{{ else if .e }}y{{ end }}`, `{{ with $x := .input }}{{ $x.tags.0 }}{{ end }}`, `{{ printf "%[1]*d" 1 }}`,
		`{{ (index .tasks "late").error.message }}`, `{{- /* c */ -}} x`, `{{ .env.API_KEY | b64enc }}`, `{{ set (dict "a" 1) "b" . }}`, "{{ `a` | upper }}",
		`{{ 1.e-5 }}{{ .a-1 }}{{ $ }}{{ .0 }}{{ ꟷ }}`, `{{ range 100000000 }}{{ end }}`, `{{ regexReplaceAll "(a|b)*" "ab" "$1$1" }}`, `⟦{{ .signal.payload.status }}⟧`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		start := time.Now()
		for _, compile := range []func(any, Env) (*Template, error){NewTemplate, NewMaskedTemplate} {
			tmpl, err := compile(map[string]any{"a": source}, testEnv)
			if err != nil {
				continue
			}
			scope := testScope()
			first, err := tmpl.Render(scope)
			if err == nil && (!json.Valid(first) || len(first) > workflow.MaxValue) {
				t.Fatalf("%q rendered to %d bytes of bad JSON", source, len(first))
			}
			again, errAgain := tmpl.Render(scope)
			if !bytes.Equal(first, again) || (err == nil) != (errAgain == nil) {
				t.Fatalf("%q rendered to %s, %v and then to %s, %v", source, first, err, again, errAgain)
			}
			if err != nil || !tmpl.masked {
				continue
			}
			if strings.Contains(string(first), `se\"cret`) && !strings.Contains(source, `cret`) {
				t.Fatalf("%q wrote the secret down: %s", source, first)
			}
			clear, err := Unmask(first, testEnv.Secret)
			if err != nil || !json.Valid(clear) {
				t.Fatalf("%q does not unmask: %s, %v", source, first, err)
			}
		}
		if took := time.Since(start); took > fuzzTime {
			t.Fatalf("%q took %s", source, took)
		}
	})
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		`signal.payload.status == "ready"`, `has(signal.payload.x) && tasks.late.status != "SUCCESS"`, `signal.payload.email matches "a"`,
		`signal.payload.status in ["a", {{ .input.tags }}]`, `[1,2,3].all(x, x > signal.payload.n)`, `!(1 < 2.5) || size(tasks) > 1`, `"{{ .env.API_KEY }}" == env.API_KEY`,
		`timestamp("2026-11-23T00:00:00Z") < timestamp(workflow.started_at)`, `r"{{ .input }}" == '''x{{ .input.amount }}'''`, `a ? b : c`, `env.map(k, env[k])[0] == 1`,
		`signal.payload.status.matches("(a|b)+") // {{ "` + "\n", `{"a": [input]}.a[0].amount == 10u`, `1/0 == 1 && true`, `-{{ .input.amount }} > -11`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		start := time.Now()
		c, err := NewCondition(source, testEnv)
		if err != nil {
			return
		}
		scope := testScope()
		v := c.Judge(scope)
		if v.Holds != (v.Reason == "") || len(v.Reason) > MaxReasonBytes || !utf8.ValidString(v.Reason) && utf8.ValidString(source) {
			t.Fatalf("%q: %v, %q", source, v.Holds, v.Reason)
		}
		if again := c.Judge(scope); again != v {
			t.Fatalf("%q: %v and then %v", source, v, again)
		}
		if strings.Contains(v.Reason, `se"cret`) && !strings.Contains(source, "cret") {
			t.Fatalf("%q shows the secret: %s", source, v.Reason)
		}
		if took := time.Since(start); took > fuzzTime {
			t.Fatalf("%q took %s", source, took)
		}
	})
}

// FuzzDecode holds the JSON reader against encoding/json.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5,-0,1e3,"x\n\u00e9",null,true]}`, `{"a":1,"a":2}`, `01`, `1.`, `"` + "\xff" + `"`, `[`, `{"a":}`, ` 1 `, `12345678901234567890`, `"\ud800"`, "\"\x01\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decode(text)
		var want any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		wantErr := d.Decode(&want)
		if wantErr == nil && d.More() {
			return
		}
		if err != nil {
			if json.Valid(text) && err != errTooDeep && !strings.Contains(err.Error(), "does not fit") {
				t.Fatalf("%q was refused: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q was read as %v", text, got)
		}
		if !reflect.DeepEqual(got, plainNumbers(want)) {
			t.Fatalf("%q was read as %#v, want %#v", text, got, want)
		}
		if m, ok := got.(map[string]any); ok {
			for k, v := range m {
				inner, ok := member(text, k)
				if !ok {
					t.Fatalf("%q has no member %q", text, k)
				}
				if found, err := decode(inner); err != nil || !reflect.DeepEqual(found, v) {
					t.Fatalf("%q: member %q is %s", text, k, inner)
				}
			}
		}
		encoded, err := encode(nil, got, nil)
		if err != nil {
			t.Fatalf("%q does not encode: %v", text, err)
		}
		if back, err := decode(encoded); err != nil || !reflect.DeepEqual(wholeNumbers(back), wholeNumbers(got)) {
			t.Fatalf("%q became %s and then %v, %v", text, encoded, back, err)
		}
	})
}

// plainNumbers reads json.Number as decode does.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	}
	return v
}

// wholeNumbers makes 1000.0 and 1000 one number, as they are written alike.
func wholeNumbers(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = wholeNumbers(v[k])
		}
	}
	return v
}

// FuzzLikeGo holds the evaluator against text/template for what both read the
// same way: control flow, variables and the built-in functions over one input.
func FuzzLikeGo(f *testing.F) {
	for _, seed := range []string{
		`a{{ if .b }}x{{ else }}y{{ end }}`, `{{ range .l }}[{{ . }}]{{ else }}none{{ end }}`, `{{ range $i, $e := .l }}{{ $i }}{{ $e }}{{ end }}`,
		`{{ with .m }}{{ .k }}{{ else with .s }}{{ . }}{{ end }}`, `{{ $x := .i }}{{ if gt $x 3 }}{{ $x = 7 }}{{ end }}{{ $x }}`, `{{ range 4 }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}`,
		`{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .s }}{{ template "t" 5 }}`, `{{ .s -}}   x {{- .i }}`, `{{ len .l }}{{ index .l 1 }}{{ index .m "k" }}`,
		`{{ and .b .s }}{{ or "" .s }}{{ not .b }}`, `{{ range $k, $v := .m }}{{ $k }}={{ $v }}{{ end }}`, `{{ (index .m "k") }}{{ print .s .s }}{{ html "<a>" }}{{ 'a' }}{{ 0x10 }}`,
		`{{ lt 1 2 }}{{ le 2 2 }}{{ ne .s "x" }}{{ ge .i 5 }}`, `{{ block "b" .m }}{{ .k }}{{ end }}`, `{{ range .l }}{{ if . }}{{ continue }}{{ end }}z{{ end }}`, `{{ slice .s 1 2 }}{{ printf "%q" .s }}`,
	} {
		f.Add(seed)
	}
	data := map[string]any{"b": true, "i": int64(5), "s": "text", "l": []any{int64(1), int64(0), int64(2)}, "m": map[string]any{"k": "v"}}
	text, err := json.Marshal(data)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if strings.ContainsAny(source, "-%&<>'\\") && !strings.Contains(source, "{{-") || strings.Contains(source, "call") || strings.Contains(source, "js") || len(source) > 500 {
			return // read or printed differently on purpose
		}
		theirs, err := template.New("x").Option("missingkey=error").Parse(source)
		if err != nil {
			return
		}
		var want strings.Builder
		if theirs.Execute(&limited{&want, 1 << 16}, data) != nil {
			return
		}
		wrapped := `{{ define "main2" }}` + source + `{{ end }}{{ template "main2" .payload }}`
		if strings.Contains(source, "define") || strings.Contains(source, "block") {
			return
		}
		tmpl, err := NewTemplate(wrapped, Env{})
		if err != nil {
			return
		}
		v, err := tmpl.Render(&workflow.Scope{Payload: text})
		if err != nil {
			return // stricter than Go's: missing keys, kinds that never match, the budget
		}
		var got string
		if err := json.Unmarshal(v, &got); err != nil {
			t.Fatal(err)
		}
		if printsAlike(want.String()) && got != want.String() && utf8.ValidString(want.String()) {
			t.Fatalf("%q\n got %q\nwant %q", source, got, want.String())
		}
	})
}

// printsAlike reports whether a text holds none of the forms that Go prints
// and we do not: maps and lists as Go writes them, nil, floats with exponents.
func printsAlike(s string) bool {
	return !strings.ContainsAny(s, "[]") && !strings.Contains(s, "map") && !strings.Contains(s, "<no value>") && !strings.Contains(s, "e+") && !strings.Contains(s, "nil")
}

// limited refuses to be written more than it has room for.
type limited struct {
	to   *strings.Builder
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.room -= len(p); l.room < 0 {
		return 0, errTooLarge
	}
	return l.to.Write(p)
}

func TestNumbersKeepTheirForm(t *testing.T) {
	for text, want := range map[string]string{
		"12345678": "12345678", "-0": "0", "1e3": "1000", "0.1": "0.1", "1e21": "1e+21", "123456789012345678": "123456789012345678", "5.0": "5",
	} {
		v, err := decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		out, err := encode(nil, v, nil)
		if err != nil || string(out) != want {
			t.Errorf("%s became %s, %v", text, out, err)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		if _, err := encode(nil, f, nil); err == nil {
			t.Errorf("%v has a JSON form", f)
		}
	}
}
