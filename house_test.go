package signalbox_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The house rules, as a test that reads the tree. Every message says what to
// do. A rule is changed here, with the reason in the commit, and nowhere else.

const (
	module = "github.com/signalbox/signalbox"

	// maxFunctionLines fit on a screen.
	maxFunctionLines = 70
	// maxFileLines is where a file stops being one thing with one name.
	maxFileLines = 700
	// maxTextBytes of one tracked file are searched for banned text.
	maxTextBytes = 4 << 20
)

// mayImport says which rooms a room may import, or which one package of a room,
// itself and its own subfolders aside. "*" stands for every room. Tests are not
// bound by it.
var mayImport = map[string][]string{
	"workflow":    {},
	"definitions": {"workflow", "executors/rules"},
	"persistence": {"workflow"},
	"executors":   {"workflow"},
	"actors":      {"workflow", "persistence"},
	"runtime":     {"workflow", "definitions", "actors", "executors", "persistence"},
	"http":        {"workflow", "definitions"},
	"console":     {},
	"cmd":         {"*"},
	"test":        {"*"},
	"examples":    {"definitions", "workflow"},
}

// onlyFrom says which packages are reserved for some rooms, and why.
var onlyFrom = []struct {
	prefix string
	rooms  []string
	why    string
}{
	{"github.com/asynkron/protoactor-go", []string{"actors", "runtime"}, "Proto.Actor stays behind actors and runtime, so that it can be replaced"},
	{module + "/http", []string{"cmd", "test"}, "our http is imported by cmd only, so that the name never collides with net/http"},
	{module + "/runtime", []string{"cmd", "test"}, "our runtime is imported by cmd only, so that the name never collides with the standard runtime"},
}

// notInWorkflow lists the standard packages that the pure core may not know.
var notInWorkflow = []string{
	"crypto/rand", "io/fs", "log", "math/rand", "net", "os", "plugin", "runtime",
	"sync", "syscall", "testing", "unsafe",
}

// clocks are the functions of package time that read a clock or hold for one.
var clocks = []string{
	"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until",
}

// mayPanic lists the functions that may call panic, each with its reason.
var mayPanic = map[string]string{
	"cmd/signalbox.serveCommand":     "hides a flag that it has just defined",
	"definitions.Schema":             "encodes a table of texts, lists and maps that is part of the program",
	"definitions.index":              "checks a table that is part of the program, when the program starts",
	"definitions/expression.install": "ends a check that is out of budget inside a library that has no other way out; it is recovered in the same file",
	"http.finish":                    "passes on http.ErrAbortHandler, as net/http asks of whoever recovers it",
	"http.register":                  "registers metrics that are part of the program, when it starts",
	"http.unquote":                   "decodes a string of JSON that was checked to be valid",
	"workflow.ValueOf":               "encodes values that the core itself made; failing to is a bug of the core",
}

// mayHoldBounds lists the files that may hold a bound beside the table of their
// room, each with its reason.
var mayHoldBounds = map[string]string{
	"workflow/why.go": "says how long a day is",
}

// boundWords begin the names of bounds.
var boundWords = regexp.MustCompile(`^(?i:max|min|most|least|fewest|default)`)

// bannedRooms say nothing about what is inside of them.
var bannedRooms = []string{"common", "helpers", "lib", "misc", "models", "pkg", "shared", "types", "util", "utils"}

// bannedText may not stand in a tracked file. The patterns are put together
// from pieces so that this file does not hold what it looks for.
var bannedText = []struct {
	name string
	re   *regexp.Regexp
	do   string
}{
	{"an unfinished mark", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), "do it now, or open an issue and say nothing here"},
	{"a path of one machine", regexp.MustCompile(`(^|[^A-Za-z0-9.])/(tm` + `p|wor` + `k|ro` + `ot|ho` + `me)/[A-Za-z0-9]`), "use t.TempDir, a flag or a relative path"},
	{"a package registry", regexp.MustCompile(`registry\.` + `npmjs|proxy\.` + `golang\.org|"resol` + `ved":|GOPR` + `OXY=|\.npm` + `rc`), "leave the choice of registry to the machine"},
}

