package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// The numbers to reach, from the design's section 9.
const (
	targetDeliveries = 20_000 // of one event to fanned waits, per second
	targetAmong      = 2      // p99 of one event among all correlated waits, x that among few
)

// correlation measures events on one node: a fan-out to many waits at once, and
// one event that means one wait among few and among many.
func correlation(s settings, root string) ([]row, error) {
	if s.correlated == 0 {
		return nil, nil
	}
	o, err := options(s.path, root, "correlation")
	if err != nil {
		return nil, err
	}
	node, err := binary.Start(o)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(o.Data)
	defer node.Kill()
	p, err := dialAll(node.URL, connections)
	if err != nil {
		return nil, err
	}
	defer p.close()
	fan := row{What: fmt.Sprintf("deliveries of one event to %d waiting executions", fanned), Unit: "1/s"}
	for round := range s.rounds {
		sub := &subject{url: node.URL, pool: p, tag: "f" + strconv.Itoa(round)}
		if _, _, err := sub.start("fan", fanned); err != nil {
			return nil, err
		}
		took, err := sub.event("bench.fan", "fan-"+strconv.Itoa(round), []byte(`{}`))
		if err != nil {
			return nil, err
		}
		fan.Values = append(fan.Values, fanned/took.Seconds())
	}
	few, many := among(fewCorrelated), among(s.correlated)
	ratio := row{What: "p99 of the latter, x that of the former", Unit: "x"}
	sub := &subject{url: node.URL, pool: p, tag: "k"}
	if err := sub.probe(node, &few, fewCorrelated, "few"); err != nil {
		return nil, err
	}
	say("loading %d correlated waits", s.correlated)
	if err := sub.probe(node, &many, s.correlated-fewCorrelated, "many"); err != nil {
		return nil, err
	}
	ratio.Values = []float64{many.Values[0] / few.Values[0]}
	return []row{fan.atLeastValue(targetDeliveries), few, many, ratio.atMost(targetAmong)}, nil
}

func among(n int) row {
	return row{What: fmt.Sprintf("one event to its wait among %d correlated ones, p99", n), Unit: "ms"}
}

// probe starts so many more correlated executions and, when the node has written
// down and passivated what it must, sends events to some of them one after the other.
func (s *subject) probe(node *binary.Node, r *row, n int, tag string) error {
	more := &subject{url: s.url, pool: s.pool, tag: tag}
	ids, _, err := more.start("correlated", n)
	if err != nil {
		return err
	}
	if err := rest(node); err != nil {
		return err
	}
	var times []time.Duration
	for i := range probes {
		id := ids[i*len(ids)/probes]
		took, err := s.event("bench.paid", tag+"-"+strconv.Itoa(i), appendInput(nil, id))
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	r.Values = append(r.Values, millis(quantile(times, 99)))
	return nil
}

// rest returns when the node does nothing in the background any more, or not for long.
func rest(node *binary.Node) error {
	nodes := []*binary.Node{node}
	before, err := processorTime(nodes)
	for begun, quiet := time.Now(), 0; err == nil && quiet < restSamples && time.Since(begun) < restTimeout; {
		time.Sleep(restEvery)
		var now time.Duration
		if now, err = processorTime(nodes); now-before < restEvery/restShare {
			quiet++
		} else {
			quiet = 0
		}
		before = now
	}
	return err
}

// event posts an event and returns when its receipt is final, and consumed.
func (s *subject) event(name, id string, payload []byte) (time.Duration, error) {
	body := fmt.Appendf(nil, `{"name":%q,"id":%q,"payload":%s}`, name, id, payload)
	begun := time.Now()
	if _, err := s.pool[0].do("POST", "/api/v0/events", body, http.StatusAccepted); err != nil {
		return 0, err
	}
	answer, err := s.pool[0].do("GET", "/api/v0/events/"+id+"?wait=30s", nil, http.StatusOK)
	took := time.Since(begun)
	if err == nil && !bytes.Contains(answer, []byte(`"state":"consumed"`)) {
		err = fmt.Errorf("event %s reached nobody: %.300s", id, answer)
	}
	return took, err
}
