package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why says what an execution waits for, and what else keeps it from going on:
// as a sentence for a person and as data for everybody else.
type Why struct {
	State    *State
	Sentence string
	Summary  string // the part of the sentence that is of the whole execution: its end, a pause, a quarantine; "" for none
	Waits    []WhyWait
	Tasks    []WhyTask
	Signals  []WhySignal
	Circumstance
}

// Circumstance is what the state itself does not tell.
type Circumstance struct {
	PausedAt   Instant // when a paused execution was paused; zero when it is not known
	PausedBy   string
	Quarantine string   // why it may not act any more, "" when it may
	Told       []Record // of its history since the oldest open wait opened, in order; the youngest when they are many
}

// OfWaits reports whether a record says what happened to an open wait in time.
func (r *Record) OfWaits() bool {
	return r.Type == WaitReminded || r.Type == WaitExtended || r.Type == DeadlineMoved{}.Kind()
}

// WhyWait is an open wait.
type WhyWait struct {
	OpenWait
	Takes      string    // its condition with the values of the context filled in; "" takes every signal of that name
	Collected  []string  // who or what counts already, of a wait that collects
	Missing    string    // what is missing, of a wait that collects or has branches
	Vetoed     string    // the condition of a signal that ends it badly, with the values of the context; "" for none
	Then       string    // task that runs when the deadline passes; "" ends the execution, or only the branch or the reminder
	AtDeadline string    // the same in words; "" without a deadline
	Behind     []string  // older waits for the same name, which are asked first
	Refused    []Opinion // of the signals that are kept, those that it did not take
	Moves      []WhyMove // of its deadline, first one first
	Reminders  []WhyReminder
	Extends    *WhyExtension // nil when signals do not move its deadline
	Text       string
}

// WhyTask is a task that works, or will again.
type WhyTask struct {
	Task     string
	Status   Status
	Run      int
	Attempt  int
	Attempts int     // at most
	Since    Instant // when this attempt began, or the hold
	Until    Instant // when the attempt times out at the latest, or the hold ends
	Error    string  // of the attempt before
	Text     string
}

// WhySignal is a signal that came and that no wait has taken.
type WhySignal struct {
	Buffered
	Text string
}

// Explain says why an execution stands where it stands at that moment. It reads
// the state and changes nothing.
func Explain(def *Definition, s *State, at Instant, c Circumstance) *Why {
	y := &Why{State: s, Circumstance: c}
	e := &explaining{why: y, t: &transition{pass: pass{def: def, s: s.clone(nil), at: max(at, s.UpdatedAt)}}}
	if !s.Status.Finished() && c.Quarantine == "" {
		e.tasks()
		e.waits()
		e.signals()
	}
	y.Sentence = strings.Join(e.sentences(), " ")
	return y
}

// explaining is one Explain under way.
type explaining struct {
	why *Why
	t   *transition
}

func (e *explaining) sentences() []string {
	s, y := e.t.s, e.why
	var all []string
	switch {
	case y.Quarantine != "":
		y.Summary = "It is quarantined: " + y.Quarantine + ". It takes no signals and does nothing until an operator has looked at it."
	case s.Status.Finished():
		y.Summary = e.ended()
	case s.Paused:
		y.Summary = e.paused()
	case len(y.Tasks)+len(y.Waits) == 0:
		y.Summary = "Nothing keeps it: it goes on at once."
	}
	if y.Summary != "" {
		all = append(all, y.Summary)
	}
	for i := range y.Tasks {
		all = append(all, y.Tasks[i].Text)
	}
	for i := range y.Waits {
		all = append(all, y.Waits[i].Text)
	}
	for i := range y.Signals {
		if i == whySentences && len(y.Signals) > i+1 {
			all = append(all, fmt.Sprintf("%d more signals are kept for a later wait.", len(s.Buffer)-i))
			break
		}
		all = append(all, y.Signals[i].Text)
	}
	return all
}