// source is one parsed Go file.
type source struct {
	path string // with slashes, from the root
	room string // first folder, "" for the root
	pkg  string // folder, "." for the root
	test bool
	text []byte
	file *ast.File
}

// tree is everything that the rules look at, read once.
type tree struct {
	fset    *token.FileSet
	sources []*source
	texts   map[string][]byte // of tracked and new files, by path with slashes
	files   []string          // the same paths in order
	folders []string          // that hold any of the files
}

func readTree(t *testing.T) *tree {
	t.Helper()
	tr := &tree{fset: token.NewFileSet(), texts: map[string][]byte{}}
	for _, p := range listFiles(t) {
		text, err := os.ReadFile(filepath.FromSlash(p))
		if os.IsNotExist(err) {
			continue // removed in the working tree, not yet in the index
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.add(p, text); err != nil {
			t.Errorf("%v: make it compile", err)
		}
	}
	tr.finish()
	return tr
}

// add takes a file into the tree and parses it when it is Go.
func (tr *tree) add(p string, text []byte) error {
	tr.texts[p] = text
	if path.Ext(p) != ".go" || strings.Contains(p, "testdata/") {
		return nil
	}
	f, err := parser.ParseFile(tr.fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	room, _, nested := strings.Cut(p, "/")
	if !nested {
		room = ""
	}
	tr.sources = append(tr.sources, &source{
		path: p, room: room, pkg: path.Dir(p), text: text, file: f,
		// A suite that tests run, such as storetest, is a test too.
		test: strings.HasSuffix(p, "_test.go") || room == "test" || strings.HasSuffix(path.Dir(p), "test"),
	})
	return nil
}

// finish derives the lists of files and folders.
func (tr *tree) finish() {
	tr.files = slices.Sorted(maps.Keys(tr.texts))
	folders := map[string]bool{}
	for _, p := range tr.files {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			folders[d] = true
		}
	}
	tr.folders = slices.Sorted(maps.Keys(folders))
}

// listFiles asks git for what is tracked and what is new and not ignored; where
// there is no git, as in a source archive, it walks.
func listFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err == nil && len(out) > 0 {
		files := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
		slices.Sort(files)
		return slices.Compact(files)
	}
	var files []string
	err = filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if !d.IsDir() {
			files = append(files, filepath.ToSlash(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (tr *tree) at(n ast.Node) string {
	p := tr.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// imports yields the import specs of a file with their unquoted paths.
func (s *source) imports(yield func(*ast.ImportSpec, string) bool) {
	for _, spec := range s.file.Imports {
		if !yield(spec, strings.Trim(spec.Path.Value, `"`)) {
			return
		}
	}
}

func TestHouse(t *testing.T) {
	tr := readTree(t)
	if len(tr.sources) == 0 {
		t.Fatal("no Go file found: run the house rules from the root of the module")
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) { rule(t, tr) })
	}
}

// TestHouseRulesBite gives every rule something that breaks it: a rule that
// never says no is no rule.
func TestHouseRulesBite(t *testing.T) {
	tr := &tree{fset: token.NewFileSet(), texts: map[string][]byte{}}
	long := strings.Repeat("\n", maxFunctionLines)
	for p, text := range map[string]string{
		"workflow/a.go":          "package workflow\nimport \"time\"\nvar Then=time.Now()\nfunc F() {" + long + "}\n",
		"workflow/b.go":          "package workflow\nimport _ \"" + module + "/persistence\"\nfunc g() { panic(1) }\n",
		"actors/a.go":            "// Package actors acts.\npackage actors\nimport _ \"" + module + "/http\"\nconst maxSeats = 9\n",
		"http/util/a.go":         "package util\n" + strings.Repeat("\n", maxFileLines),
		"docs/a.md":              "see /tm" + "p/x\n",
		"examples/lost/one.yaml": "id: lost\n",
	} {
		if err := tr.add(p, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	tr.finish()
	for name, rule := range rules {
		var r recorder
		rule(&r, tr)
		if len(r.said) == 0 {
			t.Errorf("rule %q says nothing about a tree that breaks it", name)
		}
	}
}

// rules is the house, by the name of each rule.
var rules = map[string]func(reporter, *tree){
	"rooms":      roomsAreNamed,
	"imports":    importsFollowThePlan,
	"reserved":   reservedPackages,
	"quiet room": workflowIsPure,
	"doc.go":     everyRoomSaysWhy,
	"functions":  functionsFitOnAScreen,
	"files":      filesAreShort,
	"comments":   exportedNamesAreDocumented,
	"panic":      panicsAreListed,
	"bounds":     boundsStandInTheTable,
	"gofmt":      filesAreFormatted,
	"text":       textIsClean,
	"examples":   examplesAreRun,
}

// reporter is the part of testing.T that a rule needs.
type reporter interface {
	Errorf(format string, args ...any)
}

// recorder keeps what a rule says.
type recorder struct{ said []string }

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func roomsAreNamed(t reporter, tr *tree) {
	for _, dir := range tr.folders {
		if slices.Contains(bannedRooms, path.Base(dir)) && !strings.Contains(dir, "testdata") {
			t.Errorf("%s/: the name says nothing; call the room by its purpose", dir)
		}
	}
	for _, s := range tr.sources {
		if _, known := mayImport[s.room]; !known && s.room != "" {
			t.Errorf("%s: room %q is not in the plan; add it to mayImport in house_test.go with what it may import", s.path, s.room)
		}
	}
}

func importsFollowThePlan(t reporter, tr *tree) {
	for _, s := range tr.sources {
		allowed := mayImport[s.room]
		if s.test || s.room == "" || slices.Contains(allowed, "*") {
			continue
		}
		for spec, imported := range s.imports {
			rest, ours := strings.CutPrefix(imported, module+"/")
			room, _, _ := strings.Cut(rest, "/")
			if ours && room != s.room && !slices.Contains(allowed, room) && !slices.Contains(allowed, rest) {
				t.Errorf("%s: %s may not import %s (it may: %s); ask for what you need through an interface of your own", tr.at(spec), s.room, room, strings.Join(allowed, ", "))
			}
		}
	}
	for _, s := range tr.sources {
		if s.room != "workflow" || s.test {
			continue
		}
		for spec, imported := range s.imports {
			if strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				t.Errorf("%s: workflow may import the standard library only, not %s", tr.at(spec), imported)
			}
		}
	}
}

func reservedPackages(t reporter, tr *tree) {
	for _, s := range tr.sources {
		for spec, imported := range s.imports {
			for _, r := range onlyFrom {
				inside := imported == r.prefix || strings.HasPrefix(imported, r.prefix+"/")
				own := strings.HasPrefix(module+"/"+s.pkg+"/", r.prefix+"/")
				if inside && !own && !s.test && s.room != "" && !slices.Contains(r.rooms, s.room) {
					t.Errorf("%s: %s is reserved for %s: %s", tr.at(spec), imported, strings.Join(r.rooms, ", "), r.why)
				}
			}
		}
	}
}

func workflowIsPure(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if s.room != "workflow" || s.test {
			continue
		}
		for spec, imported := range s.imports {
			for _, banned := range notInWorkflow {
				if imported == banned || strings.HasPrefix(imported, banned+"/") {
					t.Errorf("%s: the quiet room may not import %s; let an Input bring in what you need", tr.at(spec), imported)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if what := impurity(n); what != "" {
				t.Errorf("%s: the quiet room has no %s; return an Effect and let an actor do it", tr.at(n), what)
			}
			return true
		})
	}
}

// impurity names what a node does that the core must not do, "" for nothing.
func impurity(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "goroutines"
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return "channels"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
			return "clock (time." + n.Sel.Name + ")"
		}
	}
	return ""
}

func everyRoomSaysWhy(t reporter, tr *tree) {
	said := map[string]bool{}
	shipped := map[string]bool{}
	for _, s := range tr.sources {
		if strings.HasSuffix(s.path, "_test.go") || s.file.Name.Name == "main" {
			continue
		}
		shipped[s.pkg] = true
		if path.Base(s.path) == "doc.go" && s.file.Doc != nil {
			said[s.pkg] = true
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(shipped)) {
		if !said[pkg] {
			t.Errorf("%s: add a doc.go that says in a package comment what the room is for", pkg)
		}
	}
}

func functionsFitOnAScreen(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := tr.fset.Position(f.End()).Line - tr.fset.Position(f.Pos()).Line + 1
			if lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d fit on a screen; give a part of it a name of its own", tr.at(f), f.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

func filesAreShort(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if lines := bytes.Count(s.text, []byte("\n")); lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d; split it by what its parts are about", s.path, lines, maxFileLines)
		}
	}
}

func exportedNamesAreDocumented(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if strings.HasSuffix(s.path, "_test.go") || s.file.Name.Name == "main" {
			continue
		}
		for i, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if f, inGroup := d, sharesComment(tr, s.file.Decls, i); f.Doc == nil && !inGroup && needsComment(f) {
					t.Errorf("%s: %s is exported; say in a full sentence what it does, with units, bounds and errors", tr.at(f), f.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s is exported; say in a full sentence what it is", tr.at(name), name.Name)
				}
			}
		}
	}
}

