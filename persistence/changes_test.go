package persistence

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// rows are indexes as a store would keep them: what Derive says is applied to
// them, and the result must be those of the state after.
type rows map[string]bool

func rowsOf(s *workflow.State) rows {
	r := rows{}
	if s == nil {
		return r
	}
	r[fmt.Sprintf("listed %v", Listing{s.WorkflowID, s.Status, s.CreatedAt})] = true
	for _, w := range s.Waits {
		r[fmt.Sprintf("wait %s %s %v", w.Name, w.ID, w)] = true
	}
	for _, a := range s.Alarms() {
		r[fmt.Sprintf("timer %s %d", a.ID, a.Due)] = true
	}
	if s.Key != "" {
		r["key "+s.Key] = true
	}
	if s.Unique && !s.Status.Finished() {
		r["claim "+s.Key] = true
	}
	for _, l := range s.Labels {
		r[fmt.Sprintf("label %v", l)] = true
	}
	if s.Status.Finished() {
		r[fmt.Sprintf("finished %d", s.FinishedAt)] = true
	}
	return r
}

// apply drops and writes rows as the keys of a store do: a row of a wait is
// replaced by name and id.
func (r rows) apply(t *testing.T, c *Changes) {
	t.Helper()
	drop := func(prefix string) {
		found := 0
		for row := range r {
			if len(row) >= len(prefix) && row[:len(prefix)] == prefix {
				delete(r, row)
				found++
			}
		}
		if found != 1 {
			t.Fatalf("%d rows begin with %q, want 1", found, prefix)
		}
	}
	if c.Moved {
		if c.Was != (Listing{}) {
			drop(fmt.Sprintf("listed %v", c.Was))
		}
		if c.Now != (Listing{}) {
			r[fmt.Sprintf("listed %v", c.Now)] = true
		}
	}
	for _, w := range c.Closed {
		drop(fmt.Sprintf("wait %s %s ", w.Name, w.ID))
	}
	for _, w := range c.Opened {
		for row := range r {
			if prefix := fmt.Sprintf("wait %s %s ", w.Name, w.ID); len(row) > len(prefix) && row[:len(prefix)] == prefix {
				delete(r, row)
			}
		}
		r[fmt.Sprintf("wait %s %s %v", w.Name, w.ID, w)] = true
	}
	for _, a := range c.Disarmed {
		drop(fmt.Sprintf("timer %s %d", a.ID, a.Due))
	}
	for _, a := range c.Armed {
		r[fmt.Sprintf("timer %s %d", a.ID, a.Due)] = true
	}
	for prefix, text := range map[string][2]string{"key ": {c.Unkeyed, c.Keyed}, "claim ": {c.Released, c.Claimed}} {
		if text[0] != "" {
			drop(prefix + text[0])
		}
		if text[1] != "" {
			r[prefix+text[1]] = true
		}
	}
	for _, l := range c.Unlabeled {
		drop(fmt.Sprintf("label %v", l))
	}
	for _, l := range c.Labeled {
		r[fmt.Sprintf("label %v", l)] = true
	}
	if c.Unfinished != 0 {
		drop(fmt.Sprintf("finished %d", c.Unfinished))
	}
	if c.Finished != 0 {
		r[fmt.Sprintf("finished %d", c.Finished)] = true
	}
}

func randomState(rng *rand.Rand) *workflow.State {
	if rng.IntN(10) == 0 {
		return nil
	}
	s := &workflow.State{ExecID: "e", WorkflowID: "w", CreatedAt: 7, Status: workflow.Statuses[rng.IntN(len(workflow.Statuses))]}
	if s.Key = []string{"", "", "a", "b"}[rng.IntN(4)]; s.Key != "" {
		s.Unique = rng.IntN(2) == 0
	}
	for i := range rng.IntN(3) {
		s.Labels = append(s.Labels, workflow.Label{Name: fmt.Sprint(i), Value: fmt.Sprint(rng.IntN(2))})
	}
	if s.Status.Finished() {
		s.FinishedAt = workflow.Instant(1 + rng.IntN(3))
		return s
	}
	s.Paused = s.Status == workflow.Paused
	for i := range 5 {
		if rng.IntN(2) == 0 {
			s.Waits = append(s.Waits, workflow.OpenWait{ID: fmt.Sprint(i), Name: fmt.Sprint("n", rng.IntN(2)), LastReason: fmt.Sprint(rng.IntN(2))})
		}
		if rng.IntN(2) == 0 {
			s.Timers = append(s.Timers, workflow.Timer{ID: fmt.Sprint(i), Due: workflow.Instant(rng.IntN(2))})
		}
	}
	if rng.IntN(4) == 0 {
		rng.Shuffle(len(s.Waits), func(i, j int) { s.Waits[i], s.Waits[j] = s.Waits[j], s.Waits[i] })
		rng.Shuffle(len(s.Timers), func(i, j int) { s.Timers[i], s.Timers[j] = s.Timers[j], s.Timers[i] })
	}
	return s
}

// TestChanges takes indexes from state to random state by what Derive says.
func TestChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var was *workflow.State
	indexes := rows{}
	var c Changes
	waits := 0
	for range 20_000 {
		now := randomState(rng)
		c.Derive(was, now)
		indexes.apply(t, &c)
		waits += c.Waits
		want := rowsOf(now)
		if len(indexes) != len(want) || !slices.EqualFunc(keys(indexes), keys(want), func(a, b string) bool { return a == b }) {
			t.Fatalf("from %+v to %+v:\n got %v\nwant %v", was, now, keys(indexes), keys(want))
		}
		if now != nil && waits != len(now.Waits) || now == nil && waits != 0 {
			t.Fatalf("%d waits are counted", waits)
		}
		was = now
	}
}

func keys(r rows) []string {
	ks := make([]string, 0, len(r))
	for k := range r {
		ks = append(ks, k)
	}
	slices.SortFunc(ks, cmp.Compare)
	return ks
}

// TestChangesAreFew: nothing is written for what stays, and one change among many
// timers costs no more than a look at each.
func TestChangesAreFew(t *testing.T) {
	was := &workflow.State{ExecID: "e", Status: workflow.Waiting}
	for i := range workflow.MaxBuffered {
		was.Timers = append(was.Timers, workflow.Timer{ID: fmt.Sprint(i), Due: workflow.Instant(i)})
	}
	was.Waits = []workflow.OpenWait{{ID: "a/1", Name: "x"}}
	now := *was
	now.Timers = slices.Delete(slices.Clone(was.Timers), 500, 501)
	var c Changes
	c.Derive(was, &now)
	if len(c.Disarmed) != 1 || c.Disarmed[0].ID != "500" || len(c.Armed)+len(c.Opened)+len(c.Closed) != 0 || c.Moved {
		t.Fatalf("one timer went: got %+v", c)
	}
	if n := testing.AllocsPerRun(100, func() { c.Derive(was, &now) }); n > 0 {
		t.Errorf("deriving allocates %v times", n)
	}
}
