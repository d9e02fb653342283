package definitions

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzLoad gives the loader anything: it must come back soon, without a panic,
// with a project or with an error that has a message, and a project that it
// returns must compile again from its bundles to the same hash.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/seed.yaml", "testdata/flow/*.yaml", "testdata/bad/*.yaml", "testdata/projects/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds match %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		begin := time.Now()
		l := &loader{findings: new(findings), file: "signalbox.yaml", dir: ".", read: make(map[string]bool)}
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		l.root = root
		l.main(newSource("fuzz.yaml", content), content)
		project := l.finish()
		found := l.findings.sorted()
		printed(found)
		if (project == nil) != found.Errors() {
			t.Fatalf("the project is nil: %t, there are errors: %t", project == nil, found.Errors())
		}
		const bound = 5 * time.Second // ordinary inputs take milliseconds; a busy machine takes longer
		if took := time.Since(begin); took > bound {
			t.Fatalf("%d bytes took %v", len(content), took)
		}
		if project == nil {
			return
		}
		for _, w := range project.Workflows {
			again, err := Compile(w.Bundle, nil)
			if err != nil || again.Hash != w.Hash {
				t.Fatalf("workflow %s does not come back from its bundle %s: %v", w.ID, w.Bundle, err)
			}
			if got, want := flowOf(again), flowOf(w.Definition); got != want {
				t.Fatalf("workflow %s is another one from its bundle:\n%s\n%s", w.ID, want, got)
			}
		}
	})
}
