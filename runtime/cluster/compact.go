package cluster

import (
	"encoding/binary"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// Signals and their answers are most of what nodes say to each other, and JSON
// with reflection was a fifth of what a hop cost. So a signal alone, and the reply
// to one that was kept, are written field by field: numbers as varints, texts with
// their lengths before them, in the order of the struct. A field that is added
// goes to the end; a reader that finds no more leaves the rest zero.

// compactReply begins a reply that is written so; one in JSON begins with a brace.
const compactReply = 1

// flags of a signal, of its answer and of its reply.
const (
	flagMinted = 1 << iota
	flagSeeking
	flagForce
	flagRedelivered
	flagOnlyIfMatched
	flagFresh
	flagPayload
)

const (
	flagDuplicate = 1 << iota
	flagMatched
	flagKnown
)

// flags of what a wait made of an event, behind the answer.
const (
	flagTook = 1 << iota
	flagOpen
)

// plainSignal is the signal of a delivery that has nothing else.
func plainSignal(d *actors.Deliver) (workflow.Signalled, bool) {
	in, ok := d.Input.(workflow.Signalled)
	return in, ok && d.Together == nil && d.Signal == nil && d.Definition == nil
}

func flag(on bool, bit uint64) uint64 {
	if on {
		return bit
	}
	return 0
}

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendSignal writes the delivery of a signal alone.
func appendSignal(d *actors.Deliver, in *workflow.Signalled) []byte {
	s := &in.Signal
	b := make([]byte, 0, 192+len(d.ExecID)+len(s.Payload))
	b = binary.AppendUvarint(b, flag(s.Minted, flagMinted)|flag(s.Seeking, flagSeeking)|flag(s.Force, flagForce)|
		flag(s.Redelivered, flagRedelivered)|flag(in.OnlyIfMatched, flagOnlyIfMatched)|flag(d.Fresh, flagFresh)|flag(s.Payload != nil, flagPayload))
	b = appendText(b, d.ExecID)
	b = binary.AppendVarint(b, int64(in.At))
	b = appendText(b, s.ID)
	b = appendText(b, s.ExecID)
	b = appendText(b, s.Name)
	b = appendText(b, s.Payload)
	b = appendText(b, s.CorrelationID)
	b = appendText(b, s.Source)
	b = appendText(b, s.By)
	b = appendText(b, s.From)
	b = appendText(b, s.RequestID)
	b = binary.AppendVarint(b, int64(s.ReceivedAt))
	b = binary.AppendVarint(b, int64(s.ExpiresAt))
	if s.Redelivered {
		b = appendText(b, s.RedeliveredBy)
	}
	return b
}

// fields reads what was written field by field; damaged stays once it is set.
type fields struct {
	rest    []byte
	damaged bool
}

func (f *fields) number() (n uint64) {
	if len(f.rest) == 0 {
		return 0
	}
	n, size := binary.Uvarint(f.rest)
	f.skip(size)
	return n
}

func (f *fields) signed() int64 {
	if len(f.rest) == 0 {
		return 0
	}
	n, size := binary.Varint(f.rest)
	f.skip(size)
	return n
}

func (f *fields) skip(size int) {
	if size <= 0 {
		f.rest, f.damaged = nil, true
		return
	}
	f.rest = f.rest[size:]
}

func (f *fields) bytes() []byte {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.rest, f.damaged = nil, true
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) text() string { return string(f.bytes()) }

func (f *fields) instant() workflow.Instant { return workflow.Instant(f.signed()) }

// readSignal reads what appendSignal wrote.
func readSignal(b []byte) (*actors.Deliver, error) {
	f := fields{rest: b}
	flags := f.number()
	d := &actors.Deliver{Fresh: flags&flagFresh != 0, ExecID: f.text()}
	var in workflow.Signalled
	in.OnlyIfMatched = flags&flagOnlyIfMatched != 0
	in.At = f.instant()
	s := &in.Signal
	s.Minted, s.Seeking, s.Force = flags&flagMinted != 0, flags&flagSeeking != 0, flags&flagForce != 0
	s.Redelivered = flags&flagRedelivered != 0
	s.ID, s.ExecID, s.Name = f.text(), f.text(), f.text()
	payload := f.bytes()
	if flags&flagPayload != 0 {
		s.Payload = append(make(workflow.Value, 0, len(payload)), payload...)
	}
	s.CorrelationID, s.Source, s.By, s.From, s.RequestID = f.text(), f.text(), f.text(), f.text(), f.text()
	s.ReceivedAt, s.ExpiresAt = f.instant(), f.instant()
	s.RedeliveredBy = f.text()
	if f.damaged || d.ExecID == "" {
		return nil, errDelivery
	}
	d.Input = in
	return d, nil
}

// appendReply writes the reply to a signal that was kept; ok is false for any other.
func appendReply(r *actors.Reply) (b []byte, ok bool) {
	if r.Err != nil || r.Answers != nil || r.Refused != 0 {
		return nil, false
	}
	a := &r.Answer
	b = append(make([]byte, 0, 128), compactReply)
	b = binary.AppendUvarint(b, flag(a.Duplicate, flagDuplicate)|flag(r.Matched, flagMatched)|flag(r.Known, flagKnown))
	b = appendText(b, a.SignalID)
	b = appendText(b, a.Outcome)
	b = appendText(b, a.Reason)
	b = appendText(b, a.WaitID)
	b = appendText(b, a.WaitTask)
	b = binary.AppendVarint(b, int64(a.ExpiresAt))
	b = appendText(b, a.Status)
	if len(r.Reached) == 0 {
		return b, true
	}
	b = binary.AppendUvarint(b, uint64(len(r.Reached)))
	for _, w := range r.Reached {
		b = binary.AppendUvarint(b, flag(w.Took, flagTook)|flag(w.Open, flagOpen))
		b = appendText(appendText(b, w.Wait), w.Reason)
	}
	return b, true
}

// readReply reads what appendReply wrote, behind its first byte.
func readReply(b []byte) (r actors.Reply, err error) {
	f := fields{rest: b}
	flags := f.number()
	r.Matched, r.Known = flags&flagMatched != 0, flags&flagKnown != 0
	a := &r.Answer
	a.Duplicate = flags&flagDuplicate != 0
	a.SignalID, a.Outcome, a.Reason = f.text(), workflow.Outcome(f.text()), f.text()
	a.WaitID, a.WaitTask, a.ExpiresAt = f.text(), f.text(), f.instant()
	a.Status = workflow.Status(f.text())
	left := f.number()
	f.damaged = f.damaged || left > uint64(len(f.rest))
	for ; left > 0 && !f.damaged; left-- {
		flags := f.number()
		r.Reached = append(r.Reached, workflow.Reached{Took: flags&flagTook != 0, Open: flags&flagOpen != 0, Wait: f.text(), Reason: f.text()})
	}
	if f.damaged {
		return actors.Reply{}, errReply
	}
	return r, nil
}
