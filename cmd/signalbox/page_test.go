package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestTheSignalsPage runs the commands of docs/signals.md, in their order and on
// its own project, and compares what they print with what the page says.
func TestTheSignalsPage(t *testing.T) {
	content, err := os.ReadFile("../../docs/signals.md")
	if err != nil {
		t.Fatal(err)
	}
	project, commands := readPage(t, string(content))
	var script strings.Builder
	script.WriteString("node n dev project --addr 127.0.0.1:0\n")
	var files strings.Builder
	fmt.Fprintf(&files, "-- project/order.yaml --\n%s", project)
	for i, c := range commands {
		if name, ok := strings.CutPrefix(c.line, "cat "); ok {
			fmt.Fprintf(&files, "-- %s --\n%s\n", name, strings.Join(c.said, "\n"))
			continue
		}
		if !strings.HasPrefix(c.line, "signalbox ") {
			continue // what other programs print is not ours to promise
		}
		fmt.Fprintf(&script, "prints said%d %s\n", i, c.line)
		fmt.Fprintf(&files, "-- said%d --\n%s\n", i, strings.Join(c.said, "\n"))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txtar"), []byte(script.String()+files.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TMPDIR", env.WorkDir+"/tmp")
			env.Values[nodesKey{}] = map[string]*scriptNode{}
			return os.Mkdir(env.WorkDir+"/tmp", 0o777)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"node": startScriptNode, "prints": prints},
	})
}

// pageCommand is a command of the page and what the page says that it prints.
type pageCommand struct {
	line string
	said []string
}

// readPage takes the first YAML and the commands of all console blocks.
func readPage(t *testing.T, page string) (project string, commands []pageCommand) {
	t.Helper()
	_, rest, found := strings.Cut(page, "```yaml\n")
	project, rest, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("the page has no YAML")
	}
	for {
		_, after, found := strings.Cut(rest, "```console\n")
		if !found {
			return project, commands
		}
		block, behind, _ := strings.Cut(after, "```\n")
		rest = behind
		block = strings.ReplaceAll(block, "\\\n", " ")
		for line := range strings.SplitSeq(strings.TrimRight(block, "\n"), "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, pageCommand{line: command})
			} else if len(commands) > 0 {
				last := &commands[len(commands)-1]
				last.said = append(last.said, line)
			}
		}
	}
}

// prints runs a command and compares all that it prints with a file in which a
// line of three dots stands for any lines. An empty file promises nothing.
func prints(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "prints FILE COMMAND...")
	want := pageLines(ts.ReadFile(args[0]))
	err := ts.Exec(args[1], args[2:]...)
	got := pageLines(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if len(want) == 0 {
		ts.Check(err)
		return
	}
	at, loose := 0, false
	for _, line := range want {
		if line == "..." {
			loose = true
			continue
		}
		for loose && at < len(got) && got[at] != line {
			at++
		}
		if at >= len(got) || got[at] != line {
			ts.Fatalf("the page promises %q; it printed:\n%s", line, strings.Join(got, "\n"))
		}
		at, loose = at+1, false
	}
	if at < len(got) && !loose {
		ts.Fatalf("the page does not say %q; it printed:\n%s", got[at], strings.Join(got, "\n"))
	}
}

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	as      string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`^request +\S+$`), "request ID"},
	{regexp.MustCompile(`\((less than a second|\d+ \w+) ago\)|\(in [^)]*\)`), "(SPAN)"},
	{regexp.MustCompile(` +`), " "},
}

// pageLines are the lines of an output without what varies, and without empty ones.
func pageLines(text string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		for _, v := range varying {
			line = v.pattern.ReplaceAllString(line, v.as)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
