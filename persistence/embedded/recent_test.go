package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRecentIsExact: whatever recent knows of an execution is what was put last.
func TestRecentIsExact(t *testing.T) {
	c := newRecent()
	r := rand.New(rand.NewPCG(1, 2))
	last := map[string]stamp{}
	row := bytes.Repeat([]byte("row"), 20_000)
	for i := range 3000 {
		exec := fmt.Sprint("x", r.IntN(700))
		st := stamp{Version: uint64(i) + 1, Epoch: 1, Commit: r.Uint64()}
		size := r.IntN(len(row))
		switch r.IntN(20) {
		case 0:
			st, size = stamp{}, 0 // swept
		case 1:
			c.put(exec, st, make([]byte, recentBytes)) // larger than is remembered
			if _, _, _, found := c.get(nil, exec); found {
				t.Fatalf("%s is remembered in a version before %d", exec, st.Version)
			}
			delete(last, exec)
			continue
		}
		c.put(exec, st, row[:size])
		last[exec] = st
		if got, was, _, found := c.get(nil, exec); !found || was != st || !bytes.Equal(got, row[:size]) {
			t.Fatalf("%s is %+v, put was %+v", exec, was, st)
		}
	}
	known := 0
	for exec, st := range last {
		if _, was, _, found := c.get(nil, exec); found {
			known++
			if was != st {
				t.Fatalf("%s is %+v, last put was %+v", exec, was, st)
			}
		}
	}
	if known == 0 || known == len(last) {
		t.Fatalf("%d of %d are remembered: the test did not reach the bound", known, len(last))
	}
}

// TestRecentTakesNothingOld: a reader that is slower than the writer brings an
// old row, which is not taken.
func TestRecentTakesNothingOld(t *testing.T) {
	c := newRecent()
	filler := make([]byte, recentBytes/10)
	_, _, asked, _ := c.get(nil, "x")
	c.remember(asked, "x", stamp{Version: 1}, []byte("one"))
	if row, st, _, found := c.get(nil, "x"); !found || st.Version != 1 || string(row) != "one" {
		t.Fatalf("a row that is not old: %q, %+v, %t", row, st, found)
	}
	_, _, asked, _ = c.get(nil, "y")
	c.put("y", stamp{Version: 2}, []byte("two"))
	c.remember(asked, "y", stamp{Version: 1}, []byte("one"))
	if _, st, _, _ := c.get(nil, "y"); st.Version != 2 {
		t.Fatalf("the older row was taken: %+v", st)
	}
	_, _, asked, _ = c.get(nil, "z")
	c.put("z", stamp{Version: 2}, []byte("two"))
	for i := range 40 {
		c.put(fmt.Sprint("filler", i), stamp{Version: 1}, filler)
	}
	c.remember(asked, "z", stamp{Version: 1}, []byte("one"))
	if _, st, _, found := c.get(nil, "z"); found {
		t.Fatalf("it was written and dropped since, and an older row was taken: %+v", st)
	}
}

func TestWhatWasGivenUpAtRestIsReadFromTheRows(t *testing.T) {
	c := newRecent()
	c.put("a", stamp{Version: 1}, []byte("row"))
	_, _, asked, _ := c.get(nil, "b")
	c.forget()
	if _, _, _, found := c.get(nil, "a"); found {
		t.Fatal("what was given up is still there")
	}
	// A reader asked before, and the row may have been written and given up since.
	c.remember(asked, "b", stamp{Version: 1}, []byte("old"))
	if _, _, _, found := c.get(nil, "b"); found {
		t.Fatal("a row was remembered that may be old")
	}
	c.put("a", stamp{Version: 2}, []byte("new"))
	if row, st, _, found := c.get(nil, "a"); !found || st.Version != 2 || string(row) != "new" {
		t.Fatalf("found %v %q %v", found, row, st)
	}
}

// Of an execution that has finished the stamp is known at once, and its row once
// somebody has read it; what somebody reads late is not taken.
func TestOfWhatHasFinishedOnlyTheStampIsRemembered(t *testing.T) {
	c := newRecent()
	c.put("x", stamp{Version: 1}, []byte("one"))
	_, _, before, _ := c.get(nil, "y")
	c.put("x", stamp{Version: 2}, nil)
	_, _, asked, found := c.get(nil, "x")
	if st, known := c.stamp("x"); found || !known || st.Version != 2 {
		t.Fatalf("a row is remembered: %t; the stamp is %+v, %t", found, st, known)
	}
	c.remember(before, "x", stamp{Version: 1}, []byte("one"))
	if row, _, _, found := c.get(nil, "x"); found {
		t.Fatalf("the row of before was taken: %q", row)
	}
	c.remember(asked, "x", stamp{Version: 2}, []byte("two"))
	if row, st, _, found := c.get(nil, "x"); !found || st.Version != 2 || string(row) != "two" {
		t.Fatalf("the row that was read is not remembered: %q, %+v, %t", row, st, found)
	}
}
