package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// targetHop is how much more processor time a signal may take on three nodes than
// on one, all nodes together: two of three signals make a hop there.
const targetHop = 1.6

// mostNodes is the largest cluster that is measured.
const mostNodes = 3

// onNodes measures signals to one, two and three nodes on one Redis: how many, and
// how much processor time of all nodes together each takes. On the cores of one
// machine more nodes cannot be faster; what a hop costs shows all the same.
func onNodes(s settings, root string) ([]row, error) {
	rows := make([]row, 0, 2*mostNodes+1)
	var alone, most row
	for n := 1; n <= mostNodes; n++ {
		rate := row{What: fmt.Sprintf("signals to %s on one Redis, appendfsync always", counted(n)), Unit: "/s"}
		cost := row{What: "processor time of all nodes for each", Unit: "us"}
		for round := range s.rounds {
			m, used, err := nodesRound(s, root, n, round)
			if errors.Is(err, errNoRedis) {
				rate.Missing = err.Error()
				break
			}
			if err != nil {
				return nil, fmt.Errorf("signals to %s: %w", counted(n), err)
			}
			rate.Values = append(rate.Values, m.perSecond())
			cost.Values = append(cost.Values, float64(used.Microseconds())/float64(m.requests))
		}
		rows = append(rows, rate)
		if rate.Missing != "" {
			continue
		}
		rows = append(rows, cost)
		if n == 1 {
			alone = cost
		}
		most = cost
	}
	if len(alone.Values) == 0 {
		return rows, nil
	}
	grown := row{What: "processor time of a signal on three nodes, x that on one", Unit: "x"}
	for i := range alone.Values {
		grown.Values = append(grown.Values, most.Values[i]/alone.Values[i])
	}
	return append(rows, grown.atMost(targetHop)), nil
}

func counted(n int) string {
	if n == 1 {
		return "one node"
	}
	return strconv.Itoa(n) + " nodes"
}

// nodesRound is one round with n nodes of their own. The connections are spread
// over the nodes, and every connection sends to executions wherever they are.
func nodesRound(s settings, root string, n, round int) (m measured, used time.Duration, err error) {
	server, err := startRedis(root, "always")
	if err != nil {
		return m, 0, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	var p pool
	defer func() { err = errors.Join(err, p.close()) }()
	nodes := make([]*binary.Node, 0, n)
	defer func() {
		for _, node := range nodes {
			_, stop := node.Stop(stopTimeout)
			err = errors.Join(err, stop)
		}
	}()
	for i := range n {
		node, err := startMember(s, root, fmt.Sprintf("nodes-%d-%d-%d", n, round, i), server.addr)
		if err != nil {
			return m, 0, err
		}
		nodes = append(nodes, node)
	}
	for i := range n * connections {
		w, err := dial(nodes[i%n].URL)
		if err != nil {
			return m, 0, err
		}
		p = append(p, w)
	}
	if err := settled(p[:n], n); err != nil {
		return m, 0, err
	}
	sub := &subject{url: nodes[0].URL, pool: p, tag: "n"}
	loops, _, err := sub.start("loop", n*loopers)
	if err != nil {
		return m, 0, err
	}
	if _, err := sub.loopSignals(loops, warmUp); err != nil {
		return m, 0, err
	}
	before, err := processorTime(nodes)
	if err != nil {
		return m, 0, err
	}
	if m, err = sub.loopSignals(loops, s.requests); err != nil {
		return m, 0, err
	}
	after, err := processorTime(nodes)
	return m, after - before, err
}

// startMember starts a node of a cluster.
func startMember(s settings, root, name, redis string) (*binary.Node, error) {
	o, err := options(s.path, root, name)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	o.Args = []string{"--store", "redis://" + redis, "--cluster", "--cluster-addr", address}
	return binary.Start(o)
}

// settled waits until each of the nodes, asked on a connection, sees all of them
// and nothing moves.
func settled(p pool, n int) error {
	limit := time.Now().Add(finishTimeout)
	for _, w := range p {
		for {
			answer, err := w.do("GET", "/api/v0/cluster", nil, http.StatusOK)
			if err != nil {
				return err
			}
			if bytes.Contains(answer, []byte(`"moving":false`)) && bytes.Count(answer, []byte(`"state":"active"`)) == n {
				break
			}
			if time.Now().After(limit) {
				return fmt.Errorf("the %d nodes have not found each other within %v: %.500s", n, finishTimeout, answer)
			}
			time.Sleep(pollEvery)
		}
	}
	return nil
}

// processorTime is what the processes have used so far, as the scheduler counts it.
func processorTime(nodes []*binary.Node) (time.Duration, error) {
	var sum time.Duration
	for _, n := range nodes {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", n.PID))
		if err != nil || len(files) == 0 {
			return 0, errors.Join(fmt.Errorf("the processor time of process %d is not told under /proc", n.PID), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) {
				continue // a thread that ended
			}
			if err != nil {
				return 0, err
			}
			on, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(on, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum, nil
}
