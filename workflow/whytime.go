package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// WhyMove is one move of an open wait's deadline.
type WhyMove struct {
	At     Instant
	From   Instant // zero when there was none
	To     Instant
	By     string // who moved it; "" when a signal did, or nobody knows
	Reason string // that was given, or the values that decided
	Signal string // id of the signal that extended it
	Whole  bool   // of all branches of the task
}

// WhyReminder is one rung of an open wait's ladder.
type WhyReminder struct {
	Rung int    // 1 for the first
	Does string // in words: sends event "x", runs task y
	Due  Instant
	Came Instant // when it came; zero for not yet, or when that is too long ago to be known
	Done bool
	Note string // what was odd about its coming
}

// WhyExtension is how signals move the deadline of an open wait.
type WhyExtension struct {
	Name  string // of the signal; the wait's own when it is that of the wait
	Times int    // that it was moved
	Max   int
}

// moves lists how the deadline of a wait was moved, first one first.
func (e *explaining) moves(w *OpenWait, run int) []WhyMove {
	var all []WhyMove
	whole := waitID(w.Task, run, "")
	for i := range e.why.Told {
		r := &e.why.Told[i]
		if r.Task != w.Task || r.At < w.OpenedAt {
			continue
		}
		m := WhyMove{At: r.At, Signal: r.Signal}
		switch r.Type {
		case DeadlineMoved{}.Kind():
			var in DeadlineMoved
			if r.Wait != w.ID && r.Wait != whole || json.Unmarshal(r.Data, &in) != nil {
				continue
			}
			m.From, m.To, m.By, m.Reason = in.From, max(in.Deadline, r.At), in.By, in.Reason
		case WaitExtended:
			var moved extension
			if json.Unmarshal(r.Data, &moved) != nil {
				continue // of a version that did not say
			}
			m.From, m.To, m.Reason = moved.From, moved.To, moved.Grounds
		default:
			continue
		}
		m.Whole = w.Branch != "" && (r.Type == WaitExtended || r.Wait == whole)
		all = append(all, m)
	}
	return all
}

// said is the last move, as a person says it.
func (e *explaining) said(moves []WhyMove) string {
	if len(moves) == 0 {
		return ""
	}
	m := &moves[len(moves)-1]
	var b strings.Builder
	switch {
	case m.Signal != "":
		b.WriteString("signal " + m.Signal + " extended ")
	case m.By != "":
		b.WriteString(m.By + " moved ")
	default:
		b.WriteString("somebody moved ")
	}
	if m.Whole {
		b.WriteString("the deadline of the whole wait")
	} else {
		b.WriteString("its deadline")
	}
	if m.From != 0 {
		b.WriteString(" from " + clock(m.From))
	}
	b.WriteString(" to " + clock(m.To) + " at " + e.when(m.At) + because(m.Reason))
	if n := len(moves); n > 1 {
		fmt.Fprintf(&b, ", the last of %d moves", n)
	}
	return b.String()
}

// ladder lists the reminders of a wait's task: those that came, and when the
// others come.
func (e *explaining) ladder(w *OpenWait, task *Task, run int) []WhyReminder {
	whole := waitID(task.ID, run, "")
	var all []WhyReminder
	for i, r := range task.Wait.Remind {
		rung := WhyReminder{Rung: i + 1, Does: "runs task " + r.Task}
		if r.Event != nil {
			rung.Does = "sends an event"
			if name, err := e.t.name(r.Event.Name, e.t.scope(task, e.t.s.Task(task.ID))); err == nil {
				rung.Does = fmt.Sprintf("sends event %q", name)
			}
		}
		rung.Due = e.due(TimerRemind, rungID(task.ID, run, i))
		rung.Done = rung.Due == 0
		all = append(all, rung)
	}
	for i := range e.why.Told {
		r := &e.why.Told[i]
		n := 0
		if r.Type != WaitReminded || r.Wait != whole || r.At < w.OpenedAt {
			continue
		}
		if _, err := fmt.Sscanf(r.Reason, "reminder %d of", &n); err == nil && n >= 1 && n <= len(all) {
			all[n-1].Came = r.At
			_, all[n-1].Note, _ = strings.Cut(r.Reason, "; ")
		}
	}
	return all
}

// reminding is the ladder in words: what came last, and what comes next.
// Of several branches the oldest one says it.
func (e *explaining) reminding(w *WhyWait) string {
	ladder := w.Reminders
	if len(ladder) == 0 || slices.ContainsFunc(e.why.Waits, func(o WhyWait) bool { return o.Task == w.Task && o.Reminders != nil }) {
		return ""
	}
	came := 0
	var last, next *WhyReminder
	for i := range ladder {
		r := &ladder[i]
		switch {
		case r.Done:
			came++
			if r.Came != 0 && (last == nil || r.Came >= last.Came) {
				last = r
			}
		case next == nil || r.Due < next.Due:
			next = r
		}
	}
	text := fmt.Sprintf("%d of %d reminders came", came, len(ladder))
	if last != nil {
		text += fmt.Sprintf(", the last at %s (number %d %s", e.when(last.Came), last.Rung, last.Does)
		if last.Note != "" {
			text += "; " + last.Note
		}
		text += ")"
	}
	if next == nil {
		return text
	}
	text += fmt.Sprintf("; number %d %s", next.Rung, next.Does)
	switch {
	case next.Due > e.t.at:
		return text + " at " + e.when(next.Due)
	case e.t.s.Paused:
		return text + " when the execution is resumed"
	}
	return text + " now"
}

// extending says how signals move the deadline of a wait, nil when they do not.
func (e *explaining) extending(w *OpenWait, task *Task, ts *TaskState) *WhyExtension {
	x := task.Wait.Extend
	if x == nil || x.Name != nil && w.Branch != ExtendBranch {
		return nil
	}
	return &WhyExtension{Name: w.Name, Times: ts.Gathered.Extended, Max: x.Max}
}

// extender is the sentence of a wait that only listens for more time.
func (e *explaining) extender(w *WhyWait) string {
	text := fmt.Sprintf("Signal %q", w.Name)
	if w.Takes != "" {
		text += " with " + w.Takes
	}
	text += fmt.Sprintf(" gives task %s more time; it did so %d of at most %d times", w.Task, w.Extends.Times, w.Extends.Max)
	if of := wholeDeadline(e.t.s, e.t.s.Task(w.Task)); of != 0 {
		text += ", and the deadline is " + e.when(of)
	}
	return text + "."
}

// sentence begins a text as a sentence, unless it begins with a name.
func sentence(text string) string {
	for _, word := range []string{"signal ", "somebody "} {
		if strings.HasPrefix(text, word) {
			return strings.ToUpper(text[:1]) + text[1:]
		}
	}
	return text
}

// clock is a moment without how far away it is.
func clock(i Instant) string { return i.Time().Format("2006-01-02 15:04:05 UTC") }
