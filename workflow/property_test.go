package workflow_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

var (
	transitions = flag.Int("transitions", 1_000_000, "transitions that the property test makes")
	seed        = flag.Uint64("seed", 1, "first seed of the property test")
)

// TestProperties lives random lives of random workflows and holds each
// transition to what doc.go promises: the same arguments give the same bytes;
// an input that comes twice changes nothing the second time; the arguments stay
// as they were; the invariants hold; and folding the inputs that the history
// recorded gives the state again.
func TestProperties(t *testing.T) {
	const lanes = 2
	quota := *transitions
	if testing.Short() {
		quota = min(quota, 20_000)
	}
	// States are made and thrown away: a larger heap is collected less often.
	percent := debug.SetGCPercent(400)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	for lane := range lanes {
		t.Run(fmt.Sprint("lane", lane), func(t *testing.T) {
			t.Parallel()
			for life, made := uint64(0), 0; made < quota/lanes; life++ {
				made += live(t, *seed+life*lanes+uint64(lane))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// live runs one life and returns how many transitions it made.
func live(t *testing.T, seed uint64) int {
	r := rand.New(rand.NewPCG(seed, 7))
	def := randomDefinition(r)
	at := workflow.Instant(1_000_000)
	var s workflow.State
	var history []workflow.Record
	receipts, events := make(map[string]workflow.Receipt), make(map[string]bool)
	var room workflow.Room
	before := encode(t, s)
	step := func(in workflow.Input) {
		next, records, effects, err := workflow.Advance(def, s, in)
		if err != nil {
			t.Fatalf("seed %d: %T: %v", seed, in, err)
		}
		after := encode(t, next)
		switch {
		case !bytes.Equal(before, encode(t, s)): // as it was when the transition before had made it
			t.Fatalf("seed %d: the state that was given to %T has changed", seed, in)
		case len(records) == 0 && (len(effects) > 0 || !bytes.Equal(before, after)):
			t.Fatalf("seed %d: %T changed something without a record", seed, in)
		case len(records) > 0 && next.Version != s.Version+1:
			t.Fatalf("seed %d: %T made version %d of version %d", seed, in, next.Version, s.Version)
		}
		again(t, seed, &room, def, &s, in, after, records)
		if _, more, moreEffects, _ := workflow.Advance(def, next, in); len(more)+len(moreEffects) > 0 {
			t.Fatalf("seed %d: the same %T applied twice: %v", seed, in, more)
		}
		if next.Version > 0 {
			if err := workflow.Check(&next); err != nil {
				t.Fatalf("seed %d: after %T: %v\n%s", seed, in, err, after)
			}
			if b := misinformed(&next); b != nil {
				t.Fatalf("seed %d: after %T: signal %s is kept because %s\n%s", seed, in, b.ID, b.Reason, after)
			}
		}
		for i, rec := range records {
			if rec.Seq != s.Seq+uint64(i)+1 {
				t.Fatalf("seed %d: record %d has number %d", seed, i, rec.Seq)
			}
		}
		if in, ok := in.(workflow.Signalled); ok && len(records) > 0 {
			events[in.Signal.ID] = in.OnlyIfMatched
		}
		follow(t, seed, receipts, events, in, &next, records)
		s, before, history = next, after, append(history, records...)
	}
	step(workflow.Started{Stamp: workflow.Stamp{At: at}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	made := 1
	for ; made < 80 && !s.Status.Finished(); made++ {
		at += workflow.Instant(r.IntN(1500))
		step(randomInput(r, &s, at))
	}
	if s.Status.Finished() {
		// Nothing wakes the dead.
		for range 4 {
			version := s.Version
			step(randomInput(r, &s, at+1))
			if s.Version != version {
				t.Fatalf("seed %d: a finished execution went on", seed)
			}
		}
	}
	replay(t, seed, def, history, s)
	for id, r := range receipts {
		kept := slices.ContainsFunc(s.Buffer, func(b workflow.Buffered) bool { return b.ID == id })
		if r.Fate.Final() == kept {
			t.Fatalf("seed %d: signal %s is %s and kept=%t", seed, id, r.Fate, kept)
		}
	}
	return made
}

// again makes a transition once more, in a room in which others were made and where the
// state of one lies that nobody looks at any more.
func again(t *testing.T, seed uint64, room *workflow.Room, def *workflow.Definition, s *workflow.State, in workflow.Input, after []byte, records []workflow.Record) {
	next, _ := room.Advance(def, s, in)
	if next == nil {
		next = s
	}
	if second := encode(t, *next); !bytes.Equal(after, second) {
		t.Fatalf("seed %d: %T gave two results:\n%s\n%s", seed, in, after, second)
	}
	if !slices.EqualFunc(records, room.Records, func(a, b workflow.Record) bool { return reflect.DeepEqual(a, b) }) {
		t.Fatalf("seed %d: %T gave two histories:\n%v\n%v", seed, in, records, room.Records)
	}
	room.Clear()
	if next != s {
		room.Keep(next)
	}
}

// misinformed finds a kept signal that blames a processor which does not work,
// or works on something else; nil when each knows why it is kept.
func misinformed(s *workflow.State) *workflow.Buffered {
	for i := range s.Buffer {
		b := &s.Buffer[i]
		for said := range strings.SplitSeq(b.Reason, "; ") {
			if strings.HasPrefix(said, "the processor of wait ") && !slices.ContainsFunc(s.Waits, func(w workflow.OpenWait) bool {
				return said == "the processor of wait "+w.ID+" works on it" && w.Judging == b.ID ||
					said == "the processor of wait "+w.ID+" works on another signal" && w.Judging != "" && w.Judging != b.ID
			}) {
				return b
			}
		}
	}
	return nil
}

// follow keeps the receipts as the driver does, and holds each signal to one
// acceptance, at most one final fate, and a first answer that stays. Only an event
// is consumed more than once, and by no wait twice.
func follow(t *testing.T, seed uint64, receipts map[string]workflow.Receipt, events map[string]bool, in workflow.Input, s *workflow.State, records []workflow.Record) {
	var arrived *workflow.Signal
	if in, ok := in.(workflow.Signalled); ok && len(records) > 0 {
		arrived = &in.Signal
		if _, known := receipts[arrived.ID]; known {
			delete(receipts, arrived.ID) // the core forgot an old id; a driver with receipts would not ask it
		}
	}
	for _, r := range workflow.FollowInto(nil, s, records, arrived, func(id string) *workflow.Receipt {
		if r, ok := receipts[id]; ok {
			r.Steps = slices.Clone(r.Steps)
			return &r
		}
		return nil
	}) {
		before, known := receipts[r.SignalID]
		switch {
		case known && before.Fate.Final():
			t.Fatalf("seed %d: signal %s was %s and became %s", seed, r.SignalID, before.Fate, r.Fate)
		case known && before.Answer != r.Answer:
			t.Fatalf("seed %d: the first answer of signal %s changed: %+v, %+v", seed, r.SignalID, before.Answer, r.Answer)
		case r.Steps[0].What != "accepted" || len(r.Steps) > workflow.MaxReceiptSteps || r.Answer.Outcome == "":
			t.Fatalf("seed %d: signal %s: %+v", seed, r.SignalID, r)
		}
		var took []string
		for _, step := range r.Steps {
			if step.What != "consumed" {
				continue
			}
			if slices.Contains(took, step.Wait) || len(took) > 0 && !events[r.SignalID] {
				t.Fatalf("seed %d: signal %s was consumed by %v and then by %s", seed, r.SignalID, took, step.Wait)
			}
			took = append(took, step.Wait)
		}
		receipts[r.SignalID] = r
	}
}

func replay(t *testing.T, seed uint64, def *workflow.Definition, history []workflow.Record, want workflow.State) {
	var s workflow.State
	var records []workflow.Record
	var room workflow.Room // the same with states made in the place of those before
	folded := &workflow.State{}
	for _, rec := range history {
		in, err := rec.Input()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if in == nil {
			continue
		}
		var more []workflow.Record
		if s, more, _, err = workflow.Advance(def, s, in); err != nil {
			t.Fatalf("seed %d: replay: %v", seed, err)
		}
		records = append(records, more...)
		next, err := room.Advance(def, folded, in)
		if err != nil || next == nil {
			t.Fatalf("seed %d: folded: %v", seed, err)
		}
		room.Reuse(folded)
		folded = next
	}
	if got := encode(t, *folded); !bytes.Equal(got, encode(t, s)) || !reflect.DeepEqual(room.Records, records) {
		t.Fatalf("seed %d: folding in one room gives another state or other records:\n%s\n%s", seed, got, encode(t, s))
	}
	if got, want := encode(t, s), encode(t, want); !bytes.Equal(got, want) {
		t.Fatalf("seed %d: replay of the history gives another state:\n%s\n%s", seed, got, want)
	}
	if len(records) != len(history) {
		t.Fatalf("seed %d: replay wrote %d records, the history has %d", seed, len(records), len(history))
	}
}

func encode(t *testing.T, s workflow.State) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
