package runtime_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const pairs = `
id: pair
key: {unique: true}
tasks:
  - {id: first, type: wait, wait_for: half}
  - {id: second, type: wait, wait_for: half}
`

// TestSignalsWithStartRacingForAKeyAreAllDeliveredOnce sends many signals for one
// key at once, each of which starts an execution if none lives. Two of them end
// it, so the key goes from hand to hand all the time.
func TestSignalsWithStartRacingForAKeyAreAllDeliveredOnce(t *testing.T) {
	node, stop := inMemory(t, pairs, nil, 0)
	defer stop()
	const senders, each = 10, 20
	send := func(id string) workflow.Begun {
		for {
			begun, err := node.Begin(t.Context(), workflow.Start{
				WorkflowID: "pair", Key: "k", Seed: id, Signal: &workflow.Signal{ID: id, Name: "half", Source: "api"},
			})
			if err == nil {
				return begun
			}
			if refused(err) != workflow.CodeOverloaded {
				t.Errorf("signal %s: %v", id, err)
				return begun
			}
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	first := map[string]workflow.Begun{}
	for sender := range senders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("s-%d-%d", sender, i)
				begun := send(id)
				mu.Lock()
				first[id] = begun
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	taken, started := map[string]int{}, 0
	for id, begun := range first {
		receipts, err := node.SignalReceipts(t.Context(), id, 10)
		if err != nil || len(receipts) != 1 || receipts[0].Fate != workflow.FateConsumed || receipts[0].ExecID != begun.State.ExecID {
			t.Fatalf("signal %s has the receipts %+v, %v", id, receipts, err)
		}
		taken[begun.State.ExecID]++
		if begun.Started {
			started++
		}
		again := send(id)
		if !again.Known || again.State.ExecID != begun.State.ExecID || again.Started != begun.Started || again.Answer.WaitID != begun.Answer.WaitID {
			t.Fatalf("signal %s again: %+v, first %+v", id, again, begun)
		}
	}
	for exec, n := range taken {
		if n != 2 {
			t.Errorf("%s took %d signals", exec, n)
		}
	}
	if want := senders * each / 2; started != want || len(taken) != want {
		t.Errorf("%d executions, %d started, want %d of both", len(taken), started, want)
	}
}

// TestTheSameSignalWithStartAtOnceIsOne sends the same request from many sides.
func TestTheSameSignalWithStartAtOnceIsOne(t *testing.T) {
	node, stop := inMemory(t, pairs, nil, 0)
	defer stop()
	for _, start := range []workflow.Start{{Key: "k", Seed: "s"}, {Key: "other", Seed: "t", ExecID: "mine"}, {Seed: "u"}} {
		start.WorkflowID = "pair"
		start.Signal = &workflow.Signal{ID: start.Seed, Name: "half", Source: "api"}
		var wg sync.WaitGroup
		answers := make([]workflow.Begun, 50)
		for i := range answers {
			wg.Go(func() {
				var err error
				if answers[i], err = node.Begin(t.Context(), start); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		fresh := 0
		for _, a := range answers {
			if !a.Known {
				fresh++
			}
			if !a.Started || a.State.ExecID != answers[0].State.ExecID || a.Answer.WaitID != "first/1" {
				t.Fatalf("%+v differs from %+v", a, answers[0])
			}
		}
		if fresh != 1 {
			t.Fatalf("%d of the answers say that they are the first", fresh)
		}
	}
	page, err := node.Executions(t.Context(), workflow.Query{WorkflowID: "pair", Limit: 10})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d executions, %v", len(page.Items), err)
	}
}
