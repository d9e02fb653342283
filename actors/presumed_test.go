package actors_test

import (
	"sync"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// breaking is a workflow that breaks when it starts.
func breaking() *workflow.Definition {
	return waiting("breaking", func(d *workflow.Definition) { d.Tasks[0].Wait.Name = defect{} })
}

// defect is an expression that panics.
type defect struct{}

func (defect) Render(*workflow.Scope) (workflow.Value, error) { panic("a defect of the test") }

// TestAStartThatBreaksHarmsNobody: a start takes its id for a new one and does not
// look. When the workflow breaks in its first turn, an execution that has the id
// already goes on; the sender hears that it is there.
func TestAStartThatBreaksHarmsNobody(t *testing.T) {
	good, bad := looping(), breaking()
	w := newWorld(t, good, bad)
	s, stop := w.start(w.store)
	if err := w.begin(s, good, "x"); err != nil {
		t.Fatal(err)
	}
	stop()
	s, stop = w.start(w.store) // which has not looked at x yet
	defer stop()
	if err := w.begin(s, bad, "x"); code(err) != workflow.CodeExecutionExists {
		t.Fatalf("a start under the id of another execution: %v", err)
	}
	if cause, ill := s.Quarantined("x"); ill {
		t.Fatalf("the execution that was there is quarantined: %s", cause)
	}
	if r, err := w.signal(s, "x", "s1", "go"); err != nil || r.Answer.Outcome != workflow.Delivered {
		t.Fatalf("the execution that was there answers %+v, %v", r.Answer, err)
	}
	if err := w.begin(s, bad, "new"); code(err) != workflow.CodeQuarantined {
		t.Fatalf("a start of its own that breaks: %v", err)
	}
	if cause, ill := s.Quarantined("new"); !ill || cause != "panic: a defect of the test" {
		t.Fatalf("quarantined=%t because of %q", ill, cause)
	}
}

// TestWhatFollowsAStartThatBreaksIsKept: signals that meet a start which has only
// been presumed, and break it, are judged once more when its commit has landed.
func TestWhatFollowsAStartThatBreaksIsKept(t *testing.T) {
	var once sync.Once
	def := waiting("loop", func(d *workflow.Definition) {
		d.Tasks[0].OnSuccess = literal("hold")
		d.Tasks[0].Wait.Condition = condition(func(*workflow.Scope) bool {
			once.Do(func() { panic("for the first one only") })
			return true
		})
	})
	w := newWorld(t, def)
	s, stop := w.start(w.store)
	defer stop()
	if err := w.begin(s, def, "x"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 10 {
		group.Go(func() {
			if r, err := w.signal(s, "x", string(rune('a'+i)), "go"); err != nil || r.Answer.Duplicate {
				t.Errorf("signal %d: %+v, %v", i, r.Answer, err)
			}
		})
	}
	group.Wait()
	for id, n := range w.consumed("x") {
		if n != 1 {
			t.Errorf("signal %s was consumed %d times", id, n)
		}
	}
	if cause, ill := s.Quarantined("x"); ill {
		t.Errorf("it is quarantined: %s", cause)
	}
}
