package deploy

import (
	"regexp"
	"strings"
	"testing"
)

const alertsFile = "deploy/prometheus/alerts.yml"

// rules are the alerts by their names, in their order.
func rules(t *testing.T) []object {
	t.Helper()
	var all []object
	for _, group := range list(documents(t, alertsFile, read(t, alertsFile))[0]["groups"]) {
		for _, rule := range list(at(group, "rules")) {
			all = append(all, rule.(object))
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d alerts were found", len(all))
	}
	return all
}

// TestAlertsAskForWhatNodesHave: and what they say can be filled in.
func TestAlertsAskForWhatNodesHave(t *testing.T) {
	k, _ := running(t)
	for _, rule := range rules(t) {
		where, expr := text(rule["alert"]), text(rule["expr"])
		if err := k.check(where, expr); err != nil {
			t.Error(err)
		}
		for _, said := range []string{"summary", "description"} {
			told := text(at(rule, "annotations", said))
			if told == "" {
				t.Errorf("%s has no %s", where, said)
			}
			if err := k.checkLabels(where, expr, told, `\$labels\.(\w+)`); err != nil {
				t.Error(err)
			}
		}
		if severity := text(at(rule, "labels", "severity")); severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", where, severity)
		}
	}
}

// TestAlertsHaveARunbook: whoever is woken reads what it means and what to do.
func TestAlertsHaveARunbook(t *testing.T) {
	page := read(t, "docs/operations.md")
	_, section, found := strings.Cut(page, "\n## Alerts\n")
	if !found {
		t.Fatal("docs/operations.md has no section Alerts, which the alerts point to")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.{20,}) \\| (.{20,}) \\|$").FindAllStringSubmatch(section, -1) {
		named[m[1]] = true
	}
	for _, rule := range rules(t) {
		name := text(rule["alert"])
		if !named[name] {
			t.Errorf("docs/operations.md does not say what %s means and what to do", name)
		}
		delete(named, name)
		if link := text(at(rule, "annotations", "runbook_url")); !strings.HasSuffix(link, "docs/operations.md#alerts") {
			t.Errorf("%s points to %q", name, link)
		}
	}
	for name := range named {
		t.Errorf("docs/operations.md explains %s, which is no alert", name)
	}
}

// TestAlertsFire: each has a series of numbers on which it fires, and the real
// thing says so where there is one.
func TestAlertsFire(t *testing.T) {
	cases := read(t, "deploy/prometheus/alerts_test.yml")
	for _, rule := range rules(t) {
		if !strings.Contains(cases, "alertname: "+text(rule["alert"])+"\n") {
			t.Errorf("deploy/prometheus/alerts_test.yml never lets %s fire", text(rule["alert"]))
		}
	}
	tool(t, "promtool", "check", "config", "deploy/prometheus/prometheus.yml")
	tool(t, "promtool", "test", "rules", "deploy/prometheus/alerts_test.yml")
}
