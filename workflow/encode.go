package workflow

import (
	"strconv"
	"unicode/utf8"
)

// What every signal, and every execution, leaves behind is encoded by hand: by
// reflection it took longer than everything else that the core does for it. A test compares with
// encoding/json, so a field that is added and forgotten here is noticed.

// encoder is a value that writes its own JSON.
type encoder interface {
	appendJSON([]byte) []byte
}

// encoded is ValueOf a value that writes its own JSON, whose length is not known
// before: it is written into room that is kept, and copied.
func encoded[E encoder](t *transition, e E) Value {
	t.text = e.appendJSON(t.text[:0])
	return t.cut()
}

// noted is encoded for what a record carries, which lies with the records in the
// room of the transition and lives as long as they do.
func noted[E encoder](t *transition, e E) Value {
	begin := len(t.notes)
	t.notes = e.appendJSON(t.notes)
	return Value(t.notes[begin:len(t.notes):len(t.notes)])
}

// cut copies what was written into the room that is kept.
func (t *transition) cut() Value {
	value := append(make(Value, 0, len(t.text)), t.text...)
	if cap(t.text) > maxKeptText {
		t.text = nil
	}
	return value
}

// lastMoment remembers the text of the last instant it was asked for: signals that come
// together came at the same.
type lastMoment struct {
	at      Instant
	written string
}

func (c *lastMoment) text(at Instant) string {
	if c.written == "" || c.at != at {
		c.at, c.written = at, at.String()
	}
	return c.written
}

func (in Started) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.number("at", int64(in.At))
	o.text("exec", in.ExecID)
	o.text("workflow", in.WorkflowID)
	o.text("def", in.Definition)
	o.someValue("input", in.Input)
	if in.Origin != nil {
		o.name("origin")
		o.b = appendOrigin(o.b, in.Origin)
	}
	o.someText("by", in.By)
	o.someText("key", in.Key)
	o.flag("unique", in.Unique)
	if len(in.Labels) > 0 {
		o.name("labels")
		o.b = append(o.b, '[')
		for i, l := range in.Labels {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			m := members{b: append(o.b, '{')}
			m.text("name", l.Name)
			m.text("value", l.Value)
			o.b = append(m.b, '}')
		}
		o.b = append(o.b, ']')
	}
	return append(o.b, '}')
}

func appendOrigin(b []byte, from *Origin) []byte {
	o := members{b: append(b, '{')}
	o.text("type", from.Type)
	o.someText("name", from.Name)
	o.someValue("payload", from.Payload)
	o.someText("event_id", from.EventID)
	o.someText("correlation_id", from.CorrelationID)
	o.someText("signal_id", from.SignalID)
	o.someText("traceparent", from.TraceParent)
	return append(o.b, '}')
}

func (in Signalled) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.number("at", int64(in.At))
	o.name("signal")
	o.b = appendSignal(o.b, &in.Signal)
	o.flag("only_if_matched", in.OnlyIfMatched)
	return append(o.b, '}')
}

// appendSignal is no method: what embeds a signal has more to say.
func appendSignal(b []byte, s *Signal) []byte {
	o := members{b: append(b, '{')}
	o.text("id", s.ID)
	o.someText("exec", s.ExecID)
	o.text("name", s.Name)
	o.someValue("payload", s.Payload)
	o.someText("correlation_id", s.CorrelationID)
	o.someText("source", s.Source)
	o.someText("by", s.By)
	o.number("received", int64(s.ReceivedAt))
	o.someNumber("expires", int64(s.ExpiresAt))
	o.flag("minted", s.Minted)
	o.flag("force", s.Force)
	o.flag("redelivered", s.Redelivered)
	return append(o.b, '}')
}

func (in TaskDone) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.number("at", int64(in.At))
	o.text("task", in.Task)
	o.number("run", int64(in.Run))
	o.number("attempt", int64(in.Attempt))
	o.someValue("output", in.Output)
	return append(o.b, '}')
}

