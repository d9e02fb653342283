package persistence

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// The encoders below write the same JSON as encoding/json does without HTML
// escaping, but carry every workflow.Value over as the bytes it is. They exist
// because a state is encoded with every transition: they are several times
// faster and allocate nothing. A test fills every field there is by reflection
// and compares both, so a field that is added and forgotten here is noticed.

// AppendState appends the JSON form of a state.
func AppendState(dst []byte, s *workflow.State) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, s.ExecID)
	o.text(`"workflow":`, s.WorkflowID)
	o.text(`"def":`, s.Definition)
	o.unsigned(`"version":`, s.Version)
	o.unsigned(`"seq":`, s.Seq)
	o.text(`"status":`, string(s.Status))
	o.flag(`"paused":`, s.Paused)
	o.value(`"input":`, s.Input)
	if s.Trigger != nil {
		o.name(`"trigger":`)
		o.dst = appendOrigin(o.dst, s.Trigger)
	}
	o.value(`"output":`, s.Output)
	o.failure(s.Error)
	o.someText(`"key":`, s.Key)
	o.flag(`"unique":`, s.Unique)
	list(&o, `"labels":`, s.Labels, appendLabel)
	o.number(`"created":`, int64(s.CreatedAt))
	o.number(`"updated":`, int64(s.UpdatedAt))
	o.someNumber(`"finished":`, int64(s.FinishedAt))
	list(&o, `"tasks":`, s.Tasks, appendTask)
	list(&o, `"waits":`, s.Waits, appendWait)
	list(&o, `"buffer":`, s.Buffer, appendBuffered)
	list(&o, `"timers":`, s.Timers, appendTimer)
	list(&o, `"held":`, s.Held, appendHeld)
	o.someText(`"last":`, s.Last)
	o.someUnsigned(`"context":`, s.Context)
	list(&o, `"recent":`, s.Recent, appendItem)
	return append(o.dst, '}')
}

func appendLabel(dst []byte, l *workflow.Label) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"name":`, l.Name)
	o.text(`"value":`, l.Value)
	return append(o.dst, '}')
}

func appendTask(dst []byte, t *workflow.TaskState) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, t.ID)
	o.text(`"kind":`, string(t.Kind))
	o.number(`"run":`, int64(t.Run))
	o.someNumber(`"attempt":`, int64(t.Attempt))
	o.text(`"status":`, string(t.Status))
	o.someText(`"component":`, t.Component)
	o.someText(`"agent":`, t.AgentID)
	o.someText(`"action":`, t.ActionID)
	o.someText(`"tool":`, t.ToolID)
	o.value(`"input":`, t.Input)
	o.value(`"request":`, t.Request)
	o.someNumber(`"timeout_ms":`, t.TimeoutMS)
	o.value(`"output":`, t.Output)
	o.value(`"envelope":`, t.Envelope)
	o.failure(t.Error)
	o.someText(`"previous":`, t.Previous)
	o.someText(`"parent":`, t.Parent)
	o.number(`"created":`, int64(t.CreatedAt))
	o.number(`"updated":`, int64(t.UpdatedAt))
	return append(o.dst, '}')
}

func appendWait(dst []byte, w *workflow.OpenWait) []byte {
	o := object{dst: append(dst, '{')}
	o.wait(w)
	return append(o.dst, '}')
}

func (o *object) wait(w *workflow.OpenWait) {
	o.text(`"id":`, w.ID)
	o.text(`"task":`, w.Task)
	o.text(`"name":`, w.Name)
	o.someText(`"condition":`, w.Condition)
	o.number(`"opened":`, int64(w.OpenedAt))
	o.someNumber(`"deadline":`, int64(w.Deadline))
	o.someText(`"judging":`, w.Judging)
	o.someText(`"last_judged":`, w.LastJudged)
	o.someText(`"last_reason":`, w.LastReason)
}

func appendBuffered(dst []byte, b *workflow.Buffered) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, b.ID)
	o.someText(`"exec":`, b.ExecID)
	o.text(`"name":`, b.Name)
	o.value(`"payload":`, b.Payload)
	o.someText(`"correlation_id":`, b.CorrelationID)
	o.someText(`"source":`, b.Source)
	o.someText(`"by":`, b.By)
	o.number(`"received":`, int64(b.ReceivedAt))
	o.someNumber(`"expires":`, int64(b.ExpiresAt))
	o.flag(`"force":`, b.Force)
	o.someText(`"reason":`, b.Reason)
	o.someUnsigned(`"judged_at":`, b.JudgedAt)
	list(&o, `"busy":`, b.Busy, appendItem)
	o.flag(`"transient":`, b.Transient)
	return append(o.dst, '}')
}

func appendTimer(dst []byte, t *workflow.Timer) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, t.ID)
	o.text(`"kind":`, string(t.Kind))
	o.text(`"of":`, t.Of)
	o.number(`"due":`, int64(t.Due))
	return append(o.dst, '}')
}

func appendOrigin(dst []byte, t *workflow.Origin) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"type":`, t.Type)
	o.someText(`"name":`, t.Name)
	o.value(`"payload":`, t.Payload)
	o.someText(`"event_id":`, t.EventID)
	o.someText(`"correlation_id":`, t.CorrelationID)
	return append(o.dst, '}')
}

