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
			if _, _, found := c.get(nil, exec); found {
				t.Fatalf("%s is remembered in a version before %d", exec, st.Version)
			}
			delete(last, exec)
			continue
		}
		c.put(exec, st, row[:size])
		last[exec] = st
		if got, was, found := c.get(nil, exec); !found || was != st || !bytes.Equal(got, row[:size]) {
			t.Fatalf("%s is %+v, put was %+v", exec, was, st)
		}
	}
	known := 0
	for exec, st := range last {
		if _, was, found := c.get(nil, exec); found {
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
