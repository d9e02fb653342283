package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

func sorted(ids []string) []string { return slices.Sorted(slices.Values(ids)) }

// pages reads a whole list in pages of limit and returns the ids in it.
func (f *fixture) pages(q workflow.Query, limit int) []string {
	f.Helper()
	var ids []string
	q.Limit = limit
	for {
		page, err := f.Executions(f.ctx, q)
		if err != nil {
			f.Fatalf("executions: %v", err)
		}
		if len(page.Items) > limit {
			f.Fatalf("asked for %d executions, got %d", limit, len(page.Items))
		}
		for _, s := range page.Items {
			ids = append(ids, s.ExecID)
		}
		if page.Next == "" {
			return ids
		}
		q.Cursor = page.Next
	}
}

// created makes an execution that was created n milliseconds after the beginning.
func created(id string, n int) *workflow.State {
	s := sample(id)
	s.CreatedAt = begin + workflow.Instant(n)
	return s
}

// executions: newest first, by id within one moment, in pages of any size.
func executions(f *fixture) {
	var want []string
	for i := range 30 {
		id := fmt.Sprintf("e%02d", i)
		f.must(first(created(id, i/3))) // three of each moment
		want = append(want, id)
	}
	slices.SortStableFunc(want, func(a, b string) int {
		n := func(id string) int { var i int; fmt.Sscanf(id, "e%d", &i); return i / 3 }
		return n(b) - n(a)
	})
	for _, limit := range []int{1, 2, 7, 29, 30, 31} {
		same(f, fmt.Sprintf("pages of %d", limit), f.pages(workflow.Query{}, limit), want)
	}
	page, err := f.Executions(f.ctx, workflow.Query{})
	f.is("executions without a limit", err, nil)
	if len(page.Items) == 0 {
		f.Fatal("a list without a limit is empty")
	}
	same(f, "a state of the list", page.Items[0], f.load(page.Items[0].ExecID).State)
}

// executionFilters: each filter, and all of them together.
func executionFilters(f *fixture) {
	var all []*workflow.State
	for i := range 48 {
		s := created(fmt.Sprintf("e%02d", i), 48-i)
		s.WorkflowID = []string{"orders", "orders2", "bills"}[i%3]
		s = f.must(first(s))
		switch i % 4 {
		case 1:
			s = f.must(next(s, 1, waiting("approve")))
		case 2:
			s = f.must(next(s, 1, waiting("approve", "pay", "approve")))
		case 3:
			s = f.must(next(f.must(next(s, 1, waiting("pay"))), 1, ended(begin)))
		}
		all = append(all, s)
	}
	for _, q := range []workflow.Query{
		{}, {WorkflowID: "orders"}, {WorkflowID: "order"}, {Status: workflow.Waiting}, {Status: workflow.Success},
		{WorkflowID: "bills", Status: workflow.Running}, {WaitingFor: "approve"}, {WaitingFor: "pay"}, {WaitingFor: "p"},
		{WaitingFor: "approve", WorkflowID: "orders2"}, {WaitingFor: "pay", Status: workflow.Waiting}, {WaitingFor: "pay", Status: workflow.Success},
		{Since: begin + 20}, {Since: begin + 20, Status: workflow.Waiting}, {Since: begin + 20, WaitingFor: "approve", WorkflowID: "orders"},
	} {
		var want []string
		for _, s := range all { // the newest was made first
			if matches(s, q) {
				want = append(want, s.ExecID)
			}
		}
		for _, limit := range []int{1, 3, 100} {
			same(f, fmt.Sprintf("%+v in pages of %d", q, limit), f.pages(q, limit), want)
		}
	}
}

// matches says what a query means.
func matches(s *workflow.State, q workflow.Query) bool {
	waits := q.WaitingFor == "" || slices.ContainsFunc(s.Waits, func(w workflow.OpenWait) bool { return w.Name == q.WaitingFor })
	return waits && (q.WorkflowID == "" || s.WorkflowID == q.WorkflowID) &&
		(q.Status == "" || s.Status == q.Status) && s.CreatedAt >= q.Since &&
		(!q.Live || !s.Status.Finished()) && (q.Key == "" || s.Key == q.Key) && labelled(s, q.Labels)
}

