package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// open makes the wait hold. The signals that came before it are judged when
// the transition settles.
func (t *transition) open(task *Task, ts *TaskState) {
	before := len(t.s.Waits)
	rungs, err := t.openWaits(task, ts)
	if err != nil {
		t.s.Waits, ts.Gathered = t.s.Waits[:before], nil
		t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "wait: " + err.Error()})
		return
	}
	ts.Status, ts.UpdatedAt = Waiting, t.at
	t.s.Context++
	for i := before; i < len(t.s.Waits); i++ {
		w := &t.s.Waits[i]
		if w.Deadline != 0 {
			t.arm(TimerDeadline, w.ID, w.Deadline)
		}
		t.record(Record{Type: WaitOpened, Task: task.ID, Wait: w.ID, Data: noted(t, opened{w.Name, w.Condition, w.Key, w.Deadline, w.Progress()})})
	}
	for i, due := range rungs {
		t.arm(TimerRemind, rungID(task.ID, ts.Run, i), due)
	}
}

type opened struct {
	Name      string  `json:"name"`
	Condition string  `json:"condition,omitempty"`
	Key       string  `json:"key,omitempty"`
	Deadline  Instant `json:"deadline,omitempty"`
	Progress  string  `json:"progress,omitempty"`
}

// openWaits opens the wait of the task, or one for each of its branches, and
// returns when its reminders are due.
func (t *transition) openWaits(task *Task, ts *TaskState) ([]Instant, error) {
	spec := task.Wait
	deadline, err := t.deadline(task.Timeout, spec.Deadline, task, ts)
	if err != nil {
		return nil, err
	}
	if spec.gathers() {
		ts.Gathered = &Gathering{}
	}
	if spec.Branches == nil {
		err = t.openOne(task, ts, "", &spec.Hold, OpenWait{Deadline: deadline})
	} else {
		err = t.openBranches(task, ts, deadline)
	}
	if err == nil && spec.Extend != nil && spec.Extend.Name != nil {
		err = t.openOne(task, ts, ExtendBranch, &spec.Extend.Hold, OpenWait{})
	}
	if err != nil {
		return nil, err
	}
	return t.reminders(task, ts, deadline)
}

func (t *transition) openBranches(task *Task, ts *TaskState, deadline Instant) error {
	need, err := t.branchesNeeded(task, ts)
	if err != nil {
		return err
	}
	ts.Gathered.Need, ts.Gathered.Deadline = need, deadline
	for _, b := range task.Wait.Branches {
		own, err := t.deadline(b.Timeout, b.Deadline, task, ts)
		if err == nil {
			err = t.openOne(task, ts, b.ID, &b.Hold, OpenWait{Limit: own, Deadline: earliest(own, deadline), Whole: ts.Gathered.progress()})
		}
		if err != nil {
			return fmt.Errorf("branch %s: %w", b.ID, err)
		}
	}
	return nil
}

// openOne opens one wait with what is already known of it.
func (t *transition) openOne(task *Task, ts *TaskState, branch string, hold *Hold, w OpenWait) error {
	name, err := t.name(hold.Name, t.brief(task, ts))
	if err == nil {
		w.Path, w.Key, err = t.correlate(hold, task, ts)
	}
	if err != nil {
		return err
	}
	w.ID, w.Task, w.Name, w.Branch, w.OpenedAt = waitID(task.ID, ts.Run, branch), task.ID, name, branch, t.at
	if hold.Condition != nil {
		w.Condition = hold.Condition.Source()
	}
	if hold.Quorum != nil && hold.Quorum.Count != nil {
		count, err := text(hold.Quorum.Count, t.brief(task, ts))
		if err == nil {
			w.Need, err = ParseWeight(count)
		}
		if err == nil && w.Need == 0 {
			err = errors.New("it is 0, and a wait for nothing would never end")
		}
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	t.s.Waits = append(t.s.Waits, w)
	return nil
}

// waitID is task/run, with the branch after a dot where there is one.
func waitID(task string, run int, branch string) string {
	var room [usualID]byte
	return string(appendWaitID(room[:0], task, run, branch))
}

func appendWaitID(b []byte, task string, run int, branch string) []byte {
	b = strconv.AppendInt(append(append(b, task...), '/'), int64(run), 10)
	if branch != "" {
		b = append(append(b, '.'), branch...)
	}
	return b
}

// isWaitID reports whether an id is what waitID makes.
func isWaitID(id, task string, run int, branch string) bool {
	var room [usualID]byte
	return id == string(appendWaitID(room[:0], task, run, branch))
}

// branchesNeeded is how many branches end the wait well.
func (t *transition) branchesNeeded(task *Task, ts *TaskState) (int, error) {
	all := len(task.Wait.Branches)
	if task.Wait.Need == nil {
		return all, nil
	}
	s, err := text(task.Wait.Need, t.brief(task, ts))
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > all {
		return 0, fmt.Errorf("count: %q is no number of branches, of which there are %d", s, all)
	}
	return n, nil
}

// deadline renders when a wait ends at the latest, zero for never: a duration
// from now on, or where it may be one, a time.
func (t *transition) deadline(timeout, deadline Template, task *Task, ts *TaskState) (Instant, error) {
	source := deadline
	if source == nil {
		source = timeout
	}
	if source == nil {
		return 0, nil
	}
	s, err := text(source, t.brief(task, ts))
	if err != nil {
		return 0, err
	}
	return ParseDeadline(s, t.at)
}

// ParseDeadline reads when something must be over: a duration from that moment
// on, or a time as RFC 3339 has it. A time that has passed is over at once.
func ParseDeadline(s string, from Instant) (Instant, error) {
	d, err := ParseDuration(s)
	if err == nil {
		return from.Add(d), nil
	}
	moment, bad := time.Parse(time.RFC3339, s)
	switch {
	case bad != nil && len(s) > 0 && s[0] >= '0' && s[0] <= '9' && len(s) >= len("2006-01-02"):
		return 0, fmt.Errorf("%q is neither a duration nor a time: write 2h, 3d or a time with its zone, as 2027-01-31T18:00:00Z", s)
	case bad != nil:
		return 0, err
	case InstantOf(moment) > from.Add(MaxHold):
		return 0, fmt.Errorf("%q is more than ten years from now, the longest that can be held for", s)
	}
	return max(InstantOf(moment), from), nil
}

// earliest is the first of two deadlines, of which zero is never.
func earliest(a, b Instant) Instant {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	return min(a, b)
}
