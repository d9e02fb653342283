package http

import (
	"context"
	"net"
	"sync/atomic"
)

// The context of a request ends when its client leaves. net/http notices that by
// reading a byte ahead, on a goroutine of its own, from the end of the body to the
// answer: a thirtieth of what a signal costs. A signal does not ask: what is on its
// way to the disk had better arrive, see patience. So nobody reads ahead while a request
// is under way that is answered soon in any case.

// connection is one on which the server can be told not to read ahead.
type connection struct {
	*net.TCPConn
	unwatched atomic.Bool
}

// Read implements net.Conn. Only what reads ahead asks for a single byte: requests
// go through a buffer.
func (c *connection) Read(p []byte) (int, error) {
	if len(p) == 1 && c.unwatched.Load() {
		return 0, nil // nothing happened, which ends the reading ahead
	}
	return c.TCPConn.Read(p)
}

// listener accepts such connections.
type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &connection{TCPConn: tcp}, err
	}
	return c, err
}

type connectionKey struct{}

// withConnection lets a request find the connection that it came on.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// unwatch makes the context of the request live until its answer, whatever its
// client does.
func (x *exchange) unwatch() {
	if c, ok := x.r.Context().Value(connectionKey{}).(*connection); ok {
		x.unwatched = c
		c.unwatched.Store(true)
	}
}

// watch undoes unwatch: the next request may want to know.
func (x *exchange) watch() {
	if x.unwatched != nil {
		x.unwatched.unwatched.Store(false)
	}
}
