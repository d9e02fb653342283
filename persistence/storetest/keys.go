package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// keyed makes a new execution that needs a key for itself.
func keyed(id, key string) *workflow.State {
	s := sample(id)
	s.Key, s.Unique = key, true
	return s
}

// taken fails the test when err does not say that the holder has the key.
func (f *fixture) taken(what string, err error, key, holder string) {
	f.Helper()
	var taken *persistence.KeyTaken
	if !errors.As(err, &taken) {
		f.Fatalf("%s: got error %v, want that the key is taken", what, err)
	}
	if errors.Is(err, persistence.ErrConflict) {
		f.Fatalf("%s: %v says that another owner was there", what, err)
	}
	same(f, what, *taken, persistence.KeyTaken{WorkflowID: "orders", Key: key, Holder: holder})
}

// holds fails the test when the key is not held as wanted; "" is by nobody.
func (f *fixture) holds(key, want string) {
	f.Helper()
	got, err := f.Holder(f.ctx, "orders", key)
	if want == "" {
		f.is("holder of "+key, err, persistence.ErrNotFound)
		return
	}
	f.is("holder of "+key, err, nil)
	same(f, "holder of "+key, got, want)
}

// uniqueKeys: one live execution of a workflow has a unique key, whoever comes
// meanwhile is refused, whole, and told the holder; the next one gets it when the
// holder has finished.
func uniqueKeys(f *fixture) {
	s := f.must(first(keyed("e1", "A-17")))
	f.holds("A-17", "e1")
	c := first(keyed("e2", "A-17"))
	c.Receipts = []workflow.Receipt{receiptOf("s1", "e2", workflow.FateConsumed)}
	c.Events = []workflow.Event{eventOf("ev1")}
	f.taken("second start", f.commit(c), "A-17", "e1")
	_, err := f.Load(f.ctx, "e2")
	f.is("load of the refused one", err, persistence.ErrNotFound)
	_, err = f.Receipt(f.ctx, "s1", "e2")
	f.is("receipt of the refused one", err, persistence.ErrNotFound)
	_, err = f.Event(f.ctx, "ev1")
	f.is("event of the refused one", err, persistence.ErrNotFound)
	same(f, "executions of the key", f.pages(workflow.Query{WorkflowID: "orders", Key: "A-17"}, 10), []string{"e1"})

	other := keyed("e3", "A-17")
	other.WorkflowID = "bills"
	f.must(first(other))
	plain := keyed("e4", "A-17")
	plain.Unique = false
	f.must(first(plain))
	f.must(first(keyed("e5", "A-18")))
	f.is("start of what runs", f.commit(first(keyed("e1", "A-17"))), persistence.ErrConflict)

	s = f.must(next(s, 1, waiting("approve")))
	f.taken("start while the holder waits", f.commit(first(keyed("e2", "A-17"))), "A-17", "e1")
	f.must(next(s, 1, ended(begin+1)))
	f.holds("A-17", "")
	f.must(first(keyed("e2", "A-17")))
	f.holds("A-17", "e2")
	f.taken("start after the next", f.commit(first(keyed("e6", "A-17"))), "A-17", "e2")
	at := f.must(first(keyed("e7", "gone at once")))
	f.must(next(at, 1, ended(begin+1)))
	f.must(first(keyed("e8", "gone at once")))
	born := keyed("e9", "never alive")
	ended(begin + 1)(born)
	f.must(first(born))
	f.holds("never alive", "")
}

// keysInARace: of many who want the same key at once, one gets it and the others
// are told who that is; giving it back and taking it can be under way together.
func keysInARace(f *fixture) {
	const rounds, starters = 20, 16
	for round := range rounds {
		key := fmt.Sprintf("k%d", round/4)
		answers := make([]<-chan error, starters)
		id := func(i int) string { return fmt.Sprintf("r%d-%d", round, i) }
		for i := range starters {
			answers[i] = f.submit(first(keyed(id(i), key)))
		}
		winner := ""
		var refused []error
		for i, answer := range answers {
			if err := wait(f.T, answer); err != nil {
				refused = append(refused, err)
			} else if winner != "" {
				f.Fatalf("%s and %s both have the key", winner, id(i))
			} else {
				winner = id(i)
			}
		}
		for _, err := range refused {
			f.taken("one who lost", err, key, winner)
		}
		f.holds(key, winner)
		// The end of the holder and the start of another one share a write.
		end := f.submit(next(f.load(winner).State, 1, ended(begin+1)))
		heir := first(keyed(winner+"-heir", key))
		got := f.submit(heir)
		f.is("end of the holder", wait(f.T, end), nil)
		if err := wait(f.T, got); err != nil {
			f.taken("an heir that came too early", err, key, winner)
			continue
		}
		f.must(next(heir.Now, 1, ended(begin+2)))
		f.holds(key, "")
	}
}

