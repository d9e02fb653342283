package workflow

import (
	"fmt"
	"slices"
	"strconv"
)

// Quorum says how many signals satisfy a wait, and which of them count. The
// first signal that its Veto holds for ends the wait badly.
type Quorum struct {
	Count    Template          // the sum of weights that is enough; nil with Until
	Until    Condition         // over everything collected, instead of Count
	Distinct Template          // signals of which it gives the same value count once; nil: each counts
	Across   bool              // Distinct is of all branches together
	Weigh    Template          // a signal's weight; nil: 1, or by Weights
	Weights  map[string]Weight // by the value of Distinct, "*" for any other; nil: none
	Veto     Condition         // nil: none
}

// Gathering is what a wait with branches or a quorum has come to so far. It is
// gone when the wait ends: the task's output then holds it.
type Gathering struct {
	Need      int         `json:"need,omitempty"`      // branches that must be satisfied; 0 for a wait without branches
	Deadline  Instant     `json:"deadline,omitempty"`  // of the whole wait with branches
	Satisfied []string    `json:"satisfied,omitempty"` // branches, in the order in which they were
	Collected []Collected `json:"collected,omitempty"` // signals that count, in the order in which they came
	Extended  int         `json:"extended,omitempty"`  // how often a signal moved the deadline
}

// Collected is one signal that a wait counts.
type Collected struct {
	Signal   string `json:"signal"` // its id
	Branch   string `json:"branch,omitempty"`
	By       Value  `json:"by,omitempty"` // what distinct_by gave
	Weight   Weight `json:"weight"`
	Envelope Value  `json:"envelope"`
}

// progress is how many of the branches are there, "" when one is enough.
func (g *Gathering) progress() string {
	if g.Need < 2 {
		return ""
	}
	return strconv.Itoa(len(g.Satisfied)) + " of " + strconv.Itoa(g.Need) + " branches"
}

// Progress is how far the wait has come, as in "1 of 3", or "" for one that
// its first signal satisfies.
func (w *OpenWait) Progress() string {
	own := ""
	switch {
	case w.Need == One && w.Have%One == 0: // one signal is enough, which goes without saying
	case w.Need > 0:
		own = w.Have.String() + " of " + w.Need.String()
	case w.Have > 0:
		own = w.Have.String() + " collected"
	}
	if own != "" && w.Whole != "" {
		own += ", "
	}
	return own + w.Whole
}

// Collected is everything that the wait has collected, as expressions see it: a
// list of signals, {payload, metadata, branch, by, weight}.
func (s *Scope) Collected() Value {
	if s.Gathered == nil {
		return nil
	}
	return s.Gathered.list(s.Branch)
}

// list is the collected signals of a branch, or of all for "". It is put
// together by hand because an envelope is an object already.
func (g *Gathering) list(branch string) Value {
	out := []byte{'['}
	for _, c := range g.Collected {
		if branch != "" && c.Branch != branch {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, c.Envelope[:len(c.Envelope)-1]...)
		if c.Branch != "" {
			out = append(append(out, `,"branch":`...), ValueOf(c.Branch)...)
		}
		if c.By != nil {
			out = append(append(out, `,"by":`...), c.By...)
		}
		out = append(append(out, `,"weight":`...), c.Weight.String()...)
		out = append(out, '}')
	}
	return append(out, ']')
}

// ruling is what a wait makes of a signal.
type ruling struct {
	refused string  // why it does not take it, "" when it does
	grounds string  // the values that decided, of what takes it, when they were asked for
	vetoes  bool    // it ends the wait badly
	extends Instant // where it moves the deadline to, counted or not; 0 for not
	moves   string  // the values that decided that it does, when they were asked for
	by      Value
	weight  Weight
}

// takes reports whether the wait consumes the signal.
func (r ruling) takes() bool { return r.refused == "" || r.extends != 0 }

