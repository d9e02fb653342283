package deploy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"
)

const chart = "deploy/helm/signalbox"

// files gives templates the files of the chart, as helm does.
type files struct{ t *testing.T }

// Get is the content of a file.
func (f files) Get(name string) string { return read(f.t, filepath.Join(chart, name)) }

// render is as much of `helm template` as the chart uses, so that what it says can be
// checked on a machine without helm. Values are set like with --set, by path.
func render(t *testing.T, release string, set map[string]any) (string, error) {
	t.Helper()
	values := documents(t, "values.yaml", read(t, chart+"/values.yaml"))[0]
	for path, value := range set {
		keys := strings.Split(path, ".")
		into := values
		for _, key := range keys[:len(keys)-1] {
			into = into[key].(object)
		}
		if _, there := into[keys[len(keys)-1]]; !there {
			t.Fatalf("values.yaml has no %s", path)
		}
		into[keys[len(keys)-1]] = value
	}
	about := documents(t, "Chart.yaml", read(t, chart+"/Chart.yaml"))[0]
	dot := map[string]any{
		"Values": values, "Files": files{t},
		"Release": map[string]any{"Name": release, "Namespace": "default", "Service": "Helm"},
		"Chart":   map[string]any{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
	}
	templates := template.New("chart").Option("missingkey=zero")
	templates.Funcs(functions(templates))
	names, err := filepath.Glob(filepath.Join(root, chart, "templates/*.*"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(root, chart, "templates/tests/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, tests...)
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := templates.New(name).Parse(string(content)); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	for _, name := range names {
		if filepath.Ext(name) != ".yaml" {
			continue // helpers, and notes for people
		}
		out.WriteString("\n---\n")
		if err := templates.ExecuteTemplate(&out, name, dot); err != nil {
			return "", err
		}
	}
	return out.String(), templates.ExecuteTemplate(new(bytes.Buffer), filepath.Join(root, chart, "templates/NOTES.txt"), dot)
}

// functions are those of helm's that the chart uses.
func functions(set *template.Template) template.FuncMap {
	indent := func(n int, s string) string {
		pad := strings.Repeat(" ", n)
		return pad + strings.ReplaceAll(s, "\n", "\n"+pad)
	}
	return template.FuncMap{
		"include": func(name string, dot any) (string, error) {
			var b strings.Builder
			err := set.ExecuteTemplate(&b, name, dot)
			return b.String(), err
		},
		"toYaml": func(v any) (string, error) {
			var b bytes.Buffer
			enc := yaml.NewEncoder(&b)
			enc.SetIndent(2)
			err := enc.Encode(v)
			return strings.TrimSuffix(b.String(), "\n"), err
		},
		"nindent": func(n int, s string) string { return "\n" + indent(n, s) },
		"quote":   func(v any) string { return strconv.Quote(fmt.Sprint(v)) },
		"default": func(otherwise, v any) any {
			return map[bool]any{true: otherwise, false: v}[v == nil || v == "" || v == 0]
		},
		"contains":   func(part, s string) bool { return strings.Contains(s, part) },
		"trunc":      func(n int, s string) string { return s[:min(n, len(s))] },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
		"sha256sum":  func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
		"int":        func(v any) (int, error) { return strconv.Atoi(fmt.Sprint(v)) },
		"fail":       func(why string) (string, error) { return "", errors.New(why) },
	}
}

// flags are the values as helm takes them on its command line.
func flags(set map[string]any) []string {
	var all []string
	for path, value := range maps.All(set) {
		all = append(all, "--set", fmt.Sprintf("%s=%v", path, value))
	}
	return all
}
