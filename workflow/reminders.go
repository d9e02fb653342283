package workflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Reminder is one rung of a wait's ladder: at its time it sends an event or
// runs a task, once, and the wait goes on.
type Reminder struct {
	After  Template    // duration text after the opening
	Before Template    // duration text before the deadline, instead of After
	Event  *SignalSpec // nil: none
	Task   string      // "" for none
}

// reminders renders when each rung is due. One whose time before the deadline
// has passed already is due at once: the deadline is that near.
func (t *transition) reminders(task *Task, ts *TaskState, deadline Instant) ([]Instant, error) {
	var dues []Instant
	for i, r := range task.Wait.Remind {
		source := r.After
		if source == nil {
			source = r.Before
		}
		d, err := t.duration(source, task, ts)
		if err != nil {
			return nil, fmt.Errorf("reminder %d: %w", i+1, err)
		}
		due := t.at.Add(d)
		if r.After == nil {
			due = max(deadline-(due-t.at), t.at)
		}
		dues = append(dues, due)
	}
	return dues, nil
}

// rungID is what a reminder's timer is of.
func rungID(task string, run, rung int) string {
	return waitID(task, run, "") + "#" + strconv.Itoa(rung)
}

// rungOf is the task and the rung of a reminder's timer.
func rungOf(of string) (task string, rung int) {
	at := strings.LastIndexByte(of, '#')
	if at < 0 {
		return "", 0
	}
	rung, _ = strconv.Atoi(of[at+1:]) // what is no number is no rung either: the first
	return waitTask(of[:at]), rung
}

// remind does what a rung is for. Nothing that goes wrong with it ends the wait.
func (t *transition) remind(of string) {
	id, rung := rungOf(of)
	task, ts := t.def.Task(id), t.s.Task(id)
	r := task.Wait.Remind[rung]
	said := Record{Type: WaitReminded, Task: id, Wait: waitID(id, ts.Run, ""), Reason: fmt.Sprintf("reminder %d of %d", rung+1, len(task.Wait.Remind))}
	if r.Event != nil {
		scope := t.scope(task, ts)
		scope.Gathered = ts.Gathered
		ev, err := t.event(r.Event, scope, t.s.ExecID+":"+of)
		if err != nil {
			said.Reason += "; its event cannot be made: " + err.Error()
			t.record(said)
			return
		}
		t.record(said)
		t.effects = append(t.effects, EmitEvent{Event: ev})
		t.record(Record{Type: EventEmitted, Task: id, Data: ValueOf(ev)})
		return
	}
	next := t.def.Task(r.Task)
	if before := t.s.Task(r.Task); before != nil && !before.Status.Finished() {
		said.Reason += "; task " + r.Task + " is still busy with the one before"
	}
	t.record(said)
	t.start(next, id)
}

// silence disarms the reminders of a wait that has ended.
func (t *transition) silence(task *Task, ts *TaskState) {
	for i := range task.Wait.Remind {
		t.disarm(TimerRemind, rungID(task.ID, ts.Run, i))
	}
}

// shift moves the reminders that come before the deadline along with it. Those
// that have come do not come again.
func (t *transition) shift(task *Task, ts *TaskState, by Instant) {
	for i, r := range task.Wait.Remind {
		if r.Before == nil {
			continue
		}
		id := string(TimerRemind) + ":" + rungID(task.ID, ts.Run, i)
		for j := range t.s.Timers {
			if timer := &t.s.Timers[j]; timer.ID == id {
				timer.Due = max(timer.Due+by, t.at)
			}
		}
	}
}
