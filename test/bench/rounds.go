package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/signalbox/signalbox/test/binary"
)

// The numbers to reach, from the design's section 9.
const (
	targetSignals = 0.6  // durable signals, x echo
	targetEvents  = 0.35 // event to finished execution, x echo
	targetBatches = 3    // durable signals in batches, x echo

	targetSyncs        = 5 // signal to next task, p99: this many syncs of the disk ...
	targetBeyondSyncMS = 2 // ... and this many milliseconds

	targetHeapBytes   = 64   // of one waiting execution that left memory
	targetDiskBytes   = 1536 // of one waiting execution
	targetEmptyMS     = 150  // cold start of an empty store
	targetFullSeconds = 3    // cold start with a million waiting executions
	targetBinaryMiB   = 50
	targetIdleMiB     = 40
	targetWaitingMiB  = 190 // 200 MB, with a million executions that wait
)

// rounds collects the values of every round.
type rounds struct {
	echo, signals, loop, events row
	batchOnes, batchLoops       row
	signalsP50, signalsP99      row
	nextP50, nextP99            row
	syncP50, syncP99            row
}

// one makes a round on a fresh node: echo before each kind of work, so that a
// ratio compares neighbours in time.
func (r *rounds) one(ctx context.Context, s settings, root string, number int) (err error) {
	o, err := options(s.path, root, "round-"+strconv.Itoa(number))
	if err != nil {
		return err
	}
	node, err := binary.Start(o)
	if err != nil {
		return err
	}
	defer func() {
		_, stop := node.Stop(stopTimeout)
		err = errors.Join(err, stop, os.RemoveAll(o.Data))
	}()
	p, err := dialAll(node.URL, connections)
	if err != nil {
		return err
	}
	defer p.close()
	sub := &subject{url: node.URL, pool: p, tag: "r" + strconv.Itoa(number)}
	if err := r.syncs(o.Data); err != nil {
		return err
	}
	if err := r.latency(ctx, sub); err != nil {
		return err
	}
	if _, err := sub.echo(warmUp); err != nil {
		return fmt.Errorf("%w (the node mounts the echo when SIGNALBOX_BENCH_ECHO=1)", err)
	}
	return r.throughput(s, sub)
}

func (r *rounds) syncs(dir string) error {
	times, err := syncTimes(dir)
	if err != nil {
		return err
	}
	r.syncP50.Values = append(r.syncP50.Values, millis(quantile(times, 50)))
	r.syncP99.Values = append(r.syncP99.Values, millis(quantile(times, 99)))
	return nil
}

func (r *rounds) latency(ctx context.Context, sub *subject) error {
	times, err := sub.nextTask(ctx, latencySamples)
	if err != nil {
		return err
	}
	r.nextP50.Values = append(r.nextP50.Values, millis(quantile(times, 50)))
	r.nextP99.Values = append(r.nextP99.Values, millis(quantile(times, 99)))
	return nil
}

func (r *rounds) throughput(s settings, sub *subject) error {
	ones, _, err := sub.start("one", s.requests)
	if err != nil {
		return err
	}
	loops, _, err := sub.start("loop", loopers)
	if err != nil {
		return err
	}
	signals, err := r.against(&r.signals, s, sub, func() (measured, error) { return sub.signals(ones) })
	if err != nil {
		return err
	}
	r.signalsP50.Values = append(r.signalsP50.Values, millis(signals.at(50)))
	r.signalsP99.Values = append(r.signalsP99.Values, millis(signals.at(99)))
	if _, err := r.against(&r.loop, s, sub, func() (measured, error) { return sub.loopSignals(loops, s.requests) }); err != nil {
		return err
	}
	if err := r.batches(s, sub, loops); err != nil {
		return err
	}
	_, err = r.against(&r.events, s, sub, func() (measured, error) { return sub.events(s.requests) })
	return err
}

// batches measures signals that come many at a time.
func (r *rounds) batches(s settings, sub *subject, loops []string) error {
	more := *sub
	more.tag += "b"
	ones, _, err := more.start("one", s.requests)
	if err != nil {
		return err
	}
	if _, err := r.against(&r.batchOnes, s, sub, func() (measured, error) { return more.batchOnes(ones) }); err != nil {
		return err
	}
	_, err = r.against(&r.batchLoops, s, sub, func() (measured, error) { return sub.batchLoops(loops, batchRounds*s.requests) })
	return err
}

