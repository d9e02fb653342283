package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/test/binary"
)

// TestClusterUnderLoad is the promise "three nodes on one Redis, whatever happens
// to one of them: nothing acknowledged is lost, nothing is applied twice, its
// executions answer again within ten seconds, and nobody has to be started again
// but who was killed". Each round kills a node with SIGKILL, freezes one for
// longer than its lease, or lets one leave. CLUSTER_ROUNDS sets their number.
func TestClusterUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three real nodes for a minute; left out by -short")
	}
	rounds := int(setting(t, "CLUSTER_ROUNDS", defaultClusterRounds))
	seed := setting(t, "CHAOS_SEED", uint64(time.Now().UnixNano()))
	t.Logf("CHAOS_SEED=%d CLUSTER_ROUNDS=%d, %d clients", seed, rounds, clients)
	c := newCluster(t, seed)
	for i := range c.nodes {
		c.start(t, i)
	}
	c.settled(t, 3)
	ended := make(chan error, 1)
	go func() { ended <- c.load.run(t.Context()) }()
	for i := range rounds {
		victim := (i / 3) % len(c.nodes)
		c.alive(t, time.Second)
		switch i % 3 {
		case 0:
			c.kill(t, victim)
		case 1:
			c.freeze(t, victim)
		case 2:
			c.leave(t, victim)
		}
		c.settled(t, 3)
	}
	c.alive(t, time.Second)
	close(c.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c.judge(t)
}

// several is three nodes on one Redis, and the load.
type several struct {
	*run
	redis   *redistest.Server
	nodes   [3]*binary.Node
	options [3]binary.Options
	again   []time.Duration // from a death until everything answered
	heals   []time.Duration // from the end of a freeze until all were members
	leaves  []time.Duration
	moves   float64
	failed  int // requests that failed while a node left
}

