package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// open makes the wait hold. The signals that came before it are judged when
// the transition settles.
func (t *transition) open(task *Task, ts *TaskState) {
	name, err := text(task.Wait.Name, t.scope(task, ts))
	var deadline Instant
	if err == nil && task.Timeout != nil {
		hold, bad := t.duration(task.Timeout, task, ts)
		deadline, err = t.at.Add(hold), bad
	}
	var path, key string
	if err == nil {
		path, key, err = t.correlate(task, ts)
	}
	if err != nil {
		t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "wait: " + err.Error()})
		return
	}
	w := OpenWait{ID: task.ID + "/" + strconv.Itoa(ts.Run), Task: task.ID, Name: name, Path: path, Key: key, OpenedAt: t.at, Deadline: deadline}
	if task.Wait.Condition != nil {
		w.Condition = task.Wait.Condition.Source()
	}
	ts.Status, ts.UpdatedAt = Waiting, t.at
	t.s.Waits = append(t.s.Waits, w)
	t.s.Context++
	if deadline != 0 {
		t.arm(TimerDeadline, w.ID, deadline)
	}
	t.record(Record{Type: WaitOpened, Task: task.ID, Wait: w.ID, Data: ValueOf(opened{name, w.Condition, w.Key, deadline})})
}

type opened struct {
	Name      string  `json:"name"`
	Condition string  `json:"condition,omitempty"`
	Key       string  `json:"key,omitempty"`
	Deadline  Instant `json:"deadline,omitempty"`
}

// signalled judges a signal by the open waits of its name, oldest first, and
// keeps it when none takes it.
func (t *transition) signalled(in Signalled) bool {
	sig := in.Signal
	if t.known(sig.ID) || Admit(t.def, &t.s, sig) != nil {
		return false
	}
	if in.OnlyIfMatched && !t.s.Paused && !t.takeable(sig) {
		return false
	}
	t.input(in, Record{Signal: sig.ID})
	b := Buffered{Signal: sig, Transient: in.OnlyIfMatched, JudgedAt: t.s.Context}
	b.Reason = "no wait for " + strconv.Quote(sig.Name) + " is open now"
	if t.s.Paused {
		b.Reason = "the execution is paused; the signal is judged when it resumes"
	}
	t.s.Buffer = append(t.s.Buffer, b)
	if !t.s.Paused {
		t.judge(sig.ID, 0)
	}
	t.keep(sig.ID)
	return true
}

// known reports whether a signal of that id was applied or is kept already.
func (t *transition) known(id string) bool {
	return slices.Contains(t.s.Recent, id) ||
		slices.ContainsFunc(t.s.Buffer, func(b Buffered) bool { return b.ID == id })
}

// takeable reports whether some open wait would take the signal, or has to run
// its processor to know.
func (t *transition) takeable(sig Signal) bool {
	for i := range t.s.Waits {
		w := &t.s.Waits[i]
		if w.Name != sig.Name {
			continue
		}
		task := t.def.Task(w.Task)
		if uncorrelated(task, w, sig) == "" && (task.Wait.Processor != nil || t.verdict(task, sig, nil).Holds) {
			return true
		}
	}
	return false
}

// keep tells the history that a signal which has just come stays in the buffer.
func (t *transition) keep(id string) {
	b := t.kept(id)
	switch {
	case b == nil: // consumed, or gone with the execution
	case b.Transient:
		if !t.s.Paused && !t.judging(id) {
			t.passBy(id)
		}
	default:
		if b.ExpiresAt != 0 {
			t.arm(TimerExpiry, id, b.ExpiresAt)
		}
		t.record(Record{Type: SignalBuffered, Signal: id, Reason: b.Reason})
	}
}

// kept finds a signal in the buffer, nil when it is not there.
func (t *transition) kept(id string) *Buffered {
	for i := range t.s.Buffer {
		if t.s.Buffer[i].ID == id {
			return &t.s.Buffer[i]
		}
	}
	return nil
}

// judgeBuffer judges, in arrival order, the kept signals that came until then
// and that the open waits have not judged in the present context. A consumption
// changes the context, so it starts over until nothing more is taken.
func (t *transition) judgeBuffer(until Instant) {
	for !t.s.Status.Finished() {
		i := slices.IndexFunc(t.s.Buffer, func(b Buffered) bool {
			return b.JudgedAt != t.s.Context && b.ReceivedAt <= until
		})
		if i < 0 {
			return
		}
		id, before := t.s.Buffer[i].ID, t.s.Buffer[i].Reason
		t.s.Buffer[i].JudgedAt, t.s.Buffer[i].Busy = t.s.Context, nil
		if t.judging(id) {
			continue
		}
		t.judge(id, 0)
		switch b := t.kept(id); {
		case b == nil || t.judging(id):
		case b.Transient:
			t.passBy(id)
		case b.Reason != before:
			t.record(Record{Type: SignalBuffered, Signal: id, Reason: b.Reason})
		}
	}
}

// judging reports whether the processor of some wait works on that signal now.
func (t *transition) judging(id string) bool {
	return slices.ContainsFunc(t.s.Waits, func(w OpenWait) bool { return w.Judging == id })
}

