package chaos

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestClusterUnderLoad is the promise "three nodes on one Redis, whatever happens
// to one of them: nothing acknowledged is lost, nothing is applied twice, no commit
// of a former owner is accepted, the executions of a dead node answer again within
// ten seconds, and nobody has to be started again but who was killed". Its rounds
// are those of the plan; CLUSTER_ROUNDS asks for more or fewer.
func TestClusterUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three real nodes for two minutes; left out by -short")
	}
	t.Parallel() // it waits for leases to run out, most of the time
	rounds := int(setting(t, "CLUSTER_ROUNDS", uint64(len(plan))))
	seed := setting(t, "CHAOS_SEED", uint64(time.Now().UnixNano()))
	t.Logf("CHAOS_SEED=%d CLUSTER_ROUNDS=%d, %d clients", seed, rounds, clients)
	c := newCluster(t, seed)
	for i := range c.nodes {
		c.start(t, i)
	}
	c.settled(t)
	ended := c.begin(t)
	for i := range rounds {
		round := plan[i%len(plan)]
		// A plan that is gone through again attacks other nodes.
		shift := i / len(plan)
		if round.whole {
			c.thaw(t)
		}
		began := time.Now()
		met := round.attack(c, t, (round.victim+shift)%3, (round.other+shift)%3)
		t.Logf("round %d, %s node %d: %v, %d executions met a move", i+1, round.name, round.victim, ms(time.Since(began)), met)
	}
	c.thaw(t)
	c.end(t, ended)
	c.judge(t)
}

// begin starts the load; end ends it.
func (c *several) begin(t *testing.T) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- c.load.run(t.Context()) }()
	c.alive(t, time.Second)
	return ended
}

