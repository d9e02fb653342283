package http

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The context of a request ends when its client leaves. net/http notices that by
// reading a byte ahead, on a goroutine of its own, from the end of the body to the
// answer: a thirtieth of what a signal costs. A signal does not ask: what is on its
// way to the disk had better arrive, see patience. So nobody reads ahead while a request
// is under way that is answered soon in any case.

// connection is one on which the server can be told not to read ahead, and that
// knows how far its request has come.
type connection struct {
	net.Conn
	open      *connections
	unwatched atomic.Bool
	stage     atomic.Int32
}

// The stages of a request, by which a node that stops tells what it owes its client.
const (
	arriving int32 = iota // or none is under way: nothing was accepted
	accepted              // it is with the node, which owes the answer
	answered              // the answer is there, and the client is to read it
)

// Read implements net.Conn. Only what reads ahead asks for a single byte: requests
// go through a buffer.
func (c *connection) Read(p []byte) (int, error) {
	if len(p) == 1 && c.unwatched.Load() {
		return 0, nil // nothing happened, which ends the reading ahead
	}
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.open.mu.Lock()
	delete(c.open.all, c)
	c.open.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets net/http end an answer in front of a body that nobody reads.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connections are all that are open.
type connections struct {
	mu  sync.Mutex
	all map[*connection]struct{}
	cut atomic.Bool // no more of a request is waited for
}

// add keeps one until it is closed.
func (o *connections) add(c net.Conn) net.Conn {
	kept := &connection{Conn: c, open: o}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[kept] = struct{}{}
	return kept
}

// count is how many are in each stage.
func (o *connections) count() (n [answered + 1]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.all {
		n[c.stage.Load()]++
	}
	return n
}

// cutArriving ends the reading of every request that has not arrived whole, and
// says how many clients that concerns. Whoever begins to read later looks at cut.
func (o *connections) cutArriving() (n int) {
	o.cut.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.all {
		if c.stage.Load() == arriving {
			n++
			_ = c.SetReadDeadline(time.Unix(1, 0)) // it fails for one that is closed, which is as well
		}
	}
	return n
}

// listener accepts such connections.
type listener struct {
	net.Listener
	open *connections
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.open.add(c), nil
}

type connectionKey struct{}

// withConnection lets a request find the connection that it came on.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// connectionOf is what a request came on; nil when that is none of ours.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// reached says how far the request is.
func (x *exchange) reached(stage int32) {
	if x.conn != nil {
		x.conn.stage.Store(stage)
	}
}

// expect begins to read more of the request, unless the node stops and has waited
// long enough for it.
func (x *exchange) expect() error {
	x.reached(arriving)
	if x.server.open.cut.Load() {
		return x.cutShort()
	}
	return nil
}

// cutShort refuses what has not arrived of the request.
func (x *exchange) cutShort() error {
	x.closeAfter()
	return refuse(workflow.CodeStopping, "the node is stopping, and the rest of the body had not arrived within "+StopGrace.String(),
		"send what is not answered again: nothing of it was kept")
}

// unwatch makes the context of the request live until its answer, whatever its
// client does.
func (x *exchange) unwatch() {
	if x.conn != nil {
		x.conn.unwatched.Store(true)
	}
}

// release undoes unwatch, because the next request may want to know, and ends the
// last stage.
func (x *exchange) release() {
	if x.conn != nil {
		x.conn.unwatched.Store(false)
		x.conn.stage.Store(arriving)
	}
}
