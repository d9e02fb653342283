package actors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// A state that somebody has been shown stays as it is, whatever turns are made in the
// room of those that nobody was.
func TestAStateThatWasShownStays(t *testing.T) {
	def := looping()
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	const executions, each = 4, 200
	var wg sync.WaitGroup
	for n := range 4 * executions {
		exec := fmt.Sprint("x", n%executions)
		if n < executions {
			if err := w.begin(s, def, exec); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() {
			for i := range each {
				if n >= 3*executions {
					look(t, s, exec)
				} else if _, err := w.signal(s, exec, fmt.Sprint(n, "-", i), "go"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n := range executions {
		if got := w.consumed(fmt.Sprint("x", n)); len(got) != 3*each {
			t.Errorf("x%d consumed %d signals of %d", n, len(got), 3*each)
		}
	}
}

// look asks for the state of an execution and looks at it twice.
func look(t *testing.T, s *actors.System, exec string) {
	r, err := s.Ask(t.Context(), &actors.Deliver{ExecID: exec})
	if err != nil {
		t.Error(err)
		return
	}
	first, _ := json.Marshal(r.State)
	if _, err := s.Ask(t.Context(), &actors.Deliver{ExecID: exec}); err != nil {
		t.Error(err)
	}
	if second, _ := json.Marshal(r.State); !bytes.Equal(first, second) {
		t.Errorf("a state that was shown became another:\n%s\n%s", first, second)
	}
	if err := workflow.Check(r.State); err != nil {
		t.Error(err)
	}
}