func newCluster(t *testing.T, seed uint64) *several {
	t.Helper()
	c := &several{run: newRun(t, seed), redis: redistest.Start(t)}
	c.load.ledger.Resends = true
	for i := range c.options {
		c.options[i] = c.run.options
		c.options[i].Data = filepath.Join(t.TempDir(), "n"+strconv.Itoa(i))
		c.options[i].Args = []string{"--store", "redis://" + c.redis.Addr, "--cluster", "--cluster-addr", freeAddress(t)}
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

func (c *several) start(t *testing.T, i int) {
	t.Helper()
	node, err := binary.Start(c.options[i])
	if err != nil {
		t.Fatal(err)
	}
	c.ready = append(c.ready, node.Ready)
	c.nodes[i] = node
	c.open(-1)
}

// open lets the clients talk to all nodes but one.
func (c *several) open(but int) {
	var urls []string
	for i, n := range c.nodes {
		if n != nil && i != but {
			urls = append(urls, n.URL)
		}
	}
	c.load.gate.move(urls...)
}

// alive lets the load run and fails when a node ends by itself.
func (c *several) alive(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		select {
		case <-n.Ended():
			t.Fatalf("a node ended by itself; its log ends:\n%s", n.Log())
		default:
		}
	}
	<-ctx.Done()
}

// kill kills a node, waits until everything answers by way of the others, and
// starts it again.
func (c *several) kill(t *testing.T, i int) {
	t.Helper()
	c.kills++
	c.open(i)
	began := time.Now()
	c.nodes[i].Kill()
	c.nodes[i] = nil
	c.answering(t)
	c.again = append(c.again, time.Since(began))
	c.settled(t, 2)
	c.start(t, i)
}

// answering returns when an execution in each of many partitions has answered.
func (c *several) answering(t *testing.T) {
	t.Helper()
	const probes = 60
	ids := make([]string, probes)
	for p := range ids {
		ids[p] = fmt.Sprintf("probe-%d-%d", c.kills, p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*answersAgain)
	defer cancel()
	err := each(ids, func(id string) error {
		for {
			url, _ := c.load.gate.now()
			err := (api{base: url, http: c.load.http}).start(ctx, "counter", id, map[string]any{"lane": "probe"})
			var r *refusal
			if err == nil || !errors.As(err, new(*unanswered)) && !(errors.As(err, &r) && r.turnedAway()) || ctx.Err() != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatalf("executions do not answer after the death of a node: %v", err)
	}
}

// freeze stops a node for longer than its lease, and lets it run again: it must
// come back by itself.
func (c *several) freeze(t *testing.T, i int) {
	t.Helper()
	c.freezes++
	c.open(i)
	c.nodes[i].Freeze()
	c.alive(t, standStill)
	c.nodes[i].Thaw()
	began := time.Now()
	c.open(-1)
	c.settled(t, 3)
	c.heals = append(c.heals, time.Since(began))
}

// leave stops a node as it should be stopped, under load by way of the others: no
// request may fail.
func (c *several) leave(t *testing.T, i int) {
	t.Helper()
	c.open(i)
	c.alive(t, time.Second) // what was sent to it is answered
	before := c.load.ledger.failures()
	took, err := c.nodes[i].Stop(drainTimeout)
	if err != nil {
		t.Fatalf("SIGTERM under load: %v", err)
	}
	c.nodes[i] = nil
	c.alive(t, time.Second)
	c.failed += c.load.ledger.failures() - before
	c.leaves = append(c.leaves, took)
	c.settled(t, 2)
	c.start(t, i)
}

// settled returns when every node that runs sees that many active members and
// nothing moves any more.
func (c *several) settled(t *testing.T, members int) {
	t.Helper()
	until := time.Now().Add(healed)
	var last string
	for time.Now().Before(until) {
		calm := true
		for _, n := range c.nodes {
			if n == nil {
				continue
			}
			var data struct {
				Moving  bool `json:"moving"`
				Members []struct {
					State string `json:"state"`
				} `json:"members"`
			}
			err := (api{base: n.URL, http: c.load.http}).call(t.Context(), "GET", "/api/v0/cluster", nil, &data)
			active := 0
			for _, m := range data.Members {
				if m.State == "active" {
					active++
				}
			}
			last = fmt.Sprintf("%s: %+v, %v", n.URL, data, err)
			if err != nil || data.Moving || active != members || len(data.Members) != members {
				calm = false
				break
			}
		}
		if calm {
			return
		}
		pause(t.Context(), 100*time.Millisecond, nil)
	}
	t.Fatalf("the nodes do not settle on %d members within %v; the last looked at: %s", members, healed, last)
}

// judge gathers the evidence from one of the nodes and holds the ledger against it.
func (c *several) judge(t *testing.T) {
	t.Helper()
	e, err := gather(t.Context(), api{base: c.nodes[0].URL, http: c.load.http}, c.load.ledger, c.load.seed, settleTimeout)
	if err != nil {
		t.Fatalf("%v; the node's log ends:\n%s", err, c.nodes[0].Log())
	}
	resends := 0.0
	for _, n := range c.nodes {
		c.moves += metric(t, c.load.http, n.URL, "signalbox_cluster_moves_total")
		resends += metric(t, c.load.http, n.URL, "signalbox_cluster_resends_total")
	}
	v := Judge(c.load.ledger, e, listeners)
	fmt.Printf("cluster: seed=%d kills=%d freezes=%d leaves=%d clients=%d starts=%d signals=%d events=%d unknown=%d turned_away=%d lost=%d doubled=%d disordered=%d disagreed=%d resent=%d failed_while_leaving=%d moves=%.0f resends=%.0f answers_again_max=%v heals_max=%v leave_max=%v\n",
		c.load.seed, c.kills, c.freezes, len(c.leaves), clients, v.Starts, v.Signals, v.Events, v.Unknown, c.load.ledger.away,
		len(v.Lost), len(v.Doubled), len(v.Disordered), len(v.Disagreed), v.Resent, c.failed, c.moves, resends,
		ms(percentile(c.again, 100)), ms(percentile(c.heals, 100)), ms(percentile(c.leaves, 100)))
	if err := v.Err(); err != nil {
		for _, n := range c.nodes {
			t.Logf("the log of %s ends:\n%s", n.URL, n.Log())
		}
		t.Error(err)
	}
	if again := percentile(c.again, 99); again > answersAgain {
		t.Errorf("executions of a dead node answered again after %v, promised are %v", again, answersAgain)
	}
	if c.failed > 0 {
		t.Errorf("%d requests failed while a node left as it should", c.failed)
	}
	if v.Signals == 0 || v.Events == 0 || c.moves == 0 {
		t.Errorf("%d signals and %d events were acknowledged and %.0f partitions moved: the run proves nothing", v.Signals, v.Events, c.moves)
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
