package executors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/definitions"
)

// page is the documentation of this room.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "tools.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// codes reads the failure codes out of the source, so that none is forgotten.
func codes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "failure.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a literal", spec.Names[0].Name)
		}
		code, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, code)
		return true
	})
	return found
}

func TestPageNamesEverything(t *testing.T) {
	t.Parallel()
	text := page(t)
	_, failures, _ := strings.Cut(text, "## Failures")
	all := codes(t)
	if len(all) < 20 {
		t.Fatalf("only %d codes were found", len(all))
	}
	for _, code := range all {
		if !strings.Contains(failures, "| `"+code+"` |") {
			t.Errorf("docs/tools.md does not explain %s", code)
		}
	}
	if rows := strings.Count(failures, "\n| `"); rows != len(all) {
		t.Errorf("docs/tools.md explains %d codes, there are %d", rows, len(all))
	}
	for name, p := range providers {
		if !strings.Contains(text, "| `"+name+"` |") || !strings.Contains(text, p.base) || !strings.Contains(text, p.keyEnv) {
			t.Errorf("docs/tools.md does not describe provider %s", name)
		}
	}
	for name := range toolTypes {
		if !strings.Contains(text, name) {
			t.Errorf("docs/tools.md does not name tool type %s", name)
		}
	}
	for what, number := range map[string]int{"Work waits in lanes": DefaultWorkers, "At most N redirects": MaxRedirects} {
		if !strings.Contains(text, strconv.Itoa(number)) {
			t.Errorf("docs/tools.md is out of date: %s, %d", what, number)
		}
	}
}

// Every example of the page is a workflow without any finding.
func TestPageExamplesLoad(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page(t), -1)
	if len(blocks) < 7 {
		t.Fatalf("the page has %d examples", len(blocks))
	}
	for _, block := range blocks {
		name, _, _ := strings.Cut(strings.TrimPrefix(block[1], "id: "), "\n")
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "workflow.yaml")
			if err := os.WriteFile(file, []byte(block[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			env := filepath.Join(filepath.Dir(file), ".env")
			if err := os.WriteFile(env, []byte("OPENAI_API_KEY=x\nPAYMENT_KEY=y\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			project, found := definitions.Load(file)
			if project == nil || len(found) > 0 {
				var b strings.Builder
				found.Print(&b)
				t.Errorf("the example does not load cleanly:\n%s", b.String())
			}
		})
	}
}
