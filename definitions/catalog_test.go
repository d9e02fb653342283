package definitions

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// loadText loads YAML that a test holds itself.
func loadText(t testing.TB, yaml string) (*Project, Diagnostics) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file)
}

func mustLoad(t testing.TB, yaml string) *Project {
	t.Helper()
	project, found := loadText(t, yaml)
	if project == nil {
		t.Fatalf("it does not load:\n%s", printed(found))
	}
	return project
}

func one(id, extra string) string {
	return fmt.Sprintf("id: %s\n%s\ntasks: [{ id: only, tool: echo }]\n", id, extra)
}

// TestCatalogVersions replaces a workflow and still finds its old version by
// hash, first from memory and later from the loader.
func TestCatalogVersions(t *testing.T) {
	first := mustLoad(t, one("a", "version: 1"))
	second := mustLoad(t, one("a", "version: 2"))
	stored := map[string][]byte{}
	for _, p := range []*Project{first, second} {
		stored[p.Workflows[0].Hash] = p.Workflows[0].Bundle
	}
	calls := 0
	c := NewCatalog(func(hash string) ([]byte, error) { calls++; return stored[hash], nil })
	if c.Current("a") != nil || len(c.All()) != 0 {
		t.Error("an empty catalog has workflows")
	}
	c.Replace(first)
	c.Replace(second)
	if got := c.Current("a"); got.Version != "2" {
		t.Errorf("the current version is %q, wanted 2", got.Version)
	}
	old := first.Workflows[0].Hash
	if def, err := c.Version(old); err != nil || def.Version != "1" || calls != 0 {
		t.Errorf("the old version is %v, %v, after %d loads; it was current a moment ago", def, err, calls)
	}
	c.Replace(second)
	if def, err := c.Version(old); err != nil || def.Version != "1" || def.Hash != old || calls != 1 {
		t.Errorf("the old version is %v, %v, after %d loads; wanted it from the loader", def, err, calls)
	}
	if _, err := c.Version(old); err != nil || calls != 1 {
		t.Errorf("the old version was loaded again: %d loads, %v", calls, err)
	}
	if _, err := c.Version("none"); !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("an unknown version is %v", err)
	}
	stored["other"] = stored[old]
	if _, err := c.Version("other"); err == nil {
		t.Error("a bundle under another hash compiles: damage would go unnoticed")
	}
}

// TestCatalogTriesAgain wants an error of the loader to be forgotten.
func TestCatalogTriesAgain(t *testing.T) {
	p := mustLoad(t, one("a", ""))
	w := p.Workflows[0]
	fail := true
	c := NewCatalog(func(string) ([]byte, error) {
		if fail {
			return nil, errors.New("the store is away")
		}
		return w.Bundle, nil
	})
	if _, err := c.Version(w.Hash); err == nil {
		t.Fatal("the loader's error is swallowed")
	}
	fail = false
	if def, err := c.Version(w.Hash); err != nil || def.ID != "a" {
		t.Errorf("the second try gives %v, %v", def, err)
	}
}

// TestCatalogConcurrent asks for one version from many goroutines while
// workflows are replaced: it is loaded once per generation at most.
func TestCatalogConcurrent(t *testing.T) {
	p, other := mustLoad(t, one("a", "")), mustLoad(t, one("b", ""))
	w := p.Workflows[0]
	var loads atomic.Int64
	c := NewCatalog(func(string) ([]byte, error) { loads.Add(1); return w.Bundle, nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if def, err := c.Version(w.Hash); err != nil || def.Hash != w.Hash {
					t.Errorf("got %v, %v", def, err)
					return
				}
				c.Listeners("x")
				c.All()
			}
		})
	}
	const generations = 10
	for range generations {
		c.Replace(other)
	}
	wg.Wait()
	if n := loads.Load(); n < 1 || n > generations+1 {
		t.Errorf("the version was loaded %d times in %d generations", n, generations+1)
	}
}

// TestCatalogBounded fills the catalog beyond its bound.
func TestCatalogBounded(t *testing.T) {
	c := NewCatalog(func(string) ([]byte, error) { return nil, nil })
	c.mu.Lock()
	for i := range MaxVersions + 10 {
		c.keep(fmt.Sprint(i), &version{def: new(workflow.Definition)})
	}
	c.mu.Unlock()
	if len(c.versions) != MaxVersions || len(c.order) != MaxVersions || c.versions["0"] != nil {
		t.Errorf("%d versions are kept, %d in order; wanted %d, the oldest gone", len(c.versions), len(c.order), MaxVersions)
	}
}

// TestListeners matches events with exact names and patterns.
func TestListeners(t *testing.T) {
	p := mustLoad(t, `
workflows:
  - id: exact
    triggers: [{ name: order.created }]
    tasks: [{ id: x, tool: echo }]
  - id: below
    triggers: [{ name: "order.*" }, { name: order.created }]
    tasks: [{ id: x, tool: echo }]
  - id: deeper
    triggers: [{ name: "order.created.**" }, { name: "order.*.eu" }, { name: "*.*.eu" }]
    tasks: [{ id: x, tool: echo }]
  - id: one
    triggers: [{ name: "*" }]
    tasks: [{ id: x, tool: echo }]
  - id: all
    triggers: [{ name: "**" }]
    tasks: [{ id: x, tool: echo }]
`)
	c := NewCatalog(nil)
	c.Replace(p)
	for event, want := range map[string][]string{
		"order.created":          {"below.1", "exact.0", "below.0", "all.0"},
		"order.created.eu":       {"deeper.0", "deeper.1", "deeper.2", "all.0"},
		"order.created.eu.paris": {"deeper.0", "all.0"},
		"order.paid.eu":          {"deeper.1", "deeper.2", "all.0"},
		"bill.paid.eu":           {"deeper.2", "all.0"},
		"order.paid":             {"below.0", "all.0"},
		"order":                  {"one.0", "all.0"},
		"order.":                 {"all.0"},
		"orders.created":         {"all.0"},
		"order.*":                {"below.0", "all.0"},
		"order.**":               {"below.0", "all.0"},
		"*":                      {"one.0", "all.0"},
		"**":                     {"one.0", "all.0"},
		".":                      {"all.0"},
		"":                       nil,
	} {
		var got []string
		for _, l := range c.Listeners(event) {
			got = append(got, fmt.Sprintf("%s.%d", l.Workflow.ID, l.Index))
			if l.Trigger.Name != l.Workflow.Triggers[l.Index].Name {
				t.Errorf("%s: the trigger of %s is another one", event, l.Workflow.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("event %q reaches %v, wanted %v", event, got, want)
		}
	}
}