// judge offers a kept signal to the open waits of its name, from the given one
// on, until one consumes it or has its processor work on it. Otherwise the
// signal stays, with the reason why.
func (t *transition) judge(id string, from int) {
	for i := from; i < len(t.s.Waits); i++ {
		w, b := &t.s.Waits[i], t.kept(id)
		if w.Name != b.Name {
			continue
		}
		task := t.def.Task(w.Task)
		if w.Judging != "" {
			b.Busy = append(slices.Clone(b.Busy), w.ID)
			b.Reason = "the processor of wait " + w.ID + " works on another signal"
			continue
		}
		if other := uncorrelated(task, w, b.Signal); other != "" {
			t.refuse(w, b, other)
			continue
		}
		if broken := t.broken(task, b.Payload); broken != "" {
			t.refuse(w, b, broken)
			continue
		}
		if task.Wait.Processor != nil {
			w.Judging = id
			b.Reason = "the processor of wait " + w.ID + " works on it"
			t.process(task)
			return
		}
		if verdict := t.verdict(task, b.Signal, nil); !verdict.Holds {
			t.refuse(w, b, verdict.Reason)
			continue
		}
		t.consume(*w, b.Signal, nil)
		return
	}
}

// broken says where a payload violates the wait's schema, "" when it does not.
func (t *transition) broken(task *Task, payload Value) string {
	if task.Wait.Schema == nil {
		return ""
	}
	violations := task.Wait.Schema.Check(object(payload))
	if len(violations) == 0 {
		return ""
	}
	return "the payload violates the wait's schema at " + strconv.Quote(violations[0].Pointer) + ": " + violations[0].Message
}

func (t *transition) verdict(task *Task, sig Signal, processor Value) Verdict {
	if task.Wait.Condition == nil {
		return Verdict{Holds: true}
	}
	scope := t.scope(task, t.s.Task(task.ID))
	scope.Signal, scope.Processor = t.envelope(sig), processor
	return task.Wait.Condition.Judge(scope)
}

// refuse notes on the wait and in the history that a signal was judged and not taken.
func (t *transition) refuse(w *OpenWait, b *Buffered, reason string) {
	if w.LastJudged != b.ID || w.LastReason != reason {
		t.record(Record{Type: SignalJudged, Task: w.Task, Wait: w.ID, Signal: b.ID, Reason: reason})
	}
	w.LastJudged, w.LastReason = b.ID, reason
	b.Reason = "wait " + w.ID + " is open but did not take it: " + reason
}

// process runs the wait's processor on the signal that it judges.
func (t *transition) process(task *Task) {
	processor := task.Wait.Processor
	ts := t.taskState(processor)
	*ts = TaskState{ID: ts.ID, Kind: Basic, Run: ts.Run + 1, Status: Running, Parent: task.ID, Previous: task.ID, CreatedAt: t.at, UpdatedAt: t.at}
	t.describe(processor, ts)
	t.work(processor, ts)
}

// processed judges the signal that the wait's processor has worked on. The end
// of a processor is no change of context: otherwise two of them would wake each
// other for ever.
func (t *transition) processed(processor *Task, ts *TaskState) {
	task := t.def.Task(processor.Parent)
	i := slices.IndexFunc(t.s.Waits, func(w OpenWait) bool { return w.Task == task.ID && w.Judging != "" })
	if i < 0 {
		return
	}
	w := &t.s.Waits[i]
	b := t.kept(w.Judging)
	result := ValueOf(processorResult{Output: ts.Output})
	if ts.Status != Success {
		result = ValueOf(processorResult{Error: ts.Error})
	}
	t.unbusy(w.ID)
	verdict := t.verdict(task, b.Signal, result)
	if ts.Status != Success && task.Wait.Condition == nil {
		verdict = Verdict{Reason: "its processor failed: " + ts.Error.Message}
	}
	w.Judging = ""
	if verdict.Holds {
		t.consume(*w, b.Signal, result)
		return
	}
	t.refuse(w, b, verdict.Reason)
	id := b.ID
	t.judge(id, i+1)
	if b := t.kept(id); b != nil && b.Transient && !t.judging(id) {
		t.passBy(id)
	}
}

// passBy forgets an event's delivery that no wait took.
func (t *transition) passBy(id string) {
	t.forget(id)
	t.remember(id)
	t.record(Record{Type: SignalDead, Signal: id, Reason: "an event that no wait took is not kept"})
}

// unbusy lets the signals be judged again that found that wait busy.
func (t *transition) unbusy(waitID string) {
	for i := range t.s.Buffer {
		if b := &t.s.Buffer[i]; slices.Contains(b.Busy, waitID) {
			b.Busy, b.JudgedAt = nil, 0
		}
	}
}

type processorResult struct {
	Output Value    `json:"output,omitempty"`
	Error  *Failure `json:"error,omitempty"`
}

