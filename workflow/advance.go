package workflow

import (
	"fmt"
	"slices"
)

// Advance is the whole behaviour of a workflow. It reads nothing but its
// arguments and changes none of them. An input that says nothing new - a
// duplicate, a timer that is not armed, the result of an attempt that is over,
// anything for a finished execution - returns the state as it was, with no
// records and no effects. An error means that definition and state disagree,
// which no input can cause; the driver quarantines the execution.
func Advance(def *Definition, s State, in Input) (State, []Record, []Effect, error) {
	var room Room
	next, err := room.Advance(def, &s, in)
	if next == nil {
		return s, nil, nil, err
	}
	return *next, room.Records, room.Effects, nil
}

// Room is where many inputs are folded one after another. Records and effects
// gather in it.
type Room struct {
	Records []Record
	Effects []Effect
	spare   *State
	t       transition
}

// Advance is the function of that name. The next state is nil when the input says
// nothing new, or with an error; then nothing is gathered.
func (r *Room) Advance(def *Definition, s *State, in Input) (*State, error) {
	if err := agree(def, s, in); err != nil {
		return nil, err
	}
	t := &r.t
	t.pass = pass{
		def: def, s: s.clone(r.spare), in: in, at: max(in.When(), s.UpdatedAt), records: r.Records, effects: r.Effects,
	}
	r.spare = nil
	if !t.apply(in) {
		r.spare = t.s
		return nil, nil
	}
	t.settle()
	t.vacate()
	t.s.Version++
	t.s.UpdatedAt = t.at
	r.Records, r.Effects = t.records, t.effects
	return t.s, nil
}

// Reuse gives back a state of Advance that nobody looks at any more: the next one
// is made in its place.
func (r *Room) Reuse(s *State) { r.spare = s }

// Keep is Reuse of a state that lies in the room until some other execution needs it.
func (r *Room) Keep(s *State) {
	*s = State{Tasks: emptied(s.Tasks), Waits: emptied(s.Waits), Timers: emptied(s.Timers), Recent: emptied(s.Recent)}
	r.spare = s
}

// emptied is the room of a list, unless that is much.
func emptied[E any](list []E) []E {
	if cap(list) > maxKeptItems {
		return nil
	}
	clear(list)
	return list[:0]
}

// Clear forgets everything that gathered and keeps the room for it. Nobody may
// look at its records and effects any more.
func (r *Room) Clear() {
	clear(r.Records)
	clear(r.Effects)
	r.Records, r.Effects, r.spare = r.Records[:0], r.Effects[:0], nil
	r.t.pass, r.t.room = pass{}, Scope{}
	if r.t.notes = r.t.notes[:0]; cap(r.t.notes) > maxKeptNotes {
		r.t.notes = nil
	}
}

// agree refuses a state that this definition cannot have led to.
func agree(def *Definition, s *State, in Input) error {
	if s.Version == 0 {
		return nil
	}
	if s.Definition != def.Hash {
		return fmt.Errorf("execution %s runs version %.12s of %s, not %.12s", s.ExecID, s.Definition, s.WorkflowID, def.Hash)
	}
	for i := range s.Tasks {
		if def.Task(s.Tasks[i].ID) == nil {
			return fmt.Errorf("execution %s has a task %q that version %.12s of %s does not", s.ExecID, s.Tasks[i].ID, def.Hash, def.ID)
		}
	}
	return nil
}

// transition is one Advance under way: the only place where a state changes. It has
// the room of those before.
type transition struct {
	pass
	room   Scope  // see brief
	text   []byte // see encoded
	notes  []byte // see noted
	moment lastMoment
	berth  []Buffered // see land
}

// pass is what a transition knows of one input.
type pass struct {
	def     *Definition
	s       *State
	in      Input
	at      Instant
	records []Record
	effects []Effect
	steps   int
	said    bool // some wait has said why it does not take the signal that is being judged

	reaching string   // id of the event that is being given to every wait, see reach
	unasked  []string // ids of the waits that are still to be asked about it
}

// apply gives the input to the state; false when it changes nothing.
func (t *transition) apply(in Input) bool {
	if start, ok := in.(Started); ok {
		return t.begin(start)
	}
	if t.s.Version == 0 || t.s.Status.Finished() {
		return false
	}
	switch in := in.(type) {
	case Signalled:
		return t.signalled(&in)
	case TimerFired:
		return t.timerFired(in)
	case TaskDone:
		return t.taskDone(in)
	case TaskFailed:
		return t.taskFailed(in)
	case PauseAsked:
		return t.pause(in)
	case ResumeAsked:
		return t.resume(in)
	case DeadlineMoved:
		return t.moved(in)
	case CancelAsked:
		t.input(Record{Reason: in.Reason})
		t.finish(Canceled, &Failure{Code: "CANCELED", Message: "canceled" + by(in.By) + because(in.Reason)})
		return true
	}
	return false
}

