package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// service is what is read of one service of the compose file.
type service struct {
	name string
	object
}

func (s *service) profiles() []string { return texts(s.object["profiles"]) }

// nodes are the services that serve.
func nodes(all []*service) []*service {
	return slices.DeleteFunc(slices.Clone(all), func(s *service) bool {
		return !slices.Equal(texts(s.object["command"]), []string{"serve", "/project"})
	})
}

func compose(t *testing.T) (object, []*service) {
	t.Helper()
	file := documents(t, "docker-compose.yml", read(t, "docker-compose.yml"))[0]
	var all []*service
	for name, s := range file["services"].(object) {
		all = append(all, &service{name, s.(object)})
	}
	slices.SortFunc(all, func(a, b *service) int { return strings.Compare(a.name, b.name) })
	return file, all
}

func byName(all []*service, name string) *service {
	i := slices.IndexFunc(all, func(s *service) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// TestComposeProfiles: what starts with which profile, each on a port of its own.
func TestComposeProfiles(t *testing.T) {
	_, all := compose(t)
	started := map[string][]string{}
	ports := map[string]string{}
	for _, s := range all {
		for _, profile := range append(s.profiles(), "always")[:max(1, len(s.profiles()))] {
			started[profile] = append(started[profile], s.name)
		}
		for _, p := range texts(s.object["ports"]) {
			m := regexp.MustCompile(`^127\.0\.0\.1:\$\{[A-Z_]+:-(\d+)\}:\d+$`).FindStringSubmatch(p)
			if m == nil {
				t.Errorf("%s: port %q is not one of this machine only that a variable moves", s.name, p)
				continue
			}
			if ports[m[1]] != "" {
				t.Errorf("%s and %s both want port %s", ports[m[1]], s.name, m[1])
			}
			ports[m[1]] = s.name
		}
	}
	for profile, want := range map[string][]string{
		"always":     {"certificates", "first-key", "node", "redis"},
		"cluster":    {"balancer", "node-2", "node-3"},
		"monitoring": {"grafana", "prometheus"},
	} {
		if !slices.Equal(started[profile], want) {
			t.Errorf("%s starts %v, want %v", profile, started[profile], want)
		}
	}
}

// TestComposeHangsTogether: what a service names is there.
func TestComposeHangsTogether(t *testing.T) {
	file, all := compose(t)
	for _, s := range all {
		if image := text(s.object["image"]); !regexp.MustCompile(`:v?\d|^signalbox:local$`).MatchString(image) {
			t.Errorf("%s: image %q has no version", s.name, image)
		}
		needs, _ := s.object["depends_on"].(object)
		for name := range needs {
			if byName(all, name) == nil {
				t.Errorf("%s depends on %s, which is no service", s.name, name)
			}
		}
		for _, v := range texts(s.object["volumes"]) {
			v = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`).ReplaceAllString(v, "$1")
			source, _, _ := strings.Cut(v, ":")
			if _, named := file["volumes"].(object)[source]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, source)); err != nil || !strings.HasPrefix(source, "./") {
				t.Errorf("%s: %q is neither a volume nor a file of the repository", s.name, source)
			}
		}
	}
	redis := strings.Join(texts(byName(all, "redis").object["command"]), " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"} {
		if !strings.Contains(redis, want) {
			t.Errorf("the Redis is started without %s", want)
		}
	}
}

// TestComposeNodesFindEachOther: three nodes, each under its own name, with a
// certificate of that name, known to the balancer and to Prometheus.
func TestComposeNodesFindEachOther(t *testing.T) {
	_, all := compose(t)
	known, names := settings(t), []string{}
	certificates := texts(byName(all, "certificates").object["command"])
	for _, n := range nodes(all) {
		names = append(names, n.name)
		env, _ := n.object["environment"].(object)
		for name := range env {
			if strings.HasPrefix(name, "SIGNALBOX_") && !slices.Contains(known, name) {
				t.Errorf("%s: no setting reads %s", n.name, name)
			}
		}
		for name, want := range map[string]string{
			"SIGNALBOX_CLUSTER": "true", "SIGNALBOX_CLUSTER_ADVERTISE": n.name + ":8090",
			"SIGNALBOX_CLUSTER_CERT": "/certificates/" + n.name + ".pem", "SIGNALBOX_CLUSTER_KEY": "/certificates/" + n.name + ".key",
			"SIGNALBOX_CLUSTER_CA": "/certificates/ca.pem", "SIGNALBOX_STORE": "redis://redis:6379",
		} {
			if env[name] != want {
				t.Errorf("%s: %s is %v, want %s", n.name, name, env[name], want)
			}
		}
		if !slices.Contains(certificates, n.name) {
			t.Errorf("nobody makes a certificate for %s", n.name)
		}
		if !slices.Contains(texts(n.object["volumes"]), n.name+":/data") {
			t.Errorf("%s shares its data folder with another node", n.name)
		}
		grace, err := time.ParseDuration(text(n.object["stop_grace_period"]))
		if err != nil {
			t.Error(err)
		}
		graceful(t, n.name, text(env["SIGNALBOX_DRAIN_DELAY"]), grace)
	}
	if !slices.Equal(names, []string{"node", "node-2", "node-3"}) {
		t.Fatalf("the nodes are %v", names)
	}
	var balanced []string
	for _, m := range regexp.MustCompile(`(?m)^ +server (\S+) (\S+):8080$`).FindAllStringSubmatch(read(t, "deploy/haproxy/haproxy.cfg"), -1) {
		balanced = append(balanced, m[2])
	}
	if !slices.Equal(balanced, names) {
		t.Errorf("the balancer sends to %v, the nodes are %v", balanced, names)
	}
	scrape := documents(t, "prometheus.yml", read(t, "deploy/prometheus/prometheus.yml"))[0]
	found := at(list(at(list(scrape["scrape_configs"])[0], "dns_sd_configs"))[0], "names")
	if !slices.Equal(texts(found), names) {
		t.Errorf("Prometheus asks %v, the nodes are %v", found, names)
	}
}

// TestBalancerAsksWhetherNodesAreReady: and sends nothing twice.
func TestBalancerAsksWhetherNodesAreReady(t *testing.T) {
	config := read(t, "deploy/haproxy/haproxy.cfg")
	for _, want := range []string{"option httpchk GET /readyz", "http-check expect status 200", "retry-on conn-failure\n"} {
		if !strings.Contains(config, want) {
			t.Errorf("the balancer's configuration lacks %q", want)
		}
	}
	tool(t, "haproxy", "-c", "-f", "deploy/haproxy/haproxy.cfg")
}

// TestComposeReadsTheFile asks the real thing, where there is one.
func TestComposeReadsTheFile(t *testing.T) {
	if err := exec.Command("docker", "compose", "version").Run(); err != nil {
		t.Skip("docker compose is not installed here; the structure is checked without it")
	}
	for _, args := range [][]string{{}, {"--profile", "cluster"}, {"--profile", "monitoring"}, {"--profile", "cluster", "--profile", "monitoring"}} {
		tool(t, "docker", append(append([]string{"compose"}, args...), "config", "--quiet")...)
	}
}
