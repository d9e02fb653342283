package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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

// one makes a round: each kind of work has a node of its own, so that it pays for the
// rows that it leaves to be merged, and for nobody else's.
func (r *rounds) one(ctx context.Context, s settings, root string, number int) error {
	for i, kind := range []func(settings, *subject) error{
		func(_ settings, sub *subject) error { return r.alone(ctx, root, sub) },
		r.ones, r.loops, r.batchesOfOnes, r.batchesOfLoops, r.started,
	} {
		if err := onNode(s, root, fmt.Sprintf("round-%d-%d", number, i), kind); err != nil {
			return err
		}
	}
	return nil
}

// onNode drives a fresh node.
func onNode(s settings, root, name string, drive func(settings, *subject) error) (err error) {
	o, err := options(s.path, root, name)
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
	sub := &subject{url: node.URL, pool: p, tag: name}
	if _, err := sub.echo(warmUp); err != nil {
		return fmt.Errorf("%w (the node mounts the echo when SIGNALBOX_BENCH_ECHO=1)", err)
	}
	return drive(s, sub)
}

// alone measures the disk, and a node that does nothing else.
func (r *rounds) alone(ctx context.Context, root string, sub *subject) error {
	if err := r.syncs(root); err != nil {
		return err
	}
	return r.latency(ctx, sub)
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

func (r *rounds) ones(s settings, sub *subject) error {
	ids, _, err := sub.start("one", 2*s.requests)
	if err != nil {
		return err
	}
	m, err := r.against(&r.signals, s, sub, func(n int) (measured, error) {
		m, err := sub.signals(ids[:n])
		ids = ids[n:]
		return m, err
	})
	r.signalsP50.Values = append(r.signalsP50.Values, millis(m.at(50)))
	r.signalsP99.Values = append(r.signalsP99.Values, millis(m.at(99)))
	return err
}

func (r *rounds) loops(s settings, sub *subject) error {
	ids, _, err := sub.start("loop", loopers)
	if err != nil {
		return err
	}
	_, err = r.against(&r.loop, s, sub, func(n int) (measured, error) { return sub.loopSignals(ids, n) })
	return err
}

func (r *rounds) batchesOfOnes(s settings, sub *subject) error {
	ids, _, err := sub.start("one", 2*s.requests)
	if err != nil {
		return err
	}
	_, err = r.against(&r.batchOnes, s, sub, func(n int) (measured, error) {
		m, err := sub.batchOnes(ids[:n])
		ids = ids[n:]
		return m, err
	})
	return err
}

func (r *rounds) batchesOfLoops(s settings, sub *subject) error {
	ids, _, err := sub.start("loop", loopers)
	if err != nil {
		return err
	}
	_, err = r.against(&r.batchLoops, s, sub, func(n int) (measured, error) {
		return sub.batchLoops(ids, batchRounds*n)
	})
	return err
}

func (r *rounds) started(s settings, sub *subject) error {
	_, err := r.against(&r.events, s, sub, func(n int) (measured, error) {
		sub.tag += "+" // other events than those before
		return sub.events(n)
	})
	return err
}

// against measures echo and one kind of work by turns, so that both have the same
// moments of a machine that others use too, and keeps their ratio. As much of the same
// work is done once before: a node has the memory then that it works in, and rows of the
// same kind to merge, as one has that has run for a while.
func (r *rounds) against(to *row, s settings, sub *subject, work func(n int) (measured, error)) (measured, error) {
	if m, err := work(s.requests); err != nil {
		return m, err
	}
	var echo, all measured
	for range slicesOfRound {
		m, err := sub.echo(s.requests / slicesOfRound)
		if err != nil {
			return m, err
		}
		echo.add(m)
		if m, err = work(s.requests / slicesOfRound); err != nil {
			return m, err
		}
		all.add(m)
	}
	r.echo.Values = append(r.echo.Values, echo.perSecond())
	to.Values = append(to.Values, all.perSecond())
	to.Ratios = append(to.Ratios, all.perSecond()/echo.perSecond())
	return all, nil
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
