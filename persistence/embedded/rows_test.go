package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence/ordered"
	"pgregory.net/rapid"
)

// openedRows are rows in memory.
func openedRows(t interface {
	Fatal(...any)
	Cleanup(func())
}) *rows {
	log := &rowLog{log: slog.New(slog.DiscardHandler), gaveUp: make(chan struct{}), onFail: func(error) {}}
	db, err := openSorted(vfs.NewMem(), "rows", log, newScheduler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newRows(db, func(err error) { t.Fatal(err) })
}

// TestRowsAreAMap: whatever is written, deleted, deleted as a range, drained and
// asked in whatever order, rows answer as a sorted map does.
func TestRowsAreAMap(t *testing.T) {
	families := []byte{famState, famWait, famRecord}
	rapid.Check(t, func(rt *rapid.T) {
		r, model := openedRows(rt), map[string]string{}
		key := func() []byte {
			family := rapid.SampledFrom(families).Draw(rt, "family")
			return key1(nil, family, rapid.SampledFrom([]string{"", "\x00", "a", "a\x00", "b"}).Draw(rt, "id"))
		}
		var o ops
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			k := key()
			switch rapid.SampledFrom([]string{"set", "set", "delete", "range", "show", "drain", "get", "scan"}).Draw(rt, "step") {
			case "set":
				if _, there := model[string(k)]; there && briefly[k[0]] {
					o.delete(k)
				}
				row := rapid.StringN(0, 5, 20).Draw(rt, "row")
				o.set(k, []byte(row))
				model[string(k)] = row
			case "delete":
				o.delete(k)
				delete(model, string(k))
			case "range":
				from, to := key1(nil, famRecord, ""), k
				if k[0] == famRecord && bytes.Compare(from, to) < 0 {
					o.deleteRange(from, to)
					maps.DeleteFunc(model, func(k, _ string) bool { return k >= string(from) && k < string(to) })
				}
			case "drain":
				if err := r.drain(); err != nil {
					rt.Fatal(err)
				}
			case "scan":
				r.show(o.buf)
				o.reset()
				checkScan(rt, r, model, k[0])
			}
			r.show(o.buf)
			o.reset()
			row, found, err := r.get(k, nil)
			if want, there := model[string(k)]; err != nil || found != there || string(row) != want {
				rt.Fatalf("%q is %q, %v (%v), want %q, %v", k, row, found, err, want, there)
			}
		}
		for _, family := range families {
			checkScan(rt, r, model, family)
		}
	})
}

// checkScan compares a family with the model.
func checkScan(t *rapid.T, r *rows, model map[string]string, family byte) {
	var want, got []string
	for k, row := range model {
		if k[0] == family {
			want = append(want, k+"="+row)
		}
	}
	slices.Sort(want)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{family}, UpperBound: []byte{family + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		got = append(got, string(it.Key())+"="+string(it.Value()))
	}
	slices.Sort(got) // as texts, in which a row is part of what is compared
	if err := it.Close(); err != nil || !slices.Equal(got, want) {
		t.Fatalf("family %c is %q (%v), want %q", family, got, err, want)
	}
}

// TestSortedKeys: whatever keys have in common, and wherever they end, they come in
// their order, and large rows come back whole.
func TestSortedKeys(t *testing.T) {
	n, random := newNewest(), rand.New(rand.NewPCG(1, 2))
	want := map[string]int{}
	var o ops
	for i := range 5000 {
		key := append([]byte{famState}, strings.Repeat("same-", i%4)...)
		switch i % 3 {
		case 0:
			key = append(key, make([]byte, random.IntN(100))...)
		case 1:
			key = fmt.Appendf(key, "execution-%06d", random.IntN(3000))
		default:
			key = ordered.Number(key, random.Uint64())
		}
		size := random.IntN(50)
		if i%1000 == 999 {
			size = 2 * pieceBytes
		}
		o.set(key, bytes.Repeat([]byte{'x'}, size))
		want[string(key)] = size
	}
	n.take(o.buf)
	got := map[string]int{}
	order := n.sorted()
	for _, at := range order {
		e := &n.entries[at.entry]
		got[string(n.keyOf(e))] = bytes.Count(n.rowOf(e), []byte{'x'})
	}
	if !slices.IsSortedFunc(order, func(a, b ranked) int {
		return bytes.Compare(n.keyOf(&n.entries[a.entry]), n.keyOf(&n.entries[b.entry]))
	}) {
		t.Error("the keys are not sorted")
	}
	if !maps.Equal(got, want) {
		t.Errorf("%d rows, want %d, or other sizes", len(got), len(want))
	}
}