// keysReopened: who has a key is known after the store was closed and opened.
func keysReopened(f *fixture) {
	s := f.must(first(keyed("e1", "a\x00b")))
	f.must(next(f.must(first(keyed("e2", "a"))), 1, ended(begin+1)))
	f.reopen()
	f.holds("a\x00b", "e1")
	f.holds("a", "")
	f.taken("start after opening again", f.commit(first(keyed("e3", "a\x00b"))), "a\x00b", "e1")
	f.must(next(s, 1, ended(begin+1)))
	f.reopen()
	f.holds("a\x00b", "")
	n, err := f.Sweep(f.ctx, begin+10, 10)
	f.is("sweep", err, nil)
	same(f, "forgotten", n, 2)
	same(f, "executions of a key that were swept", f.pages(workflow.Query{WorkflowID: "orders", Key: "a"}, 10), nil)
	f.must(first(keyed("e1", "a\x00b")))
	f.holds("a\x00b", "e1")
}

// keysAndLabels: executions are listed by key and by labels, newest first, with
// every other filter beside it.
func keysAndLabels(f *fixture) {
	var all []*workflow.State
	for i := range 36 {
		s := created(fmt.Sprintf("e%02d", i), 36-i)
		s.WorkflowID = []string{"orders", "bills"}[i%2]
		s.Key = []string{"", "A-17", "A-1"}[i%3]
		if i%4 != 0 {
			s.Labels = []workflow.Label{{Name: "region", Value: []string{"eu", "us", ""}[i%3]}, {Name: "tier", Value: "gold"}}
		}
		s = f.must(first(s))
		if i%5 == 1 {
			s = f.must(next(s, 1, waiting("approve")))
		}
		if i%5 == 2 {
			s = f.must(next(s, 1, ended(begin+100)))
		}
		all = append(all, s)
	}
	eu, gold := workflow.Label{Name: "region", Value: "eu"}, workflow.Label{Name: "tier", Value: "gold"}
	for _, q := range []workflow.Query{
		{WorkflowID: "orders", Key: "A-17"}, {WorkflowID: "bills", Key: "A-1"}, {WorkflowID: "orders", Key: "A"},
		{WorkflowID: "orders", Key: "A-17", Status: workflow.Success}, {WorkflowID: "orders", Key: "A-17", WaitingFor: "approve"},
		{Labels: []workflow.Label{eu}}, {Labels: []workflow.Label{eu, gold}}, {Labels: []workflow.Label{gold, eu}, WorkflowID: "bills"},
		{Labels: []workflow.Label{{Name: "region"}}}, {Labels: []workflow.Label{{Name: "regio", Value: "neu"}}},
		{Labels: []workflow.Label{gold}, WaitingFor: "approve"}, {Labels: []workflow.Label{eu}, WorkflowID: "orders", Key: "A-17", Status: workflow.Running},
		{Labels: []workflow.Label{gold}, Since: begin + 20}, {Labels: []workflow.Label{gold}, Live: true},
		{Live: true}, {Live: true, WorkflowID: "orders"}, {Live: true, Status: workflow.Success}, {Live: true, WorkflowID: "bills", Key: "A-17"},
	} {
		var want []string
		for _, s := range all {
			if matches(s, q) {
				want = append(want, s.ExecID)
			}
		}
		for _, limit := range []int{1, 3, 100} {
			same(f, fmt.Sprintf("%+v in pages of %d", q, limit), f.pages(q, limit), want)
		}
	}
	_, err := f.Executions(f.ctx, workflow.Query{Key: "A-17"})
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) || refusal.Code != workflow.CodeInvalid {
		f.Fatalf("a key without a workflow: got error %v, want a refusal", err)
	}
}

// labelled reports whether a state has all of the labels.
func labelled(s *workflow.State, labels []workflow.Label) bool {
	for _, l := range labels {
		if !slices.Contains(s.Labels, l) {
			return false
		}
	}
	return true
}
