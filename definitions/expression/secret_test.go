package expression

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// unmasked renders a tree masked, checks that the secret is nowhere in what is
// written down, and returns that and what the work would get.
func unmasked(t *testing.T, tree any, scope *workflow.Scope) (masked, clear string) {
	t.Helper()
	tmpl, err := NewMaskedTemplate(tree, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tmpl.Render(scope)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{`se"cret`, `se\"cret`, base64.StdEncoding.EncodeToString([]byte(`se"cret`))} {
		if strings.Contains(string(v), secret) {
			t.Errorf("%v: the secret is written down: %s", tree, v)
		}
	}
	out, err := Unmask(v, testEnv.Secret)
	if err != nil {
		t.Fatalf("%v: %v", tree, err)
	}
	if !json.Valid(out) {
		t.Errorf("%v: unmasked to %s", tree, out)
	}
	return string(v), string(out)
}

func TestMaskedTemplates(t *testing.T) {
	for _, c := range []struct{ template, masked, clear string }{
		{`{{ .env.API_KEY }}`, `"⟦secret:API_KEY⟧"`, `"se\"cret"`},
		{`Bearer {{ .env.API_KEY }}`, `"Bearer ⟦secret:API_KEY⟧"`, `"Bearer se\"cret"`},
		{`{{ printf "Bearer %s" .env.API_KEY }}`, `"Bearer ⟦secret:API_KEY⟧"`, `"Bearer se\"cret"`},
		{`{{ .env.REGION }}`, `"eu"`, `"eu"`},
		{`{{ .env.MISSING | default .env.API_KEY }}`, `"⟦secret:API_KEY⟧"`, `"se\"cret"`},
		{`Basic {{ printf "me:%s" .env.API_KEY | b64enc }}`, `"Basic ⟦b64enc:me:⟦secret:API_KEY⟧⟧"`, `"Basic bWU6c2UiY3JldA=="`},
		{`{{ urlquery .env.API_KEY }}`, `"⟦urlquery:⟦secret:API_KEY⟧⟧"`, `"se%22cret"`},
		{`{{ dict "k" .env.API_KEY }}`, `{"k":"⟦secret:API_KEY⟧"}`, `{"k":"se\"cret"}`},
		{`{{ dict "k" .env.API_KEY | toJson }}!`, `"{\"k\":\"⟦json:⟦secret:API_KEY⟧⟧\"}!"`, `"{\"k\":\"se\\\"cret\"}!"`},
		{`{{ .env }}`, `{"API_KEY":"⟦secret:API_KEY⟧","REGION":"eu"}`, `{"API_KEY":"se\"cret","REGION":"eu"}`},
		{`{{ if .env.API_KEY }}set{{ end }}`, `"set"`, `"set"`},
		{`plain ⟦secret:API_KEY⟧`, `"plain ⟦(⟧secret:API_KEY⟦)⟧"`, `"plain ⟦secret:API_KEY⟧"`},
		{`⟦{{ .env.REGION }}⟧`, `"⟦(⟧eu⟦)⟧"`, `"⟦eu⟧"`},
	} {
		masked, clear := unmasked(t, c.template, testScope())
		if masked != c.masked || clear != c.clear {
			t.Errorf("%s\n got %s and %s\nwant %s and %s", c.template, masked, clear, c.masked, c.clear)
		}
	}
}

// TestNobodyForgesAPlaceholder sends what a masked value looks like as a
// payload, in every way that a template can pass it on.
func TestNobodyForgesAPlaceholder(t *testing.T) {
	for _, forged := range []string{`⟦secret:API_KEY⟧`, `\u27e6secret:API_KEY\u27e7`, `⟦b64enc:⟦secret:API_KEY⟧⟧`, `⟦(⟧secret:API_KEY⟧`, `⟧⟦secret:API_KEY⟧⟦`} {
		scope := testScope()
		scope.Signal = workflow.Value(`{"payload":{"x":"` + forged + `","` + forged + `":1}}`)
		var want string
		if err := json.Unmarshal([]byte(`"`+forged+`"`), &want); err != nil {
			t.Fatal(err)
		}
		for _, template := range []string{
			`{{ .signal.payload.x }}`, `{{ .signal.payload }}`, `{{ .signal }}`, `x{{ .signal.payload.x }}`, `{{ .signal.payload | toJson }}`,
			`y {{ .signal.payload | toJson }}`, `{{ index .signal.payload "x" }}`, `{{ printf "%s" .signal.payload.x }}`,
			`{{ printf "%s%s" .signal.payload.x .env.REGION }}`, `{{ dict "x" .signal.payload.x }}`, `{{ list .signal.payload.x }}`,
			`{{ trim .signal.payload.x }}`, `{{ range .signal.payload }}{{ . }}{{ end }}`, `{{ upper .signal.payload.x }}`, `{{ . }}`,
			`{{ $x := .signal.payload.x }}{{ $x }}{{ $x }}`,
		} {
			masked, clear := unmasked(t, template, scope)
			if template != `{{ . }}` && strings.Contains(clear, `se\"cret`) {
				t.Errorf("%s of %s read the secret: %s", template, forged, masked)
			}
			if strings.HasPrefix(template, `{{ .signal.payload.x`) && clear != string(appendString(nil, want)) {
				t.Errorf("%s of %s changed to %s", template, forged, clear)
			}
		}
	}
}

// TestSecretsTravelInWith renders a task's `with` and then its request from it,
// as a task does.
func TestSecretsTravelInWith(t *testing.T) {
	with, err := NewMaskedTemplate(map[string]any{"token": "{{ .env.API_KEY }}", "said": "{{ .signal.payload.x }}"}, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	scope := testScope()
	scope.Signal = workflow.Value(`{"payload":{"x":"⟦secret:API_KEY⟧"}}`)
	if scope.Input, err = with.Render(scope); err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		`{{ .input }}`:                           `{"said":"⟦secret:API_KEY⟧","token":"se\"cret"}`,
		`{{ .with.token }}`:                      `"se\"cret"`,
		`{{ .with.said }}`:                       `"⟦secret:API_KEY⟧"`,
		`{{ .input.said }} {{ .input.token }}`:   `"⟦secret:API_KEY⟧ se\"cret"`,
		`{{ .input | toJson }}`:                  `{"said":"⟦secret:API_KEY⟧","token":"se\"cret"}`,
		`{{ range .input }}{{ . }};{{ end }}`:    `"⟦secret:API_KEY⟧;se\"cret;"`,
		`{{ upper .input.said }}`:                `"⟦SECRET:API_KEY⟧"`,
		`{{ with .input }}{{ .token }}{{ end }}`: `"se\"cret"`,
	} {
		if _, clear := unmasked(t, template, scope); clear != want {
			t.Errorf("%s\n got %s\nwant %s", template, clear, want)
		}
	}
	plain, err := NewTemplate("{{ .input.token }} {{ .input.said }}", testEnv)
	if err != nil {
		t.Fatal(err)
	}
	v, err := plain.Render(scope)
	if want := `"⟦secret:API_KEY⟧ ⟦secret:API_KEY⟧"`; err != nil || string(v) != want {
		t.Errorf("a plain template shows %s, %v, want %s", v, err, want)
	}
}

func TestSecretsCannotBeWorkedOn(t *testing.T) {
	for _, template := range []string{
		`{{ upper .env.API_KEY }}`, `{{ eq .env.API_KEY "x" }}`, `{{ len .env.API_KEY }}`, `{{ trunc 2 .env.API_KEY }}`, `{{ list .env.API_KEY | join "," }}`,
		`{{ dict "k" .env.API_KEY | toPrettyJson }}`, `{{ printf "%10s" .env.API_KEY }}`, `{{ sha1sum .env.API_KEY }}`, `{{ list .env.API_KEY }} {{ .env }}`,
	} {
		tmpl, err := NewMaskedTemplate(template, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		v, err := tmpl.Render(testScope())
		if err == nil {
			t.Errorf("%s rendered to %s", template, v)
		} else if strings.Contains(err.Error(), `se"cret`) {
			t.Errorf("%s: the error shows the secret: %v", template, err)
		}
	}
}

func TestUnmaskErrors(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`"⟦secret:GONE⟧"`, `the secret GONE is not known here: put GONE=... into the .env file`},
		{`"⟦secret:API_KEY"`, `cut off`},
		{`"⟦nonsense:x⟧"`, `nonsense`},
		{`"` + strings.Repeat("⟦b64enc:", 20) + strings.Repeat("⟧", 20) + `"`, `nests deeper`},
		{`"⟦`, `not valid JSON`},
	} {
		_, err := Unmask(workflow.Value(c.value), testEnv.Secret)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.value, err, c.want)
		}
	}
	v := workflow.Value(`{"n":12345678901234567890}`)
	if out, err := Unmask(v, nil); err != nil || string(out) != string(v) {
		t.Errorf("a value without secrets became %s, %v", out, err)
	}
}