// pagesThatMove: who turns pages sees every execution that matches all the time,
// and none twice, whatever others do meanwhile.
func pagesThatMove(f *fixture) {
	states := map[string]*workflow.State{}
	for i := range 20 {
		id := fmt.Sprintf("e%02d", i)
		states[id] = f.must(next(f.must(first(created(id, i))), 1, waiting("approve")))
	}
	for _, q := range []workflow.Query{{}, {Status: workflow.Waiting}, {WaitingFor: "approve"}, {WorkflowID: "orders"}} {
		q.Limit = 4
		var seen []string
		for turn := 0; ; turn++ {
			page, err := f.Executions(f.ctx, q)
			f.is("executions", err, nil)
			for _, s := range page.Items {
				seen = append(seen, s.ExecID)
			}
			if page.Next == "" {
				break
			}
			q.Cursor = page.Next
			f.must(first(created(fmt.Sprintf("new%d%s%s%s", turn, q.Status, q.WaitingFor, q.WorkflowID), 100+turn)))
			for _, id := range []string{"e00", "e19"} { // one to come, one seen
				states[id] = f.must(next(states[id], 1, nil))
			}
			moved := next(states["e07"], 1, nil) // leaves some lists and comes back
			moved.Now.Status, moved.Now.Waits = workflow.Running, nil
			states["e07"] = f.must(next(f.must(moved), 1, waiting("approve")))
		}
		seen = slices.DeleteFunc(seen, func(id string) bool { return strings.HasPrefix(id, "new") })
		want := make([]string, 0, 20)
		for i := 19; i >= 0; i-- {
			want = append(want, fmt.Sprintf("e%02d", i))
		}
		same(f, fmt.Sprintf("pages of %+v", q), seen, want)
	}
}

// badCursors: a cursor that no page named is the caller's mistake.
func badCursors(f *fixture) {
	s := f.must(next(f.must(first(sample("e1"))), 1, waiting("approve")))
	for _, cursor := range []string{"?", "x", "AAAA", strings.Repeat("A", 500)} {
		_, err := f.Executions(f.ctx, workflow.Query{Cursor: cursor})
		var refusal *workflow.Refusal
		if !errors.As(err, &refusal) || refusal.Code != workflow.CodeInvalid {
			f.Errorf("executions with cursor %q: got error %v, want a refusal %s", cursor, err, workflow.CodeInvalid)
		}
		_, err = f.Waits(f.ctx, workflow.WaitQuery{Name: "approve", Cursor: cursor})
		if !errors.As(err, &refusal) || refusal.Code != workflow.CodeInvalid {
			f.Errorf("waits with cursor %q: got error %v, want a refusal %s", cursor, err, workflow.CodeInvalid)
		}
	}
	f.is("health", f.Health(), nil)
	same(f, "state", f.load("e1").State, s)
}

// waitPages reads a whole list of waits and returns "name exec id" of each.
func (f *fixture) waitPages(q workflow.WaitQuery, limit int) []string {
	f.Helper()
	var rows []string
	q.Limit = limit
	for {
		page, err := f.Waits(f.ctx, q)
		if err != nil {
			f.Fatalf("waits: %v", err)
		}
		if len(page.Items) > limit {
			f.Fatalf("asked for %d waits, got %d", limit, len(page.Items))
		}
		for _, w := range page.Items {
			rows = append(rows, w.Name+" "+w.ExecID+" "+w.ID)
		}
		if page.Next == "" {
			return rows
		}
		q.Cursor = page.Next
	}
}

