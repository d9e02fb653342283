package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/signalbox/signalbox/workflow"
)

// Many messages in one request: a JSON array, which is checked as a whole
// before anything of it is kept, or NDJSON, which is read and delivered piece
// by piece in bounded memory. Each item has a result of its own, with the status
// and the answer or problem that it would have had alone.

// linesHeader is the type of NDJSON, which is answered with NDJSON.
var linesHeader = []string{"application/x-ndjson"}

// batch is the messages of one request under way.
type batch struct {
	x       *exchange
	out     *buffer
	lines   bool     // NDJSON, in and out
	parts   [][]byte // the items of an array
	results int      // written so far
	refused int
}

// items gives the messages of the body to each, as JSON objects; one that is
// none comes with an error. After the last of every piece, at most BatchPiece of
// them, comes flush.
func (b *batch) items(each func(m members, err error), flush func() error) error {
	if b.lines {
		return b.stream(each, flush)
	}
	rest, err := openArray(b.x.in.b)
	if err != nil {
		return err
	}
	for item, after := nextItem(rest); item != nil; item, after = nextItem(after) {
		b.parts = append(b.parts, item)
	}
	if len(b.parts) > MaxBatch {
		return tooMany(len(b.parts))
	}
	for i, item := range b.parts {
		each(openItem(item))
		if (i+1)%BatchPiece == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// stream reads the body line by line. What was read before it breaks off has
// been delivered, so the end is told in a last line and not by the status.
func (b *batch) stream(each func(m members, err error), flush func() error) error {
	in := &lines{x: b.x}
	n := 0
	for {
		line, err := in.next()
		if err == nil && n == MaxBatch {
			err = tooMany(n + 1)
		}
		if err != nil {
			if failed := flush(); failed != nil {
				return failed
			}
			if err != io.EOF {
				b.x.closeAfter()
				b.ended(err)
			}
			return nil
		}
		if n++; n%BatchPiece == 0 {
			each(open(line))
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		each(open(line))
	}
}

func tooMany(n int) error {
	return refuse(CodeBodyTooLarge, fmt.Sprintf("the batch has %d items or more, at most %d are allowed", n, MaxBatch),
		"send what follows in another request")
}

// begin starts the answer.
func (b *batch) begin() {
	b.out = b.x.output()
	b.out.b = b.out.b[:0]
	switch {
	case b.lines:
	case b.x.promiseless:
		b.out.b = append(b.out.b, `{"status":200,"message":"dry run: nothing was sent","data":{"results":[`...)
	default:
		b.out.b = append(b.out.b, `{"status":200,"message":"batch received","data":{"results":[`...)
	}
}

// result begins the result of the next item.
func (b *batch) result(status int) {
	if b.results > 0 && !b.lines {
		b.out.b = append(b.out.b, ',')
	}
	b.out.b = append(b.out.b, `{"index":`...)
	b.out.b = strconv.AppendInt(b.out.b, int64(b.results), 10)
	b.out.b = append(b.out.b, `,"status":`...)
	b.out.b = strconv.AppendInt(b.out.b, int64(status), 10)
	b.results++
}

func (b *batch) close() {
	b.out.b = append(b.out.b, '}')
	if b.lines {
		b.out.b = append(b.out.b, '\n')
	}
}

// problem is the result of an item that was refused.
func (b *batch) problem(err error) error {
	p, known := problemOf(err)
	if !known {
		b.x.server.logger.Error("an item of a batch failed", "route", b.x.route.path, "request_id", b.x.id, "error", err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the problem of item %d: %w", b.results, err)
	}
	b.refused++
	b.result(p.Status)
	b.out.b = append(b.out.b, `,"problem":`...)
	b.out.b = append(b.out.b, text...)
	b.close()
	return nil
}

// ended is the last line of a stream that broke off: its index is that of the
// first item that was not kept.
func (b *batch) ended(err error) {
	p, _ := problemOf(err)
	p.RequestID = b.x.id
	text, err := json.Marshal(p)
	if err != nil {
		text = []byte("null") // only strings and numbers are in it, which always encode
	}
	b.result(p.Status)
	b.out.b = append(b.out.b, `,"ended":true,"problem":`...)
	b.out.b = append(b.out.b, text...)
	b.close()
}

// send ends the answer.
func (b *batch) send() {
	if b.lines {
		b.x.send(200, linesHeader, b.out.b)
		return
	}
	b.out.b = append(b.out.b, `],"accepted":`...)
	b.out.b = strconv.AppendInt(b.out.b, int64(b.results-b.refused), 10)
	b.out.b = append(b.out.b, `,"refused":`...)
	b.out.b = strconv.AppendInt(b.out.b, int64(b.refused), 10)
	b.out.b = append(b.out.b, "}}\n"...)
	b.x.send(200, jsonHeader, b.out.b)
}

// isArray reports whether a JSON body is an array.
func isArray(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// openArray checks a whole body, which must be an array, and stands before its
// first item.
func openArray(body []byte) ([]byte, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	body = bytes.Trim(body, " \t\r\n")
	if body[0] != '[' {
		return nil, refuse(workflow.CodeInvalid, "the body is "+kindOf(body)+", not an array", "send a JSON array, or NDJSON as application/x-ndjson")
	}
	return body[1:], nil
}

// nextItem is the next item of an array that is known to be valid, nil after
// the last one.
func nextItem(rest []byte) (item, after []byte) {
	m := members{rest: rest}
	m.skip()
	if m.rest[0] == ']' {
		return nil, nil
	}
	item, _ = firstValue(m.rest)
	return item, m.rest[len(item):]
}

// openItem stands before the first member of an item that is known to be valid.
func openItem(item []byte) (members, error) {
	if len(item) > MaxBodyBytes {
		return members{}, refuse(CodeBodyTooLarge, fmt.Sprintf("the item has more than %d bytes", MaxBodyBytes), "store large content elsewhere and send a link to it")
	}
	if item[0] != '{' {
		return members{}, refuse(workflow.CodeInvalid, "the item is "+kindOf(item)+", not an object", "send an object for each message")
	}
	return members{rest: item[1:]}, nil
}

// lines reads a body line by line in the memory of its longest line, which is
// counted like a body of its own. Empty lines are passed over.
type lines struct {
	x     *exchange
	from  int // of what is not yet given out
	seen  int // of what was searched for the end of a line
	total int
	ended bool
}

// next is the next line, valid until the next call; io.EOF after the last.
func (l *lines) next() ([]byte, error) {
	for {
		b := l.x.in.b
		if i := bytes.IndexByte(b[l.seen:], '\n'); i >= 0 {
			line := b[l.from : l.seen+i]
			l.from, l.seen = l.seen+i+1, l.seen+i+1
			if line = bytes.TrimSpace(line); len(line) > 0 {
				return line, nil
			}
			continue
		}
		l.seen = len(b)
		if l.ended {
			line := bytes.TrimSpace(b[l.from:])
			l.from = len(b)
			if len(line) == 0 {
				return nil, io.EOF
			}
			return line, nil
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more of the body behind what is not yet given out.
func (l *lines) fill() error {
	b := l.x.in.b
	if l.from > 0 {
		b = b[:copy(b, b[l.from:])]
		l.seen -= l.from
		l.from = 0
	}
	if len(b) == cap(b) {
		grown, err := l.x.grow(b, MaxBodyBytes)
		if err != nil {
			return err
		}
		b = grown
	}
	if err := l.x.expect(); err != nil {
		return err
	}
	n, err := l.x.r.Body.Read(b[len(b):cap(b)])
	l.x.reached(accepted)
	b = b[:len(b)+n]
	l.x.in.b = b
	l.total += n
	switch {
	case l.total > MaxBatchBytes:
		return refuse(CodeBodyTooLarge, fmt.Sprintf("the stream has more than %d bytes", MaxBatchBytes), "send what follows in another request")
	case len(b) > MaxBodyBytes:
		return l.x.tooLarge(MaxBodyBytes)
	case errors.Is(err, io.EOF):
		l.ended = true
		return nil
	case err != nil:
		return l.x.cutBody(err)
	}
	return nil
}
