package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
)

// TestAKeySetForgetsNothing: it has every key that was put, and few others.
func TestAKeySetForgetsNothing(t *testing.T) {
	const keys = 150_000 // in two filters
	var set keySet
	r := rand.New(rand.NewPCG(1, 2))
	for range keys {
		set.put(r.Uint64())
	}
	wrong := 0
	for range keys {
		if set.has(r.Uint64()) {
			wrong++
		}
	}
	if len(set.filters) < 2 || wrong > keys/150 {
		t.Errorf("%d filters think that they have %d of %d keys that were not put", len(set.filters), wrong, keys)
	}
	r = rand.New(rand.NewPCG(1, 2))
	for i := range keys {
		if !set.has(r.Uint64()) {
			t.Fatalf("key %d is not there", i)
		}
	}
}

// knowing opens a store that begins to walk over its rows at the first lookup in vain.
func knowing(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s := openOn(t, fs)
	s.absent.after = 1 // nothing is written yet
	return s
}

// walked has the walk over the rows done, while executions begin.
func walked(t *testing.T, s *Store, by string) {
	t.Helper()
	for i := range 1000 {
		if err := commitOne(t, s, lived(fmt.Sprint(by, i), 1)); err != nil {
			t.Fatal(err)
		}
		if s.absent.before != nil { // the writer has answered and has nothing to do
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the walk does not end")
}

// TestWhatIsStoredIsNeverAbsent: neither what was there before the store was opened
// and the walk over it began, nor what was written meanwhile or since.
func TestWhatIsStoredIsNeverAbsent(t *testing.T) {
	fs := vfs.NewMem()
	s := knowing(t, fs)
	begin := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := commitOne(t, s, lived(fmt.Sprint("x", i), 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin(0, 300)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = knowing(t, fs)
	begin(300, 600)
	walked(t, s, "passer-by ")
	begin(600, 900)
	certain := 0
	for i := range 900 {
		exec := fmt.Sprint("x", i)
		if err := commitOne(t, s, lived(exec, 1)); !errors.Is(err, persistence.ErrConflict) {
			t.Fatalf("%s is begun twice: %v", exec, err)
		}
		if s.absent.certain(key1(nil, famEvent, exec+"-1")) {
			t.Fatalf("the event of %s is thought not to be there", exec)
		}
		if s.absent.certain(stateKey(nil, "other"+exec)) {
			certain++
		}
	}
	if certain < 800 {
		t.Errorf("only %d of 900 that are not there are known not to be", certain)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatDoesNotFitIsLookedFor: beyond its bound the store knows nothing, and walks
// again when that is worth its while.
func TestWhatDoesNotFitIsLookedFor(t *testing.T) {
	s := knowing(t, vfs.NewMem())
	walked(t, s, "passer-by ")
	s.absent.since.full = true
	if err := commitOne(t, s, lived("one", 1)); err != nil {
		t.Fatal(err)
	}
	if err := commitOne(t, s, lived("one", 1)); !errors.Is(err, persistence.ErrConflict) {
		t.Fatalf("it is begun twice: %v", err)
	}
	if s.absent.certain(stateKey(nil, "two")) {
		t.Error("it is certain of something still")
	}
	walked(t, s, "another ")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