// rule judges a signal by the wait. It changes nothing. The values that decided a
// condition which holds are worth their price only to whom takes the signal.
func (t *transition) rule(w *OpenWait, sig *Signal, processor Value, grounds bool) ruling {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	hold, x := task.Wait.hold(w.Branch), task.Wait.Extend
	if hold.Condition == nil && hold.Quorum == nil && ts.Gathered == nil {
		return ruling{weight: One}
	}
	scope := t.scope(task, ts)
	scope.Signal, scope.Processor, scope.Gathered, scope.Branch = t.envelope(sig), processor, ts.Gathered, w.Branch
	scope.Grounds = grounds
	if w.Branch == ExtendBranch {
		to, why := t.extends(w, scope)
		if to == 0 {
			return ruling{refused: why}
		}
		return ruling{extends: to, moves: why, grounds: why}
	}
	r := hold.counts(scope, w)
	if x != nil && x.Name == nil && !r.vetoes && (x.Condition != nil || r.refused == "") {
		to, why := t.extends(w, scope)
		r.extend(to, why)
	}
	return r
}

// extend adds what a signal of the wait's own does to its deadline, and why.
func (r *ruling) extend(to Instant, why string) {
	if r.extends = to; to != 0 {
		r.moves = why
	}
	if why != "" {
		why = "extend_on: " + why
	}
	switch {
	case r.refused == "":
		r.grounds = joined(r.grounds, why)
	case to == 0:
		r.refused = joined(r.refused, why)
	default:
		r.grounds = joined(r.refused, why)
	}
}

// counts judges a signal by what the wait holds for.
func (h *Hold) counts(scope *Scope, w *OpenWait) ruling {
	if q := h.Quorum; q != nil && q.Veto != nil {
		if verdict := q.Veto.Judge(scope); verdict.Holds {
			return ruling{vetoes: true, grounds: verdict.Reason}
		}
	}
	grounds := ""
	if h.Condition != nil {
		verdict := h.Condition.Judge(scope)
		if !verdict.Holds {
			return ruling{refused: verdict.Reason}
		}
		grounds = verdict.Reason
	}
	r := ruling{weight: One}
	if h.Quorum != nil {
		r = h.Quorum.weigh(scope, w)
	}
	r.grounds = grounds
	if scope.Gathered != nil && r.refused == "" {
		r.refused = scope.Gathered.room(scope.Signal)
	}
	return r
}

// weigh finds out how much a signal counts, and why not at all.
func (q *Quorum) weigh(scope *Scope, w *OpenWait) ruling {
	r := ruling{weight: One}
	if q.Distinct != nil {
		by, err := q.Distinct.Render(scope)
		if err == nil {
			by, err = compact(by)
		}
		if err != nil {
			return ruling{refused: "distinct_by: " + err.Error()}
		}
		r.by = by
		for _, c := range scope.Gathered.Collected {
			if string(c.By) == string(by) && (q.Across || c.Branch == w.Branch) {
				return ruling{refused: fmt.Sprintf("signal %s of %s counts already", c.Signal, by)}
			}
		}
	}
	switch {
	case q.Weigh != nil:
		s, err := text(q.Weigh, scope)
		if err == nil {
			r.weight, err = ParseWeight(s)
		}
		if err != nil {
			return ruling{refused: "weights: " + err.Error()}
		}
	case q.Weights != nil:
		weight, known := q.Weights[plain(r.by)]
		if !known {
			if weight, known = q.Weights["*"]; !known {
				return ruling{refused: "weights: " + string(r.by) + " is not among those that count"}
			}
		}
		r.weight = weight
	}
	if r.weight == 0 {
		return ruling{refused: "its weight is 0"}
	}
	return r
}

// room says why a signal of that size cannot be collected, "" when it can.
func (g *Gathering) room(envelope Value) string {
	size := len(envelope)
	for _, c := range g.Collected {
		size += len(c.Envelope)
	}
	switch {
	case len(g.Collected) >= MaxCollected:
		return fmt.Sprintf("it has collected %d signals, the most that it may", MaxCollected)
	case size > MaxCollectedBytes:
		return fmt.Sprintf("with it, what was collected would be %d bytes, and at most %d are kept", size, MaxCollectedBytes)
	}
	return ""
}

// gathering is what the wait has come to, for changing it: the one that the
// state was given stays as it is.
func (ts *TaskState) gathering() *Gathering {
	g := *ts.Gathered
	g.Satisfied, g.Collected = slices.Clone(g.Satisfied), slices.Clone(g.Collected)
	ts.Gathered = &g
	return &g
}

