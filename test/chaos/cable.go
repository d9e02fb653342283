package chaos

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// cable is a proxy of TCP between those who dial its address and one target. It
// can be cut as networks are: for everybody or for one who dials, both ways or
// one way only. What is under way when it is cut is held and passes when it is
// whole again, as late as a network brings it that sends again.
type cable struct {
	Addr string // HOST:PORT to dial

	// names are texts by which a connection shows who dials: a node says its own
	// address first. A connection that nobody was recognised on is nobody's.
	names []string

	listen net.Listener
	all    sync.WaitGroup
	held   atomic.Int64 // pieces that had to wait

	mu      sync.Mutex
	target  string
	cuts    map[string]ways
	delay   time.Duration // of every piece
	conns   map[net.Conn]bool
	changed chan struct{} // closed when anything of this changes
	closed  bool
}

// ways are the directions of a cable.
type ways int

const (
	there ways = 1 << iota // from who dials to the target
	back
	both = there | back
)

// everybody is who a cut concerns that is not for one only.
const everybody = ""

// errClosed ends what holds when a cable is put away.
var errClosed = errors.New("the cable is put away")

// newCable returns a cable that leads nowhere yet.
func newCable(names ...string) (*cable, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cable{
		Addr: l.Addr().String(), names: names, listen: l,
		cuts: map[string]ways{}, conns: map[net.Conn]bool{}, changed: make(chan struct{}),
	}
	c.all.Go(c.accept)
	return c, nil
}

// change does something to the cable and lets everybody who holds look again.
func (c *cable) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

// aim leads connections that are made from now on to a target.
func (c *cable) aim(target string) { c.change(func() { c.target = target }) }

// cut holds whatever somebody sends or is sent.
func (c *cable) cut(who string, w ways) { c.change(func() { c.cuts[who] |= w }) }

// slow delays every piece.
func (c *cable) slow(d time.Duration) { c.change(func() { c.delay = d }) }

// heal makes the cable whole.
func (c *cable) heal() { c.change(func() { clear(c.cuts); c.delay = 0 }) }

// drop breaks every connection, and what is held is lost.
func (c *cable) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// close puts the cable away.
func (c *cable) close() {
	c.change(func() { c.closed = true })
	_ = c.listen.Close()
	c.drop()
	c.all.Wait()
}

func (c *cable) accept() {
	for {
		dialer, err := c.listen.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		target := c.target
		c.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = dialer.Close()
			continue
		}
		c.mu.Lock()
		c.conns[dialer], c.conns[server] = true, true
		if c.closed {
			_, _ = dialer.Close(), server.Close()
		}
		c.mu.Unlock()
		var who atomic.Value
		who.Store(everybody)
		c.all.Go(func() { c.carry(dialer, server, there, &who) })
		c.all.Go(func() { c.carry(server, dialer, back, &who) })
	}
}

// carry passes on what comes from one end, until either end is gone.
func (c *cable) carry(from, to net.Conn, w ways, who *atomic.Value) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = from.Close(), to.Close()
		delete(c.conns, from)
		delete(c.conns, to)
	}()
	room := make([]byte, pieceBytes)
	for {
		n, err := from.Read(room)
		if w == there && who.Load() == everybody {
			who.Store(c.recognise(room[:n]))
		}
		if n > 0 {
			if c.pass(who, w) != nil {
				return
			}
			if _, err := to.Write(room[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *cable) recognise(piece []byte) string {
	for _, name := range c.names {
		if bytes.Contains(piece, []byte(name)) {
			return name
		}
	}
	return everybody
}

// pass returns when a piece may go on.
func (c *cable) pass(who *atomic.Value, w ways) error {
	for waited := false; ; waited = true {
		c.mu.Lock()
		name, _ := who.Load().(string)
		cut, delay, changed, closed := (c.cuts[everybody]|c.cuts[name])&w != 0, c.delay, c.changed, c.closed
		c.mu.Unlock()
		switch {
		case closed:
			return errClosed
		case cut:
			if !waited {
				c.held.Add(1)
			}
			<-changed
		case delay > 0 && !waited:
			c.held.Add(1)
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-changed:
			}
			timer.Stop()
		default:
			return nil
		}
	}
}
