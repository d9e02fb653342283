package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// Nodes is a Redis Cluster of several masters, each with a replica.
type Nodes struct {
	Masters, Replicas []*Server
	t                 testing.TB
}

// StartNodes starts a cluster in which that many masters share all slots evenly, and
// a replica takes over half a second after its master is gone.
func StartNodes(t testing.TB, masters int) *Nodes {
	t.Helper()
	n := &Nodes{t: t}
	for range masters {
		n.Masters = append(n.Masters, n.start())
		n.Replicas = append(n.Replicas, n.start())
	}
	for i, m := range n.Masters {
		from, to := i*slots/masters, (i+1)*slots/masters-1
		n.ok(m, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
		n.ok(m, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, s := range n.all()[1:] {
		_, port, _ := net.SplitHostPort(s.Addr)
		n.ok(n.Masters[0], "CLUSTER", "MEET", "127.0.0.1", port, busPort(s))
	}
	n.settle()
	for i, r := range n.Replicas {
		r.Await(n.Masters[i].Do("CLUSTER", "MYID"), "CLUSTER", "NODES")
		n.ok(r, "CLUSTER", "REPLICATE", n.Masters[i].Do("CLUSTER", "MYID"))
		r.Await("master_link_status:up", "INFO", "replication")
	}
	n.settle()
	return n
}

// slots is how many slots a cluster has.
const slots = 16384

// start starts a server that is alone yet. Its bus has a port of its own: the usual
// one, 10,000 higher, may be none.
func (n *Nodes) start() *Server {
	_, bus, _ := net.SplitHostPort(freeAddr(n.t))
	return Start(n.t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "500",
		"--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no", "--cluster-port", bus)
}

func busPort(s *Server) string {
	for i, a := range s.args {
		if a == "--cluster-port" {
			return s.args[i+1]
		}
	}
	return ""
}

func (n *Nodes) all() []*Server { return append(append([]*Server{}, n.Masters...), n.Replicas...) }

func (n *Nodes) ok(s *Server, words ...string) {
	n.t.Helper()
	if answer := s.Do(words...); answer != "OK" {
		n.t.Fatalf("%v at %s: %s", words, s.Addr, answer)
	}
}

// settle waits until every node knows all of them and finds the cluster whole.
func (n *Nodes) settle() {
	n.t.Helper()
	for _, s := range n.all() {
		s.Await("cluster_known_nodes:"+strconv.Itoa(len(n.all())), "CLUSTER", "INFO")
		s.Await("cluster_state:ok", "CLUSTER", "INFO")
	}
}

// Addresses names all nodes, with commas.
func (n *Nodes) Addresses() string {
	var all []string
	for _, s := range n.all() {
		all = append(all, s.Addr)
	}
	return strings.Join(all, ",")
}

// CaughtUp waits until the replica of a master has all that was written.
func (n *Nodes) CaughtUp(i int) {
	n.t.Helper()
	offset := func(s *Server, field string) string {
		_, rest, _ := strings.Cut(s.Do("INFO", "replication"), field+":")
		text, _, _ := strings.Cut(rest, "\r")
		return text
	}
	n.Replicas[i].Await("slave_repl_offset:"+offset(n.Masters[i], "master_repl_offset"), "INFO", "replication")
}

// Swap lets a replica take over from its master while both run.
func (n *Nodes) Swap(i int) {
	n.t.Helper()
	n.ok(n.Replicas[i], "CLUSTER", "FAILOVER")
	n.took(i)
}

// Lose kills a master and waits until its replica has taken over.
func (n *Nodes) Lose(i int) {
	n.t.Helper()
	n.Masters[i].Kill()
	n.took(i)
}

func (n *Nodes) took(i int) {
	n.t.Helper()
	n.Replicas[i].Await("role:master", "INFO", "replication")
	n.Masters[i], n.Replicas[i] = n.Replicas[i], n.Masters[i]
	n.Masters[i].Await("cluster_state:ok", "CLUSTER", "INFO")
}

// MoveSlot moves a slot with its keys from one master to another, calling between
// when half of the keys have been moved.
func (n *Nodes) MoveSlot(slot, from, to int, between func()) {
	n.t.Helper()
	source, target := n.Masters[from], n.Masters[to]
	sourceID, targetID := source.Do("CLUSTER", "MYID"), target.Do("CLUSTER", "MYID")
	number := strconv.Itoa(slot)
	n.ok(target, "CLUSTER", "SETSLOT", number, "IMPORTING", sourceID)
	n.ok(source, "CLUSTER", "SETSLOT", number, "MIGRATING", targetID)
	_, port, _ := net.SplitHostPort(target.Addr)
	left, _ := strconv.Atoi(source.Do("CLUSTER", "COUNTKEYSINSLOT", number))
	half := left / 2
	for moved := 0; ; moved++ {
		key := source.Do("CLUSTER", "GETKEYSINSLOT", number, "1")
		if key == "" {
			break
		}
		if answer := source.Do("MIGRATE", "127.0.0.1", port, key, "0", "5000"); answer != "OK" && answer != "NOKEY" {
			n.t.Fatalf("move key %q: %s", key, answer)
		}
		if moved == half {
			between()
		}
	}
	for _, s := range append([]*Server{target}, n.Masters...) { // who gets it hears of it first
		n.ok(s, "CLUSTER", "SETSLOT", number, "NODE", targetID)
	}
}
