package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// TestAThousandClientsSendOneSignalAcrossAKill: a thousand clients post the same
// signal at once, the node is killed while it answers them, and those without an
// answer ask the next one. The signal has one effect, and a thousand answers that
// are equal but for the mark of a duplicate.
func TestAThousandClientsSendOneSignalAcrossAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binary; left out by -short")
	}
	const senders, beforeKill = 1000, 60
	r := newRun(t, 1)
	r.start(t)
	base := func() api { return api{base: r.node.URL, http: r.load.http} }
	if err := base().start(t.Context(), "counter", "one", map[string]any{}); err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int64
	killNow := make(chan struct{})
	texts, firsts := make([]string, senders), make([]bool, senders)
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for {
				address, changed, err := r.load.gate.await(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				var data map[string]any
				err = api{base: address, http: r.load.http}.call(t.Context(), "POST", "/api/v0/executions/workflows/one/signals",
					map[string]any{"signal_name": signalName, "signal_id": "the-one", "payload": map[string]any{"n": 7}}, &data)
				if err == nil {
					firsts[i] = data["duplicate"] == false
					delete(data, "duplicate")
					text, _ := json.Marshal(data)
					texts[i] = string(text)
					if answered.Add(1) == beforeKill {
						close(killNow)
					}
					return
				}
				var lost *unanswered
				var away *refusal
				if !errors.As(err, &lost) && !(errors.As(err, &away) && away.turnedAway()) {
					t.Error(err)
					return
				}
				pause(t.Context(), r.load.hold, changed)
			}
		})
	}
	<-killNow
	r.kill()
	early := answered.Load()
	r.start(t)
	group.Wait()
	first := 0
	for i, text := range texts {
		if text != texts[0] || text == "" {
			t.Fatalf("sender %d was told %s, the first one %s", i, text, texts[0])
		}
		if firsts[i] {
			first++
		}
	}
	if first > 1 {
		t.Fatalf("%d of the senders were told that theirs was the first", first)
	}
	oneEffect(t, base())
	fmt.Printf("chaos: one signal, %d senders, about %d answered before the kill: one effect, equal answers\n", senders, early)
}

// oneEffect looks for the signal in the history, in its receipt and in the books.
func oneEffect(t *testing.T, a api) {
	t.Helper()
	records, known, err := settled(t.Context(), t.Context(), a, "one", 1)
	if err != nil || !known {
		t.Fatalf("the execution is known: %t, %v", known, err)
	}
	seen := tallies(map[string][]Record{"one": records})
	if s := seen["the-one"]; len(seen) != 1 || s == nil || s.accepted != 1 || s.consumed != 1 {
		t.Fatalf("the history has %+v", seen)
	}
	receipt, err := a.receipt(t.Context(), url.PathEscape("the-one"))
	if err != nil || receipt.State != "consumed" {
		t.Fatalf("its receipt is %+v, %v", receipt, err)
	}
	books, err := a.books(t.Context(), t.Context())
	if want := (Book{Name: signalName, Accepted: 1, Consumed: 1}); err != nil || books[signalName] != want {
		t.Fatalf("the books say %+v, %v", books[signalName], err)
	}
}
