package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/signalbox/signalbox/definitions"
)

// readmeScript is what the curl lines of the README do, and what it promises.
const readmeScript = `
start   hello-1 hello
expect  hello-1 waits name-given
signal  hello-1 name-given {"name":"Ada"} -> delivered
expect  hello-1 output.text = "Hello, Ada!"
expect  hello-1 SUCCESS
event   somebody-came
started visitor hello
after   2h
expect  visitor TIMED_OUT
`

// TestReadme runs the first workflow that a stranger writes.
func TestReadme(t *testing.T) {
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)
	_, rest, found := strings.Cut(readme, "```yaml\n")
	source, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the README has no YAML")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.yaml"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	project, diagnostics := definitions.Load(dir)
	if len(diagnostics) > 0 {
		diagnostics.Print(t.Output())
		t.Fatal("the README's workflow is not without fault")
	}
	for _, line := range []string{
		`/api/v0/workflows/hello/executions`, `-d '{"exec_id":"hello-1"}'`,
		`/api/v0/executions/workflows/hello-1/signals`, `-d '{"signal_name":"name-given","payload":{"name":"Ada"}}'`,
	} {
		if !strings.Contains(readme, line) {
			t.Errorf("the README does not say %s any more; change this test with it", line)
		}
	}
	steps, err := parseExample(strings.NewReader(readmeScript))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { play(t, openExample(t, project), steps) })
}
