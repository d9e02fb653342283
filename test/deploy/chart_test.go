package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ways to install the chart, each with the kinds that it makes.
var ways = map[string]struct {
	set   map[string]any
	kinds []string
}{
	"as it comes": {nil, []string{"ConfigMap", "Pod", "PodDisruptionBudget", "Service", "Service", "StatefulSet"}},
	"everything": {map[string]any{
		"monitoring.podMonitor.enabled": true, "monitoring.alerts.enabled": true, "monitoring.dashboard.enabled": true,
		"certificates.issuer.name": "nodes", "firstKey.secret.name": "first", "redis.passwordSecret.name": "redis",
		"redis.address": "rediss://redis:6380?replicas=1", "image.tag": "v1.2.3", "project.configMap": "mine",
	}, []string{"Certificate", "ConfigMap", "Pod", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "Service", "Service", "StatefulSet"}},
	"one node on its own disk": {map[string]any{"replicas": 1, "redis.address": ""}, []string{"ConfigMap", "Pod", "PodDisruptionBudget", "Service", "Service", "StatefulSet"}},
	"one node on a Redis":      {map[string]any{"replicas": 1, "certificates.secret": "", "podDisruptionBudget.enabled": false}, []string{"ConfigMap", "Pod", "Service", "Service", "StatefulSet"}},
}

func kind(all []object, kind string) object {
	i := slices.IndexFunc(all, func(o object) bool { return o["kind"] == kind })
	if i < 0 {
		return nil
	}
	return all[i]
}

// TestChart renders it in several ways and looks whether what it makes hangs together.
func TestChart(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			rendered, err := render(t, "signalbox", way.set)
			if err != nil {
				t.Fatal(err)
			}
			all := documents(t, name, rendered)
			var kinds []string
			for _, o := range all {
				kinds = append(kinds, text(o["kind"]))
				if text(o["apiVersion"]) == "" || text(at(o, "metadata", "name")) == "" {
					t.Errorf("it makes something without a version or a name: %v", o)
				}
			}
			slices.Sort(kinds)
			if diff := cmp.Diff(way.kinds, kinds); diff != "" {
				t.Errorf("it makes (-want +got)\n%s", diff)
			}
			pod := at(kind(all, "StatefulSet"), "spec", "template")
			checkPod(t, pod)
			checkNames(t, all, pod)
			checkSelectors(t, all, pod)
		})
	}
}

// checkPod looks at what a pod may do, what it is asked, and how it ends.
func checkPod(t *testing.T, pod any) {
	t.Helper()
	spec := at(pod, "spec")
	if at(spec, "securityContext", "runAsNonRoot") != true || at(spec, "securityContext", "runAsUser") != 65532 || at(spec, "automountServiceAccountToken") != false {
		t.Error("the pod may run as root, or talk to Kubernetes")
	}
	volumes := map[string]bool{"data": true} // which a claim makes
	for _, v := range list(at(spec, "volumes")) {
		volumes[text(at(v, "name"))] = true
	}
	used := map[string]bool{"data": true}
	for _, c := range append(list(at(spec, "containers")), list(at(spec, "initContainers"))...) {
		name := text(at(c, "name"))
		context := at(c, "securityContext")
		if at(context, "readOnlyRootFilesystem") != true || at(context, "allowPrivilegeEscalation") != false || !slices.Equal(texts(at(context, "capabilities", "drop")), []string{"ALL"}) {
			t.Errorf("%s may do more than it needs: %v", name, context)
		}
		if at(c, "resources", "requests", "memory") == nil || at(c, "resources", "limits", "memory") == nil {
			t.Errorf("%s has no bound of memory", name)
		}
		for _, m := range list(at(c, "volumeMounts")) {
			if used[text(at(m, "name"))] = true; !volumes[text(at(m, "name"))] {
				t.Errorf("%s mounts %v, which is no volume", name, at(m, "name"))
			}
		}
	}
	for v := range volumes {
		if !used[v] {
			t.Errorf("nobody mounts the volume %s", v)
		}
	}
	node := list(at(spec, "containers"))[0]
	for probe, path := range map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
		if at(node, probe, "httpGet", "path") != path || at(node, probe, "httpGet", "port") != "http" {
			t.Errorf("%s asks %v, want %s", probe, at(node, probe), path)
		}
	}
	seconds, _ := at(spec, "terminationGracePeriodSeconds").(int)
	graceful(t, "the chart", environment(node)["SIGNALBOX_DRAIN_DELAY"], time.Duration(seconds)*time.Second)
}

func environment(container any) map[string]string {
	env := map[string]string{}
	for _, e := range list(at(container, "env")) {
		env[text(at(e, "name"))] = text(at(e, "value"))
	}
	return env
}

