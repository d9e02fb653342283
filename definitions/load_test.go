package definitions

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/workflow"
)

var update = flag.Bool("update", false, "rewrite the golden files; look at the difference before committing it")

// TestBad loads each file or folder of testdata/bad and compares everything
// that is said about it with the text beside it.
func TestBad(t *testing.T) {
	for _, name := range entries(t, "testdata/bad") {
		t.Run(name, func(t *testing.T) {
			project, found := Load(filepath.Join("testdata/bad", name))
			if project != nil || !found.Errors() {
				t.Errorf("it loads, although it is here because it is wrong; findings: %v", found)
			}
			for _, d := range found {
				if d.Severity == Error && d.Hint == "" {
					t.Errorf("%s: an error without a hint says what is wrong but not what to do", d)
				}
			}
			golden(t, filepath.Join("testdata/bad", name), printed(found))
		})
	}
}

// TestFlow loads each file of testdata/flow and compares the order of its tasks
// after lowering, and all warnings, with the text beside it.
func TestFlow(t *testing.T) {
	for _, name := range entries(t, "testdata/flow") {
		t.Run(name, func(t *testing.T) {
			project, found := Load(filepath.Join("testdata/flow", name))
			if project == nil {
				t.Fatalf("it does not load:\n%s", printed(found))
			}
			golden(t, filepath.Join("testdata/flow", name), describe(project)+printed(found))
		})
	}
}

// TestProjects loads each folder of testdata/projects.
func TestProjects(t *testing.T) {
	for _, name := range entries(t, "testdata/projects") {
		t.Run(name, func(t *testing.T) {
			project, found := Load(filepath.Join("testdata/projects", name))
			if project == nil {
				t.Fatalf("it does not load:\n%s", printed(found))
			}
			var b strings.Builder
			fmt.Fprintf(&b, "project %s, file %q, files %v\n", project.Name, project.File, project.Files)
			for _, key := range slices.Sorted(maps.Keys(project.Settings)) {
				fmt.Fprintf(&b, "setting %s = %s\n", key, project.Settings[key])
			}
			fmt.Fprintf(&b, "secrets %v\n", slices.Sorted(maps.Keys(project.Secret)))
			for _, w := range project.Workflows {
				fmt.Fprintf(&b, "bundle of %s from %s: %s\n", w.ID, w.File, w.Bundle)
			}
			golden(t, filepath.Join("testdata/projects", name), b.String()+describe(project)+printed(found))
		})
	}
}

// TestBundleRoundTrip compiles the bundle of every workflow that loads and
// wants the same flow and the same hash.
func TestBundleRoundTrip(t *testing.T) {
	for _, path := range loadable(t) {
		project, found := Load(path)
		if project == nil {
			t.Errorf("%s does not load:\n%s", path, printed(found))
			continue
		}
		for _, w := range project.Workflows {
			again, err := Compile(w.Bundle, project.Secret)
			if err != nil {
				t.Errorf("%s: workflow %s does not compile from its bundle: %v", path, w.ID, err)
				continue
			}
			if again.Hash != w.Hash {
				t.Errorf("%s: workflow %s has hash %s from its bundle, %s from its file", path, w.ID, again.Hash, w.Hash)
			}
			if diff := cmp.Diff(flowOf(w.Definition), flowOf(again)); diff != "" {
				t.Errorf("%s: workflow %s is another one from its bundle (-file +bundle):\n%s", path, w.ID, diff)
			}
		}
	}
}

func loadable(t *testing.T) []string {
	paths := []string{"testdata/seed.yaml"}
	for _, dir := range []string{"testdata/flow", "testdata/projects"} {
		for _, name := range entries(t, dir) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

// entries lists the inputs of a folder: what is not a golden text.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		if filepath.Ext(e.Name()) != ".txt" {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s holds no inputs", dir)
	}
	return names
}

func golden(t *testing.T, input, got string) {
	t.Helper()
	file := strings.TrimSuffix(input, filepath.Ext(input)) + ".txt"
	got = strings.ReplaceAll(got, filepath.Dir(input)+"/", "")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func printed(found Diagnostics) string {
	var b bytes.Buffer
	found.Print(&b)
	return b.String()
}

func describe(p *Project) string {
	var b strings.Builder
	for _, w := range p.Workflows {
		b.WriteString(flowOf(w.Definition))
	}
	return b.String()
}

// flowOf writes the order of a workflow's tasks so that a person can check it.
func flowOf(def *workflow.Definition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "workflow %s\n", def.ID)
	fmt.Fprintf(&b, "  starts with %s\n", strings.Join(def.Roots, ", "))
	if def.OnError != "" {
		fmt.Fprintf(&b, "  on error %s\n", def.OnError)
	}
	if len(def.Awaits) > 0 || def.AwaitsAny {
		fmt.Fprintf(&b, "  awaits %s, any %t\n", strings.Join(def.Awaits, ", "), def.AwaitsAny)
	}
	for _, trigger := range def.Triggers {
		fmt.Fprintf(&b, "  trigger %s, schema %t, filter %t\n", trigger.Name, trigger.Schema != nil, trigger.Filter != nil)
	}
	for _, task := range def.Tasks {
		fmt.Fprintf(&b, "  %s\n", taskLine(task))
		if task.Wait == nil {
			continue
		}
		if task.Wait.Processor != nil {
			fmt.Fprintf(&b, "    processor %s\n", taskLine(task.Wait.Processor))
		}
		for _, branch := range task.Wait.Branches {
			if branch.Processor != nil {
				fmt.Fprintf(&b, "    branch %s, processor %s\n", branch.ID, taskLine(branch.Processor))
			}
		}
	}
	return b.String()
}

func taskLine(task *workflow.Task) string {
	parts := []string{task.ID, string(task.Kind)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if task.Work != nil {
		add("%s %s%s", task.Work.Executor, task.Work.AgentID, task.Work.ToolID)
	}
	if len(task.After) > 0 {
		add("after %s", strings.Join(task.After, "+"))
	}
	if task.OnSuccess != nil {
		next, err := task.OnSuccess.Render(&workflow.Scope{State: &workflow.State{}})
		if err != nil {
			next = []byte("a template")
		}
		add("then %s", next)
	}
	for _, way := range []struct{ name, id string }{{"on error", task.OnError}, {"on timeout", task.OnTimeout}} {
		if way.id != "" {
			add("%s %s", way.name, way.id)
		}
	}
	for _, one := range []struct {
		name string
		is   bool
	}{{"final", task.Final}, {"condition", task.Condition != nil || task.Wait != nil && task.Wait.Condition != nil},
		{"sleep", task.Sleep != nil}, {"timeout", task.Timeout != nil}, {"outputs", task.Outputs != nil}, {"with", task.With != nil}} {
		if one.is {
			add("%s", one.name)
		}
	}
	if task.Retry.Attempts > 0 {
		add("%d attempts %v x%v up to %v %v", task.Retry.Attempts, task.Retry.Initial, task.Retry.Coefficient, task.Retry.Maximum, task.Retry.NonRetryable)
	}
	return strings.Join(parts, ", ")
}