// against measures echo and then one kind of work, and keeps their ratio.
func (r *rounds) against(to *row, s settings, sub *subject, work func() (measured, error)) (measured, error) {
	echo, err := sub.echo(s.requests)
	if err != nil {
		return echo, err
	}
	m, err := work()
	if err != nil {
		return m, err
	}
	r.echo.Values = append(r.echo.Values, echo.perSecond())
	to.Values = append(to.Values, m.perSecond())
	to.Ratios = append(to.Ratios, m.perSecond()/echo.perSecond())
	return m, nil
}

// rows names what was measured and holds it against the targets.
func (r *rounds) rows() []row {
	named := func(r row, what, unit string) row {
		r.What, r.Unit = what, unit
		return r
	}
	limit := targetSyncs*median(r.syncP50.Values) + targetBeyondSyncMS
	return []row{
		named(r.syncP50, "one sync of the disk itself, p50", "ms"),
		named(r.syncP99, "one sync of the disk itself, p99", "ms"),
		named(r.echo, "echo", "/s"),
		named(r.signals, "durable signals, each ends its execution", "/s").atLeast(targetSignals),
		named(r.loop, "durable signals to executions that wait again", "/s").atLeast(targetSignals),
		named(r.batchOnes, "durable signals in batches of 250, each ends its execution", "/s").atLeast(targetBatches),
		named(r.batchLoops, "durable signals in batches of 250 to one execution that waits again", "/s").atLeast(targetBatches),
		named(r.signalsP50, "latency of a signal under that load, p50", "ms"),
		named(r.signalsP99, "latency of a signal under that load, p99", "ms"),
		named(r.events, "event to started and finished execution", "/s").atLeast(targetEvents),
		named(r.nextP50, "signal to next task started, idle node, p50", "ms"),
		named(r.nextP99, "signal to next task started, idle node, p99", "ms").atMost(limit),
	}
}

// costs measures what does not need rounds: memory, disk, starts and sizes.
func costs(s settings, root string) ([]row, error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	o, err := options(s.path, root, "empty")
	if err != nil {
		return nil, err
	}
	say("an empty node")
	empty, err := waiting(o, 0, say)
	if err != nil {
		return nil, err
	}
	value := func(what, unit string, v float64) row { return row{What: what, Unit: unit, Values: []float64{v}} }
	rows := []row{
		value("binary", "MiB", mebi(info.Size())).atMost(targetBinaryMiB),
		value("resident memory of an idle node", "MiB", mebi(empty.resident)).atMost(targetIdleMiB),
		value("heap of an idle node", "MiB", empty.heap/(1<<20)),
		value("cold start to ready, empty store", "ms", millis(empty.ready)).atMost(targetEmptyMS),
	}
	if s.waits == 0 {
		return rows, nil
	}
	if o, err = options(s.path, root, "full"); err != nil {
		return nil, err
	}
	full, err := waiting(o, s.waits, say)
	if err != nil {
		return nil, err
	}
	n := float64(s.waits)
	of := fmt.Sprintf(", %d waiting executions", s.waits)
	// The design promises the start for a million; fewer get their share of the time
	// beyond that of an empty store.
	start := targetEmptyMS + (targetFullSeconds*1000-targetEmptyMS)*min(1, n/1e6)
	return append(rows,
		value("heap after a cold start"+of, "MiB", full.heap/(1<<20)),
		// What is below the noise of two heaps may come out below zero.
		value("heap per waiting execution, the difference", "bytes", (full.heap-empty.heap)/n).atMost(targetHeapBytes),
		value("disk per waiting execution", "bytes", float64(full.disk)/n).atMost(targetDiskBytes),
		value("resident memory after a cold start"+of, "MiB", mebi(full.resident)),
		value("resident memory after passivation"+of, "MiB", mebi(full.loaded)).atMost(targetWaitingMiB),
		value("cold start to ready"+of, "ms", millis(full.ready)).atMost(start),
	), nil
}
