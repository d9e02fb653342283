package definitions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/signalbox/signalbox/workflow"
)

// TestSchemaAgrees holds the editor schema against the reader: it accepts
// every file that loads, and refuses what the reader refuses for its shape.
func TestSchemaAgrees(t *testing.T) {
	schema := compiledSchema(t)
	for _, path := range loadable(t) {
		files := []string{path}
		if filepath.Ext(path) == "" {
			project, found := Load(path)
			if project == nil {
				t.Errorf("%s does not load:\n%s", path, printed(found))
				continue
			}
			files = project.Files
		}
		for _, file := range files {
			for i, doc := range decoded(t, file) {
				if err := schema.Validate(doc); err != nil && filepath.Base(file) != "docker-compose.yaml" {
					t.Errorf("%s, document %d loads, but an editor would complain: %v", file, i, err)
				}
			}
		}
	}
	for _, bad := range []string{"keys.yaml", "types.yaml", "not-yet.yaml"} {
		content, err := os.ReadFile(filepath.Join("testdata/bad", bad))
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if yaml.Unmarshal(bytes.ReplaceAll(content, []byte("    tool: echo\n    tool"), []byte("    tool")), &doc) != nil {
			continue
		}
		if schema.Validate(doc) == nil {
			t.Errorf("an editor would accept %s", bad)
		}
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("signalbox.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("signalbox.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// decoded reads the documents of a file as an editor does: as JSON values.
func decoded(t *testing.T, file string) []any {
	t.Helper()
	if filepath.Base(file) == secretsFile {
		return nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var docs []any
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc any
		if decoder.Decode(&doc) != nil {
			return docs
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, value)
	}
}

// TestTable holds the table of fields to its own rules.
func TestTable(t *testing.T) {
	for name, s := range language {
		if s.name != name || s.title == "" || s.doc == "" {
			t.Errorf("the shape %s needs a name, a title and a sentence", name)
		}
		for _, f := range s.fields {
			switch {
			case f.forms == 0 && f.later == "":
				t.Errorf("%s.%s has no form", name, f.name)
			case f.doc == "" && f.later == "" && f.unused == "":
				t.Errorf("%s.%s has no sentence", name, f.name)
			case f.shape != "" && language[f.shape] == nil, f.altShape != "" && language[f.altShape] == nil:
				t.Errorf("%s.%s has a shape that is none", name, f.name)
			}
			for _, wrong := range f.mistaken {
				if s.byName[wrong] != nil {
					t.Errorf("%s.%s is said to be mistaken for %s, which is a field", name, f.name, wrong)
				}
			}
		}
	}
}

const (
	fieldsBegin = "<!-- fields: generated from the table of fields by `go test ./definitions -run TestReference -update` -->\n"
	fieldsEnd   = "<!-- end of fields -->\n"
)

// TestReference holds the tables of docs/yaml.md against the table of fields.
func TestReference(t *testing.T) {
	const file = "../docs/yaml.md"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), fieldsBegin)
	_, after, ok2 := strings.Cut(rest, fieldsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the comments around its generated part", file)
	}
	want := before + fieldsBegin + reference() + fieldsEnd + after
	if want == string(content) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the table of fields says; run the test with -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func reference() string {
	var b strings.Builder
	for _, s := range shapes() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | written as | what it is |\n|---|---|---|\n", strings.ToUpper(s.name[:1])+strings.ReplaceAll(s.name[1:], "_", " "), s.doc)
		var unused []string
		for _, f := range s.fields {
			switch {
			case f.later != "":
			case f.unused != "":
				unused = append(unused, "`"+f.name+"`")
			default:
				fmt.Fprintf(&b, "| %s | %s | %s |\n", fieldName(f), fieldForm(f), fieldDoc(f))
			}
		}
		if unused != nil {
			fmt.Fprintf(&b, "\nUnderstood, without effect and with a warning: %s.\n", strings.Join(unused, ", "))
		}
	}
	return b.String() + "\n"
}

func fieldName(f *field) string {
	name := "`" + f.name + "`"
	if f.required {
		name += " (needed)"
	}
	if f.aliases != nil {
		name += ", also `" + strings.Join(f.aliases, "`, `") + "`"
	}
	return name
}

func fieldForm(f *field) string {
	form := strings.ReplaceAll(f.forms.describe(), "a text, a number, true or false, a list or a mapping", "anything")
	switch {
	case f.values != nil:
		form = "`" + strings.Join(f.values, "`, `") + "`"
	case f.meaning == schemaRef && f.forms != anything:
		form = "JSON Schema, or the id of one"
	case f.meaning == condition:
		form = "CEL"
	case f.meaning == scalar:
		form = "a template or CEL"
	case f.meaning == duration:
		form = "duration"
	case f.meaning == taskRef && f.forms&asMap != 0 && f.altKey != "":
		form = "task id, transition or task"
	case f.meaning == taskRef && f.forms&asMap != 0:
		form = "task id or transition"
	case f.meaning == object:
		form = "a mapping with templates, or one template that gives an object"
	case f.meaning == template:
		form += " with templates"
	}
	if f.kinds != nil {
		form += "; type " + joinOr(f.kinds)
	}
	return form
}

func fieldDoc(f *field) string {
	doc := strings.ReplaceAll(f.doc, "|", "\\|")
	if f.example != "" {
		doc += " Example: `" + f.example + "`."
	}
	return doc
}

func TestNearestField(t *testing.T) {
	for _, one := range []struct{ word, want string }{
		{"tol", "tool"}, {"dependson", "depends_on"}, {"depends-on", "depends_on"}, {"Agent", "agent"},
		{"promt", "prompt"}, {"onsuccess", "on_success"}, {"x", ""}, {"completely-different", ""}, {strings.Repeat("a", workflow.MaxNameBytes+1), ""},
	} {
		if got := workflow.Nearest(one.word, language[taskShape].names("")); got != one.want {
			t.Errorf("nearest to %q is %q, wanted %q", one.word, got, one.want)
		}
	}
}

// TestInside finds characters of scalars where they are written in the file.
func TestInside(t *testing.T) {
	const file = `plain: one {{ two }} three
double: "one \"quoted\" {{ two }}"
single: 'it''s {{ two }}'
literal: |
  first

    second {{ two }}
folded: >-
  some words
  folded {{ two }}
several: some words
  and {{ two }} more
escaped: "tab\there {{ two }}"
unicode: "\u00e4 {{ two }}"
anchored: &name "{{ two }}"
`
	var f findings
	src := newSource("test.yaml", []byte(file))
	docs := read(src, []byte(file), &f)
	if len(f.list) > 0 {
		t.Fatal(f.list)
	}
	for _, e := range docs[0].entries {
		n := e.value
		offset := strings.Index(n.text, "{{")
		line := 1 + strings.Count(n.text[:offset], "\n")
		col := 1 + len([]rune(n.text[strings.LastIndexByte(n.text[:offset], '\n')+1:offset]))
		at := n.inside(line, col)
		text := []rune(src.lines[at.line-1])
		exact := strings.HasPrefix(string(text[at.col-1:]), "{{")
		if e.key.text == "unicode" {
			if at != n.place {
				t.Errorf("an escape that is not undone must lead to the scalar itself, not to %d:%d", at.line, at.col)
			}
		} else if !exact {
			t.Errorf("%s: found at %d:%d, which is %q", e.key.text, at.line, at.col, string(text[at.col-1:]))
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, one := range []struct{ line, name, value string }{
		{"A=1", "A", "1"}, {"  export B = two words # comment", "B", "two words"}, {"C=", "C", ""},
		{`D="a\nb \"c\" \\"`, "D", "a\nb \"c\" \\"}, {`E='a\nb' # x`, "E", `a\nb`}, {"F=a#b", "F", "a#b"}, {"# G=1", "", ""}, {"", "", ""},
		{"H=a=b", "H", "a=b"}, {"I=1\r", "I", "1"},
	} {
		name, value, problem := secret(one.line)
		if name != one.name || value != one.value || problem != "" {
			t.Errorf("%q reads %q=%q, %s; wanted %q=%q", one.line, name, value, problem, one.name, one.value)
		}
	}
	for _, bad := range []string{"A", "1A=x", `A="x`, `A='x' y`, "=x"} {
		if _, value, problem := secret(bad); problem == "" || strings.Contains(problem, "x") && value != "" {
			t.Errorf("%q is accepted, or its message shows the value: %q", bad, problem)
		}
	}
}

// TestBounds goes just beyond each bound of a file.
func TestBounds(t *testing.T) {
	tasks := func(n int) string {
		var b strings.Builder
		b.WriteString("id: many\ntasks:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - { id: t%d, tool: echo }\n", i)
		}
		return b.String()
	}
	if p, found := loadText(t, tasks(MaxTasks)); p == nil {
		t.Errorf("%d tasks are allowed:\n%s", MaxTasks, printed(found[:1]))
	}
	for name, content := range map[string]string{
		"tasks":    tasks(MaxTasks + 1),
		"depth":    one("deep", "outputs: { x: "+strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth)+" }"),
		"nodes":    one("wide", "outputs: { x: ["+strings.Repeat("1,", MaxNodes)+"] }"),
		"bytes":    one("long", "description: "+strings.Repeat("x", MaxFileBytes)),
		"triggers": one("loud", "triggers: ["+strings.Repeat("{ name: x },", MaxTriggers+1)+"]"),
		"name":     one("n", "triggers: [{ name: "+strings.Repeat("x", 300)+" }]"),
		"id":       one(strings.Repeat("x", 300), ""),
	} {
		p, found := loadText(t, content)
		if p != nil || !found.Errors() {
			t.Errorf("%s: it loads beyond the bound", name)
		}
	}
	wrong := strings.Repeat("- x\n", 3*MaxDiagnostics)
	if _, found := loadText(t, "id: wrong\ntasks:\n"+wrong); len(found) != MaxDiagnostics+1 || found[MaxDiagnostics].Rule != "too-many" {
		t.Errorf("%d findings are shown, wanted %d and a last word", len(found), MaxDiagnostics)
	}
}

// TestPrint wants a stable order and carets under the right characters, tabs
// and wide lines included.
func TestPrint(t *testing.T) {
	d := Diagnostics{
		{File: "a.yaml", Line: 3, Col: 2, Width: 4, Severity: Error, Message: "wrong", Hint: "right", Source: "\tword"},
		{File: "a.yaml", Severity: Warning, Message: "whole file"},
		{File: "b.yaml", Line: 1, Col: 301, Width: 3, Severity: Error, Message: "far", Source: strings.Repeat("x", 300) + "abc"},
	}
	want := "a.yaml:3:2: error: wrong\n    3 | \tword\n      | \t^^^^\n      = right\na.yaml: warning: whole file\n" +
		"b.yaml:1:301: error: far\n    1 | " + strings.Repeat("x", maxSourceWidth-3) + "abc\n      | " + strings.Repeat(" ", maxSourceWidth-3) + "^^^\n"
	if got := printed(d); got != want {
		t.Errorf("printed:\n%s\nwanted:\n%s", got, want)
	}
	text, err := json.Marshal(d[0])
	if err != nil || !strings.Contains(string(text), `"severity":"error"`) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
}

// TestHashIgnoresSpelling wants the same hash for the same meaning.
func TestHashIgnoresSpelling(t *testing.T) {
	hash := func(yaml string) string { return mustLoad(t, yaml).Workflows[0].Hash }
	plain := hash("id: a\ninput: { type: object }\ntasks:\n  - { id: x, tool: echo, retry: { max_attempts: 2 } }\n")
	for name, other := range map[string]string{
		"comments and order": "# why\ntasks:\n- tool: echo # what\n  id: 'x'\n  retry_policy:\n    maximum_attempts: 2.0\nid: a\nconfig:\n  input:\n    type: object\n",
		"a project":          "workflows:\n- id: a\n  config: { input: { type: object } }\n  tasks: [{ id: x, tool: echo, retry_policy: { attempts: 2 } }]\ntools: [{ id: unused, type: echo }]\n",
	} {
		if got := hash(other); got != plain {
			t.Errorf("%s change the hash", name)
		}
	}
	if slices.Contains([]string{hash("id: a\ntasks: [{ id: x, tool: echo }]\n"), hash("id: b\ninput: { type: object }\ntasks: [{ id: x, tool: echo, retry: { max_attempts: 2 } }]\n")}, plain) {
		t.Error("another meaning has the same hash")
	}
}

// TestCompileRefuses gives Compile what is no bundle.
func TestCompileRefuses(t *testing.T) {
	for _, bad := range []string{``, `{`, `[]`, `{"format":1}`, `{"format":2,"workflow":{}}`, `{"format":1,"workflow":{"id":"a"}} x`,
		`{"format":1,"workflow":{"id":"a","tasks":[{"id":"x"}]}}`, `{"format":1,"workflow":[]}`} {
		if def, err := Compile([]byte(bad), nil); err == nil {
			t.Errorf("%s compiles to %v", bad, def)
		}
	}
}

// TestCompileKeepsWhatWasTaken compiles bundles that an earlier release has stored
// and that no project would load with today: executions run on them.
func TestCompileKeepsWhatWasTaken(t *testing.T) {
	for _, extra := range []string{
		`"tools":[{"id":"unused","type":"process"}]`,
		`"tasks":[{"id":"x","tool":{"type":"http","url":"ftp://x","method":"FETCH","expect":[]}},{"id":"y","tool":{"argv":[]}}]`,
		`"config":{"input":{"properties":{"a":{"type":"number","default":"x"}}}}`,
		`"tasks":[{"id":"x","type":"signal","signal":{"id":"told","payload":"a text"}}]`,
		`"tools":[{"id":"t","type":"echo","timeout":"0s"}],"tasks":[{"id":"x","tool":"t","timeout":"0s"},{"id":"y","tool":"t","timeout":"1s"},{"id":"z","type":"wait","wait_for":"z","deadline":"0s"}]`,
	} {
		if !strings.Contains(extra, `"tasks"`) {
			extra += `,"tasks":[{"id":"x","tool":"echo"}]`
		}
		stored := `{"format":1,"workflow":{"id":"a",` + extra + `}}`
		if def, err := Compile([]byte(stored), nil); err != nil || def.Task("x") == nil {
			t.Errorf("%s does not compile any more: %v", stored, err)
		}
		var workflow struct{ Workflow json.RawMessage }
		if err := json.Unmarshal([]byte(stored), &workflow); err != nil {
			t.Fatal(err)
		}
		if project, _ := loadText(t, string(workflow.Workflow)); project != nil {
			t.Errorf("%s loads, so it does not test what it is for", stored)
		}
	}
}

// TestReferenceExamples loads every workflow that docs/yaml.md shows.
func TestReferenceExamples(t *testing.T) {
	content, err := os.ReadFile("../docs/yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, block := range strings.Split(string(content), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "tasks:") {
			continue
		}
		if project, found := loadText(t, block); project == nil || len(found) > 0 {
			t.Errorf("the reference shows what is not clean:\n%s\n%s", block, printed(found))
		}
		loaded++
	}
	if loaded == 0 {
		t.Error("the reference shows no workflow")
	}
}

