package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// fact is what a store says about one thing, and the execution or event that it is of.
type fact struct {
	of, says string
	err      error
}

// facts are everything that a store says, by what was asked.
type facts map[string]fact

func (f facts) tell(what, of string, said any, err error) {
	f[what] = fact{of, asText(said), err}
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// entries tell of each thing that is listed that it is.
func entries[T any](f facts, list string, of func(T) string, items []T, err error) {
	f.tell("list of "+list, "", "all", err)
	for _, item := range items {
		f.tell(list+" has "+asText(item), of(item), "yes", nil)
	}
}

// many lists are made of what many executions of several kinds leave.
const many = 60

func execOf(n int) string { return fmt.Sprintf("exec-%03d", n) }

// populated is a disk with executions of all kinds, events, dead letters and documents,
// in tables that lie over one another: what was written last is in the newest.
func populated(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s := openOn(t, disk)
	all := map[string]*workflow.State{}
	for n := range many {
		state := storetest.Sample(execOf(n), workflow.Instant(1000+n))
		state.Key, state.Unique, state.Labels = "key-"+execOf(n), n%2 == 0, []workflow.Label{{Name: "team", Value: fmt.Sprint(n % 3)}}
		if n%3 == 0 {
			state.Waits[0].Path, state.Waits[0].Key = "/payload/order_id", fmt.Sprint("order-", n)
		}
		all[state.ExecID] = state
		commitAll(t, s, storetest.Begun(state, 1))
	}
	populateEvents(t, s)
	if !s.flush() {
		t.Fatal("the rows were not synced")
	}
	for round := range 2 {
		for n := round; n < many; n += 2 + round {
			c := storetest.Toggled(all[execOf(n)], 1)
			if c.Working {
				c.Now.Tasks[0].Status = workflow.Running
			}
			if c.Worked = workflow.Working(c.Was); n%5 == 0 && round == 1 {
				c.Now.Status, c.Now.FinishedAt, c.Now.Waits, c.Now.Timers = workflow.Success, 5000, nil, nil
				c.Now.Tasks[0].Status = workflow.Success
			}
			c.Working = workflow.Working(c.Now)
			commitAll(t, s, c)
			all[execOf(n)] = c.Now
		}
		if !s.flush() {
			t.Fatal("the rows were not synced")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

func commitAll(t *testing.T, s *Store, c *persistence.Commit) {
	t.Helper()
	if err := commitOne(t, s, c); err != nil {
		t.Fatal(err)
	}
}

func populateEvents(t *testing.T, s *Store) {
	t.Helper()
	for n := range many / 2 {
		ev := workflow.Event{ID: fmt.Sprintf("event-%03d", n), Name: fmt.Sprint("name-", n%4), Payload: workflow.ValueOf(map[string]any{"n": n}),
			ReceivedAt: workflow.Instant(2000 + n), ExpiresAt: 1 << 50}
		done := make(chan error, 2)
		s.AcceptEvent(ev, func(_ *workflow.EventReceipt, _ bool, err error) { done <- err })
		r := persistence.Accepted(ev)
		if r.Fate = []workflow.Fate{workflow.FateAccepted, workflow.FateBuffered, workflow.FateConsumed}[n%3]; n%3 > 0 {
			s.SettleEvent(workflow.StandsAsking, r, func(err error) { done <- err })
		} else {
			done <- nil
		}
		letter := workflow.DeadLetter{ID: fmt.Sprint("letter-", n), Kind: workflow.KindSignal, Name: "late", Cause: workflow.CauseExpired, At: workflow.Instant(3000 + n)}
		kept := make(chan error, 1)
		s.KeepLetters([]workflow.DeadLetter{letter}, func(err error) { kept <- err })
		err := errors.Join(<-done, <-done, <-kept, s.PutDocument(t.Context(), "definition", fmt.Sprint("d", n), []byte(strings.Repeat("text ", 20))))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// saysOf asks a store for everything.
func saysOf(t *testing.T, s *Store) facts {
	t.Helper()
	ctx, f := t.Context(), facts{}
	for n := range many {
		exec := execOf(n)
		snapshot, err := s.Load(ctx, exec)
		if err == nil {
			f.tell("state of "+exec, exec, *snapshot.State, nil)
		} else {
			f.tell("state of "+exec, exec, nil, err)
		}
		records, err := s.Records(ctx, exec, 0, 100)
		f.tell("records of "+exec, exec, records, err)
		for version := 2; version <= 3; version++ {
			signal := fmt.Sprintf("%s-%d", exec, version)
			r, err := s.Receipt(ctx, signal, exec)
			f.tell("receipt of "+signal, exec, r, err)
		}
		holder, err := s.Holder(ctx, "approval-processor", "key-"+exec)
		f.tell("holder of the key of "+exec, exec, holder, err)
	}
	for n := range many / 2 {
		event := fmt.Sprintf("event-%03d", n)
		r, err := s.Event(ctx, event)
		f.tell("receipt of "+event, event, r, err)
		letter, err := s.Letter(ctx, fmt.Sprint("letter-", n))
		f.tell(fmt.Sprint("letter ", n), "", letter, err)
		document, err := s.Document(ctx, "definition", fmt.Sprint("d", n))
		f.tell(fmt.Sprint("document ", n), "", document, err)
	}
	f.lists(ctx, s)
	return f
}

func (f facts) lists(ctx context.Context, s *Store) {
	ofState := func(st *workflow.State) string { return st.ExecID }
	ofEvent := func(r *workflow.EventReceipt) string { return r.Event.ID }
	for name, q := range map[string]workflow.Query{"executions": {}, "running": {Status: workflow.Running}, "of a team": {Labels: []workflow.Label{{Name: "team", Value: "1"}}},
		"waiting": {WaitingFor: "approval-decision"}} {
		q.Limit = maxPage
		page, err := s.Executions(ctx, q)
		var ids []string
		for _, st := range page.Items {
			ids = append(ids, st.ExecID)
		}
		entries(f, name, func(id string) string { return id }, ids, err)
	}
	waits, err := s.Waits(ctx, workflow.WaitQuery{Limit: maxPage})
	entries(f, "waits", func(w workflow.WaitRow) string { return w.ExecID }, waits.Items, err)
	keyed, err := s.Waits(ctx, workflow.WaitQuery{Name: "approval-decision", Path: "/payload/order_id", Key: "order-3", Limit: maxPage})
	entries(f, "waits of a key", func(w workflow.WaitRow) string { return w.ExecID }, keyed.Items, err)
	due, err := s.Due(ctx, 1<<60, nil, maxPage)
	entries(f, "timers", func(d persistence.Due) string { return d.ExecID }, due, err)
	working, err := s.Working(ctx, "", maxPage)
	entries(f, "work", func(id string) string { return id }, working, err)
	finished, err := s.LastFinished(ctx, maxPage)
	entries(f, "finished", ofState, finished, err)
	open, err := s.OpenEvents(ctx, "", maxPage)
	entries(f, "open events", ofEvent, open, err)
	expiring, err := s.Expiring(ctx, 1<<60, nil, maxPage)
	entries(f, "expiring", ofEvent, expiring, err)
	kept, err := s.Kept(ctx, workflow.KeptQuery{Name: "name-0", Limit: maxPage})
	entries(f, "kept", ofEvent, kept.Items, err)
	letters, err := s.Letters(ctx, workflow.LetterQuery{Limit: maxPage})
	var ids []string
	for _, l := range letters.Items {
		ids = append(ids, l.ID)
	}
	entries(f, "letters", func(string) string { return "" }, ids, err)
	books, err := s.Books(ctx)
	entries(f, "books", func(workflow.BookRow) string { return "" }, books, err)
}

// differences compares with what a store said before it was damaged. What it does not
// say any more it has to call damaged, or the execution or event that it is of.
// Of documents and of the books nothing else tells, and in a small store the list of the
// dead letters lies beside them, so those may be missing; and so may an event of which
// all rows were in one block.
func (f facts) differences(was facts) (damaged int, wrong []string) {
	ill := map[string]bool{}
	for what, got := range f {
		if got.err != nil && (!errors.Is(got.err, persistence.ErrNotFound) || strings.HasPrefix(what, "receipt of event")) {
			ill[got.of] = got.of != ""
		}
	}
	for what, want := range was {
		got, told := f[what]
		switch {
		case told && got.err == nil && want.err == nil && got.says == want.says:
		case told && errors.Is(got.err, persistence.ErrNotFound) && errors.Is(want.err, persistence.ErrNotFound):
		case told && got.err != nil && !errors.Is(got.err, persistence.ErrNotFound), ill[want.of],
			strings.HasPrefix(what, "document"), strings.HasPrefix(what, "books"), strings.HasPrefix(what, "letter"):
			damaged++
		default:
			wrong = append(wrong, fmt.Sprintf("%s: got %+v, want %+v", what, got, want))
		}
	}
	for what, got := range f {
		if _, told := was[what]; !told && !ill[got.of] && !strings.HasPrefix(what, "books") {
			wrong = append(wrong, fmt.Sprintf("%s: it is new", what))
		}
	}
	slices.Sort(wrong)
	return damaged, wrong
}

// tablesOf returns the files of sorted rows of a disk.
func tablesOf(t *testing.T, fs vfs.FS) (files []string) {
	t.Helper()
	names, err := fs.List("data/rows")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			files = append(files, path.Join("data/rows", name))
		}
	}
	return files
}

// eachDamage damages each file of sorted rows at many places, each on a disk of its own.
func eachDamage(t *testing.T, disk *vfs.MemFS, how func(b []byte), check func(t *testing.T, place string, fs *vfs.MemFS)) {
	step := 397
	if testing.Short() {
		step = 3989 // under the race detector each opening is slow, and sees the same
	}
	for _, file := range tablesOf(t, disk) {
		size := 0
		change(t, disk, file, func(b []byte) { size = len(b) })
		for at := 5; at < size; at += step {
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) { how(b[at:]) })
			check(t, fmt.Sprintf("%s at %d of %d", file, at, size), fs)
		}
	}
}

// damagedAndMended opens a disk that was damaged, has everything read, so that what the
// opening has not read is found, and returns the store when it is mended, with what it
// said before: no row of it is out of reach any more.
func damagedAndMended(t *testing.T, place string, fs vfs.FS) (s *Store, atOnce facts) {
	t.Helper()
	s = openOn(t, fs)
	startLists(t, place, s)
	atOnce = saysOf(t, s)
	s.rowLog.harmed.wait(t.Context(), s.written)
	if err := s.db.pebble.CheckLevels(nil); err != nil {
		t.Errorf("%s: the levels of the rows: %v", place, err)
	}
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	if hold := time.Until(s.turns.until); hold > damagedFirst { // one that had begun before may have failed
		t.Errorf("%s: rows are not merged for another %v", place, hold)
	}
	return s, atOnce
}

// toldBefore is what a store says that is not damaged.
func toldBefore(t *testing.T, disk *vfs.MemFS) facts {
	t.Helper()
	s := openOn(t, copyOf(disk))
	told := saysOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return told
}

// startLists reads what a node cannot start without.
func startLists(t *testing.T, place string, s *Store) {
	t.Helper()
	_, working := s.Working(t.Context(), "", maxPage)
	_, open := s.OpenEvents(t.Context(), "", maxPage)
	_, documents := s.Documents(t.Context(), "definition", "", maxPage)
	if err := errors.Join(working, open, documents); err != nil {
		t.Errorf("%s: a node does not start: %v", place, err)
	}
}

// TestAFlippedBitIsPutRight: whichever bit of the sorted rows flips, nothing is lost, and
// who reads a state or a receipt waits and is told what is right.
func TestAFlippedBitIsPutRight(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	eachDamage(t, disk, func(b []byte) { b[0] ^= 4 }, func(t *testing.T, place string, fs *vfs.MemFS) {
		first := openOn(t, copyOf(fs))
		page, err := first.Executions(t.Context(), workflow.Query{Limit: maxPage})
		for _, st := range page.Items {
			if st.Error != nil {
				t.Errorf("%s: %s is listed with %v", place, st.ExecID, st.Error)
			}
		}
		if err = errors.Join(err, first.Close()); err != nil || len(page.Items) != many {
			t.Errorf("%s: %d executions are listed, %v", place, len(page.Items), err)
		}
		s, atOnce := damagedAndMended(t, place, fs)
		for what, was := range want {
			if said := atOnce[what]; was.err == nil && said.err != nil && (strings.HasPrefix(what, "state") || strings.HasPrefix(what, "receipt")) {
				t.Errorf("%s: %s was said to be %v", place, what, said.err)
			}
		}
		damaged, wrong := saysOf(t, s).differences(want)
		if damaged > 0 || len(wrong) > 0 {
			t.Errorf("%s: %d are damaged, %d wrong: %.1000s", place, damaged, len(wrong), strings.Join(wrong, "\n"))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDamagedRowsAreCalledDamaged: of many bytes that are damaged some rows are lost. They
// are called so, all lists go on, and all other rows are as they were, now and after
// the next opening.
func TestDamagedRowsAreCalledDamaged(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	total := 0
	eachDamage(t, disk, func(b []byte) { copy(b, "many bytes are written over what was there") }, func(t *testing.T, place string, fs *vfs.MemFS) {
		s, _ := damagedAndMended(t, place, fs)
		for range 2 {
			damaged, wrong := saysOf(t, s).differences(want)
			if total += damaged; len(wrong) > 0 {
				t.Errorf("%s: %d are damaged, %d wrong: %.1000s", place, damaged, len(wrong), strings.Join(wrong, "\n"))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openOn(t, fs)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if total == 0 {
		t.Error("nothing was damaged: this test tests nothing")
	}
}

// TestOnlyWhatWasLostIsCalledDamaged: a block of a small new table reaches over the rows of
// thousands of old executions. Those that it did not change are as they were, but a few
// of which the filters of it say twice that it did.
func TestOnlyWhatWasLostIsCalledDamaged(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads very many rows, and has no goroutines of its own")
	}
	disk := vfs.NewCrashableMem()
	s := openOn(t, disk)
	s.turns.mu.Lock()
	s.turns.until = time.Now().Add(time.Hour) // nothing is merged
	s.turns.mu.Unlock()
	const all, every, parts = 4000, 100, 12
	states := map[string]*workflow.State{}
	for n := range all {
		state := storetest.Sample(fmt.Sprintf("exec-%05d", n), workflow.Instant(1000+n))
		states[state.ExecID] = state
		submit(s, storetest.Begun(state, 1))
	}
	old := tablesAfterFlush(t, s)
	changed := map[string]bool{}
	for n := 0; n < all; n += every {
		c := storetest.Toggled(states[fmt.Sprintf("exec-%05d", n)], 1)
		commitAll(t, s, c)
		changed[c.ExecID] = true
	}
	fresh := slices.DeleteFunc(tablesAfterFlush(t, s), func(file string) bool { return slices.Contains(old, file) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range fresh {
		for part := range parts {
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) { copy(b[part*len(b)/parts:], "many bytes are written over what was there") })
			if read, err := readTable(fs, file, nil, pebble.KeyRange{}); err != nil || read.filter == nil {
				continue // nobody knows which rows were in what is lost
			}
			s := openOn(t, fs)
			for exec := range states {
				_, _ = s.Load(t.Context(), exec)
			}
			s.rowLog.harmed.wait(t.Context(), s.written)
			damaged, wrongly := 0, 0
			for exec, state := range states {
				got, err := s.Load(t.Context(), exec)
				var corrupt *persistence.Corrupt
				switch {
				case errors.As(err, &corrupt):
					damaged++
					if !changed[exec] {
						wrongly++
					}
				case err != nil:
					t.Fatal(err)
				case got.State.Version != 1 && !changed[exec] || got.State.Version != 2 && changed[exec]:
					t.Errorf("%s, part %d: %s is at version %d, and was at %d", file, part, exec, got.State.Version, state.Version)
				}
			}
			if total += damaged; wrongly > all/200 {
				t.Errorf("%s, part %d: %d executions are called damaged, and were not changed", file, part, wrongly)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total == 0 {
		t.Errorf("nothing was damaged in %v: this test tests nothing", fresh)
	}
}

// tablesAfterFlush has everything written to files and returns those that count.
func tablesAfterFlush(t *testing.T, s *Store) (files []string) {
	t.Helper()
	if err := s.PutDocument(t.Context(), "kind", "last", nil); err != nil { // behind all commits
		t.Fatal(err)
	}
	if !s.flush() {
		t.Fatal("the rows were not synced")
	}
	levels, err := s.db.pebble.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range levels {
		for _, info := range level {
			p := piece{SSTableInfo: info}
			files = append(files, path.Join("data/rows", p.name()))
		}
	}
	return files
}

// TestRowsWithoutAnIndex: where what pebble finds rows by is damaged, and a block of them, too,
// the other blocks are found without.
func TestRowsWithoutAnIndex(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	for _, file := range tablesOf(t, disk) {
		for part := range 4 {
			if testing.Short() && part != 1 {
				continue
			}
			place := fmt.Sprintf("%s, part %d", file, part)
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) {
				copy(b[len(b)-20:], "no end of a table is like this")
				copy(b[part*len(b)/4:], "many bytes are written over what was there")
			})
			s, _ := damagedAndMended(t, place, fs)
			damaged, wrong := saysOf(t, s).differences(want)
			if len(wrong) > 0 || damaged > len(want)/2 {
				t.Errorf("%s: %d of %d are damaged, %d wrong: %.1000s", place, damaged, len(want), len(wrong), strings.Join(wrong, "\n"))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDamagedTwice: what was mended is a table like any other, and is mended again.
func TestDamagedTwice(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	files := tablesOf(t, disk)
	if testing.Short() {
		files = files[:1]
	}
	for _, file := range files {
		once := copyOf(disk)
		change(t, once, file, func(b []byte) { b[len(b)/2] ^= 4 })
		s, _ := damagedAndMended(t, file, once)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		once = copyOf(once)
		for _, again := range tablesOf(t, once) {
			place := fmt.Sprintf("%s and then %s", file, again)
			twice := copyOf(once)
			change(t, twice, again, func(b []byte) { b[len(b)/3] ^= 4 })
			s, _ := damagedAndMended(t, place, twice)
			if damaged, wrong := saysOf(t, s).differences(want); damaged > 0 || len(wrong) > 0 {
				t.Errorf("%s: %d are damaged, %d wrong: %.1000s", place, damaged, len(wrong), strings.Join(wrong, "\n"))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAPowerCutWhileItMends: wherever the power is cut, the next opening mends the rest.
func TestAPowerCutWhileItMends(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	files := tablesOf(t, disk)
	for _, file := range []string{files[0], files[len(files)-1]} {
		damaged := copyOf(disk)
		change(t, damaged, file, func(b []byte) { copy(b[len(b)/2:], "many bytes are written over what was there") })
		var mu sync.Mutex
		var cuts []*vfs.MemFS
		fs := storetest.NewFaultyFS(damaged)
		fs.Fail(false, func(op storetest.Op, path string) error {
			mu.Lock()
			defer mu.Unlock()
			if op == storetest.OpSync || op == storetest.OpRename || op == storetest.OpRemove {
				cuts = append(cuts, copyOf(damaged))
			}
			return nil
		})
		s := openOn(t, fs)
		saysOf(t, s)
		s.rowLog.harmed.wait(t.Context(), s.written)
		fs.Fail(false, nil)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		between := 0
		for i, cut := range cuts {
			if _, err := cut.Stat("data/" + mendingFile); err == nil {
				between++
			}
			if testing.Short() && i%6 != 0 {
				continue
			}
			place := fmt.Sprintf("%s, cut %d of %d", file, i+1, len(cuts))
			s, _ := damagedAndMended(t, place, cut)
			if _, wrong := saysOf(t, s).differences(want); len(wrong) > 0 {
				t.Errorf("%s: %d wrong: %.1000s", place, len(wrong), strings.Join(wrong, "\n"))
			}
			if s.unmended() {
				t.Errorf("%s: it goes on mending", place)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if between == 0 {
			t.Errorf("%s: none of %d cuts was while it mended", file, len(cuts))
		}
	}
}