// checkNames looks whether nodes find each other under the names that they are given.
func checkNames(t *testing.T, all []object, pod any) {
	t.Helper()
	set := kind(all, "StatefulSet")
	governing := text(at(set, "spec", "serviceName"))
	i := slices.IndexFunc(all, func(o object) bool { return o["kind"] == "Service" && at(o, "metadata", "name") == governing })
	if i < 0 || at(all[i], "spec", "clusterIP") != "None" || at(all[i], "spec", "publishNotReadyAddresses") != true {
		t.Errorf("the pods have no names before they are ready: there is no headless service %s", governing)
	}
	node := list(at(pod, "spec", "containers"))[0]
	env, known := environment(node), settings(t)
	for name := range env {
		if strings.HasPrefix(name, "SIGNALBOX_") && !slices.Contains(known, name) {
			t.Errorf("no setting reads %s", name)
		}
	}
	clustered := env["SIGNALBOX_CLUSTER"] == "true"
	if several := at(set, "spec", "replicas") != 1; several && !clustered {
		t.Error("several nodes do not know of each other")
	}
	host := "." + governing + ".default.svc"
	if clustered && env["SIGNALBOX_CLUSTER_ADVERTISE"] != "$(POD_NAME)"+host+":8090" {
		t.Errorf("nodes are reached under %s", env["SIGNALBOX_CLUSTER_ADVERTISE"])
	}
	if c := kind(all, "Certificate"); c != nil && !slices.Equal(texts(at(c, "spec", "dnsNames")), []string{"*" + host}) {
		t.Errorf("the certificate is for %v", at(c, "spec", "dnsNames"))
	}
}

// checkSelectors looks whether services, budget and monitor find the pods, and the
// pod of the test is not taken for a node.
func checkSelectors(t *testing.T, all []object, pod any) {
	t.Helper()
	labels, _ := at(pod, "metadata", "labels").(object)
	ports := map[any]bool{}
	for _, p := range list(at(list(at(pod, "spec", "containers"))[0], "ports")) {
		ports[at(p, "name")] = true
	}
	for _, o := range all {
		var selector any
		switch o["kind"] {
		case "Service":
			selector = at(o, "spec", "selector")
			for _, p := range list(at(o, "spec", "ports")) {
				if target := at(p, "targetPort"); target != nil && !ports[target] {
					t.Errorf("service %v sends to the port %v, which no pod has", at(o, "metadata", "name"), target)
				}
			}
		case "StatefulSet", "PodDisruptionBudget", "PodMonitor":
			selector = at(o, "spec", "selector", "matchLabels")
		default:
			continue
		}
		wanted, _ := selector.(object)
		if len(wanted) == 0 {
			t.Errorf("%v selects everything", o["kind"])
		}
		tester, _ := at(kind(all, "Pod"), "metadata", "labels").(object)
		same := true
		for name, value := range wanted {
			if labels[name] != value {
				t.Errorf("%v selects %s=%v, pods have %v", o["kind"], name, value, labels[name])
			}
			if name != "app.kubernetes.io/name" && name != "app.kubernetes.io/instance" {
				t.Errorf("%v selects by %s, which changes with an upgrade", o["kind"], name)
			}
			same = same && tester[name] == value
		}
		if same {
			t.Errorf("%v takes the pod of the test for a node", o["kind"])
		}
	}
	if m := kind(all, "PodMonitor"); m != nil {
		if e := list(at(m, "spec", "podMetricsEndpoints"))[0]; at(e, "path") != "/metrics" || !ports[at(e, "port")] {
			t.Errorf("Prometheus asks %v", e)
		}
	}
	if r := kind(all, "PrometheusRule"); r != nil && len(list(at(list(at(r, "spec", "groups"))[0], "rules"))) != len(rules(t)) {
		t.Error("the chart has other alerts than deploy/prometheus/alerts.yml")
	}
}

// TestChartRefusesWhatCannotWork: several nodes need a Redis and certificates.
func TestChartRefusesWhatCannotWork(t *testing.T) {
	for says, set := range map[string]map[string]any{
		"set redis.address":       {"redis.address": ""},
		"set certificates.secret": {"certificates.secret": ""},
	} {
		if _, err := render(t, "signalbox", set); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v gives %v, want something about %q", set, err, says)
		}
	}
}

// TestHelmRendersTheSame asks the real thing, where there is one: it has no complaint,
// and makes what was checked above.
func TestHelmRendersTheSame(t *testing.T) {
	tool(t, "helm", "lint", chart)
	for name, way := range ways {
		theirs := documents(t, "helm", string(tool(t, "helm", append([]string{"template", "signalbox", chart}, flags(way.set)...)...)))
		rendered, err := render(t, "signalbox", way.set)
		if err != nil {
			t.Fatal(err)
		}
		ours := documents(t, name, rendered)
		for _, all := range [][]object{ours, theirs} {
			slices.SortFunc(all, func(a, b object) int {
				return strings.Compare(text(a["kind"])+text(at(a, "metadata", "name")), text(b["kind"])+text(at(b, "metadata", "name")))
			})
			if set := kind(all, "StatefulSet"); set != nil {
				// The hash of the project depends on how its YAML is laid out.
				delete(at(set, "spec", "template", "metadata", "annotations").(object), "checksum/project")
			}
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: helm makes something else (-helm +here)\n%s", name, diff)
		}
	}
}