// selfEvident methods have their meaning from the interface that they satisfy.
var selfEvident = []string{"Error", "String", "Unwrap", "Len", "Less", "Swap", "MarshalJSON", "UnmarshalJSON"}

func needsComment(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() {
		return false
	}
	if f.Recv == nil {
		return true
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported() && !slices.Contains(selfEvident, f.Name.Name)
}

// sharesComment reports whether a function is one of several one-line
// functions that stand together under one comment.
func sharesComment(tr *tree, decls []ast.Decl, i int) bool {
	for ; i > 0; i-- {
		f, ok := decls[i].(*ast.FuncDecl)
		above, aboveOK := decls[i-1].(*ast.FuncDecl)
		if !ok || !aboveOK || tr.fset.Position(f.Pos()).Line != tr.fset.Position(above.End()).Line+1 {
			return false
		}
		if above.Doc != nil {
			return true
		}
	}
	return false
}

// undocumented lists the exported names of a declaration that neither it nor
// their own line says anything about.
func undocumented(d *ast.GenDecl) []*ast.Ident {
	if d.Doc != nil || d.Tok == token.IMPORT {
		return nil
	}
	var names []*ast.Ident
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if spec.Doc == nil && spec.Comment == nil && name.IsExported() {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func panicsAreListed(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			where := s.pkg
			if f, ok := d.(*ast.FuncDecl); ok {
				where += "." + f.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" && mayPanic[where] == "" {
					t.Errorf("%s: panic in %s; return an error, or add the function to mayPanic in house_test.go with the reason", tr.at(call), where)
				}
				return true
			})
		}
	}
}

