package workflow_test

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// sound is a state that keeps every invariant: one wait with a deadline, one
// task at work, one that holds for a retry, one kept signal with a time to live.
func sound() workflow.State {
	return workflow.State{
		ExecID: "x", WorkflowID: "w", Definition: "h", Version: 3, Seq: 9, Status: workflow.Running, CreatedAt: 1, UpdatedAt: 2,
		Tasks: []workflow.TaskState{
			{ID: "hold", Kind: workflow.Wait, Run: 1, Status: workflow.Waiting},
			{ID: "call", Kind: workflow.Basic, Run: 1, Attempt: 1, Status: workflow.Running, Request: workflow.Value(`{}`), TimeoutMS: 1},
			{ID: "again", Kind: workflow.Basic, Run: 1, Attempt: 1, Status: workflow.Pending, Request: workflow.Value(`{}`)},
		},
		Waits:  []workflow.OpenWait{{ID: "hold/1", Task: "hold", Name: "go", OpenedAt: 1, Deadline: 50}},
		Buffer: []workflow.Buffered{{Signal: workflow.Signal{ID: "s", Name: "later", ExpiresAt: 70}}},
		Timers: []workflow.Timer{
			{ID: "deadline:hold/1", Kind: workflow.TimerDeadline, Of: "hold/1", Due: 50},
			{ID: "retry:again", Kind: workflow.TimerRetry, Of: "again", Due: 60},
			{ID: "expiry:s", Kind: workflow.TimerExpiry, Of: "s", Due: 70},
		},
	}
}

// over is a finished one.
func over() workflow.State {
	return workflow.State{
		ExecID: "x", WorkflowID: "w", Definition: "h", Version: 3, Seq: 9, Status: workflow.Success, CreatedAt: 1, UpdatedAt: 2, FinishedAt: 2,
		Tasks: []workflow.TaskState{{ID: "hold", Kind: workflow.Wait, Run: 1, Status: workflow.Success}},
	}
}

