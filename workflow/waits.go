package workflow

import (
	"slices"
	"strconv"
	"strings"
)

// signalled judges a signal by the open waits of its name, oldest first, and
// keeps it when none takes it.
func (t *transition) signalled(in *Signalled) bool {
	sig := &in.Signal
	if sig.Redelivered {
		t.s.Recent = slices.DeleteFunc(t.s.Recent, func(id string) bool { return id == sig.ID })
	}
	if t.known(sig.ID) || admit(t.def, t.s, sig, t.at) != nil {
		return false
	}
	if in.OnlyIfMatched && !t.s.Paused && !t.takeable(sig) {
		return false
	}
	t.input(Record{Signal: sig.ID})
	if len(t.s.Buffer) == 0 {
		t.s.Buffer = t.land()
	}
	t.s.Buffer = append(t.s.Buffer, Buffered{Signal: *sig, Transient: in.OnlyIfMatched, JudgedAt: t.s.Context})
	switch {
	case t.s.Paused:
		t.kept(sig.ID).Reason = "the execution is paused; the signal is judged when it resumes"
	case in.OnlyIfMatched:
		t.reach(sig.ID, nil)
	default:
		t.judge(sig.ID, 0)
	}
	t.keep(sig.ID)
	return true
}

// land is a buffer with room for the signal that comes. Nearly always a wait takes it at
// once, so that room is lent, and vacate has whatever stays moved out of it.
func (t *transition) land() []Buffered {
	if cap(t.berth) == 0 {
		t.berth = make([]Buffered, 0, 1)
	}
	return t.berth
}

func (t *transition) vacate() {
	if cap(t.berth) == 0 {
		return
	}
	lent := t.berth[:1]
	switch {
	case len(t.s.Buffer) == 0:
		t.s.Buffer = nil
	case &t.s.Buffer[0] == &lent[0]:
		t.s.Buffer = slices.Clone(t.s.Buffer)
	}
	clear(lent)
}

// known reports whether a signal of that id was applied or is kept already.
func (t *transition) known(id string) bool {
	return slices.Contains(t.s.Recent, id) || t.kept(id) != nil
}

// takeable reports whether some open wait would take the signal, or has to run
// its processor to know.
func (t *transition) takeable(sig *Signal) bool {
	for i := range t.s.Waits {
		w := &t.s.Waits[i]
		if w.Name != sig.Name || w.Judging != "" {
			continue // an event is not kept until a processor is free
		}
		hold := t.def.HoldOf(w)
		if uncorrelated(hold, w, sig) == "" && (hold.Processor != nil || t.rule(w, sig, nil, false).takes()) {
			return true
		}
	}
	return false
}

