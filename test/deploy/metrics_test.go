package deploy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/workflow"
)

// known is every metric of a node with its labels.
type known map[string][]string

// running starts a node as the program does, gives it something to count, and
// returns what its registry knows and what it shows.
func running(t *testing.T) (known, map[string]bool) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	store, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	node, err := runtime.New(runtime.Options{Store: store, Logger: slog.New(slog.DiscardHandler), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	project, findings := definitions.Load(filepath.Join(root, "examples/approval"))
	if findings.Errors() {
		t.Fatal(findings)
	}
	if err := node.Deploy(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	door := http.NewServer(http.Options{Node: node, Registry: registry})
	t.Cleanup(func() {
		if err := node.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	for path, body := range map[string]string{
		"/api/v0/workflows/approval-processor/executions":  `{"exec_id":"e"}`,
		"/api/v0/executions/workflows/nobody/signals":      `{"signal_name":"approval-decision","payload":{}}`,
		"/api/v0/executions/workflows/e/signals?dry_run=1": `{"signal_name":"approval-decision","payload":{}}`,
	} {
		door.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", path, strings.NewReader(body)))
	}
	shown := map[string]bool{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		shown[f.GetName()] = true
	}
	return described(registry), shown
}

// described asks a registry for what it may show, also what was not counted yet.
func described(registry *prometheus.Registry) known {
	all, descs := known{}, make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	shape := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	for d := range descs {
		if m := shape.FindStringSubmatch(d.String()); m != nil {
			all[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	return all
}

// labels of a metric as a query names it; of a histogram, of its parts.
func (k known) labels(name string) ([]string, bool) {
	if name == "up" {
		return nil, true
	}
	if labels, ok := k[name]; ok {
		return labels, true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if whole, cut := strings.CutSuffix(name, part); cut && !strings.HasSuffix(whole, "_total") {
			if labels, ok := k[whole]; ok && part == "_bucket" {
				return append(slices.Clone(labels), "le"), true
			} else if ok {
				return labels, true
			}
		}
	}
	return nil, false
}

// ofTarget are the labels that Prometheus gives to whatever it reads.
var ofTarget = []string{"job", "instance", "pod", "namespace"}

// values that a label may have, where they are a closed list.
func values() map[string][]string {
	all := map[string][]string{
		"outcome": {
			string(workflow.Delivered), string(workflow.KeptForWait), "duplicate", "expired", "dead", "accepted", "consumed", "ok", "canceled",
		},
		"level": {string(workflow.Fsync), string(workflow.Replicated), string(workflow.OneSecond), string(workflow.Memory)},
		"code":  {"429", "500", "503"},
		"route": {"/readyz", "/api/v0/health", ".*/signals"},
	}
	for _, s := range workflow.Statuses {
		all["status"] = append(all["status"], string(s))
	}
	return all
}

// check fails for everything that a query asks for and no node has.
func (k known) check(where, expression string) error {
	q := parse(expression)
	if len(q.metrics) == 0 {
		return fmt.Errorf("%s: %q asks for nothing", where, expression)
	}
	var all []string
	for _, m := range q.metrics {
		labels, ok := k.labels(m.name)
		if !ok {
			return fmt.Errorf("%s: no node has the metric %s", where, m.name)
		}
		labels = append(slices.Clone(labels), ofTarget...)
		all = append(all, labels...)
		for _, l := range m.labels {
			if !slices.Contains(labels, l.name) {
				return fmt.Errorf("%s: %s has no label %s, it has %v", where, m.name, l.name, labels)
			}
			for value := range strings.SplitSeq(l.value, "|") {
				if allowed := values()[l.name]; allowed != nil && !slices.Contains(allowed, value) {
					return fmt.Errorf("%s: %s of %s is never %q", where, l.name, m.name, value)
				}
			}
		}
	}
	for _, g := range q.groups {
		if !slices.Contains(all, g) {
			return fmt.Errorf("%s: it groups by %s, which none of its metrics has", where, g)
		}
	}
	return nil
}

// TestCheckBites: a query that no node can answer is found.
func TestCheckBites(t *testing.T) {
	k := known{"a_total": {"outcome"}, "b_seconds": nil}
	for expression, ok := range map[string]bool{
		`sum by (outcome) (rate(a_total{outcome!="dead"}[5m]))`:   true,
		`histogram_quantile(0.9, sum by (le) (b_seconds_bucket))`: true,
		`a`:                           false,
		`a_total_bucket`:              false,
		`a_total{kind="x"}`:           false,
		`a_total{outcome="delivred"}`: false,
		`sum by (le) (a_total)`:       false,
		`sum by (le) (b_seconds_sum)`: false,
		`rate(a_total[5m]) > c_total`: false,
		`vector(0)`:                   false,
	} {
		if err := k.check("here", expression); (err == nil) != ok {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestDashboardAsksForWhatNodesHave: every panel, with its legend.
func TestDashboardAsksForWhatNodesHave(t *testing.T) {
	k, _ := running(t)
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/dashboards/signalbox.json")), &board); err != nil {
		t.Fatal(err)
	}
	var everything strings.Builder
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			where := fmt.Sprintf("panel %q", p.Title)
			if err := k.check(where, target.Expr); err != nil {
				t.Error(err)
			}
			if err := k.checkLabels(where, target.Expr, target.LegendFormat, `\{\{\s*(\w+)\s*\}\}`); err != nil {
				t.Error(err)
			}
			everything.WriteString(target.Expr + "\n")
		}
	}
	for _, must := range []string{
		"signalbox_ready", "signalbox_signals_total", "signalbox_commit_latency_seconds_bucket", "signalbox_waits_open", "signalbox_dead_letters{",
		"signalbox_store_grouped_total", "signalbox_mailbox_admitted", "signalbox_cluster_members", "signalbox_cluster_moves_total", "signalbox_store_up",
	} {
		if !strings.Contains(everything.String(), must) {
			t.Errorf("no panel shows %s", must)
		}
	}
}

// checkLabels looks for labels in a text that is filled in from an expression's result.
func (k known) checkLabels(where, expression, said, shape string) error {
	q := parse(expression)
	have := slices.Concat(q.groups, ofTarget)
	if len(q.groups) == 0 {
		for _, m := range q.metrics {
			labels, _ := k.labels(m.name)
			have = append(have, labels...)
		}
	}
	for _, m := range regexp.MustCompile(shape).FindAllStringSubmatch(said, -1) {
		if !slices.Contains(have, m[1]) {
			return fmt.Errorf("%s: %q speaks of the label %s, which the result has not", where, said, m[1])
		}
	}
	return nil
}

// TestDocsNameWhatNodesHave: every metric in the documents exists with the labels
// that they say, and every metric of a node is documented.
func TestDocsNameWhatNodesHave(t *testing.T) {
	k, shown := running(t)
	documented := map[string]bool{}
	pages, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		page, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b(signalbox_[a-z_]+[a-z])\b(?:\{([a-z,=" ]*)\})?`).FindAllStringSubmatch(read(t, page), -1) {
			if m[1] == "signalbox_http" {
				continue // signalbox_http_... stands for all of the front door's
			}
			labels, ok := k.labels(m[1])
			if !ok {
				t.Errorf("%s speaks of %s, which no node has", page, m[1])
			}
			documented[m[1]] = true
			for label := range strings.SplitSeq(m[2], ",") {
				if name, _, _ := strings.Cut(strings.TrimSpace(label), "="); name != "" && !slices.Contains(labels, name) {
					t.Errorf("%s speaks of %s of %s, which has %v", page, name, m[1], labels)
				}
			}
		}
	}
	for name := range k {
		if strings.HasPrefix(name, "signalbox_") && !strings.HasPrefix(name, "signalbox_http_") && !documented[name] {
			t.Errorf("docs/operations.md says nothing about %s", name)
		}
	}
	for _, name := range []string{"signalbox_ready", "signalbox_store_up", "signalbox_signals_total", "signalbox_dead_letters", "signalbox_http_requests_total"} {
		if !shown[name] {
			t.Errorf("a running node does not show %s", name)
		}
	}
}
