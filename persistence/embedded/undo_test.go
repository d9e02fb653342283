package embedded

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// TestAGroupThatIsNotWrittenChangesNoLetters: whatever a group did to the dead
// letters is taken back, exactly, when the disk did not take it.
func TestAGroupThatIsNotWrittenChangesNoLetters(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	l := newLetters()
	s := &Store{letters: l}
	kept := func() map[string]letter {
		all := map[string]letter{}
		for id, n := range s.letters.byID {
			all[id] = *n
		}
		return all
	}
	for range 3000 {
		before, count, bytes := kept(), s.letters.classes[1].count, s.letters.classes[1].bytes
		for range rng.IntN(12) {
			id := fmt.Sprint(rng.IntN(20))
			var o ops
			s.dropLetter(&o, s.letters.byID[id])
			if rng.IntN(3) > 0 {
				s.letters.add(&letter{id: id, at: workflow.Instant(rng.IntN(50)), size: rng.IntN(9), class: rng.IntN(2)})
			}
		}
		if rng.IntN(2) == 0 {
			s.letters.shown()
			continue
		}
		s.letters.undo()
		if !maps.Equal(before, kept()) || count != s.letters.classes[1].count || bytes != s.letters.classes[1].bytes {
			t.Fatalf("before %v, after %v", before, kept())
		}
		for class := range s.letters.classes {
			least := workflow.Instant(never)
			for _, n := range s.letters.byID {
				if n.class == class {
					least = min(least, n.at)
				}
			}
			if n := s.letters.classes[class].oldest(); n == nil && least != never || n != nil && n.at != least {
				t.Fatalf("the oldest of class %d is %+v, want one of %d", class, n, least)
			}
		}
	}
}

// TestAGroupThatIsNotWrittenIsNotCounted: the same for the books.
func TestAGroupThatIsNotWrittenIsNotCounted(t *testing.T) {
	b := books{rows: map[string]*bookRow{}}
	b.move("a", "", workflow.FateBuffered)
	b.shown()
	b.move("a", workflow.FateBuffered, workflow.FateConsumed)
	b.move("b", "", workflow.FateConsumed)
	b.undo()
	if len(b.rows) != 1 || b.rows["a"].now != (workflow.Tally{Accepted: 1, Buffered: 1}) || b.rows["a"].change != (workflow.Tally{}) {
		t.Fatalf("%+v", b.rows["a"])
	}
}
