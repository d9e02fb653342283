package chaos

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/test/binary"
)

// several is three nodes on one Redis, every connection of theirs a cable that
// can be cut, and the load.
type several struct {
	*run
	redis   *redistest.Server
	stores  [3]*cable // from each node to the Redis
	peers   [3]*cable // from the other nodes to each
	nodes   [3]*binary.Node
	options [3]binary.Options
	away    [3]bool // it runs, and is frozen or cut off

	frozen   int // the node that a long freeze holds
	frozenAt time.Time
	frozenID string

	partitions int
	again      []time.Duration // from a death until an execution of the dead node answered
	heals      []time.Duration // from the end of a trouble until all were members
	leaves     []time.Duration
	failed     int // requests that failed while a node left
	met        int // executions whose signals were taken by one owner and then by another
	held       int // pieces that a cut cable held
}

func newCluster(t *testing.T, seed uint64) *several {
	t.Helper()
	c := &several{run: newRun(t, seed), redis: redistest.Start(t)}
	c.load.ledger.Resends = true
	c.load.deaf = &gate{}
	for i := range c.peers {
		c.peers[i] = c.cable(t)
		c.stores[i] = c.cable(t)
		c.stores[i].aim(c.redis.Addr)
	}
	for i := range c.options {
		for j, other := range c.peers {
			if j != i {
				c.peers[i].names = append(c.peers[i].names, other.Addr)
			}
		}
		c.options[i] = c.run.options
		c.options[i].Data = filepath.Join(t.TempDir(), "n"+strconv.Itoa(i))
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if n != nil {
				n.Thaw()
				n.Kill()
			}
		}
	})
	return c
}

func (c *several) cable(t *testing.T) *cable {
	t.Helper()
	made, err := newCable()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.close)
	return made
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// start starts a node, which listens somewhere else each time: the address that
// the others know is that of its cable.
func (c *several) start(t *testing.T, i int) {
	t.Helper()
	address := freeAddress(t)
	c.options[i].Args = []string{
		"--store", "redis://" + c.stores[i].Addr, "--cluster", "--cluster-addr", address, "--cluster-advertise", c.peers[i].Addr,
	}
	c.peers[i].aim(address)
	node, err := binary.Start(c.options[i])
	if err != nil {
		t.Fatal(err)
	}
	c.ready = append(c.ready, node.Ready)
	c.nodes[i] = node
	c.open(-1)
}

// open lets the clients talk to all nodes but one, and but those that are in
// trouble. Of the latter some clients do not know.
func (c *several) open(but int) {
	var well, all []string
	for i, n := range c.nodes {
		if n == nil || i == but {
			continue
		}
		all = append(all, n.URL)
		if !c.away[i] {
			well = append(well, n.URL)
		}
	}
	c.load.gate.move(well...)
	c.load.deaf.move(all...)
}

// trouble says that a node is in trouble, or not any more.
func (c *several) trouble(i int, away bool) {
	c.away[i] = away
	c.open(-1)
}

// alive lets the load run and fails when a node ends by itself.
func (c *several) alive(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		select {
		case <-n.Ended():
			t.Fatalf("node %d ended by itself; its log ends:\n%s", i, n.Log())
		default:
		}
	}
}

// members is what a node says of the cluster.
type members struct {
	Self    string `json:"self"`
	Moving  bool   `json:"moving"`
	Members []struct {
		ID      string `json:"id"`
		Address string `json:"address"`
		State   string `json:"state"`
	} `json:"members"`
}

// table is who owns what among them.
func (m *members) table() *cluster.Table {
	var v cluster.View
	for _, one := range m.Members {
		v.Members = append(v.Members, cluster.Member{ID: one.ID, Address: one.Address})
	}
	slices.SortFunc(v.Members, func(a, b cluster.Member) int { return cmp.Compare(a.ID, b.ID) })
	return cluster.NewTable(v)
}

// of is the id of the member at an address, "" when there is none.
func (m *members) of(address string) string {
	for _, one := range m.Members {
		if one.Address == address {
			return one.ID
		}
	}
	return ""
}

// settled returns when all nodes that are well see each other, nobody else, and
// nothing that moves any more.
func (c *several) settled(t *testing.T) *members {
	t.Helper()
	var asked []*binary.Node
	for i, n := range c.nodes {
		if n != nil && !c.away[i] {
			asked = append(asked, n)
		}
	}
	until := time.Now().Add(healed)
	var last string
	for time.Now().Before(until) {
		var seen *members
		calm := true
		for _, n := range asked {
			var m members
			err := (api{base: n.URL, http: c.load.http}).call(t.Context(), "GET", "/api/v0/cluster", nil, &m)
			seen, last = &m, fmt.Sprintf("%s: %+v, %v", n.URL, m, err)
			active := 0
			for _, one := range m.Members {
				if one.State == "active" {
					active++
				}
			}
			if err != nil || m.Moving || active != len(asked) || len(m.Members) != len(asked) {
				calm = false
				break
			}
		}
		if calm {
			return seen
		}
		pause(t.Context(), 50*time.Millisecond, nil)
	}
	for i, n := range c.nodes {
		if n != nil {
			t.Logf("the log of node %d ends:\n%s", i, n.Log())
		}
	}
	t.Fatalf("the nodes do not settle on %d members within %v; the last looked at: %s", len(asked), healed, last)
	return nil
}

// readiness waits until a node says that it takes messages, or that it takes none.
func (c *several) readiness(t *testing.T, i int, want bool) {
	t.Helper()
	until := time.Now().Add(healed)
	for {
		err := (api{base: c.nodes[i].URL, http: c.load.http}).ready(t.Context())
		if (err == nil) == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("node %d: ready must become %t and does not: %v; its log ends:\n%s", i, want, err, c.nodes[i].Log())
		}
		pause(t.Context(), 50*time.Millisecond, nil)
	}
}

// metric reads one number of a node.
func metric(t *testing.T, client *http.Client, url, name string) float64 {
	t.Helper()
	resp, err := client.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no metric %s", url, name)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
