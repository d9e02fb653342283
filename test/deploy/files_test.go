package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/test/binary"
)

// root is where the repository is, seen from here.
const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// object is a mapping of a YAML document.
type object = map[string]any

// documents reads every document of a YAML text; a key that is there twice is an error.
func documents(t *testing.T, name, text string) []object {
	t.Helper()
	var all []object
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var one object
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if one != nil {
			all = append(all, one)
		}
	}
}

// at walks into mappings by their keys; nil where there is nothing.
func at(value any, keys ...string) any {
	for _, key := range keys {
		m, _ := value.(object)
		value = m[key]
	}
	return value
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// texts is a list of texts.
func texts(value any) []string {
	var all []string
	for _, one := range list(value) {
		all = append(all, text(one))
	}
	return all
}

// tool runs a program from the root of the repository when the machine has it.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed here; the structure is checked without it", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), log.String())
	}
	return out.Bytes()
}

// settings are the variables of the environment that a node reads, from the table
// of the command line.
func settings(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range []string{"settings.go", "clustersettings.go"} {
		for _, m := range regexp.MustCompile(`\{name: "([a-z-]+)"`).FindAllStringSubmatch(read(t, "cmd/signalbox/"+file), -1) {
			all = append(all, "SIGNALBOX_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")))
		}
	}
	if !slices.Contains(all, "SIGNALBOX_CLUSTER_CERT") || len(all) < 15 {
		t.Fatalf("the table of settings has moved: found only %v", all)
	}
	return all
}

// graceful fails when an orchestrator would kill a node that still finishes what it
// accepted.
func graceful(t *testing.T, where, delay string, given time.Duration) {
	t.Helper()
	const door = 6 * time.Second
	if !strings.Contains(read(t, "cmd/signalbox/limits.go"), "doorTimeout = 6 * time.Second") {
		t.Fatal("a node has another time than six seconds for its clients: say so here, in docker-compose.yml, in the chart and in docs/operations.md")
	}
	const finish = door + runtime.StopTimeout
	d, err := time.ParseDuration(delay)
	if err != nil || given <= d+finish {
		t.Errorf("%s: a node gets %s to stop; it may need more than %s to be noticed and %s to finish (%v)", where, given, delay, finish, err)
	}
}

// TestReleasesAreBuiltAlike: the image, the Makefile and the tests build one program.
func TestReleasesAreBuiltAlike(t *testing.T) {
	image, made := read(t, "Dockerfile"), read(t, "Makefile")
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "-tags " + binary.Tags, "-X main.version=", "FROM scratch", "USER 65532:65532", `ENTRYPOINT ["/signalbox"]`} {
		if !strings.Contains(image, want) {
			t.Errorf("Dockerfile lacks %q", want)
		}
	}
	for _, pattern := range binary.Cold {
		if flag := " -gcflags " + pattern + "=-l "; strings.Count(image, flag) != 1 {
			t.Errorf("Dockerfile lacks %q", flag)
		}
	}
	if strings.Count(image, "-gcflags") != len(binary.Cold) {
		t.Errorf("Dockerfile builds with other flags than %q", binary.Cold)
	}
	cold := regexp.MustCompile(`(?m)^COLD := ((?:.*\\\n)*.*)$`).FindStringSubmatch(made)
	if cold == nil || !slices.Equal(strings.Fields(strings.ReplaceAll(cold[1], "\\\n", " ")), binary.Cold) {
		t.Errorf("the Makefile builds with other flags than %q: %q", binary.Cold, cold)
	}
	if !regexp.MustCompile(`(?m)^TAGS +:= `+binary.Tags+`$`).MatchString(made) ||
		!strings.Contains(made, "\nFLAGS := -trimpath -tags $(TAGS) $(COLD:%=-gcflags '%=-l')\n") ||
		!strings.Contains(made, "\nexport CGO_ENABLED := 0\n") ||
		strings.Count(made, "go build ") != strings.Count(made, "go build $(FLAGS) ") {
		t.Errorf("the Makefile builds with other flags than %q", binary.Tags)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if version == nil || !strings.Contains(image, "FROM golang:"+version[1]+" ") {
		t.Errorf("the image is built with another Go than go.mod asks for: %v", version)
	}
}
