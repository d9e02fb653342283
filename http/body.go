package http

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// buffer is a reusable piece of memory; it is an io.Writer that appends.
type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, pooledBody)} }}

func takeBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.b = b.b[:0]
	return b
}

func giveBuffer(b *buffer) {
	if b != nil && cap(b.b) <= maxPooledBuffer {
		buffers.Put(b)
	}
}

// readBody reads the whole body into x.in, at most MaxBodyBytes of it, or
// MaxBatchBytes where many messages may come. The memory grows with what has
// arrived and not with what was announced. A stream is left to its handler.
func (x *exchange) readBody() error {
	r := x.r
	var err error
	if x.format, err = x.checkFormat(); err != nil {
		return err
	}
	most := MaxBodyBytes
	if x.route.many {
		most = MaxBatchBytes
	}
	if r.ContentLength > int64(most) {
		return x.tooLarge(most)
	}
	x.in = takeBuffer()
	if r.Body == nil || r.Body == http.NoBody || x.format == formatLines {
		return nil
	}
	if x.lane == laneQuick {
		x.unwatch()
	}
	if err := x.expect(); err != nil {
		return err
	}
	b := x.in.b
	for {
		if len(b) == cap(b) {
			grown, err := x.grow(b, most)
			if err != nil {
				return err
			}
			b = grown
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		x.in.b = b
		if len(b) > most {
			return x.tooLarge(most)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return x.cutBody(err)
		}
	}
}

// grow doubles a body's memory, counted against MaxBodiesHeld.
func (x *exchange) grow(b []byte, most int) ([]byte, error) {
	size := min(2*cap(b), most+1)
	if held := x.server.bodies.Add(int64(size)); held > MaxBodiesHeld {
		x.server.bodies.Add(-int64(size))
		x.closeAfter()
		return nil, refuse(workflow.CodeOverloaded, "the node has as many large bodies in memory as it can take; nothing was kept",
			"send it again after the time in Retry-After")
	}
	// What was held before is freed by the copying.
	x.server.bodies.Add(-x.held)
	x.held = int64(size)
	return append(make([]byte, 0, size), b...), nil
}

// closeAfter ends the connection after the answer: the rest of the body is not read.
func (x *exchange) closeAfter() { x.w.Header()["Connection"] = closeHeader }

func (x *exchange) tooLarge(most int) error {
	x.closeAfter()
	return refuse(CodeBodyTooLarge, fmt.Sprintf("the body has more than %d bytes", most),
		"store large content elsewhere and send a link to it")
}

// cutBody explains a body that ended before its end.
func (x *exchange) cutBody(err error) error {
	x.closeAfter()
	if x.server.open.cut.Load() {
		return x.cutShort()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refuse(CodeBodyTimeout, "the body did not arrive within "+ReadTimeout.String(), "send it again; nothing was kept")
	}
	return refuse(workflow.CodeInvalid, "the body could not be read to its end", "send it again; nothing was kept")
}

// format is how a body is written.
type format int

const (
	formatJSON        format = iota
	formatLines              // NDJSON: many messages, one on each line
	formatCloudEvent         // a CloudEvent in JSON
	formatCloudBatch         // an array of those
	formatCloudBinary        // a CloudEvent whose attributes are headers
)

// checkFormat finds out how the body is written, and refuses what the route
// does not read.
func (x *exchange) checkFormat() (format, error) {
	if coding := x.r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return 0, refuse(CodeMediaType, fmt.Sprintf("the body's encoding %q is not supported", truncate(coding)), "send it without compression")
	}
	kind := x.r.Header.Get("Content-Type")
	if (kind == "" || kind == "application/json") && !x.route.cloud {
		return formatJSON, nil
	}
	name, params, err := mime.ParseMediaType(kind)
	charset := params["charset"]
	if x.route.cloud {
		if f, ok := cloudFormat(x.r.Header, name); ok && (f == formatCloudBinary || charset == "" || strings.EqualFold(charset, "utf-8")) {
			return f, nil
		}
		if kind == "" {
			return formatJSON, nil
		}
	}
	if err == nil && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		switch {
		case name == "application/json":
			return formatJSON, nil
		case x.route.many && (name == linesHeader[0] || name == "application/ndjson" || name == "application/jsonl"):
			return formatLines, nil
		}
	}
	hint := "send Content-Type: application/json, as UTF-8"
	if x.route.many {
		hint = "send Content-Type: application/json or application/x-ndjson, as UTF-8"
	}
	if x.route.cloud {
		hint += ", or a CloudEvent as " + mediaCloudEvent + ", " + mediaCloudEvents + " or with ce- headers"
	}
	return 0, refuse(CodeMediaType, fmt.Sprintf("the body's type %q is not supported", truncate(kind)), hint)
}