// keep tells the history that a signal which has just come stays in the buffer.
func (t *transition) keep(id string) {
	b := t.kept(id)
	if b == nil { // consumed, or gone with the execution
		return
	}
	b.Minted = false    // its sender has the id now
	if b.Reason == "" { // no wait had a say
		b.Reason = "no wait for " + strconv.Quote(b.Name) + " is open now"
	}
	if b.ExpiresAt != 0 {
		t.arm(TimerExpiry, id, b.ExpiresAt)
	}
	if !b.Transient {
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
		if t.s.Buffer[i].Transient { // it came during a pause, or its wait has ended
			t.reach(id, nil)
			continue
		}
		t.judge(id, 0)
		if b := t.kept(id); b != nil && !t.judging(id) && b.Reason != before {
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
	t.said = t.said && from > 0
	for i := from; i < len(t.s.Waits); i++ {
		w, b := &t.s.Waits[i], t.kept(id)
		if w.Name == b.Name && t.offer(w, b) {
			return
		}
	}
}

// offer asks a wait whether it takes a signal; true when it does, or when its
// processor works on the signal first.
func (t *transition) offer(w *OpenWait, b *Buffered) bool {
	if w.Judging != "" {
		if b.Transient && !b.once() {
			t.refuse(w, b, occupied(w))
			return false
		}
		b.Busy = append(slices.Clone(b.Busy), w.ID)
		t.says(b, busy(w.ID))
		return false
	}
	hold := t.def.HoldOf(w)
	if reason := unfit(hold, w, &b.Signal); reason != "" {
		t.refuse(w, b, reason)
		return false
	}
	if hold.Processor != nil {
		w.Judging = b.ID
		b.Reason = processing(w)
		t.process(hold.Processor)
		return true
	}
	return t.take(w, b, nil)
}

// unfit says why a signal is none for the wait, whatever its condition says, "" when
// it is one.
func unfit(hold *Hold, w *OpenWait, sig *Signal) string {
	if reason := uncorrelated(hold, w, sig); reason != "" {
		return reason
	}
	return broken(hold, sig.Payload)
}

// broken says where a payload violates the wait's schema, "" when it does not.
func broken(hold *Hold, payload Value) string {
	if hold.Schema == nil {
		return ""
	}
	violations := hold.Schema.Check(object(payload))
	if len(violations) == 0 {
		return ""
	}
	return "the payload violates the wait's schema at " + strconv.Quote(violations[0].Pointer) + ": " + violations[0].Message
}

// take gives the signal to the wait; false when the wait refuses it.
func (t *transition) take(w *OpenWait, b *Buffered, processor Value) bool {
	r := t.rule(w, &b.Signal, processor, true)
	if r.extends != 0 {
		t.extend(*w, b.ID, r.extends, r.moves)
	}
	switch {
	case !r.takes():
		t.refuse(w, b, r.refused)
		return false
	case r.vetoes:
		t.veto(*w, b.Signal, r.grounds)
	case r.refused != "" || w.Branch == ExtendBranch:
		t.consumed(w, b.ID, "it moved the deadline to "+r.extends.String(), r.grounds)
	case t.s.Task(w.Task).Gathered != nil:
		t.collect(*w, b.Signal, processor, r)
	default:
		t.consume(w, &b.Signal, processor, r.grounds)
	}
	return true
}

// refuse notes on the wait and in the history that a signal was judged and not taken.
func (t *transition) refuse(w *OpenWait, b *Buffered, reason string) {
	if w.LastJudged != b.ID || w.LastReason != reason {
		t.record(Record{Type: SignalJudged, Task: w.Task, Wait: w.ID, Signal: b.ID, Reason: reason})
	}
	w.LastJudged, w.LastReason = b.ID, reason
	t.says(b, "wait "+w.ID+" is open but did not take it: "+reason)
}

// says adds to the reason for which a signal is kept what one wait has to say.
func (t *transition) says(b *Buffered, said string) {
	if t.said && len(b.Reason)+len(said) < maxReason {
		said = b.Reason + "; " + said
	}
	b.Reason, t.said = said, true
}

// process runs the wait's processor on the signal that it judges.
func (t *transition) process(processor *Task) {
	ts := t.taskState(processor)
	*ts = TaskState{
		ID: ts.ID, Kind: Basic, Run: ts.Run + 1, Status: Running,
		Parent: processor.Parent, Previous: processor.Parent, CreatedAt: t.at, UpdatedAt: t.at,
	}
	t.describe(processor, ts)
	t.work(processor, ts)
}

// processed judges the signal that the wait's processor has worked on. The end
// of a processor is no change of context: otherwise two of them would wake each
// other for ever.
func (t *transition) processed(processor *Task, ts *TaskState) {
	i := t.worksFor(processor)
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
	w.Judging, t.said = "", false
	id, all, taken := b.ID, b.Transient && !b.once(), false
	if ts.Status != Success && t.def.HoldOf(w).Condition == nil {
		t.refuse(w, b, "its processor failed: "+ts.Error.Message)
	} else {
		taken = t.take(w, b, result)
	}
	if !taken && !all { // the others were asked when it came
		t.judge(id, i+1)
	}
	t.rest(id)
}

// unbusy lets the signals be judged again that found that wait busy.
func (t *transition) unbusy(waitID string) {
	for i := range t.s.Buffer {
		if b := &t.s.Buffer[i]; slices.Contains(b.Busy, waitID) {
			b.Busy, b.JudgedAt = nil, 0
		}
	}
}

// busy is why a signal is not judged by a wait that judges another one.
func busy(waitID string) string {
	return "the processor of wait " + waitID + " works on another signal"
}

// occupied is the same of an event, which is not kept until the processor is free.
func occupied(w *OpenWait) string { return "its processor works on signal " + w.Judging }

// processing is why a signal is kept that the wait's own processor works on.
func processing(w *OpenWait) string { return "the processor of wait " + w.ID + " works on it" }

type processorResult struct {
	Output Value    `json:"output,omitempty"`
	Error  *Failure `json:"error,omitempty"`
}

// consumed drops a signal that the wait has taken, and says how far that brought
// it and what made its condition hold. An event stays until the last one was asked.
func (t *transition) consumed(w *OpenWait, signalID, progress, grounds string) {
	if b := t.kept(signalID); b.Transient {
		b.Taken = true
	} else {
		fresh := b.Minted
		t.forget(signalID)
		if !fresh {
			t.remember(signalID)
		}
	}
	r := Record{Type: SignalConsumed, Task: w.Task, Wait: w.ID, Signal: signalID, Reason: progress}
	if grounds != "" {
		r.Data = noted(t, judged{grounds})
	}
	t.record(r)
}

// judged is what a record of a consumption says of the condition that held.
type judged struct {
	Grounds string `json:"grounds"`
}

// satisfied is why a wait ends for the signals that it has not judged yet.
const satisfied = "another signal satisfied it"

// consume ends the wait well with the signal. Neither is there any more then.
func (t *transition) consume(w *OpenWait, sig *Signal, processor Value, grounds string) {
	task, ts := t.def.Task(w.Task), t.s.Task(w.Task)
	output, envelope := t.waitOutput(sig, processor)
	waitID, signalID := w.ID, sig.ID
	t.consumed(w, signalID, "", grounds)
	t.close(waitID, satisfied)
	t.record(Record{Type: WaitSatisfied, Task: task.ID, Wait: waitID, Signal: signalID})
	if task.Outputs != nil {
		ts.Envelope = envelope
	}
	t.won(task, ts, output, Scope{Signal: envelope, Processor: processor})
}

// waitOutput is the reference system's {wait_status, signal, processor_output} and
// the envelope of the signal, which is a part of it: both lie on every signal's way.
func (t *transition) waitOutput(sig *Signal, processor Value) (output, envelope Value) {
	if processor == nil {
		processor = Value("null")
	}
	const before, after = `{"wait_status":"completed","signal":`, `,"processor_output":`
	t.text = t.enveloped(sig).appendJSON(append(t.text[:0], before...))
	end := len(t.text)
	t.text = append(append(append(t.text, after...), processor...), '}')
	output = t.cut()
	return output, output[len(before):end:end]
}

// envelope is a signal as expressions and later tasks see it.
func (t *transition) envelope(sig *Signal) Value { return encoded(t, t.enveloped(sig)) }

func (t *transition) enveloped(sig *Signal) envelope {
	received := t.moment.text(sig.ReceivedAt)
	return envelope{
		Payload: object(sig.Payload),
		Metadata: metadata{
			SignalID: sig.ID, Name: sig.Name, ReceivedAtUTC: received, ReceivedAt: received,
			WorkflowID: t.s.WorkflowID, Source: sig.Source, CorrelationID: sig.CorrelationID,
		},
		CorrelationID: sig.CorrelationID,
	}
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

// signalOf is the envelope of the signal that the processor works on.
func (t *transition) signalOf(processor *Task) Value {
	i := t.worksFor(processor)
	if i < 0 {
		return nil
	}
	return t.envelope(&t.kept(t.s.Waits[i].Judging).Signal)
}

// worksFor finds the open wait whose signal the processor works on, -1 for none.
func (t *transition) worksFor(processor *Task) int {
	return slices.IndexFunc(t.s.Waits, func(w OpenWait) bool {
		return w.Task == processor.Parent && w.Branch == processor.Branch && w.Judging != ""
	})
}

// object is a payload as a JSON object: an absent one is empty.
func object(payload Value) Value {
	if payload == nil || string(payload) == "null" {
		return Value("{}")
	}
	return payload
}

// close removes a wait and whatever works for it. Why it ends concerns the
// signals that its processor works on, or that wait for it to be free.
func (t *transition) close(waitID, why string) {
	i := 0
	for t.s.Waits[i].ID != waitID {
		i++
	}
	w := t.s.Waits[i]
	t.s.Waits = slices.Delete(t.s.Waits, i, i+1)
	t.disarm(TimerDeadline, waitID)
	t.miss(&w, why)
	if t.def.HoldOf(&w).Processor != nil {
		t.abandon(&w, why)
	}
}

// abandon tells the signal that the processor of a wait works on, and those that
// wait for it to be free, that the wait has ended. They are judged again by the
// waits that are still open, but for an event, which those have judged.
func (t *transition) abandon(w *OpenWait, why string) {
	if b := t.kept(w.Judging); b != nil {
		t.interrupt(w, why)
		b.JudgedAt, b.Reason = 0, "wait "+w.ID+" ended without taking it: "+t.stopped(w, b, why)
		if !b.once() { // the others have not been asked
			t.rest(b.ID)
		}
	}
	for i := range t.s.Buffer {
		if b := &t.s.Buffer[i]; strings.Contains(b.Reason, busy(w.ID)) {
			b.JudgedAt, b.Busy, b.Reason = 0, nil, "wait "+w.ID+" ended before its processor was free: "+why
			if !b.Transient {
				t.record(Record{Type: SignalBuffered, Signal: b.ID, Reason: b.Reason})
			}
		}
	}
}

// stopped notes that the processor of a wait did not come to an end with a signal.
func (t *transition) stopped(w *OpenWait, b *Buffered, why string) (said string) {
	said = "its processor was stopped: " + why
	t.record(Record{Type: SignalJudged, Task: w.Task, Wait: w.ID, Signal: b.ID, Reason: said})
	return said
}

// forget drops a signal from the buffer.
func (t *transition) forget(id string) {
	t.s.Buffer = slices.DeleteFunc(t.s.Buffer, func(b Buffered) bool { return b.ID == id })
	t.disarm(TimerExpiry, id)
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
			t.interrupt(w, "its signal expired")
			t.unbusy(w.ID)
		}
	}
}

// interrupt stops the processor of a wait.
func (t *transition) interrupt(w *OpenWait, why string) {
	w.Judging = ""
	processor := t.def.HoldOf(w).Processor
	t.disarm(TimerRetry, processor.ID)
	t.disarm(TimerSleep, processor.ID)
	if ts := t.s.Task(processor.ID); !ts.Status.Finished() {
		t.stop(ts, "stopped: "+why)
	}
	t.s.Held = slices.DeleteFunc(t.s.Held, func(h HeldInput) bool { return h.task() == processor.ID })
}