func TestCheckSeesEveryBrokenInvariant(t *testing.T) {
	for _, s := range []workflow.State{sound(), over()} {
		if err := workflow.Check(&s); err != nil {
			t.Fatalf("a sound state: %v", err)
		}
	}
	for want, breakIt := range map[string]func(*workflow.State){
		"lacks its id":                  func(s *workflow.State) { s.ExecID = "" },
		"cannot tell of":                func(s *workflow.State) { s.Seq = 1 },
		"no status of an execution":     func(s *workflow.State) { s.Status = workflow.Skipped },
		"contradict each other":         func(s *workflow.State) { s.Paused = true },
		"before it was created":         func(s *workflow.State) { s.CreatedAt = 9 },
		"it finished at":                func(s *workflow.State) { s.FinishedAt = 9 },
		"waits of it are open":          func(s *workflow.State) { s.Waits = nil },
		"without its task":              func(s *workflow.State) { s.Waits[0].Task = "call" },
		"a deadline without a timer":    func(s *workflow.State) { s.Timers = s.Timers[1:] },
		"judges signal":                 func(s *workflow.State) { s.Waits[0].Judging = "gone" },
		"armed twice":                   func(s *workflow.State) { s.Timers = append(s.Timers, s.Timers[2]) },
		"retry:call is armed for":       func(s *workflow.State) { s.Timers[1].Of, s.Timers[1].ID = "call", "retry:call" },
		"expiry:t is armed for":         func(s *workflow.State) { s.Timers[2].Of, s.Timers[2].ID = "t", "expiry:t" },
		"never ran":                     func(s *workflow.State) { s.Tasks[1].Run = 0 },
		"without a request":             func(s *workflow.State) { s.Tasks[1].Request = nil },
		"keeps its request":             func(s *workflow.State) { s.Tasks[0].Request = workflow.Value(`{}`) },
		"is PENDING with 0 timers":      func(s *workflow.State) { s.Timers = append(s.Timers[:1], s.Timers[2]) },
		"is kept twice":                 func(s *workflow.State) { s.Buffer = append(s.Buffer, s.Buffer[0]) },
		"was applied and is still kept": func(s *workflow.State) { s.Recent = []string{"s"} },
		"is kept and marked as new":     func(s *workflow.State) { s.Buffer[0].Minted = true },
		"was taken and is still kept":   func(s *workflow.State) { s.Buffer[0].Taken = true },
		"and no processor works on it":  func(s *workflow.State) { s.Buffer[0].Transient = true },
		"without being paused":          func(s *workflow.State) { s.Held = []workflow.HeldInput{{Done: &workflow.TaskDone{Task: "call"}}} },
		"more than": func(s *workflow.State) {
			s.Buffer, s.Timers = make([]workflow.Buffered, workflow.MaxBuffered+1), s.Timers[:2]
		},
	} {
		s := sound()
		breakIt(&s)
		if err := workflow.Check(&s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for want, breakIt := range map[string]func(*workflow.State){
		"without a time": func(s *workflow.State) { s.FinishedAt = 0 },
		"and still has":  func(s *workflow.State) { s.Waits = sound().Waits },
		"and its task":   func(s *workflow.State) { s.Tasks[0].Status = workflow.Waiting },
	} {
		s := over()
		breakIt(&s)
		if err := workflow.Check(&s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestADefinitionThatDisagreesIsAnError(t *testing.T) {
	def := (&workflow.Definition{ID: "w", Hash: "h"}).Link()
	s := sound()
	in := workflow.TimerFired{Stamp: workflow.Stamp{At: 99}, Timer: "deadline:hold/1"}
	if _, _, _, err := workflow.Advance(def, s, in); err == nil || !strings.Contains(err.Error(), `has a task "hold"`) {
		t.Errorf("a task that the definition does not have: %v", err)
	}
	s.Definition = "other"
	if _, _, _, err := workflow.Advance(def, s, in); err == nil || !strings.Contains(err.Error(), "runs version") {
		t.Errorf("another version: %v", err)
	}
}

func TestOverdueTimersComeInTheirOrder(t *testing.T) {
	s := sound()
	fired := s.Overdue(65)
	if len(fired) != 2 || fired[0].Timer != "deadline:hold/1" || fired[1].Timer != "retry:again" || fired[1].At != 65 {
		t.Fatalf("got %+v", fired)
	}
	s.Paused = true
	if s.Overdue(65) != nil && len(s.Overdue(65)) > 0 {
		t.Fatal("a paused execution has no alarms")
	}
}

func TestWorkInProgressIsOutstanding(t *testing.T) {
	work := &workflow.Work{Executor: "tool", Request: literal("r")}
	def := (&workflow.Definition{ID: "w", Hash: "h", Tasks: []*workflow.Task{
		{ID: "hold", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go")}}},
		{ID: "call", Kind: workflow.Basic, Work: work}, {ID: "again", Kind: workflow.Basic, Work: work},
	}}).Link()
	s := sound()
	effects := workflow.Outstanding(def, &s)
	if len(effects) != 1 {
		t.Fatalf("got %+v", effects)
	}
	if run := effects[0].(workflow.RunTask); run.Key() != "x/call/1.1" || run.Executor != "tool" {
		t.Fatalf("got %+v", run)
	}
	s.Held = []workflow.HeldInput{{Failed: &workflow.TaskFailed{Task: "call"}}}
	if effects := workflow.Outstanding(def, &s); len(effects) != 0 {
		t.Fatalf("its result has come already: %+v", effects)
	}
}

// gathering is a state in which a wait of two branches has counted a signal.
func gathering() workflow.State {
	s := sound()
	s.Tasks[0].Gathered = &workflow.Gathering{Need: 2, Collected: []workflow.Collected{{Signal: "v", Branch: "b", Weight: workflow.One, Envelope: workflow.Value(`{}`)}}}
	s.Waits = []workflow.OpenWait{
		{ID: "hold/1.a", Task: "hold", Name: "go", Branch: "a", OpenedAt: 1},
		{ID: "hold/1.b", Task: "hold", Name: "go", Branch: "b", OpenedAt: 1, Have: workflow.One, Need: 2 * workflow.One},
	}
	s.Timers[0] = workflow.Timer{ID: "reminder:hold/1#0", Kind: workflow.TimerRemind, Of: "hold/1#0", Due: 50}
	return s
}

func TestCheckSeesWhatWasGatheredWrongly(t *testing.T) {
	s := gathering()
	if err := workflow.Check(&s); err != nil {
		t.Fatalf("a sound state: %v", err)
	}
	event := gathering() // that two branches count, and that the processor of another wait works on
	event.Tasks = append(event.Tasks, workflow.TaskState{ID: "look", Kind: workflow.Wait, Run: 1, Status: workflow.Waiting})
	event.Waits = append(event.Waits, workflow.OpenWait{ID: "look/1", Task: "look", Name: "go", OpenedAt: 1, Judging: "v"})
	event.Waits[0].Have, event.Waits[0].Need = workflow.One, 2*workflow.One
	g := event.Tasks[0].Gathered
	g.Collected = append(g.Collected, workflow.Collected{Signal: "v", Branch: "a", Weight: workflow.One, Envelope: workflow.Value(`{}`)})
	event.Buffer = append(event.Buffer, workflow.Buffered{Signal: workflow.Signal{ID: "v", Name: "go"}, Transient: true, Taken: true})
	if err := workflow.Check(&event); err != nil {
		t.Fatalf("an event that several take: %v", err)
	}
	for want, breakIt := range map[string]func(*workflow.State, *workflow.Gathering){
		"open twice":           func(s *workflow.State, _ *workflow.Gathering) { s.Waits[0] = s.Waits[1] },
		"not of run":           func(s *workflow.State, _ *workflow.Gathering) { s.Waits[0].ID = "hold/2.a" },
		"has collected":        func(s *workflow.State, _ *workflow.Gathering) { s.Tasks[0].Gathered = nil },
		"still gathers":        func(s *workflow.State, g *workflow.Gathering) { s.Tasks[1].Gathered = g },
		"waits for 3 branches": func(_ *workflow.State, g *workflow.Gathering) { g.Need = 3 },
		"and still waits":      func(_ *workflow.State, g *workflow.Gathering) { g.Satisfied = []string{"c", "d"} },
		"signals, more than": func(_ *workflow.State, g *workflow.Gathering) {
			g.Collected = make([]workflow.Collected, workflow.MaxCollected+1)
		},
		"was extended":          func(_ *workflow.State, g *workflow.Gathering) { g.Extended = workflow.MaxExtensions + 1 },
		"counts signal v twice": func(_ *workflow.State, g *workflow.Gathering) { g.Collected = append(g.Collected, g.Collected[0]) },
		"which is still kept":   func(_ *workflow.State, g *workflow.Gathering) { g.Collected[0].Signal = "s" },
		"says that it has":      func(s *workflow.State, _ *workflow.Gathering) { s.Waits[1].Have = 7 },
		"its branch satisfied":  func(_ *workflow.State, g *workflow.Gathering) { g.Satisfied = []string{"a"} },
		"needs and is still":    func(s *workflow.State, _ *workflow.Gathering) { s.Waits[1].Need = workflow.One },
		"reminder:hold/7#0 is armed": func(s *workflow.State, _ *workflow.Gathering) {
			s.Timers[0].Of, s.Timers[0].ID = "hold/7#0", "reminder:hold/7#0"
		},
	} {
		s := gathering()
		breakIt(&s, s.Tasks[0].Gathered)
		if err := workflow.Check(&s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