func (e *explaining) ended() string {
	s := e.t.s
	when := e.when(s.FinishedAt)
	why := ""
	if s.Error != nil {
		why = ": " + s.Error.Message
	}
	switch s.Status {
	case Success:
		return "It waits for nothing: it finished well " + when + "."
	case Canceled:
		return "It waits for nothing: it was canceled " + when + strings.TrimPrefix(why, ": canceled") + "."
	case TimedOut:
		return "It waits for nothing: it timed out " + when + why + "."
	}
	return "It waits for nothing: it failed " + when + why + "."
}

func (e *explaining) paused() string {
	text := "It is paused"
	if e.why.PausedAt != 0 {
		text += by(e.why.PausedBy) + " since " + e.when(e.why.PausedAt)
	}
	return text + ": nothing moves and no deadline passes until somebody resumes it."
}

// tasks lists what works, and what works again after a hold.
func (e *explaining) tasks() {
	s := e.t.s
	for i := range s.Tasks {
		ts := &s.Tasks[i]
		if ts.Status != Running && ts.Status != Pending {
			continue
		}
		task := e.t.def.Task(ts.ID)
		w := WhyTask{
			Task: ts.ID, Status: ts.Status, Run: ts.Run, Attempt: ts.Attempt, Since: ts.UpdatedAt,
			Attempts: min(max(task.Retry.Attempts, 1), MaxRetries),
		}
		if ts.Error != nil {
			w.Error = ts.Error.Message
		}
		e.task(&w, task, ts)
		e.why.Tasks = append(e.why.Tasks, w)
	}
}

func (e *explaining) task(w *WhyTask, task *Task, ts *TaskState) {
	name := "Task " + ts.ID
	if ts.Parent != "" {
		name = "Processor " + ts.ID + " of " + place("wait", task.Parent, task.Branch)
	}
	again := fmt.Sprintf("attempt %d of %d", ts.Attempt, w.Attempts)
	switch {
	case ts.Status == Running && held(e.t.s, ts.ID):
		w.Text = name + " is done, and its result is applied when the execution is resumed."
	case ts.Status == Running:
		w.Until = ts.UpdatedAt + Instant(ts.TimeoutMS)
		w.Text = fmt.Sprintf("%s runs since %s, %s; this attempt is given up %s.", name, e.when(ts.UpdatedAt), again, e.when(w.Until))
	case ts.Attempt == 0: // it has not begun: it sleeps before it runs
		w.Until = e.due(TimerSleep, ts.ID)
		w.Text = fmt.Sprintf("%s sleeps and begins %s.", name, e.when(w.Until))
	default:
		w.Until = e.due(TimerRetry, ts.ID)
		w.Text = fmt.Sprintf("%s failed (%s, %s) and is tried again %s.", name, again, w.Error, e.when(w.Until))
	}
}

func (e *explaining) due(kind TimerKind, of string) Instant {
	for _, timer := range e.t.s.Timers {
		if timer.Kind == kind && timer.Of == of {
			return timer.Due
		}
	}
	return 0
}

// waits lists the open waits with what they take.
func (e *explaining) waits() {
	t := e.t
	for i := range t.s.Waits {
		w := WhyWait{OpenWait: t.s.Waits[i]}
		task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
		hold, scope := task.Wait.hold(w.Branch), t.scope(task, ts)
		scope.Signal, scope.Gathered, scope.Branch = nil, ts.Gathered, w.Branch
		if hold.Condition != nil {
			w.Takes = explain(hold.Condition, scope)
		}
		if q := hold.Quorum; q != nil && q.Veto != nil {
			w.Vetoed = explain(q.Veto, scope)
		}
		for j := range t.s.Waits[:i] {
			if older := &t.s.Waits[j]; older.Name == w.Name {
				w.Behind = append(w.Behind, older.ID)
			}
		}
		w.Collected, w.Missing = t.missing(task, ts, &w.OpenWait)
		w.Then, w.AtDeadline = t.atDeadline(task, ts, &w.OpenWait)
		w.Refused = e.refused(&w.OpenWait)
		w.Moves, w.Extends = e.moves(&w.OpenWait, ts.Run), e.extending(&w.OpenWait, task, ts)
		if w.Branch == ExtendBranch {
			w.Text = e.extender(&w)
		} else {
			w.Reminders = e.ladder(&w.OpenWait, task, ts.Run)
			w.Text = e.wait(&w)
		}
		e.why.Waits = append(e.why.Waits, w)
	}
}