// waits: by name, then in the order of their executions, each with its row.
func waits(f *fixture) {
	names := []string{"approve", "approve2", "approve\x00", "pay"}
	want := map[string][]string{}
	for i := range 24 {
		s := created(fmt.Sprintf("e%02d", i), i)
		s.WorkflowID = []string{"orders", "bills"}[i%2]
		name := names[i%4]
		s = f.must(next(f.must(first(s)), 1, waiting(name, "both")))
		want[name] = append(want[name], name+" "+s.ExecID+" hold0/1")
		want["both"] = append(want["both"], "both "+s.ExecID+" hold1/1")
	}
	f.reopen()
	var all []string
	for _, name := range sorted(append(names, "both")) {
		all = append(all, want[name]...)
	}
	for _, limit := range []int{1, 5, 100} {
		same(f, "all waits", f.waitPages(workflow.WaitQuery{}, limit), all)
		for name, rows := range want {
			same(f, "waits for "+name, f.waitPages(workflow.WaitQuery{Name: name}, limit), rows)
		}
		var bills []string
		for i, row := range want["both"] {
			if i%2 == 1 {
				bills = append(bills, row)
			}
		}
		same(f, "waits of one workflow", f.waitPages(workflow.WaitQuery{Name: "both", WorkflowID: "bills"}, limit), bills)
		same(f, "waits for nothing", f.waitPages(workflow.WaitQuery{Name: "app"}, limit), nil)
	}
	page, err := f.Waits(f.ctx, workflow.WaitQuery{Name: "pay", Limit: 1})
	f.is("waits", err, nil)
	s := f.load("e03").State
	same(f, "row of a wait", page.Items, []workflow.WaitRow{{ExecID: "e03", WorkflowID: s.WorkflowID, OpenWait: s.Waits[0]}})
}

// waitsThatChange: a row follows its wait until it closes.
func waitsThatChange(f *fixture) {
	s := f.must(next(f.must(first(sample("e1"))), 1, waiting("approve", "pay")))
	s = f.must(next(s, 1, func(now *workflow.State) { now.Waits[1].LastReason, now.Waits[1].LastJudged = "amount is 5", "s1" }))
	page, err := f.Waits(f.ctx, workflow.WaitQuery{Name: "pay"})
	f.is("waits", err, nil)
	if len(page.Items) != 1 || page.Items[0].OpenWait != s.Waits[1] {
		f.Fatalf("row of a wait that was judged: got %+v, want %+v", page.Items, s.Waits[1])
	}
	s = f.must(next(s, 1, func(now *workflow.State) { now.Waits = now.Waits[1:] }))
	same(f, "waits after one closed", f.waitPages(workflow.WaitQuery{}, 10), []string{"pay e1 hold1/1"})
	s = f.must(next(s, 1, func(now *workflow.State) {
		now.Waits = []workflow.OpenWait{{ID: "hold1/2", Task: "hold1", Name: "pay", OpenedAt: begin}}
	}))
	same(f, "waits after another run", f.waitPages(workflow.WaitQuery{}, 10), []string{"pay e1 hold1/2"})
	f.must(next(s, 1, ended(begin)))
	same(f, "waits after the end", f.waitPages(workflow.WaitQuery{}, 10), nil)
	f.reopen()
	same(f, "waits after the end", f.waitPages(workflow.WaitQuery{}, 10), nil)
}

// armed makes a state have timers "t0", "t1" ... due at those moments after the beginning.
func armed(due ...int) func(*workflow.State) {
	return func(s *workflow.State) {
		s.Timers = nil
		for i, d := range due {
			s.Timers = append(s.Timers, workflow.Timer{ID: fmt.Sprintf("t%d", i), Kind: workflow.TimerSleep, Of: "charge", Due: begin + workflow.Instant(d)})
		}
	}
}

