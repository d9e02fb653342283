package redis_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// BenchmarkCommit measures commits of closed-loop submitters, and what they cost
// the server, on one that syncs always and on one that syncs once a second.
func BenchmarkCommit(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		for _, submitters := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("fsync=%s/submitters=%d", fsync, submitters), func(b *testing.B) {
				server := redistest.Start(b, "--appendfsync", fsync)
				s, err := onServer(b, "redis://"+server.Addr)()
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				before := serverTime(b, server)
				storetest.Benchmark(b, s, submitters)
				b.ReportMetric((serverTime(b, server)-before).Seconds()*1e6/float64(b.N), "server-us/commit")
			})
		}
	}
}

// serverTime is the processor time that a server used so far.
func serverTime(b *testing.B, server *redistest.Server) time.Duration {
	b.Helper()
	var used time.Duration
	lines := bufio.NewScanner(strings.NewReader(server.Do("INFO", "CPU")))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name != "used_cpu_sys" && name != "used_cpu_user" {
			continue
		}
		d, err := time.ParseDuration(strings.TrimSpace(value) + "s")
		if err != nil {
			b.Fatal(err)
		}
		used += d
	}
	if text := os.Getenv("REDIS_BENCH_INFO"); text != "" {
		b.Log(server.Do("INFO", text))
	}
	return used
}
