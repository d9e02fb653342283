package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// Value is a JSON text. The core never looks inside one: it carries payloads,
// inputs and outputs as the bytes they arrived as, so a state stays small,
// copying it is cheap, and equal states have equal bytes. A nil Value is "absent".
type Value = json.RawMessage

// ValueOf encodes v as a Value. It is for values that the core itself makes
// from strings, numbers, maps and slices, which always encode.
func ValueOf(v any) Value {
	if e, ok := v.(encoder); ok {
		return e.appendJSON(make([]byte, 0, 256))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("workflow: a value of the core does not encode: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// Instant is a moment in milliseconds since the Unix epoch, UTC. Zero is "never".
// It is the core's only notion of time: every Input carries one.
type Instant int64

// InstantOf converts a wall-clock time, rounding down to the millisecond.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time converts back to a time.Time in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// Add returns the instant d later, d rounded down to the millisecond.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// String is RFC 3339 with milliseconds in UTC, or "" for never.
func (i Instant) String() string {
	if i == 0 {
		return ""
	}
	// The library writes by hand what has no milliseconds, in a third of the time.
	b := i.Time().AppendFormat(make([]byte, 0, len("2006-01-02T15:04:05.000Z")), time.RFC3339)
	ms := (i%1000 + 1000) % 1000
	b = append(b[:len(b)-1], '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
	return string(b)
}

// Status is where an execution or one of its tasks stands.
type Status string

// The statuses, spelled as clients of the reference system know them. A task
// whose condition was false is SKIPPED; an execution never is.
const (
	Pending  Status = "PENDING"
	Running  Status = "RUNNING"
	Waiting  Status = "WAITING"
	Paused   Status = "PAUSED"
	Success  Status = "SUCCESS"
	Failed   Status = "FAILED"
	TimedOut Status = "TIMED_OUT"
	Canceled Status = "CANCELED"
	Skipped  Status = "SKIPPED"
)

// Statuses lists every status an execution can have, in the order of a life.
var Statuses = []Status{Pending, Running, Waiting, Paused, Success, Failed, TimedOut, Canceled}

// Finished reports whether nothing can follow this status.
func (s Status) Finished() bool {
	switch s {
	case Success, Failed, TimedOut, Canceled, Skipped:
		return true
	}
	return false
}

// duration is the distance between two instants.
func (i Instant) duration() time.Duration { return time.Duration(i) * time.Millisecond }

// compact is a value without the spaces that mean nothing, so that equal texts
// have equal bytes. Nothing, or null, is an error.
func compact(v Value) (Value, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, v); err != nil {
		return nil, err
	}
	if b.String() == "null" || b.String() == `""` {
		return nil, errors.New("it gives nothing")
	}
	return b.Bytes(), nil
}