// appendHeld is rare, a task's result that came while its execution was paused,
// so it takes the slow way.
func appendHeld(dst []byte, h *workflow.HeldInput) []byte { return appendAny(dst, h) }

func appendItem(dst []byte, s *string) []byte { return appendText(dst, *s) }

// AppendRecords appends the JSON array of records.
func AppendRecords(dst []byte, records []workflow.Record) []byte {
	dst = append(dst, '[')
	for i := range records {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &records[i]
		o := object{dst: append(dst, '{')}
		o.unsigned(`"seq":`, r.Seq)
		o.number(`"at":`, int64(r.At))
		o.text(`"type":`, r.Type)
		o.someText(`"task":`, r.Task)
		o.someText(`"wait":`, r.Wait)
		o.someText(`"signal":`, r.Signal)
		o.someText(`"reason":`, r.Reason)
		o.value(`"data":`, r.Data)
		dst = append(o.dst, '}')
	}
	return append(dst, ']')
}

// AppendReceipt appends the JSON form of a receipt.
func AppendReceipt(dst []byte, r *workflow.Receipt) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, r.SignalID)
	o.text(`"exec":`, r.ExecID)
	o.text(`"name":`, r.Name)
	o.text(`"digest":`, r.Digest)
	o.someText(`"by":`, r.By)
	o.someText(`"source":`, r.Source)
	o.text(`"fate":`, string(r.Fate))
	o.name(`"answer":`)
	o.dst = appendAnswer(o.dst, &r.Answer)
	o.name(`"steps":`)
	if r.Steps == nil {
		o.dst = append(o.dst, "null"...)
	} else {
		o.dst = array(o.dst, r.Steps, appendStep)
	}
	o.number(`"at":`, int64(r.At))
	return append(o.dst, '}')
}

func appendAnswer(dst []byte, a *workflow.Answer) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"signal_id":`, a.SignalID)
	o.text(`"outcome":`, string(a.Outcome))
	o.name(`"duplicate":`)
	o.dst = strconv.AppendBool(o.dst, a.Duplicate)
	o.someText(`"reason":`, a.Reason)
	o.someText(`"wait_id":`, a.WaitID)
	o.someText(`"wait_task":`, a.WaitTask)
	o.someNumber(`"expires":`, int64(a.ExpiresAt))
	o.text(`"status":`, string(a.Status))
	return append(o.dst, '}')
}

func appendStep(dst []byte, s *workflow.Step) []byte {
	o := object{dst: append(dst, '{')}
	o.number(`"at":`, int64(s.At))
	o.text(`"what":`, s.What)
	o.someText(`"wait":`, s.Wait)
	o.someUnsigned(`"record":`, s.Record)
	o.someText(`"reason":`, s.Reason)
	return append(o.dst, '}')
}

// AppendEventReceipt appends the JSON form of an event's receipt.
func AppendEventReceipt(dst []byte, r *workflow.EventReceipt) []byte {
	o := object{dst: append(dst, '{')}
	o.name(`"event":`)
	o.dst = appendEvent(o.dst, &r.Event)
	o.text(`"fate":`, string(r.Fate))
	list(&o, `"steps":`, r.Steps, appendStep)
	list(&o, `"deliveries":`, r.Deliveries, appendDelivery)
	o.someText(`"reason":`, r.Reason)
	return append(o.dst, '}')
}

func appendEvent(dst []byte, e *workflow.Event) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"id":`, e.ID)
	o.text(`"name":`, e.Name)
	o.value(`"payload":`, e.Payload)
	o.someText(`"correlation_id":`, e.CorrelationID)
	o.someText(`"source":`, e.Source)
	o.someText(`"by":`, e.By)
	o.number(`"received":`, int64(e.ReceivedAt))
	o.someText(`"traceparent":`, e.TraceParent)
	return append(o.dst, '}')
}

