package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Message is what one node says to another: a type, which decides what the body
// is, and the body.
type Message struct {
	Type   string
	Resent bool // an attempt before this one may have arrived
	Body   []byte
}

// The types of messages.
const (
	typeDeliver    = "deliver"    // an input for an execution; answered with typeReply
	typeSignal     = "signal"     // the same for a signal alone, see compact.go
	typeFan        = "fan"        // the id of an event to fan out
	typeWatch      = "watch"      // ids of executions that the sender watches
	typeChanged    = "changed"    // the id of an execution that has changed
	typeQuarantine = "quarantine" // an execution that may not act any more
	typeDescribe   = "describe"   // what do you hold? Answered with typeReply
	typeFlush      = "flush"      // answered with typeReply once everything before it is read

	typeReply   = "reply"   // the answer to a request
	typeMoved   = "moved"   // the request was for an owner that the node is not
	typeUnknown = "unknown" // the node does not know the type of the request
)

// frameVersion is the first byte of a frame. One of another version is answered
// with typeUnknown, which is an error of that one request.
const frameVersion = 1

// frame is a message on its way. Proto.Actor takes protobuf only, and breaks the
// whole link between two nodes over a type that one of them does not know. So
// there is one type for everything, the BytesValue that every protobuf has, and
// what is in it is ours: an unknown type of ours concerns one request.
type frame struct {
	Message
	ID     uint64 // of the request, also in its answer; 0: nobody waits for one
	View   uint64 // that the sender goes by
	Sender string // address of the sender
}

const resentFlag = 1

var errFrame = errors.New("a message of another node is damaged or of a release that is too new")

// pack writes: version, flags, id, view, then type, sender and body, the first
// two with their lengths before them.
func (f *frame) pack() *wrapperspb.BytesValue {
	b := make([]byte, 0, 32+len(f.Type)+len(f.Sender)+len(f.Body))
	flags := byte(0)
	if f.Resent {
		flags |= resentFlag
	}
	b = append(b, frameVersion, flags)
	b = binary.AppendUvarint(b, f.ID)
	b = binary.AppendUvarint(b, f.View)
	b = binary.AppendUvarint(b, uint64(len(f.Type)))
	b = append(b, f.Type...)
	b = binary.AppendUvarint(b, uint64(len(f.Sender)))
	b = append(b, f.Sender...)
	return &wrapperspb.BytesValue{Value: append(b, f.Body...)}
}

// unpack reads what pack wrote. What it could read of a frame of another version
// is returned with the error, so that the sender can be told.
func unpack(v *wrapperspb.BytesValue) (f frame, err error) {
	b := v.GetValue()
	if len(b) < 2 {
		return f, errFrame
	}
	version, flags := b[0], b[1]
	b = b[2:]
	f.Resent = flags&resentFlag != 0
	number := func() (n uint64) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err, b = errFrame, nil
			return 0
		}
		b = b[size:]
		return n
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			err = errFrame
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	f.ID, f.View = number(), number()
	f.Type, f.Sender = text(), text()
	f.Body = b
	if err == nil && version != frameVersion {
		err = fmt.Errorf("%w: its version is %d, this node knows %d", errFrame, version, frameVersion)
	}
	return f, err
}
