package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// gatherers ask the node for its evidence at the same time.
const gatherers = 8

// listeners are the workflows that every event must start.
var listeners = []string{"first-listener", "second-listener"}

// gather collects what a node says after the load has ended. It holds until
// every acknowledged signal is consumed and every triggered execution has
// finished, but not longer than limit: what has not settled by then is
// left for the judge.
func gather(ctx context.Context, a api, l *Ledger, seed uint64, limit time.Duration) (*Evidence, error) {
	e := &Evidence{Histories: map[string][]Record{}, Receipts: map[string]Receipt{}}
	settle, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var mu sync.Mutex
	awaited := l.Awaited()
	err := each(l.Executions(), func(exec string) error {
		records, known, err := settled(ctx, settle, a, exec, awaited[exec])
		mu.Lock()
		defer mu.Unlock()
		if err == nil && !known {
			e.Missing = append(e.Missing, exec)
		}
		e.Histories[exec] = records
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(sample(l, seed), func(id string) error {
		r, err := a.receipt(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		e.Receipts[id] = r
		return err
	})
	if err != nil {
		return nil, err
	}
	if e.Triggered, err = triggeredBy(ctx, settle, a, l); err != nil {
		return nil, err
	}
	e.Books, err = a.books(ctx, settle)
	return e, err
}

// each calls do for every item, several at a time, and returns the first error.
func each(items []string, do func(string) error) error {
	next := make(chan string)
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for range gatherers {
		group.Go(func() {
			for item := range next {
				if err := do(item); err != nil {
					once.Do(func() { first = err })
				}
			}
		})
	}
	for _, item := range items {
		next <- item
	}
	close(next)
	group.Wait()
	return first
}

// settled reads the history of an execution until it shows as many consumed
// signals as were acknowledged and the work of each, or settle ends.
func settled(ctx, settle context.Context, a api, exec string, awaited int) ([]Record, bool, error) {
	var records []Record
	for {
		var after uint64
		if len(records) > 0 {
			after = records[len(records)-1].Seq
		}
		more, known, err := a.history(ctx, exec, after)
		if err != nil || !known {
			return nil, known, err
		}
		records = append(records, more...)
		consumed, worked := 0, 0
		for _, r := range records {
			if r.Type == "signal.consumed" {
				consumed++
			}
			if r.Type == "task.done" && r.Task == countingTask {
				worked++
			}
		}
		if consumed >= awaited && worked >= consumed || settle.Err() != nil {
			return records, true, nil
		}
		pause(settle, settleEvery, nil)
	}
}

// sample picks the signals whose receipts are looked up.
func sample(l *Ledger, seed uint64) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := slices.Sorted(maps.Keys(l.signals))
	dice := rand.New(rand.NewPCG(seed, uint64(len(ids))))
	dice.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(len(ids), receiptsChecked)]
}

// triggeredBy lists, for each event, the workflows that it started, once each
// acknowledged event has started all of them and they have finished, or settle ends.
func triggeredBy(ctx, settle context.Context, a api, l *Ledger) (map[string][]string, error) {
	for {
		started := map[string][]string{}
		unfinished := 0
		for _, workflow := range listeners {
			err := a.triggered(ctx, workflow, func(event string, finished bool) {
				started[event] = append(started[event], workflow)
				if !finished {
					unfinished++
				}
			})
			if err != nil {
				return nil, err
			}
		}
		missing := 0
		l.mu.Lock()
		for id, s := range l.events {
			if s.acknowledged() && len(started[id]) < len(listeners) {
				missing++
			}
		}
		l.mu.Unlock()
		if missing == 0 && unfinished == 0 {
			return started, nil
		}
		if settle.Err() != nil {
			if missing == 0 {
				return nil, fmt.Errorf("%d executions that events started have not finished in time after the last restart", unfinished)
			}
			return started, nil
		}
		pause(settle, 10*settleEvery, nil)
	}
}

// percentile returns the value below which p percent of the durations lie.
func percentile(durations []time.Duration, p int) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