func (e envelope) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.value("payload", e.Payload)
	o.name("metadata")
	m := members{b: append(o.b, '{')}
	m.text("signal_id", e.Metadata.SignalID)
	m.text("signal_name", e.Metadata.Name)
	m.text("received_at_utc", e.Metadata.ReceivedAtUTC)
	m.text("received_at", e.Metadata.ReceivedAt)
	m.text("workflow_id", e.Metadata.WorkflowID)
	m.text("source", e.Metadata.Source)
	m.someText("correlation_id", e.Metadata.CorrelationID)
	o.b = append(m.b, '}')
	o.someText("correlation_id", e.CorrelationID)
	return append(o.b, '}')
}

func (w opened) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.text("name", w.Name)
	o.someText("condition", w.Condition)
	o.someText("key", w.Key)
	o.someNumber("deadline", int64(w.Deadline))
	o.someText("progress", w.Progress)
	return append(o.b, '}')
}

func (j judged) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.text("grounds", j.Grounds)
	return append(o.b, '}')
}

func (f finished) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.text("status", string(f.Status))
	if f.Error != nil {
		o.name("error")
		m := members{b: append(o.b, '{')}
		m.text("message", f.Error.Message)
		m.someText("code", f.Error.Code)
		m.someValue("details", f.Error.Details)
		o.b = append(m.b, '}')
	}
	return append(o.b, '}')
}

func (a attempt) appendJSON(b []byte) []byte {
	o := members{b: append(b, '{')}
	o.number("run", int64(a.Run))
	o.number("attempt", int64(a.Attempt))
	return append(o.b, '}')
}

// members writes the members of one JSON object. Names are written as they are.
type members struct {
	b    []byte
	some bool // there is a member, so the next one needs a comma
}

func (o *members) name(name string) {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *members) text(name, s string) {
	o.name(name)
	o.b = appendText(o.b, s)
}

func (o *members) someText(name, s string) {
	if s != "" {
		o.text(name, s)
	}
}

func (o *members) number(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *members) someNumber(name string, n int64) {
	if n != 0 {
		o.number(name, n)
	}
}

func (o *members) flag(name string, f bool) {
	if f {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

func (o *members) value(name string, v Value) {
	o.name(name)
	if v == nil {
		v = Value("null")
	}
	o.b = append(o.b, v...)
}

func (o *members) someValue(name string, v Value) {
	if len(v) != 0 {
		o.value(name, v)
	}
}

const hexDigits = "0123456789abcdef"

// appendText appends s as a JSON string, as encoding/json does without HTML
// escaping: bytes that are not UTF-8 become the replacement character.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := skipPlain(s, 0); i < len(s); i = skipPlain(s, i) {
		c := s[i]
		r, size := utf8.DecodeRuneInString(s[i:])
		escaped := ""
		switch {
		case r == '"' || r == '\\':
			escaped = `\` + s[i:i+1]
		case r == '\n':
			escaped = `\n`
		case r == '\r':
			escaped = `\r`
		case r == '\t':
			escaped = `\t`
		case r == '\b':
			escaped = `\b`
		case r == '\f':
			escaped = `\f`
		case r < ' ':
			escaped = `\u00` + string([]byte{hexDigits[c>>4], hexDigits[c&0xf]})
		case r == utf8.RuneError && size == 1:
			escaped = `\ufffd`
		case r == '\u2028', r == '\u2029': // line ends to JavaScript
			escaped = `\u202` + string(hexDigits[r&0xf])
		}
		if escaped != "" {
			b = append(append(b, s[from:i]...), escaped...)
			from = i + size
		}
		i += size
	}
	return append(append(b, s[from:]...), '"')
}

// skipPlain is the place of the first byte, from the given one on, that is not known to
// stand for itself in a JSON string; the length of s when there is none.
func skipPlain(s string, from int) int {
	for from < len(s) && standsForItself[s[from]] {
		from++
	}
	return from
}

var standsForItself = func() (bytes [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		bytes[c] = c != '"' && c != '\\'
	}
	return bytes
}()
