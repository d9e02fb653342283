package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

const (
	orderPath    = "/payload/order_id"
	customerPath = "/payload/customer~1id"
)

// correlating makes a state wait for one name with those keys, "" for a wait without.
func correlating(name, path string, keys ...string) func(*workflow.State) {
	return func(s *workflow.State) {
		waiting(slices.Repeat([]string{name}, len(keys))...)(s)
		for i, key := range keys {
			if key != "" {
				s.Waits[i].Path, s.Waits[i].Key = path, key
			}
		}
	}
}

// keyPaths is KeyPaths of what has to succeed.
func (f *fixture) keyPaths(name string) []string {
	f.Helper()
	paths, err := f.KeyPaths(f.ctx, name)
	f.is("key paths", err, nil)
	return paths
}

// correlation: a wait with a key is found by it, whatever the key is made of,
// and beside it by its name like any other; one without a key apart from them.
func correlation(f *fixture) {
	keys := []string{"a", "a\x00", "ab", "", "\xc3\xbf", "42"}
	for i, key := range keys {
		id := fmt.Sprintf("e%d", i)
		f.must(next(f.must(first(created(id, i))), 1, correlating("paid", orderPath, key)))
		f.must(next(f.must(first(created("c"+id, 10+i))), 1, correlating("paid", customerPath, key)))
	}
	f.must(next(f.must(first(created("other", 30))), 1, correlating("paid\x00", "/correlation_id", "a")))
	for range 2 {
		same(f, "paths", f.keyPaths("paid"), []string{customerPath, orderPath})
		same(f, "paths of another name", f.keyPaths("paid\x00"), []string{"/correlation_id"})
		same(f, "paths of a name that begins another", f.keyPaths("pai"), nil)
		for i, key := range keys {
			if key == "" {
				continue
			}
			want := []string{fmt.Sprintf("paid ce%d hold0/1", i), fmt.Sprintf("paid e%d hold0/1", i)}
			for _, limit := range []int{1, 2, 9} {
				same(f, fmt.Sprintf("waits for key %q", key), f.waitPages(workflow.WaitQuery{Name: "paid", Key: key}, limit), want)
				same(f, fmt.Sprintf("waits for key %q at one path", key),
					f.waitPages(workflow.WaitQuery{Name: "paid", Path: orderPath, Key: key}, limit), want[1:])
			}
		}
		same(f, "waits for a key of any name", f.waitPages(workflow.WaitQuery{Key: "a"}, 1),
			[]string{"paid ce0 hold0/1", "paid e0 hold0/1", "paid\x00 other hold0/1"})
		same(f, "waits for a key that nobody has", f.waitPages(workflow.WaitQuery{Name: "paid", Key: "b"}, 9), nil)
		same(f, "waits without a key", f.waitPages(workflow.WaitQuery{Name: "paid", Unkeyed: true}, 1), []string{"paid e3 hold0/1", "paid ce3 hold0/1"})
		for _, limit := range []int{1, 5, 100} {
			same(f, "all waits of the name", len(f.waitPages(workflow.WaitQuery{Name: "paid"}, limit)), 2*len(keys))
		}
		same(f, "executions that wait for the name", len(f.pages(workflow.Query{WaitingFor: "paid"}, 5)), 2*len(keys))
		f.reopen()
	}
	page, err := f.Waits(f.ctx, workflow.WaitQuery{Name: "paid", Path: orderPath, Key: "42"})
	f.is("waits", err, nil)
	same(f, "row of a wait with a key", page.Items, []workflow.WaitRow{{ExecID: "e5", WorkflowID: "orders", OpenWait: f.load("e5").State.Waits[0]}})
}

// correlationPages: a page of many waits with one key begins where the one
// before ended, whatever closed and opened meanwhile.
func correlationPages(f *fixture) {
	states := map[string]*workflow.State{}
	for i := range 20 {
		id := fmt.Sprintf("e%02d", i)
		states[id] = f.must(next(f.must(first(created(id, i))), 1, correlating("paid", orderPath, "A")))
		f.must(next(f.must(first(created("b"+id, i))), 1, correlating("paid", orderPath, "B")))
	}
	q := workflow.WaitQuery{Name: "paid", Path: orderPath, Key: "A", Limit: 4}
	var seen []string
	for turn := 0; ; turn++ {
		page, err := f.Waits(f.ctx, q)
		f.is("waits", err, nil)
		for _, row := range page.Items {
			seen = append(seen, row.ExecID)
		}
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
		last := seen[len(seen)-1]
		f.must(next(states[last], 1, ended(begin))) // where the cursor stands
		if turn == 0 {
			f.must(next(states["e06"], 1, ended(begin)))
		}
	}
	var want []string
	for i := range 20 {
		if i != 6 {
			want = append(want, fmt.Sprintf("e%02d", i))
		}
	}
	same(f, "executions seen", seen, want)
}