func boundsStandInTheTable(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if s.test || s.room == "" || s.room == "examples" || path.Base(s.path) == "limits.go" || mayHoldBounds[s.path] != "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if what := bound(n); what != "" {
				t.Errorf("%s: %s; move it into %s/limits.go with its reason, or add the file to mayHoldBounds in house_test.go", tr.at(n), what, s.pkg)
			}
			return true
		})
	}
}

// bound names the bound that a node writes down as a number, "" for none.
func bound(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if left, right := number(n.X), number(n.Y); n.Op == token.SHL && left != "" && slices.Contains([]string{"10", "20", "30"}, right) {
			return "a size, " + left + " << " + right
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) && (span(n.Values[i]) || boundWords.MatchString(name.Name) && number(n.Values[i]) != "") {
				return "a bound, " + name.Name
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "RetryAfter" && span(n.Value) {
			return "a hold that a sender is asked for"
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "WithTimeout" && len(n.Args) == 2 && span(n.Args[1]) {
			return "a time-out"
		}
	}
	return ""
}

// number is the text of a number, "" for anything else.
func number(e ast.Expr) string {
	if minus, ok := e.(*ast.UnaryExpr); ok && minus.Op == token.SUB {
		e = minus.X
	}
	if lit, ok := e.(*ast.BasicLit); ok && (lit.Kind == token.INT || lit.Kind == token.FLOAT) {
		return lit.Value
	}
	return ""
}

// span reports whether an expression is a length of time that is written out.
func span(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return e.Op == token.MUL && (span(e.X) || span(e.Y)) && (number(e.X) != "" || span(e.X))
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == "time" && slices.Contains([]string{"Millisecond", "Second", "Minute", "Hour"}, e.Sel.Name)
	}
	return false
}

