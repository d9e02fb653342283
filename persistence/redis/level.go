package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/workflow"
)

// condition is how one Redis says that it is.
type condition struct {
	level    workflow.Durability
	why      string // the level is not a better one
	trouble  error  // it would not write now; nil when it would
	version  string
	evicts   string // the policy by which it forgets keys when it is full; "" when it does not
	replicas int
	disk     uint64 // bytes of its files
}

// examine asks a Redis how it is. It changes nothing.
func examine(ctx context.Context, c *goredis.Client, a *Address) (condition, error) {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return condition{}, err
	}
	info := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	now := condition{version: info["redis_version"]}
	now.disk, _ = strconv.ParseUint(info["aof_current_size"], 10, 64) // not there without the file
	now.replicas, _ = strconv.Atoi(info["connected_slaves"])
	now.trouble = troubleOf(info)
	limited := info["maxmemory"] != "" && info["maxmemory"] != "0"
	if policy := info["maxmemory_policy"]; limited && strings.HasPrefix(policy, "allkeys-") {
		now.evicts = policy
	}
	config := map[string]string{}
	for _, name := range []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite"} {
		values, err := c.ConfigGet(ctx, name).Result()
		var reply goredis.Error
		if errors.As(err, &reply) {
			break // not allowed to ask: what is not known is not promised
		}
		if err != nil {
			return now, err
		}
		config[name] = values[name]
	}
	now.level, now.why = levelOf(info, config, a.Replicas)
	return now, nil
}

// troubleOf says why a Redis would not write now.
func troubleOf(info map[string]string) error {
	used, _ := strconv.ParseUint(info["used_memory"], 10, 64)
	most, _ := strconv.ParseUint(info["maxmemory"], 10, 64)
	switch {
	case info["loading"] == "1":
		return errors.New("the Redis is reading its files after a start")
	case info["role"] == "slave":
		return errors.New("the Redis is a replica and takes no writes; name the primary, or use redis+sentinel://")
	case info["aof_last_write_status"] == "err":
		return errors.New("the Redis cannot write its append-only file: see its log and its disk")
	case most > 0 && used > most && info["maxmemory_policy"] == "noeviction":
		return errors.New("the Redis has reached its maxmemory: give it more, or sweep sooner (--retention)")
	}
	return nil
}

// levelOf is what a 2xx survives with a Redis of that configuration. What is not
// known is taken for the worse.
func levelOf(info, config map[string]string, replicas int) (workflow.Durability, string) {
	fsync, known := config["appendfsync"]
	switch {
	case info["aof_enabled"] != "1":
		return workflow.Memory, "the Redis keeps no append-only file (appendonly no)"
	case !known:
		return workflow.OneSecond, "the Redis does not let itself be asked for appendfsync (CONFIG GET)"
	case fsync == "everysec":
		return workflow.OneSecond, "appendfsync is everysec"
	case fsync != "always":
		return workflow.Memory, "appendfsync is " + fsync + ": the system syncs the file when it likes"
	case config["no-appendfsync-on-rewrite"] == "yes":
		return workflow.Memory, "no-appendfsync-on-rewrite is yes: while Redis writes its files anew it syncs nothing"
	case replicas == 0:
		return workflow.Fsync, "no replica has to confirm (?replicas=N)"
	}
	return workflow.Replicated, ""
}

// ranks the levels, the worst first.
var ranks = []workflow.Durability{workflow.Memory, workflow.OneSecond, workflow.Fsync, workflow.Replicated}

// worse reports whether a level promises less than another.
func worse(a, b workflow.Durability) bool {
	for _, l := range ranks {
		if l == a || l == b {
			return l == a && a != b
		}
	}
	return false
}

// atLeast compares a version of Redis, like 7.2.4.
func atLeast(version string, major, minor int) bool {
	var m, n int
	if _, err := fmt.Sscanf(version, "%d.%d", &m, &n); err != nil {
		return false
	}
	return m > major || m == major && n >= minor
}

// survey asks every Redis that is written to, and puts the worst together.
func (s *Store) survey(ctx context.Context) (condition, error) {
	var mu sync.Mutex
	var sum condition
	some := false
	err := s.client.each(ctx, func(ctx context.Context, c *goredis.Client) error {
		now, err := examine(ctx, c, s.address)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if !some {
			some, sum = true, now
			return nil
		}
		if worse(now.level, sum.level) {
			sum.level, sum.why = now.level, now.why
		}
		if sum.trouble == nil {
			sum.trouble = now.trouble
		}
		if sum.evicts == "" {
			sum.evicts = now.evicts
		}
		sum.replicas = min(sum.replicas, now.replicas)
		sum.disk += now.disk
		return nil
	})
	return sum, err
}

// fit says what makes a Redis unfit for a store for good.
func (c condition) fit(a *Address) error {
	switch {
	case !atLeast(c.version, 6, 2):
		return fmt.Errorf("the Redis is of version %q; 6.2 is the least that works", c.version)
	case c.evicts != "":
		return fmt.Errorf("the Redis has the maxmemory-policy %s, so it forgets executions when it is full; set it to noeviction", c.evicts)
	case a.Replicas > 0 && !atLeast(c.version, 7, 2):
		return fmt.Errorf("replicas=%d needs WAITAOF, which Redis has since version 7.2, and this one is %s; leave replicas out, or use a newer Redis", a.Replicas, c.version)
	}
	return nil
}

// observe takes what a survey found: a level that changed is said aloud.
func (s *Store) observe(now condition) {
	level := now.level
	s.disk.Store(now.disk)
	was := s.level.Swap(&level)
	switch {
	case was == nil && level == workflow.Memory:
		s.log.Warn("a 2xx survives nothing: everything may be lost when the Redis stops; set appendonly yes and appendfsync always", "why", now.why)
	case was == nil && level == workflow.OneSecond:
		s.log.Warn("up to one second of what was answered 2xx is lost when the machine of the Redis loses power; set appendfsync always", "why", now.why)
	case was != nil && worse(level, *was):
		s.log.Warn("a 2xx survives less than before", "was", *was, "now", level, "why", now.why)
	case was != nil && *was != level:
		s.log.Info("a 2xx survives more than before", "was", *was, "now", level)
	}
}