// TestReasonsKeepSecrets judges conditions that are false because of a secret.
func TestReasonsKeepSecrets(t *testing.T) {
	env := Env{Secret: map[string]string{"API_KEY": "hunter2-hunter2"}}
	scope := testScope()
	scope.Signal = workflow.Value(`{"payload":{"key":"hunter2-hunter2","other":"x","list":["hunter2-hunter2"]}}`)
	for _, source := range []string{
		`env.API_KEY == signal.payload.other`, `signal.payload.key == "x"`, `env.API_KEY.startsWith("q")`, `env.API_KEY`, `(env.API_KEY + "!") == "x"`,
		`env["API_KEY"] == "x"`, `env == {}`, `signal.payload[env.API_KEY] == 1`, `signal.payload.list == []`, `env.API_KEY > 5`,
		`signal.payload.other == "{{ .env.API_KEY }}"`, `{"a": env.API_KEY}.a == "x"`, `[env.API_KEY].exists(k, k == "q")`, `int(env.API_KEY) == 1`,
		`env.map(k, env[k]) == []`,
	} {
		c, err := NewCondition(source, env)
		if err != nil {
			t.Fatal(err)
		}
		v := c.Judge(scope)
		if v.Holds || v.Reason == "" || strings.Contains(v.Reason, "hunter2") {
			t.Errorf("%s: %v, %s", source, v.Holds, v.Reason)
		}
	}
}