func appendDelivery(dst []byte, d *workflow.Delivery) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"kind":`, d.Kind)
	o.someText(`"workflow_id":`, d.WorkflowID)
	o.someText(`"exec_id":`, d.ExecID)
	o.someText(`"wait_id":`, d.WaitID)
	o.text(`"outcome":`, d.Outcome)
	o.someText(`"reason":`, d.Reason)
	o.number(`"at":`, int64(d.At))
	return append(o.dst, '}')
}

// waitRow is the JSON form of a row of the waits index: the wait, and the
// workflow that a filter asks for. The execution is in the key.
type waitRow struct {
	WorkflowID string `json:"workflow"`
	workflow.OpenWait
}

// AppendWaitRow appends what a row of the waits index says about a wait.
func AppendWaitRow(dst []byte, workflowID string, w *workflow.OpenWait) []byte {
	o := object{dst: append(dst, '{')}
	o.text(`"workflow":`, workflowID)
	o.wait(w)
	return append(o.dst, '}')
}

// DecodeWaitRow is the inverse of AppendWaitRow.
func DecodeWaitRow(execID string, row []byte) (workflow.WaitRow, error) {
	var w waitRow
	if err := json.Unmarshal(row, &w); err != nil {
		return workflow.WaitRow{}, &Corrupt{ExecID: execID, Cause: "a row of its waits: " + err.Error()}
	}
	return workflow.WaitRow{ExecID: execID, WorkflowID: w.WorkflowID, OpenWait: w.OpenWait}, nil
}

// object appends the members of one JSON object.
type object struct {
	dst  []byte
	some bool // it has a member, so the next one needs a comma
}

func (o *object) name(quoted string) {
	if o.some {
		o.dst = append(o.dst, ',')
	}
	o.some = true
	o.dst = append(o.dst, quoted...)
}

func (o *object) text(name, s string) {
	o.name(name)
	o.dst = appendText(o.dst, s)
}

func (o *object) someText(name, s string) {
	if s != "" {
		o.text(name, s)
	}
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.dst = strconv.AppendInt(o.dst, n, 10)
}

func (o *object) someNumber(name string, n int64) {
	if n != 0 {
		o.number(name, n)
	}
}

func (o *object) unsigned(name string, n uint64) {
	o.name(name)
	o.dst = strconv.AppendUint(o.dst, n, 10)
}

func (o *object) someUnsigned(name string, n uint64) {
	if n != 0 {
		o.unsigned(name, n)
	}
}

func (o *object) flag(name string, b bool) {
	if b {
		o.name(name)
		o.dst = append(o.dst, "true"...)
	}
}

func (o *object) value(name string, v workflow.Value) {
	if len(v) != 0 {
		o.name(name)
		o.dst = append(o.dst, v...)
	}
}

func (o *object) failure(f *workflow.Failure) {
	if f == nil {
		return
	}
	o.name(`"error":`)
	in := object{dst: append(o.dst, '{')}
	in.text(`"message":`, f.Message)
	in.someText(`"code":`, f.Code)
	in.value(`"details":`, f.Details)
	o.dst = append(in.dst, '}')
}

func list[T any](o *object, name string, items []T, one func([]byte, *T) []byte) {
	if len(items) != 0 {
		o.name(name)
		o.dst = array(o.dst, items, one)
	}
}

func array[T any](dst []byte, items []T, one func([]byte, *T) []byte) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, &items[i])
	}
	return append(dst, ']')
}

const hex = "0123456789abcdef"

// appendText appends a JSON string as encoding/json writes it without HTML
// escaping: bytes that are not UTF-8 become the replacement character.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if b >= ' ' && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, b)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hex[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xf])
}

// appendAny appends v as encoding/json encodes it. It is for values of the core,
// which always encode; should one hold a Value that is no JSON, null takes its
// place and the reader of the row sees that something is missing.
func appendAny(dst []byte, v any) []byte {
	b := bytes.NewBuffer(dst)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return append(dst, "null"...)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