func (c *several) end(t *testing.T, ended <-chan error) {
	t.Helper()
	c.alive(t, time.Second)
	close(c.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// plan is what happens to whom. A round lasts a little longer than a lease where
// owners are to change, because nothing new happens later; only one freeze lasts
// for half a minute, and the rounds behind it happen to the other two meanwhile.
// whole: it begins with all three.
var plan = []struct {
	name          string
	attack        func(c *several, t *testing.T, victim, other int) int
	victim, other int
	whole         bool
}{
	{"kill", (*several).kill, 0, 0, false},
	{"leave", (*several).leave, 1, 0, false},
	{"cut off", (*several).cutOff, 2, 0, false},
	{"freeze", (*several).freeze, 0, 0, false},
	{"kill", (*several).kill, 1, 0, false},
	{"cut from a peer", (*several).cutPair, 0, 2, false},
	{"leave", (*several).leave, 2, 0, false},
	{"freeze for long", (*several).freezeLong, 0, 0, false},
	{"cut from Redis", (*several).cutStore, 1, 0, false},
	{"kill", (*several).kill, 2, 0, false},
	{"freeze", (*several).freeze, 1, 0, false},
	{"cut now and then", (*several).flap, 2, 0, false},
	{"cut one way", (*several).cutOneWay, 1, 2, true},
	{"leave", (*several).leave, 0, 0, false},
	{"kill", (*several).kill, 1, 0, false},
	{"slow", (*several).slowDown, 2, 0, false},
	{"leave", (*several).leave, 1, 0, false},
	{"freeze", (*several).freeze, 2, 0, false},
	{"kill", (*several).kill, 0, 0, false},
	{"leave", (*several).leave, 2, 0, false},
}

// kill kills a node, waits until all that it owned answers by way of the others,
// and starts it again.
func (c *several) kill(t *testing.T, i, _ int) int {
	t.Helper()
	c.kills++
	m := c.mark(t)
	owned := m.owned(c.peers[i].Addr)
	c.open(i)
	began := time.Now()
	c.nodes[i].Kill()
	c.nodes[i] = nil
	m.struck()
	c.answering(t, owned, began)
	c.settled(t)
	c.start(t, i)
	return m.met(t)
}

// answering returns when each of many executions has answered, and notes when.
func (c *several) answering(t *testing.T, ids []string, began time.Time) {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, id := range ids {
		group.Go(func() {
			probe := &client{load: c.load, number: clients + c.kills}
			s := c.load.ledger.Signal(Sent{ID: fmt.Sprintf("p-%s-%d", id, c.kills), Exec: id, Client: probe.number, N: 1})
			err := probe.insist(t.Context(), s, func(a api) error {
				answer, err := a.signal(t.Context(), s.Exec, s.ID, signalName, map[string]any{"n": 0, "client": probe.number})
				if err == nil {
					c.load.ledger.Answered(s, answer)
				}
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			c.again = append(c.again, time.Since(began))
			if err != nil {
				t.Errorf("execution %s does not answer after the death of its node: %v", id, err)
			}
		})
	}
	group.Wait()
}

// freeze stops a node for longer than its lease, and lets it run again: it must
// come back by itself, as another member.
func (c *several) freeze(t *testing.T, i, _ int) int {
	t.Helper()
	c.freezes++
	m := c.mark(t)
	c.nodes[i].Freeze()
	m.struck()
	c.trouble(i, true)
	c.alive(t, standStill)
	c.nodes[i].Thaw()
	c.back(t, i)
	m.reborn(t, c.peers[i].Addr)
	return m.met(t)
}

// freezeLong stops a node; thaw lets it run again once half a minute is over.
func (c *several) freezeLong(t *testing.T, i, _ int) int {
	t.Helper()
	c.freezes++
	m := c.mark(t)
	c.nodes[i].Freeze()
	c.frozen, c.frozenAt, c.frozenID = i, time.Now(), m.members.of(c.peers[i].Addr)
	m.struck()
	c.trouble(i, true)
	return m.met(t)
}

// thaw ends a long freeze, if there is one.
func (c *several) thaw(t *testing.T) {
	t.Helper()
	if c.frozenAt.IsZero() {
		return
	}
	m := c.mark(t)
	c.alive(t, max(time.Second, longFreeze-time.Since(c.frozenAt)))
	m.struck()
	c.nodes[c.frozen].Thaw()
	c.back(t, c.frozen)
	if id := c.settled(t).of(c.peers[c.frozen].Addr); id == c.frozenID {
		t.Errorf("a node that stood still for %v is the same member as before", ms(time.Since(c.frozenAt)))
	}
	t.Logf("node %d stood still for %v", c.frozen, ms(time.Since(c.frozenAt)))
	c.frozenAt = time.Time{}
	m.met(t)
}

// back waits until a node that was in trouble is a member again.
func (c *several) back(t *testing.T, i int) {
	t.Helper()
	began := time.Now()
	c.away[i] = false
	c.settled(t)
	c.heals = append(c.heals, time.Since(began))
	c.readiness(t, i, true)
	c.open(-1)
}

// leave stops a node as it should be stopped, under load by way of the others: no
// request may fail.
func (c *several) leave(t *testing.T, i, _ int) int {
	t.Helper()
	m := c.mark(t)
	c.open(i)
	began := time.Now()
	c.alive(t, time.Second) // what was sent to it is answered
	took, err := c.nodes[i].Stop(drainTimeout)
	if err != nil {
		t.Fatalf("SIGTERM under load: %v", err)
	}
	m.struck()
	c.nodes[i] = nil
	c.settled(t)
	c.alive(t, time.Second)
	c.failed += c.load.ledger.failures(began)
	c.leaves = append(c.leaves, took)
	c.start(t, i)
	return m.met(t)
}

// judge gathers the evidence from one of the nodes and holds the ledger against
// it, and then has the program look through the store.
func (c *several) judge(t *testing.T) {
	t.Helper()
	e, err := gather(t.Context(), api{base: c.nodes[0].URL, http: c.load.http}, c.load.ledger, c.load.seed, settleTimeout)
	if err != nil {
		t.Fatalf("%v; the node's log ends:\n%s", err, c.nodes[0].Log())
	}
	var resends, conflicts float64 // of the lives that the nodes have now
	for _, n := range c.nodes {
		resends += metric(t, c.load.http, n.URL, "signalbox_cluster_resends_total")
		conflicts += metric(t, c.load.http, n.URL, "signalbox_store_conflicts_total")
	}
	v := Judge(c.load.ledger, e, listeners)
	fmt.Printf("cluster: seed=%d kills=%d freezes=%d leaves=%d partitions=%d clients=%d starts=%d signals=%d events=%d unknown=%d turned_away=%d lost=%d doubled=%d disordered=%d disagreed=%d resent=%d failed_while_leaving=%d met_moves=%d held=%d resends=%.0f stale_refused=%.0f answers_again_p50=%v answers_again_p99=%v heals_max=%v leave_max=%v\n",
		c.load.seed, c.kills, c.freezes, len(c.leaves), c.partitions, clients, v.Starts, v.Signals, v.Events, v.Unknown, c.load.ledger.away,
		len(v.Lost), len(v.Doubled), len(v.Disordered), len(v.Disagreed), v.Resent, c.failed, c.met, c.held, resends, conflicts,
		ms(percentile(c.again, 50)), ms(percentile(c.again, 99)), ms(percentile(c.heals, 100)), ms(percentile(c.leaves, 100)))
	if err := v.Err(); err != nil {
		for _, n := range c.nodes {
			t.Logf("the log of %s ends:\n%s", n.URL, n.Log())
		}
		t.Error(err)
	}
	if again := percentile(c.again, 99); again > answersAgain {
		t.Errorf("99 of 100 executions of a dead node answered again after %v, promised are %v", again, answersAgain)
	}
	if c.failed > 0 {
		t.Errorf("%d requests failed while a node left as it should", c.failed)
	}
	if v.Signals == 0 || v.Events == 0 || c.met == 0 {
		t.Errorf("%d signals and %d events were acknowledged and %d executions met a move: the run proves nothing", v.Signals, v.Events, c.met)
	}
	c.verify(t)
}

// verify stops the nodes and has the program look for whatever does not fit in
// the store: a commit of a former owner that was accepted would leave a history
// with a gap, or lists that are not those of the executions.
func (c *several) verify(t *testing.T) {
	t.Helper()
	for i, n := range c.nodes {
		if _, err := n.Stop(drainTimeout); err != nil {
			t.Error(err)
		}
		c.nodes[i] = nil
	}
	out, err := exec.CommandContext(t.Context(), c.options[0].Path, "store", "verify", "redis://"+c.redis.Addr).CombinedOutput()
	if err != nil {
		t.Errorf("the store after the rounds: %v\n%s", err, out)
	}
}

// mark remembers who owns what and what was acknowledged before an attack.
type mark struct {
	*several
	members *members
	acks    map[string]int
}

func (c *several) mark(t *testing.T) *mark {
	t.Helper()
	return &mark{several: c, members: c.settled(t)}
}

// struck is called when the former owner cannot acknowledge anything any more.
func (m *mark) struck() { m.acks = m.load.ledger.Awaited() }

// owned are executions of the load that the node at an address owns, some of them.
func (m *mark) owned(address string) []string {
	id, table := m.members.of(address), m.members.table()
	execs := slices.Collect(maps.Keys(m.load.ledger.Awaited()))
	execs = slices.DeleteFunc(execs, func(exec string) bool { return table.Owner(exec).ID != id })
	return execs[:min(len(execs), probes)]
}

// met counts the executions that took signals by an owner before the attack and by
// another one after it. A round that has none proves nothing.
func (m *mark) met(t *testing.T) int {
	t.Helper()
	before := m.members.table()
	count := 0
	for until := time.Now().Add(healed); count == 0 && time.Now().Before(until); {
		now := m.settled(t)
		after, acks := now.table(), m.load.ledger.Awaited()
		for exec, n := range m.acks {
			if n > 0 && acks[exec] > n && before.Owner(exec).ID != after.Owner(exec).ID {
				count++
			}
		}
	}
	if count == 0 {
		t.Error("no execution took a signal before the attack and after it by another owner: the load did not meet the move")
	}
	m.several.met += count
	return count
}

// reborn checks that the node at an address is another member than before.
func (m *mark) reborn(t *testing.T, address string) {
	t.Helper()
	before, now := m.members.of(address), m.settled(t).of(address)
	if before == now || now == "" {
		t.Errorf("the node at %s lost its place as %s and is %q now: it must be another member", address, before, now)
	}
}
