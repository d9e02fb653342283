package redis

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// TestLevels is the table of what a 2xx survives, by the configuration of Redis.
func TestLevels(t *testing.T) {
	on, off := map[string]string{"aof_enabled": "1"}, map[string]string{"aof_enabled": "0"}
	sync := func(when, rewrite string) map[string]string {
		return map[string]string{"appendfsync": when, "no-appendfsync-on-rewrite": rewrite}
	}
	for _, c := range []struct {
		name         string
		info, config map[string]string
		replicas     int
		want         workflow.Durability
	}{
		{"always", on, sync("always", "no"), 0, workflow.Fsync},
		{"always, with replicas", on, sync("always", "no"), 1, workflow.Replicated},
		{"every second", on, sync("everysec", "no"), 0, workflow.OneSecond},
		{"every second, with replicas", on, sync("everysec", "no"), 1, workflow.OneSecond},
		{"when the system likes", on, sync("no", "no"), 0, workflow.Memory},
		{"not while it rewrites", on, sync("always", "yes"), 0, workflow.Memory},
		{"without the file", off, sync("always", "no"), 2, workflow.Memory},
		{"not to be asked", on, nil, 0, workflow.OneSecond},
		{"not to be asked, without the file", off, nil, 0, workflow.Memory},
	} {
		got, why := levelOf(c.info, c.config, c.replicas)
		if got != c.want || got != workflow.Replicated && why == "" {
			t.Errorf("%s: %s (%s), want %s", c.name, got, why, c.want)
		}
	}
	for i, level := range ranks {
		for j, other := range ranks {
			if worse(level, other) != (i < j) {
				t.Errorf("%s is worse than %s: %v", level, other, worse(level, other))
			}
		}
	}
}

func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		now      condition
		replicas int
		fit      bool
	}{
		{condition{version: "7.0.15"}, 0, true},
		{condition{version: "6.2.0"}, 0, true},
		{condition{version: "6.0.9"}, 0, false},
		{condition{version: "unheard of"}, 0, false},
		{condition{version: "7.0.15"}, 1, false},
		{condition{version: "7.2.4"}, 1, true},
		{condition{version: "8.0.0"}, 1, true},
		{condition{version: "7.2.4", evicts: "allkeys-lru"}, 0, false},
	} {
		if err := c.now.fit(&Address{Replicas: c.replicas}); (err == nil) != c.fit {
			t.Errorf("%+v with %d replicas: %v", c.now, c.replicas, err)
		}
	}
}