// refused says what the wait has against the kept signals of its name.
func (e *explaining) refused(w *OpenWait) []Opinion {
	var all []Opinion
	for i := range e.t.s.Buffer {
		b := &e.t.s.Buffer[i]
		if b.Name != w.Name || b.ID == w.Judging || e.t.s.Paused || b.Transient && b.ID != w.LastJudged {
			continue // an event is judged once
		}
		if len(all) == whySignals {
			break
		}
		if o := e.t.opinion(w, b.Signal); !o.Takes {
			all = append(all, o)
		}
	}
	return all
}

func (e *explaining) wait(w *WhyWait) string {
	var b strings.Builder
	fmt.Fprintf(&b, "It waits for signal %q", w.Name)
	if w.Takes != "" {
		b.WriteString(" with " + w.Takes)
	}
	if w.Path == CorrelationPath {
		fmt.Fprintf(&b, " and correlation_id %q", w.Key)
	}
	fmt.Fprintf(&b, " (%s) since %s", w.place(), e.when(w.OpenedAt))
	if w.Missing != "" {
		b.WriteString("; " + w.Missing)
	}
	if w.Vetoed != "" {
		b.WriteString("; a signal with " + w.Vetoed + " vetoes it")
	}
	if w.Judging != "" {
		fmt.Fprintf(&b, "; its processor works on signal %s now", w.Judging)
	}
	switch {
	case w.Deadline == 0:
		b.WriteString("; it has no deadline")
	case w.Deadline <= e.t.at && !e.t.s.Paused:
		b.WriteString("; its deadline has just passed: " + w.AtDeadline)
	default:
		fmt.Fprintf(&b, "; if that has not happened by %s, %s", e.when(w.Deadline), w.AtDeadline)
	}
	b.WriteString(".")
	if w.Extends != nil {
		fmt.Fprintf(&b, " Signals of that name extend its deadline, %d of at most %d times so far.", w.Extends.Times, w.Extends.Max)
	}
	for _, more := range []string{e.said(w.Moves), e.reminding(w)} {
		if more != "" {
			b.WriteString(" " + sentence(more) + ".")
		}
	}
	return b.String()
}

// place is where an open wait stands in the workflow, as a person says it.
func (w *OpenWait) place() string { return place("task", w.Task, w.Branch) }

func place(what, task, branch string) string {
	if branch != "" {
		return "branch " + branch + " of " + what + " " + task
	}
	return what + " " + task
}

// signals lists what came and was not taken.
func (e *explaining) signals() {
	for i := range e.t.s.Buffer {
		if i == whySignals {
			return
		}
		b := e.t.s.Buffer[i]
		if !slices.ContainsFunc(e.t.s.Waits, func(w OpenWait) bool { return w.Name == b.Name }) {
			b.Reason = "no wait for " + strconv.Quote(b.Name) + " is open now" // what it says may be of one that has ended since
		}
		text := fmt.Sprintf("Signal %s (%q) came %s and is kept: %s", b.ID, b.Name, e.when(b.ReceivedAt), b.Reason)
		if b.ExpiresAt != 0 {
			text += "; it expires " + e.when(b.ExpiresAt)
		}
		e.why.Signals = append(e.why.Signals, WhySignal{Buffered: b, Text: text + "."})
	}
}

// when is a moment as a person says it, with how far away it is.
func (e *explaining) when(i Instant) string {
	text := clock(i)
	if i > e.t.at {
		return text + " (in " + span((i - e.t.at).duration()) + ")"
	}
	return text + " (" + span((e.t.at - i).duration()) + " ago)"
}

// span is a length of time in the unit that a person would use.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		size time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.size; n >= 2 || n == 1 && u.size == time.Second {
			text := fmt.Sprintf("%d %s", n, u.name)
			if n > 1 {
				text += "s"
			}
			return text
		}
	}
	return "less than a second"
}
