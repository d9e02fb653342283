package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// activeMetric is how many executions are in memory.
const activeMetric = "signalbox_actors_live"

// footprint is what waiting executions cost.
type footprint struct {
	disk     int64         // bytes of the data folder, after a clean stop
	loaded   int64         // resident bytes after passivation, in the process that started them
	resident int64         // resident bytes after a cold start
	heap     float64       // bytes of heap after a cold start and a collection
	ready    time.Duration // median cold start to ready
}

// waiting starts n executions that wait, lets them leave memory, stops the
// node, and starts it again. With n of zero it tells what an empty node costs.
func waiting(o binary.Options, n int, say func(string, ...any)) (footprint, error) {
	var f footprint
	node, err := binary.Start(o)
	if err != nil {
		return f, err
	}
	defer node.Kill()
	if n > 0 {
		if err := fill(node, n, say); err != nil {
			return f, err
		}
	}
	if f.loaded, err = residentBytes(node.PID); err != nil {
		return f, err
	}
	if _, err := node.Stop(stopTimeout); err != nil {
		return f, err
	}
	if f.disk, err = allocatedBytes(o.Data); err != nil {
		return f, err
	}
	var ready []time.Duration
	for i := range coldStarts {
		again, err := binary.Start(o)
		if err != nil {
			return f, err
		}
		ready = append(ready, again.Ready)
		if i == 0 {
			err = f.look(again, n)
		}
		if err == nil && n > 0 && i == coldStarts-1 {
			err = stillThere(again)
		}
		if _, stop := again.Stop(stopTimeout); err == nil {
			err = stop
		}
		if err != nil {
			return f, err
		}
	}
	f.ready = median(ready)
	return f, nil
}

// fill starts n waiting executions and returns when none is in memory any more.
func fill(node *binary.Node, n int, say func(string, ...any)) error {
	p, err := dialAll(node.URL, connections)
	if err != nil {
		return err
	}
	defer p.close()
	_, m, err := (&subject{url: node.URL, pool: p, tag: "w"}).start("waiting", n)
	if err != nil {
		return err
	}
	say("started %d waiting executions at %.0f/s, now they leave memory", n, m.perSecond())
	for begun := time.Now(); time.Since(begun) < passivateTimeout; time.Sleep(pollEvery) {
		metrics, err := scrape(node.URL)
		if err != nil {
			return err
		}
		live, found := sum(metrics, activeMetric)
		if !found {
			return fmt.Errorf("the node has no metric %s", activeMetric)
		}
		if live == 0 {
			time.Sleep(giveBack)
			return nil
		}
	}
	say("some are still in memory after %v; the figures say so by being large", passivateTimeout)
	return nil
}

// waitsMetric is how many waits are open.
const waitsMetric = "signalbox_waits_open"

// look reads the memory of a node that has just started on n open waits: the
// least heap of several samples is the one right after a collection.
func (f *footprint) look(node *binary.Node, n int) error {
	for i := range heapSamples {
		metrics, err := scrape(node.URL)
		if err != nil {
			return err
		}
		if open, found := sum(metrics, waitsMetric); found && int(open) != n {
			return fmt.Errorf("%v waits are open after a cold start, %d were before", open, n)
		}
		heap, found := sum(metrics, "go_memstats_heap_alloc_bytes")
		if !found {
			return fmt.Errorf("the node has no metric of its heap")
		}
		if i == 0 || heap < f.heap {
			f.heap = heap
		}
		time.Sleep(heapEvery)
	}
	var err error
	f.resident, err = residentBytes(node.PID)
	return err
}

// stillThere sends a signal to an execution that waited through everything.
func stillThere(node *binary.Node) error {
	w, err := dial(node.URL)
	if err != nil {
		return err
	}
	defer w.close()
	_, err = w.do("POST", signalPath("w-waiting-0"), signalBody, http.StatusOK)
	return err
}

// options runs the built program on a data folder of its own.
func options(path, root, name string) (binary.Options, error) {
	data := filepath.Join(root, name)
	if err := os.MkdirAll(data, 0o755); err != nil {
		return binary.Options{}, err
	}
	module, err := binary.Root(context.Background())
	if err != nil {
		return binary.Options{}, err
	}
	return binary.Options{
		Path: path, Data: data, Project: filepath.Join(module, "test", "bench", "testdata", "project"),
		Env: []string{"SIGNALBOX_BENCH_ECHO=1"},
	}, nil
}
