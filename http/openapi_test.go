package http

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentMatchesTable holds the route table and the OpenAPI document
// against each other, both ways: paths, names, summaries, parameters, bodies,
// success codes and whether a key is needed.
func TestDocumentMatchesTable(t *testing.T) {
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	inTable := make(map[string]bool)
	for _, r := range routes {
		path := templated(r.path)
		inTable[r.method+" "+path] = true
		item := doc.Paths.Value(path)
		if item == nil || item.GetOperation(r.method) == nil {
			t.Errorf("%s %s is not in openapi.yaml", r.method, path)
			continue
		}
		op := item.GetOperation(r.method)
		if op.OperationID != r.name || op.Summary != r.summary {
			t.Errorf("%s %s: the document calls it %q (%q), the table %q (%q)", r.method, path, op.OperationID, op.Summary, r.name, r.summary)
		}
		if (op.RequestBody != nil) != r.body {
			t.Errorf("%s: a body in the document: %v, in the table: %v", r.name, op.RequestBody != nil, r.body)
		}
		var query []string
		for _, p := range op.Parameters {
			if p.Value.In == "query" {
				query = append(query, p.Value.Name)
			}
		}
		if !slices.Equal(sorted(query), sorted(r.query)) {
			t.Errorf("%s: parameters in the document %v, in the table %v", r.name, sorted(query), sorted(r.query))
		}
		var success []int
		for code := range op.Responses.Map() {
			if n, err := strconv.Atoi(code); err == nil && n < 300 {
				success = append(success, n)
			}
		}
		if slices.Sort(success); !slices.Equal(success, r.success) {
			t.Errorf("%s: success codes in the document %v, in the table %v", r.name, success, r.success)
		}
		if public := op.Security != nil && len(*op.Security) == 0; public != (r.access == forEverybody) {
			t.Errorf("%s: public in the document: %v, in the table: %v", r.name, public, r.access == forEverybody)
		}
		if r.access == withKey {
			for _, scope := range r.scopes {
				if !strings.Contains(op.Description, "`"+string(scope)+"`") {
					t.Errorf("%s: the document does not name the scope %s", r.name, scope)
				}
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !inTable[method+" "+path] {
				t.Errorf("%s %s is in openapi.yaml and not in the table", method, path)
			}
		}
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// templated turns :name into {name}.
func templated(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

func TestDocumentIsServedAsJSON(t *testing.T) {
	a := newDoor(t).get("/openapi.json").want(200)
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]any
	}
	if err := json.Unmarshal(a.Body, &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) < 20 {
		t.Fatalf("%v: %d paths of version %q", err, len(doc.Paths), doc.OpenAPI)
	}
}

// TestEveryRefusalHasAStatus reads the codes out of package workflow's source:
// one that nobody mapped would reach clients as an internal error.
func TestEveryRefusalHasAStatus(t *testing.T) {
	codes := constants(t, "../workflow/message.go", "Code")
	if len(codes) < 15 {
		t.Fatalf("found only %v", codes)
	}
	page := string(newDoor(t).get("/docs/errors").want(200).Body)
	for _, code := range codes {
		if problemByCode[code] == nil {
			t.Errorf("the code %q of package workflow is not in problemKinds", code)
		}
	}
	for _, kind := range problemKinds {
		if !strings.Contains(page, fmt.Sprintf("id=%q", kind.code)) {
			t.Errorf("the page of problems lacks %q", kind.code)
		}
		if kind.remedy == "" || kind.reference == "" || kind.status < 400 {
			t.Errorf("the row of %q is not whole", kind.code)
		}
	}
}

// TestEveryRecordTypeCanBeFollowed reads the types out of package workflow's source.
func TestEveryRecordTypeCanBeFollowed(t *testing.T) {
	kinds := constants(t, "../workflow/record.go", "")
	if len(kinds) < 15 {
		t.Fatalf("found only %v", kinds)
	}
	for _, kind := range kinds {
		if !slices.Contains(recordTypes, kind) {
			t.Errorf("the record type %q is not in recordTypes", kind)
		}
	}
}

// constants are the string constants of a file whose names begin with prefix.
func constants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if text, ok := spec.Values[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
			value, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, value)
		}
		return true
	})
	return found
}

// TestDocumentIsStrict: the check of answers against the document must be able to fail.
func TestDocumentIsStrict(t *testing.T) {
	schema, err := answerSchema("/api/v0/executions/workflows/{exec_id}/signals", "POST", 200, "application/json")
	if err != nil {
		t.Fatal(err)
	}
	whole := `{"status":200,"message":"m","data":{"message":"m","signal_id":"s","outcome":"delivered","duplicate":false,"status":"SUCCESS"}}`
	for change, valid := range map[string]bool{"": true, `"delivered"->"maybe"`: false, `"SUCCESS"->"DONE"`: false, `"duplicate":false->"x":1`: false, `"status":200->"status":"ok"`: false} {
		from, to, _ := strings.Cut(change, "->")
		value := make(map[string]any)
		if err := json.Unmarshal([]byte(strings.Replace(whole, from, to, 1)), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != valid {
			t.Errorf("%q: %v", change, err)
		}
	}
}