// collect counts a signal that the wait takes, and ends the wait when that is enough.
func (t *transition) collect(w OpenWait, sig Signal, processor Value, r ruling) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	envelope := t.envelope(&sig)
	g := ts.gathering()
	g.Collected = append(g.Collected, Collected{Signal: sig.ID, Branch: w.Branch, By: r.by, Weight: r.weight, Envelope: envelope})
	open := t.s.Wait(w.ID)
	open.Have += r.weight
	enough, missing := t.enough(task, ts, open)
	ts.UpdatedAt = t.at
	if !enough {
		t.consumed(&w, sig.ID, joined(open.Progress(), missing), r.grounds)
		return
	}
	if w.Branch != "" {
		g.Satisfied = append(g.Satisfied, w.Branch)
	}
	for i := range t.s.Waits {
		if other := &t.s.Waits[i]; other.Task == task.ID {
			other.Whole = g.progress()
		}
	}
	progress := open.Whole
	if task.Wait.hold(w.Branch).Quorum != nil {
		progress = open.Progress()
	}
	t.consumed(&w, sig.ID, progress, r.grounds)
	t.record(Record{Type: WaitSatisfied, Task: w.Task, Wait: w.ID, Signal: sig.ID})
	t.close(w.ID, satisfied)
	if len(g.Satisfied) < g.Need {
		return
	}
	t.closeRest(task, "branch "+w.Branch+" ended the wait")
	output := g.output("completed", envelope, processor, w.Branch)
	if task.Outputs != nil {
		ts.Envelope = envelope
	}
	ts.Gathered = nil
	t.won(task, ts, output, Scope{Signal: envelope, Processor: processor, Gathered: g})
}

func joined(one, other string) string {
	if one != "" && other != "" {
		one += "; "
	}
	return one + other
}

// enough reports whether what was collected satisfies the wait, and what is
// missing where that is not a number.
func (t *transition) enough(task *Task, ts *TaskState, w *OpenWait) (bool, string) {
	q := task.Wait.hold(w.Branch).Quorum
	switch {
	case q == nil:
		return true, ""
	case q.Until == nil:
		return w.Have >= w.Need, ""
	}
	scope := t.scope(task, ts)
	scope.Gathered, scope.Branch = ts.Gathered, w.Branch
	verdict := q.Until.Judge(scope)
	return verdict.Holds, verdict.Reason
}

// veto ends the wait badly: its signal is enough.
func (t *transition) veto(w OpenWait, sig Signal, grounds string) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	envelope := t.envelope(&sig)
	t.consumed(&w, sig.ID, "it vetoes the wait", grounds)
	t.record(Record{Type: WaitVetoed, Task: w.Task, Wait: w.ID, Signal: sig.ID})
	t.close(w.ID, "another signal vetoed it")
	t.closeRest(task, "signal "+sig.ID+" vetoed the wait")
	ts.Output = ts.Gathered.output("vetoed", envelope, nil, w.Branch)
	ts.Gathered = nil
	t.lose(task, ts, Failed, Failure{
		Code: codeVetoed, Message: fmt.Sprintf("signal %s (%s) vetoed the wait", sig.ID, sig.Name),
		Details: ValueOf(map[string]string{"signal_id": sig.ID, "signal_name": sig.Name}),
	})
}

// codeVetoed is the failure of a task whose wait was vetoed.
const codeVetoed = "WAIT_VETOED"

// closeRest closes what is still open of a wait that has ended.
func (t *transition) closeRest(task *Task, reason string) {
	for i := 0; i < len(t.s.Waits); {
		w := t.s.Waits[i]
		if w.Task != task.ID {
			i++
			continue
		}
		t.record(Record{Type: WaitClosed, Task: w.Task, Wait: w.ID, Reason: reason})
		t.close(w.ID, reason)
	}
}

// output is what a wait gives that gathered: how it ended, by which signal and
// branch, and everything that it collected.
func (g *Gathering) output(status string, envelope, processor Value, branch string) Value {
	return ValueOf(gathered{
		Status: status, Signal: envelope, Processor: processor, Branch: branch, Branches: g.Satisfied, Collected: g.list(""),
	})
}

type gathered struct {
	Status    string   `json:"wait_status"` // completed, vetoed, timed_out
	Signal    Value    `json:"signal,omitempty"`
	Processor Value    `json:"processor_output,omitempty"`
	Branch    string   `json:"branch,omitempty"`
	Branches  []string `json:"branches,omitempty"`
	Collected Value    `json:"collected"`
}