func (t *transition) begin(in Started) bool {
	if t.s.Version != 0 {
		return false
	}
	*t.s = State{
		ExecID: in.ExecID, WorkflowID: in.WorkflowID, Definition: in.Definition,
		Status: Running, Input: in.Input, Trigger: in.Origin, CreatedAt: t.at,
		Key: in.Key, Unique: in.Unique, Labels: in.Labels,
	}
	t.input(Record{})
	for _, id := range t.def.Roots {
		t.start(t.def.Task(id), "")
	}
	return true
}

func (t *transition) pause(in PauseAsked) bool {
	if t.s.Paused {
		return false
	}
	t.input(Record{})
	t.s.Paused = true
	return true
}

// resume lets the time that passed during the pause happen in its order: for
// each timer that came due, first the results and signals that came before it.
func (t *transition) resume(in ResumeAsked) bool {
	if !t.s.Paused {
		return false
	}
	t.input(Record{})
	t.s.Paused = false
	t.s.Context++ // signals that came while paused were judged by nobody
	for {
		i, due := t.earliest()
		limit := t.at
		if due {
			limit = t.s.Timers[i].Due
		}
		t.applyHeld(limit)
		t.judgeBuffer(limit)
		if t.s.Status.Finished() || !due {
			return true
		}
		// What was applied may have closed the wait whose timer this was.
		if j, still := t.earliest(); still {
			t.fire(t.s.Timers[j])
		}
	}
}

// earliest finds the due timer that comes first, by time and then by id.
func (t *transition) earliest() (int, bool) {
	best := -1
	for i, timer := range t.s.Timers {
		if timer.Due > t.at {
			continue
		}
		if best < 0 || timer.Due < t.s.Timers[best].Due ||
			timer.Due == t.s.Timers[best].Due && timer.ID < t.s.Timers[best].ID {
			best = i
		}
	}
	return best, best >= 0
}

func (t *transition) applyHeld(until Instant) {
	for !t.s.Status.Finished() {
		i := slices.IndexFunc(t.s.Held, func(h HeldInput) bool { return h.when() <= until })
		if i < 0 {
			return
		}
		held := t.s.Held[i]
		t.s.Held = slices.Delete(t.s.Held, i, i+1)
		if held.Done != nil {
			t.succeed(*held.Done)
		} else {
			t.fail(*held.Failed)
		}
	}
}

func (t *transition) timerFired(in TimerFired) bool {
	if t.s.Paused {
		return false
	}
	i := slices.IndexFunc(t.s.Timers, func(timer Timer) bool { return timer.ID == in.Timer })
	if i < 0 || t.s.Timers[i].Due > in.At {
		return false
	}
	timer := t.s.Timers[i]
	t.input(Record{Reason: "the " + string(timer.Kind) + " of " + timer.Of})
	t.fire(timer)
	return true
}

func (t *transition) fire(timer Timer) {
	t.disarm(timer.Kind, timer.Of)
	switch timer.Kind {
	case TimerDeadline:
		t.waitTimedOut(timer.Of)
	case TimerExpiry:
		t.expire(timer.Of)
	case TimerSleep:
		t.awake(timer.Of)
	case TimerRetry:
		t.retry(timer.Of)
	case TimerRemind:
		t.remind(timer.Of)
	}
}

func (t *transition) arm(kind TimerKind, of string, due Instant) {
	t.s.Timers = append(t.s.Timers, Timer{ID: string(kind) + ":" + of, Kind: kind, Of: of, Due: due})
}

func (t *transition) disarm(kind TimerKind, of string) {
	t.s.Timers = slices.DeleteFunc(t.s.Timers, func(timer Timer) bool { return timer.Kind == kind && timer.Of == of })
}

// settle brings the execution to rest: signals meet the waits that opened, and
// an execution in which nothing is left to happen is finished.
func (t *transition) settle() {
	if t.s.Status.Finished() {
		return
	}
	if !t.s.Paused {
		t.judgeBuffer(t.at)
	}
	if t.s.Status.Finished() {
		return
	}
	t.rekey()
	switch {
	case t.s.Paused:
		t.s.Status = Paused
	case t.s.working():
		t.s.Status = Running
	case len(t.s.Waits) > 0:
		t.s.Status = Waiting
	default:
		t.finish(Success, nil)
	}
}

// working reports whether some task has something to do, now or at its time.
func (s *State) working() bool {
	for i := range s.Tasks {
		if status := s.Tasks[i].Status; status == Running || status == Pending {
			return true
		}
	}
	return false
}