// timers: earliest first, from any place, never one that is not due.
func timers(f *fixture) {
	at, err := f.NextDue(f.ctx)
	f.is("next due", err, nil)
	same(f, "next due of an empty store", at, 0)
	var want []persistence.Due
	for i := range 10 {
		s := sample(fmt.Sprintf("e%02d", i))
		armed(100-i, 200-i%3)(s)
		f.must(first(s))
		for _, tm := range s.Timers {
			want = append(want, persistence.Due{ExecID: s.ExecID, Timer: tm.ID, At: tm.Due})
		}
	}
	slices.SortStableFunc(want, func(a, b persistence.Due) int { return int(a.At - b.At) })
	for range 2 {
		at, err = f.NextDue(f.ctx)
		f.is("next due", err, nil)
		same(f, "next due", at, begin+91)
		for _, limit := range []int{1, 4, 100} {
			var got []persistence.Due
			var after *persistence.Due
			for {
				page, err := f.Due(f.ctx, begin+199, after, limit)
				f.is("due", err, nil)
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				after = &page[len(page)-1]
			}
			same(f, "due timers", got, slices.DeleteFunc(slices.Clone(want), func(d persistence.Due) bool { return d.At > begin+199 }))
		}
		f.reopen()
	}
	none, err := f.Due(f.ctx, begin+90, nil, 10)
	f.is("due", err, nil)
	same(f, "timers before the first", none, nil)
}

// timersComeAndGo: a timer that is armed early after others fired is found.
func timersComeAndGo(f *fixture) {
	due := func() []persistence.Due {
		f.Helper()
		got, err := f.Due(f.ctx, begin+1000, nil, 100)
		f.is("due", err, nil)
		return got
	}
	s := sample("e1")
	armed(10, 20)(s)
	s = f.must(first(s))
	s = f.must(next(s, 1, armed(500)))
	same(f, "timers after both fired", due(), []persistence.Due{{ExecID: "e1", Timer: "t0", At: begin + 500}})
	other := sample("e2")
	armed(5)(other)
	other = f.must(first(other))
	same(f, "an early timer after late ones", due()[0], persistence.Due{ExecID: "e2", Timer: "t0", At: begin + 5})
	other = f.must(next(other, 1, armed(600)))
	if at, err := f.NextDue(f.ctx); err != nil || at != begin+500 {
		f.Fatalf("next due is %v, %v, want %v", at, err, begin+500)
	}
	s = f.must(next(s, 1, func(now *workflow.State) { now.Paused, now.Status = true, workflow.Paused }))
	same(f, "timers while one is paused", due(), []persistence.Due{{ExecID: "e2", Timer: "t0", At: begin + 600}})
	s = f.must(next(s, 1, func(now *workflow.State) { now.Paused, now.Status = false, workflow.Running }))
	same(f, "timers after it was resumed", len(due()), 2)
	f.must(next(s, 1, ended(begin+9)))
	f.must(next(other, 1, ended(begin+9)))
	same(f, "timers after the end", due(), nil)
	if at, err := f.NextDue(f.ctx); err != nil || at != 0 {
		f.Fatalf("next due is %v, %v, want none", at, err)
	}
}

// working: who has work in progress is listed until a commit says otherwise.
func working(f *fixture) {
	states := map[string]*workflow.State{}
	for _, id := range []string{"e3", "e1", "e2", "e4"} {
		c := first(sample(id))
		c.Working = id != "e4"
		states[id] = f.must(c)
	}
	list := func(after string, limit int) []string {
		f.Helper()
		ids, err := f.Working(f.ctx, after, limit)
		f.is("working", err, nil)
		return ids
	}
	same(f, "working", list("", 10), []string{"e1", "e2", "e3"})
	same(f, "working, one", list("", 1), []string{"e1"})
	same(f, "working after one", list("e1", 10), []string{"e2", "e3"})
	same(f, "working after one that is none", list("e15", 10), []string{"e2", "e3"})
	rests := next(states["e2"], 1, nil)
	rests.Worked = true
	f.must(rests)
	again := next(states["e3"], 1, nil)
	again.Working, again.Worked = true, true
	f.must(again)
	f.reopen()
	same(f, "working", list("", 10), []string{"e1", "e3"})
}
