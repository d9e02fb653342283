package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// Extension moves a wait's deadline when a signal comes: one of its own name,
// or where it has none, one of the wait's that meets the condition.
type Extension struct {
	Hold          // Name, Schema, Correlate and Condition
	By   Template // duration text that is added to the deadline
	Max  int      // how often at most
}

// ExtendBranch is the branch of the open wait that listens for an extension of
// its own name. It satisfies nothing.
const ExtendBranch = "extend_on"

// extends finds out whether the signal moves the deadline, and where to; zero
// for not. The text is why: not, or when grounds are asked for, why it does.
func (t *transition) extends(w *OpenWait, scope *Scope) (Instant, string) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	x := task.Wait.Extend
	grounds := ""
	if x.Condition != nil {
		verdict := x.Condition.Judge(scope)
		if !verdict.Holds {
			return 0, verdict.Reason
		}
		grounds = verdict.Reason
	}
	if ts.Gathered.Extended >= x.Max {
		return 0, fmt.Sprintf("the deadline was extended %d times, the most that it may be", ts.Gathered.Extended)
	}
	s, err := text(x.By, scope)
	if err != nil {
		return 0, "by: " + err.Error()
	}
	by, err := ParseDuration(s)
	if err != nil {
		return 0, "by: " + err.Error()
	}
	from := wholeDeadline(t.s, ts)
	to := min(from.Add(by), w.OpenedAt.Add(MaxHold))
	if to <= from {
		return 0, "the deadline is ten years after the opening, the latest that it can be"
	}
	return to, grounds
}

// wholeDeadline is when the task's wait as a whole is over, zero for never.
func wholeDeadline(s *State, ts *TaskState) Instant {
	if w := s.Wait(waitID(ts.ID, ts.Run, "")); w != nil {
		return w.Deadline
	}
	return ts.Gathered.Deadline
}

// extend moves the deadline because of a signal.
func (t *transition) extend(w OpenWait, signalID string, to Instant, grounds string) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	g := ts.gathering()
	g.Extended++
	from := wholeDeadline(t.s, ts)
	t.moveWhole(task, ts, to)
	ts.UpdatedAt = t.at
	t.record(Record{Type: WaitExtended, Task: w.Task, Wait: w.ID, Signal: signalID,
		Reason: fmt.Sprintf("until %s, extension %d of %d", to, g.Extended, task.Wait.Extend.Max), Data: ValueOf(extension{From: from, To: to, Grounds: grounds})})
}

// extension is what the record of one says as data.
type extension struct {
	From    Instant `json:"from"`
	To      Instant `json:"to"`
	Grounds string  `json:"grounds,omitempty"` // what made the condition of extend_on hold
}

// moveWhole gives the wait of a task another deadline, and with it each branch
// that has no earlier one of its own.
func (t *transition) moveWhole(task *Task, ts *TaskState, to Instant) {
	if before := wholeDeadline(t.s, ts); before != 0 {
		t.shift(task, ts, to-before)
	}
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Task == task.ID && w.Branch != ExtendBranch {
			t.rearm(w, earliest(w.Limit, to))
		}
	}
	if ts.Gathered != nil && ts.Gathered.Need > 0 {
		ts.gathering().Deadline = to
	}
}

func (t *transition) rearm(w *OpenWait, due Instant) {
	if w.Deadline == due {
		return
	}
	t.disarm(TimerDeadline, w.ID)
	w.Deadline = due
	t.arm(TimerDeadline, w.ID, due)
}

// DeadlineMoved gives a wait another deadline while it is open: an open wait by
// its id, or all branches of a task's wait by task/run.
type DeadlineMoved struct {
	Stamp
	Wait     string  `json:"wait"`
	Deadline Instant `json:"deadline"`
	By       string  `json:"by,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	From     Instant `json:"from,omitempty"` // the deadline before, which the record is told and nobody asks for
}

// Kind names the input in records.
func (DeadlineMoved) Kind() string { return "wait.deadline_moved" }

// moved applies the input; the same deadline once more changes nothing.
func (t *transition) moved(in DeadlineMoved) bool {
	if AdmitMove(t.s, in) != nil {
		return false
	}
	ts, w := movable(t.s, in.Wait)
	task, to := t.def.Task(ts.ID), max(in.Deadline, t.at)
	before := wholeDeadline(t.s, ts)
	if w != nil && w.Branch != "" {
		before = w.Limit
	}
	if before == to {
		return false
	}
	in.From = before
	t.in = in
	t.input(Record{Task: ts.ID, Wait: in.Wait, Reason: strings.TrimSpace("until " + to.String() + by(in.By) + because(in.Reason))})
	ts.UpdatedAt = t.at
	if w == nil || w.Branch == "" {
		t.moveWhole(task, ts, to)
		return true
	}
	w.Limit = to
	t.rearm(w, earliest(to, ts.Gathered.Deadline))
	return true
}

// movable finds what a wait's id means: an open wait, or a task's wait with
// branches, of which there is no open wait of that id.
func movable(s *State, id string) (*TaskState, *OpenWait) {
	if w := s.Wait(id); w != nil && w.Branch != ExtendBranch {
		return s.Task(w.Task), w
	}
	for i := range s.Tasks {
		if ts := &s.Tasks[i]; ts.Gathered != nil && ts.Gathered.Need > 0 && waitID(ts.ID, ts.Run, "") == id {
			return ts, nil
		}
	}
	return nil, nil
}

// AdmitMove says whether the deadline of a wait can be moved; nil means yes. It
// is asked before Advance, which ignores what it refuses.
func AdmitMove(s *State, in DeadlineMoved) *Refusal {
	if s.Status.Finished() {
		return &Refusal{
			Code:    CodeFinished,
			Message: fmt.Sprintf("execution %s has finished with status %s at %s; no wait of it is open", s.ExecID, s.Status, s.FinishedAt),
			Hint:    "start a new execution, or look at how this one ended",
			Details: map[string]any{"exec_id": s.ExecID, "status": s.Status},
		}
	}
	if ts, _ := movable(s, in.Wait); ts == nil {
		var open []string
		for i := range s.Waits {
			open = append(open, s.Waits[i].ID)
		}
		r := &Refusal{
			Code:    CodeNoWait,
			Message: fmt.Sprintf("execution %s has no open wait %q", s.ExecID, in.Wait),
			Hint:    "look at its open waits: it may have ended meanwhile",
			Details: map[string]any{"exec_id": s.ExecID, "wait": in.Wait, "open": slices.Clip(open)},
		}
		if near := Nearest(in.Wait, open); near != "" {
			r.Hint = fmt.Sprintf("did you mean %q?", near)
		}
		return r
	}
	if in.Deadline <= 0 || in.Deadline > max(in.At, s.UpdatedAt).Add(MaxHold) {
		return &Refusal{
			Code:    CodeInvalid,
			Message: "the deadline is more than ten years from now, the longest that can be held for",
			Hint:    "choose an earlier one",
		}
	}
	return nil
}
