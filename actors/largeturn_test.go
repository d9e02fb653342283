package actors_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// measured notes how many bytes of payload each commit brings, by its receipts.
type measured struct {
	persistence.Store
	mu     sync.Mutex
	size   map[string]int // of signals, by id
	most   int
	counts []int // receipts of each commit
}

func (m *measured) Submit(c *persistence.Commit) {
	m.mu.Lock()
	bytes := 0
	for i := range c.Receipts {
		bytes += m.size[c.Receipts[i].SignalID]
	}
	m.most = max(m.most, bytes)
	m.counts = append(m.counts, len(c.Receipts))
	m.mu.Unlock()
	m.Store.Submit(c)
}

// TestLargeSignalsEndTheirTurn: as many signals to one execution as one turn may have
// are several commits when they are large, so that what others send is not held up
// by more than the disk takes at once; small ones are few.
func TestLargeSignalsEndTheirTurn(t *testing.T) {
	for name, test := range map[string]struct{ payload, signals, turns int }{
		"small":  {100, actors.TurnSize, 3},
		"large":  {actors.TurnBytes / 4, 16, 6},
		"larger": {2 * actors.TurnBytes, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			def := looping()
			w := newWorld(t, def)
			defer w.store.Close()
			m := &measured{Store: w.store, size: map[string]int{}}
			s, stop := w.start(m)
			defer stop()
			if err := w.begin(s, def, "x"); err != nil {
				t.Fatal(err)
			}
			payload := workflow.ValueOf(strings.Repeat("y", test.payload-2))
			var all []*actors.Deliver
			replies := make(chan error, test.signals)
			for i := range test.signals {
				id := fmt.Sprint("s", i)
				m.size[id] = len(payload)
				at := stamp()
				all = append(all, &actors.Deliver{ExecID: "x", Reply: func(r actors.Reply) { replies <- r.Err }, Input: workflow.Signalled{Stamp: at,
					Signal: workflow.Signal{ID: id, ExecID: "x", Name: "go", Payload: payload, ReceivedAt: at.At, Source: "api"}}})
			}
			m.counts = nil
			s.TellAll(all)
			for range all {
				select {
				case err := <-replies:
					if err != nil {
						t.Fatal(err)
					}
				case <-time.After(30 * time.Second):
					t.Fatal("a signal is not answered")
				}
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if most := max(len(payload), actors.TurnBytes); m.most > most {
				t.Errorf("a commit brings %d bytes, want at most %d", m.most, most)
			}
			if len(m.counts) > test.turns {
				t.Errorf("%d signals were %d commits of %v, want at most %d", test.signals, len(m.counts), m.counts, test.turns)
			}
		})
	}
}
