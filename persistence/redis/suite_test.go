package redis_test

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/persistence/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// TestSuite and TestSuiteOnCluster run what every store must pass, on a real
// server that syncs always: standalone with one partition, and in cluster mode
// with many.
func TestSuite(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) storetest.Opener { return onServer(t, "redis://"+server.Addr) })
}

func TestSuiteOnCluster(t *testing.T) {
	server := redistest.StartCluster(t)
	storetest.Run(t, func(t *testing.T) storetest.Opener { return onServer(t, "redis+cluster://"+server.Addr) })
}

// TestModel compares the store with a model under random work, with three partitions.
func TestModel(t *testing.T) {
	if flag.Lookup("rapid.checks").Value.String() == "100" {
		if err := flag.Set("rapid.checks", "15"); err != nil { // each step goes over a socket and a sync
			t.Fatal(err)
		}
	}
	server := redistest.Start(t, "--appendonly", "no")
	storetest.RunModel(t, func(t *testing.T) storetest.Opener { return onServer(t, "redis://"+server.Addr+"?partitions=3") })
}

var fresh atomic.Int64

// onServer opens a store of its own on a server.
func onServer(t testing.TB, address string) storetest.Opener {
	prefix := fmt.Sprintf("test%d:", fresh.Add(1))
	sign := "?"
	if strings.Contains(address, "?") {
		sign = "&"
	}
	a, err := redis.ParseAddress(address + sign + "prefix=" + prefix)
	if err != nil {
		t.Fatal(err)
	}
	return func() (persistence.Store, error) { return redis.Open(t.Context(), a, redis.Options{}) }
}