// correlationMoves: the index follows a key that changes, one that comes or goes,
// and the end of the wait; a path that nobody uses any more is no path.
func correlationMoves(f *fixture) {
	find := func(path, key string) []string {
		f.Helper()
		return f.waitPages(workflow.WaitQuery{Name: "paid", Path: path, Key: key}, 10)
	}
	row := []string{"paid e1 hold0/1"}
	unkeyed := func() []string { return f.waitPages(workflow.WaitQuery{Name: "paid", Unkeyed: true}, 10) }
	s := f.must(next(f.must(first(sample("e1"))), 1, correlating("paid", orderPath, "")))
	same(f, "without a key", unkeyed(), row)
	for _, step := range []struct{ path, key string }{{orderPath, "A"}, {orderPath, "B"}, {customerPath, "B"}, {"", ""}, {customerPath, "A"}} {
		was := s.Waits[0]
		s = f.must(next(s, 1, func(now *workflow.State) { now.Waits[0].Path, now.Waits[0].Key = step.path, step.key }))
		for range 2 {
			if was.Key != "" {
				same(f, "where it was", find(was.Path, was.Key), nil)
			}
			if step.key != "" {
				same(f, "where it is", find(step.path, step.key), row)
				same(f, "paths", f.keyPaths("paid"), []string{step.path})
				same(f, "without a key", unkeyed(), nil)
			} else {
				same(f, "paths", f.keyPaths("paid"), nil)
				same(f, "without a key", unkeyed(), row)
			}
			same(f, "by its name", f.waitPages(workflow.WaitQuery{Name: "paid"}, 10), row)
			f.reopen()
		}
	}
	s = f.must(next(s, 1, func(now *workflow.State) { now.Waits[0].LastReason = "amount is 5" }))
	page, err := f.Waits(f.ctx, workflow.WaitQuery{Key: "A"})
	f.is("waits", err, nil)
	if len(page.Items) != 1 || page.Items[0].LastReason != "amount is 5" {
		f.Fatalf("the row of a wait that was judged: %+v", page.Items)
	}
	s = f.must(next(s, 1, ended(begin)))
	check := func() {
		f.Helper()
		same(f, "after the end", find(customerPath, "A"), nil)
		same(f, "paths after the end", f.keyPaths("paid"), nil)
		if n := f.Stats().Waits; n != -1 {
			same(f, "open waits", n, 0)
		}
	}
	check()
	f.reopen()
	check()
	if n, err := f.Sweep(f.ctx, begin+1, 10); err != nil || n != 1 {
		f.Fatalf("swept %d, %v", n, err)
	}
	check()
}

var (
	somePaths        = rapid.SampledFrom([]string{orderPath, "/correlation_id"})
	someCorrelations = rapid.SampledFrom([]string{"", "A", "A\x00", "B"})
)

// compareCorrelation compares everything that the index can be asked; rows are
// all waits in the order of the store.
func (m *model) compareCorrelation(ctx context.Context, rt *rapid.T, rows []workflow.WaitRow) {
	byIndex := slices.Clone(rows)
	slices.SortStableFunc(byIndex, func(a, b workflow.WaitRow) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path))
	})
	for _, name := range []string{"approve", "approve2", "pay"} {
		var paths []string
		for _, row := range byIndex {
			if row.Name == name && row.Key != "" && !slices.Contains(paths, row.Path) {
				paths = append(paths, row.Path)
			}
		}
		same(rt, "key paths", good[[]string](rt, "key paths")(m.store.KeyPaths(ctx, name)), paths)
	}
	name, path, key := someNames.Draw(rt, "name"), somePaths.Draw(rt, "path"), someCorrelations.Filter(func(k string) bool { return k != "" }).Draw(rt, "key")
	for _, q := range []workflow.WaitQuery{
		{Name: name, Path: path, Key: key}, {Name: name, Key: key}, {Key: key}, {Name: name, Unkeyed: true}, {Unkeyed: true}, {Name: name},
	} {
		from := byIndex
		if q.Key == "" {
			from = rows
		}
		var want, got []workflow.WaitRow
		for _, row := range from {
			if (q.Name == "" || row.Name == q.Name) && (q.Path == "" || row.Path == q.Path) && (q.Key == "" || row.Key == q.Key) && !(q.Unkeyed && row.Key != "") {
				want = append(want, row)
			}
		}
		for q.Limit = 2; ; {
			page := good[workflow.Page[workflow.WaitRow]](rt, "waits")(m.store.Waits(ctx, q))
			got = append(got, page.Items...)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		same(rt, fmt.Sprintf("waits of %+v", q), got, want)
	}
}