func filesAreFormatted(t reporter, tr *tree) {
	for _, s := range tr.sources {
		if clean, err := format.Source(s.text); err != nil || !bytes.Equal(clean, s.text) {
			t.Errorf("%s: not as gofmt writes it; run: gofmt -w %s", s.path, s.path)
		}
	}
}

func textIsClean(t reporter, tr *tree) {
	for _, p := range tr.files {
		text := tr.texts[p]
		if len(text) > maxTextBytes || bytes.IndexByte(text, 0) >= 0 {
			continue // too large to be ours, or not a text
		}
		for _, banned := range bannedText {
			if at := banned.re.FindIndex(text); at != nil {
				line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
				t.Errorf("%s:%d: %s, %q; %s", p, line, banned.name, text[at[0]:at[1]], banned.do)
			}
		}
	}
}

func examplesAreRun(t reporter, tr *tree) {
	const runner = "test/acceptance/examples_test.go"
	seen := map[string]bool{}
	for _, p := range tr.files {
		parts := strings.Split(p, "/")
		if parts[0] != "examples" || len(parts) < 3 || seen[parts[1]] {
			continue
		}
		seen[parts[1]] = true
		dir := "examples/" + parts[1]
		for _, need := range []string{"README.md", "example.txt"} {
			if !slices.Contains(tr.files, dir+"/"+need) {
				t.Errorf("%s: add %s/%s; an example that nobody runs is wrong sooner or later", dir, dir, need)
			}
		}
	}
	if len(seen) > 0 && !slices.Contains(tr.files, runner) {
		t.Errorf("examples/ has %d projects and nobody runs them; add %s", len(seen), runner)
	}
}

// TestAStepThatFailsSaysSoAgain: what make calls for its tests is green only when they
// are, and tells at its end what those that failed had said, and nothing of the others.
func TestAStepThatFailsSaysSoAgain(t *testing.T) {
	run, err := filepath.Abs("test/run")
	if err != nil {
		t.Fatal(err)
	}
	step := func(body string) (again string, err error) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range map[string]string{
			"go.mod":    "module step\n",
			"a_test.go": "package step\nimport \"testing\"\nfunc TestGood(t *testing.T) { t.Log(\"all is well\") }\nfunc TestOther(t *testing.T) { " + body + " }\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(run, "./...")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		_, again, _ = strings.Cut(string(out), "== what failed, again\n")
		return again, err
	}
	if again, err := step(`t.Log("fine, too")`); err != nil || again != "" {
		t.Errorf("tests that pass: %v, and again %q", err, again)
	}
	for body, said := range map[string]string{
		`t.Error("out of luck")`: "out of luck",
		`panic("out of order")`:  "out of order",
		`undeclared()`:           "undefined: undeclared",
	} {
		if again, err := step(body); err == nil || !strings.Contains(again, said) || strings.Contains(again, "all is well") {
			t.Errorf("%s: %v, and again %q", body, err, again)
		}
	}
}
