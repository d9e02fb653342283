package embedded

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// populate writes executions of several workflows and statuses, one each
// millisecond, and returns them in the order of a list.
func populate(t testing.TB, s *Store, workflows, each int) []*workflow.State {
	t.Helper()
	var all []*workflow.State
	var last <-chan error
	for i := range workflows * each {
		one := storetest.Sample(fmt.Sprintf("e%05d", i), 1_700_000_000_000+workflow.Instant(i))
		one.WorkflowID = fmt.Sprintf("flow-%d", i%workflows)
		one.Version, one.Waits, one.Timers = 1, nil, nil
		if i%5 == 0 {
			one.Status, one.FinishedAt = workflow.Success, one.CreatedAt
		}
		last = submit(s, &persistence.Commit{ExecID: one.ExecID, ID: uint64(i + 1), Epoch: 1, Now: one})
		all = append(all, one)
	}
	if err := <-last; err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// listAll reads a list in pages of limit.
func listAll(t testing.TB, s *Store, q workflow.Query, limit int) (ids []string) {
	t.Helper()
	q.Limit = limit
	for {
		page, err := s.Executions(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Items {
			ids = append(ids, one.ExecID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
}

// TestEveryWorkflow: the listings of all workflows are one list, whatever its pages
// and however many places of a workflow follow one another.
func TestEveryWorkflow(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	all := populate(t, s, 3, 3*placesAtOnce)
	long := storetest.Sample("long", all[0].CreatedAt)
	long.WorkflowID, long.Version, long.Waits, long.Timers = "flow", 1, nil, nil
	for i := range 3 * placesAtOnce { // all of one workflow, behind one another
		one := *long
		one.ExecID, one.CreatedAt = fmt.Sprintf("long%05d", i), long.CreatedAt+workflow.Instant(i+1)
		if err := commitOne(t, s, &persistence.Commit{ExecID: one.ExecID, ID: 1, Epoch: 1, Now: &one}); err != nil {
			t.Fatal(err)
		}
		all = slices.Insert(all, 0, &one)
	}
	for _, q := range []workflow.Query{
		{}, {Status: workflow.Success}, {Live: true}, {Since: all[len(all)/2].CreatedAt}, {Status: workflow.Canceled},
		{Status: workflow.Success, Since: all[len(all)-100].CreatedAt}, {WorkflowID: "flow-1"},
	} {
		var want []string
		for _, one := range all {
			if q.Selects(one) {
				want = append(want, one.ExecID)
			}
		}
		for _, limit := range []int{7, placesAtOnce, 500} {
			if got := listAll(t, s, q, limit); !slices.Equal(got, want) {
				t.Errorf("%+v in pages of %d lists %d executions in some order, want %d: %q", q, limit, len(got), len(want), got)
			}
		}
	}
}

// TestOneIndexLess: a folder of format 2 is opened, and loses the rows that are not
// kept any more.
func TestOneIndexLess(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	all := populate(t, s, 2, 10)
	if err := s.db.drain(); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		key := listKey(nil, famStatus, string(one.Status), "", one.CreatedAt, one.ExecID)
		if err := s.db.pebble.Set(key, nil, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.pebble.Set(keyFormat, []byte{0, 0, 0, 2}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if got := listAll(t, s, workflow.Query{}, 5); len(got) != len(all) {
		t.Errorf("%d executions are listed, want %d", len(got), len(all))
	}
	rows, err := newView(s.db)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = scan(t.Context(), rows, []byte{famStatus}, []byte{famStatus}, func(_, _ []byte) (bool, error) { n++; return true, nil })
	if err := rows.close(err); err != nil || n != 0 {
		t.Errorf("%d rows of the index that is no more are left, %v", n, err)
	}
	if format, err := number(s.db, keyFormat, 4); err != nil || format != formatNow {
		t.Errorf("the folder is of format %d, %v", format, err)
	}
}

func BenchmarkEveryWorkflow(b *testing.B) {
	for _, workflows := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(workflows), func(b *testing.B) {
			s := openOn(b, vfs.NewMem())
			defer s.Close()
			populate(b, s, workflows, 20_000/workflows)
			for b.Loop() {
				if _, err := s.Executions(b.Context(), workflow.Query{Limit: 50}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