// TestBriefRowsLeaveNothing: a row that came and went before it was drained costs
// pebble nothing, not even a deletion; one that was drained in between is deleted.
func TestBriefRowsLeaveNothing(t *testing.T) {
	r := openedRows(t)
	var o ops
	o.set(key1(nil, famWait, "brief"), nil)
	o.delete(key1(nil, famWait, "brief"))
	o.set(key1(nil, famWait, "long"), nil)
	r.show(o.buf)
	if b := r.newest.batch(); b[batchCount] != 1 {
		t.Errorf("%d operations are handed over, want 1", b[batchCount])
	}
	if err := r.drain(); err != nil {
		t.Fatal(err)
	}
	o.reset()
	o.delete(key1(nil, famWait, "long"))
	r.show(o.buf)
	if err := r.drain(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"brief", "long"} {
		if _, found, err := r.get(key1(nil, famWait, name), nil); found || err != nil {
			t.Errorf("%s is there (%v)", name, err)
		}
		_, _, err := r.pebble.Get(key1(nil, famWait, name))
		if !errors.Is(err, pebble.ErrNotFound) {
			t.Errorf("%s is among the sorted rows (%v)", name, err)
		}
	}
}

// TestRowsWhileTheyAreDrained: whoever reads while others write and drain sees
// everything that was shown before, and of what is shown together all or nothing.
func TestRowsWhileTheyAreDrained(t *testing.T) {
	const keys, rounds, readers = 50, 2000, 4
	r := openedRows(t)
	var shown atomic.Uint64
	key := func(i int) []byte { return key1(nil, famState, fmt.Sprintf("execution-%d", i)) }
	show := func(round uint64) {
		var o ops
		for i := range keys {
			o.set(key(i), binary.BigEndian.AppendUint64(nil, round))
		}
		r.show(o.buf)
		shown.Store(round)
	}
	show(1)
	var wg sync.WaitGroup
	for n := range readers {
		wg.Go(func() {
			for i := 0; shown.Load() < rounds; i++ {
				before := shown.Load()
				row, found, err := r.get(key(i%keys), nil)
				if err != nil || !found || binary.BigEndian.Uint64(row) < before {
					t.Errorf("after round %d a row is %x, %v, %v", before, row, found, err)
					return
				}
				if n == 0 && i%20 == 0 && !sameRound(t, r, before) {
					return
				}
			}
		})
	}
	for round := range uint64(rounds) {
		show(round + 1)
	}
	wg.Wait()
}

// sameRound scans the family, which must be that of one round, before or later.
func sameRound(t *testing.T, r *rows, before uint64) bool {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{famState}, UpperBound: []byte{famState + 1}})
	if err != nil {
		t.Error(err)
		return false
	}
	defer it.Close()
	var round uint64
	for ok := it.First(); ok; ok = it.Next() {
		now := binary.BigEndian.Uint64(it.Value())
		if round == 0 {
			round = now
		}
		if now != round || now < before {
			t.Errorf("after round %d a scan finds rows of %d and %d", before, round, now)
			return false
		}
	}
	return true
}

// TestRowsAtRest: a node at rest keeps no room for the newest rows, and every row.
func TestRowsAtRest(t *testing.T) {
	r := openedRows(t)
	var o ops
	for i := range 3 * firstSlots {
		o.set(key1(nil, famState, fmt.Sprint("execution-", i)), []byte("row"))
	}
	r.show(o.buf)
	r.rest()
	if len(r.newest.slots) != firstSlots || len(r.newest.arena.pieces) > 0 || r.spare != nil {
		t.Errorf("%d slots and %d pieces are left, a spare %v", len(r.newest.slots), len(r.newest.arena.pieces), r.spare != nil)
	}
	if row, found, err := r.get(key1(nil, famState, "execution-7"), nil); !found || err != nil || string(row) != "row" {
		t.Errorf("a row is %q, %v, %v", row, found, err)
	}
}