// TestLargeFiles gives the loader files of the largest size that are made to
// cost much: whatever it says, it says soon.
func TestLargeFiles(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (MaxFileBytes-200)/len(s)) }
	numbered := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	tasks := "id: x\ntasks:\n" + numbered("  - { id: t%d, tool: echo }\n", MaxTasks-1)
	for name, content := range map[string]string{
		"comments":       fill("#x\n"),
		"nested lists":   fill("- "),
		"brackets":       fill("["),
		"duplicates":     fill("a:\n"),
		"unknown keys":   "id: x\ntasks: [{ id: a, tool: echo }]\n" + numbered("k%d: 1\n", 20_000),
		"dangling ids":   tasks + "  - { id: last, tool: echo, depends_on: [" + numbered("bad-%d, ", 20_000) + "] }\n",
		"references":     one("x", "outputs: { x: '"+fill("{{ .tasks.nope.x }} ")+"' }"),
		"conditions":     one("x", "triggers: [{ name: x, filter: '"+fill("true && ")+"true' }]"),
		"environment":    tasks + "env: { " + numbered("K%d: 1, ", 20_000) + "}\n",
		"resources":      tasks + "tools: [" + numbered("{ id: x%d, type: echo }, ", 9_000) + "]\n",
		"a late mistake": "id: x\ntasks:\n" + fill("  - { id: x, tool: echo }\n") + "\n\t x",
	} {
		begin := time.Now()
		_, found := loadText(t, content)
		const bound = 20 * time.Second // a second on an idle machine
		if took := time.Since(begin); took > bound {
			t.Errorf("%s: it took %v", name, took)
		}
		if !found.Errors() {
			t.Errorf("%s: it loads, so it does not test what it is for", name)
		}
	}
}