// usualRecords is room for what most inputs leave behind, usualID for the id of a
// wait, and usualBody for what a digest is made of.
const (
	usualRecords = 6
	usualID      = 128
	usualBody    = 512
)

// input writes the record that carries an input, so that history can be replayed.
func (t *transition) input(r Record) {
	r.Type = t.in.Kind()
	if in, ok := t.in.(encoder); ok {
		r.Data = noted(t, in)
	} else {
		r.Data = ValueOf(t.in)
	}
	t.record(r)
}

func (t *transition) record(r Record) {
	if t.records == nil {
		t.records = make([]Record, 0, usualRecords)
	}
	t.s.Seq++
	r.Seq, r.At = t.s.Seq, t.at
	t.records = append(t.records, r)
}

// finish ends the execution: nothing stays open, and whatever was kept for a
// later wait is told that there will be none.
func (t *transition) finish(status Status, failure *Failure) {
	if t.s.Status.Finished() {
		return
	}
	for i := range t.s.Tasks {
		t.stop(&t.s.Tasks[i], "canceled with the execution")
	}
	for _, w := range t.s.Waits {
		why := endedAs(status)
		t.record(Record{Type: WaitClosed, Task: w.Task, Wait: w.ID, Reason: why})
		t.miss(&w, why)
		if b := t.kept(w.Judging); b != nil && b.Transient {
			t.stopped(&w, b, why) // others may have taken it
		}
	}
	for _, b := range t.s.Buffer {
		if !b.Taken {
			t.record(Record{Type: SignalDead, Signal: b.ID, Reason: endedAs(status) + " before a wait took it"})
		}
	}
	t.s.Waits, t.s.Buffer, t.s.Timers, t.s.Held = nil, nil, nil, nil
	t.s.Paused = false
	t.s.Status, t.s.Error, t.s.FinishedAt = status, failure, t.at
	if status == Success {
		t.output()
	}
	data := noted(t, finished{Status: t.s.Status, Error: t.s.Error})
	t.record(Record{Type: ExecutionFinished, Data: data})
}

func endedAs(status Status) string { return "the execution ended " + string(status) }

type finished struct {
	Status Status   `json:"status"`
	Error  *Failure `json:"error,omitempty"`
}

// output renders the execution's result; a template that fails makes the
// execution fail, because its caller would get something else than it asked for.
func (t *transition) output() {
	if t.def.Outputs == nil {
		return // State.Result makes it when it is asked for
	}
	out, err := t.def.Outputs.Render(&Scope{State: t.s, Now: t.at, Previous: t.s.Last})
	if err == nil {
		err = fits("the outputs of the workflow", out)
	}
	if err != nil {
		t.s.Status = Failed
		t.s.Error = &Failure{Code: "OUTPUT_TRANSFORMATION_FAILED", Message: "outputs: " + err.Error()}
		return
	}
	t.s.Output = out
}

// stop ends a task that has not ended, without following any transition.
func (t *transition) stop(ts *TaskState, why string) {
	switch ts.Status {
	case Running:
		if !held(t.s, ts.ID) {
			t.effects = append(t.effects, CancelTask{ExecID: t.s.ExecID, Task: ts.ID, Run: ts.Run, Attempt: ts.Attempt})
		}
	case Pending, Waiting:
	default:
		return
	}
	ts.Status, ts.Request, ts.TimeoutMS, ts.Gathered, ts.UpdatedAt = Canceled, nil, 0, nil, t.at
	t.record(Record{Type: TaskEnded, Task: ts.ID, Reason: why})
}

func (h HeldInput) when() Instant {
	if h.Done != nil {
		return h.Done.At
	}
	return h.Failed.At
}

func (h HeldInput) task() string {
	if h.Done != nil {
		return h.Done.Task
	}
	return h.Failed.Task
}

// clone copies what a transition may change in place, into a state that is not
// used any more if there is one; values are shared.
func (s *State) clone(spare *State) *State {
	var old State
	if spare == nil {
		spare = new(State)
	} else {
		old = *spare
	}
	*spare = *s
	spare.Tasks = refill(old.Tasks, s.Tasks)
	spare.Waits = refill(old.Waits, s.Waits)
	spare.Buffer = refill(old.Buffer, s.Buffer)
	spare.Timers = refill(old.Timers, s.Timers)
	spare.Held = refill(old.Held, s.Held)
	spare.Recent = refill(old.Recent, s.Recent)
	return spare
}

// refill copies a list into the room of an old one.
func refill[E any](old, from []E) []E {
	if from == nil || old == nil {
		return slices.Clone(from)
	}
	return append(old[:0], from...)
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func fits(what string, v Value) error {
	if len(v) > MaxValue {
		return fmt.Errorf("%s are %d bytes, more than the %d that a value may have", what, len(v), MaxValue)
	}
	return nil
}