// consume ends the wait well with the signal.
func (t *transition) consume(w OpenWait, sig Signal, processor Value) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	envelope := t.envelope(sig)
	t.close(w.ID)
	t.forget(sig.ID)
	t.remember(sig.ID)
	t.record(Record{Type: SignalConsumed, Task: w.Task, Wait: w.ID, Signal: sig.ID})
	t.record(Record{Type: WaitSatisfied, Task: w.Task, Wait: w.ID, Signal: sig.ID})
	if task.Outputs != nil {
		ts.Envelope = envelope
	}
	t.won(task, ts, waitOutput(envelope, processor), Scope{Signal: envelope, Processor: processor})
}

// waitOutput is the reference system's {wait_status, signal, processor_output},
// assembled by hand because it lies on every signal's way.
func waitOutput(envelope, processor Value) Value {
	if processor == nil {
		processor = Value("null")
	}
	out := make([]byte, 0, len(envelope)+len(processor)+64)
	out = append(out, `{"wait_status":"completed","signal":`...)
	out = append(out, envelope...)
	out = append(out, `,"processor_output":`...)
	return append(append(out, processor...), '}')
}

// envelope is a signal as expressions and later tasks see it.
func (t *transition) envelope(sig Signal) Value {
	return ValueOf(envelope{
		Payload: object(sig.Payload),
		Metadata: metadata{
			SignalID: sig.ID, Name: sig.Name, ReceivedAtUTC: sig.ReceivedAt.String(), ReceivedAt: sig.ReceivedAt.String(),
			WorkflowID: t.s.WorkflowID, Source: sig.Source, CorrelationID: sig.CorrelationID,
		},
		CorrelationID: sig.CorrelationID,
	})
}

type envelope struct {
	Payload  Value    `json:"payload"`
	Metadata metadata `json:"metadata"`

	CorrelationID string `json:"correlation_id,omitempty"`
}

type metadata struct {
	SignalID      string `json:"signal_id"`
	Name          string `json:"signal_name"`
	ReceivedAtUTC string `json:"received_at_utc"`
	ReceivedAt    string `json:"received_at"`
	WorkflowID    string `json:"workflow_id"`
	Source        string `json:"source"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

// signalOf is the envelope of the signal that the wait's processor works on.
func (t *transition) signalOf(waitTask string) Value {
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Task == waitTask && w.Judging != "" {
			for _, b := range t.s.Buffer {
				if b.ID == w.Judging {
					return t.envelope(b.Signal)
				}
			}
		}
	}
	return nil
}

// object is a payload as a JSON object: an absent one is empty.
func object(payload Value) Value {
	if payload == nil || string(payload) == "null" {
		return Value("{}")
	}
	return payload
}

// close removes a wait and whatever works for it.
func (t *transition) close(waitID string) {
	i := slices.IndexFunc(t.s.Waits, func(w OpenWait) bool { return w.ID == waitID })
	w := t.s.Waits[i]
	t.s.Waits = slices.Delete(t.s.Waits, i, i+1)
	t.disarm(string(TimerDeadline) + ":" + waitID)
	if w.Judging != "" {
		t.interrupt(&w)
	}
}

// forget drops a signal from the buffer.
func (t *transition) forget(id string) {
	t.s.Buffer = slices.DeleteFunc(t.s.Buffer, func(b Buffered) bool { return b.ID == id })
	t.disarm(string(TimerExpiry) + ":" + id)
}

// remember notes an applied signal, so that its duplicate is a no-op.
func (t *transition) remember(id string) {
	if len(t.s.Recent) >= MaxRecent {
		t.s.Recent = slices.Delete(t.s.Recent, 0, len(t.s.Recent)-MaxRecent+1)
	}
	t.s.Recent = append(t.s.Recent, id)
}

// expire drops a kept signal whose time to live is over.
func (t *transition) expire(id string) {
	t.forget(id)
	t.remember(id)
	t.record(Record{Type: SignalExpired, Signal: id, Reason: "its time to live ended before a wait took it"})
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Judging == id {
			t.interrupt(w)
			t.unbusy(w.ID)
		}
	}
}

// interrupt stops the processor of a wait.
func (t *transition) interrupt(w *OpenWait) {
	w.Judging = ""
	processor := t.def.Task(w.Task).Wait.Processor
	t.disarm(string(TimerRetry) + ":" + processor.ID)
	t.disarm(string(TimerSleep) + ":" + processor.ID)
	if ts := t.s.Task(processor.ID); !ts.Status.Finished() {
		t.stop(ts)
	}
	t.s.Held = slices.DeleteFunc(t.s.Held, func(h HeldInput) bool { return h.task() == processor.ID })
}

// waitTimedOut ends a wait whose deadline has come.
func (t *transition) waitTimedOut(waitID string) {
	w := t.s.Wait(waitID)
	task, ts, name := t.def.Task(w.Task), t.s.Task(w.Task), w.Name
	after := (w.Deadline - w.OpenedAt).duration()
	t.record(Record{Type: WaitTimedOut, Task: w.Task, Wait: w.ID})
	t.close(waitID)
	details, _ := json.Marshal(map[string]any{"signal_name": name, "timeout": after.String(), "timeout_ms": after.Milliseconds()})
	t.lose(task, ts, TimedOut, Failure{
		Code: "WAIT_TIMEOUT", Message: fmt.Sprintf("wait task timed out after %s", after), Details: details,
	})
}
