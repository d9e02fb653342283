package redistest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server and breaks what goes through it.
type Proxy struct {
	// Addr is HOST:PORT of the proxy.
	Addr string

	t      testing.TB
	server string
	listen net.Listener

	mu     sync.Mutex
	conns  map[net.Conn]bool
	cut    func(request []byte) bool // cut after the answer to such a request was dropped
	ask    func(request []byte) []byte
	tell   func(answer []byte) []byte
	closed bool
	all    sync.WaitGroup
}

// Between starts a proxy in front of a server. It ends with the test.
func Between(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), t: t, server: server, listen: l, conns: map[net.Conn]bool{}}
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// CutAfter has every request that match accepts be carried out by the server, and
// its connection be cut instead of passing the answer on; nil cuts none any more.
func (p *Proxy) CutAfter(match func(request []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = match
}

// Alter changes what passes through: requests, and answers. Either may be nil.
func (p *Proxy) Alter(request, answer func([]byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask, p.tell = request, answer
}

// Cut breaks every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listen.Close()
	p.Cut()
	p.all.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		if p.closed {
			_, _ = client.Close(), server.Close()
		}
		p.mu.Unlock()
		cut := make(chan struct{})
		p.all.Go(func() { p.requests(client, server, cut) })
		p.all.Go(func() { p.answers(client, server, cut) })
	}
}

// requests passes on what the client asks.
func (p *Proxy) requests(client, server net.Conn, cut chan struct{}) {
	defer server.Close()
	room := make([]byte, 1<<20)
	cutting := false
	for {
		n, err := client.Read(room)
		if n > 0 {
			p.mu.Lock()
			match, alter := p.cut, p.ask
			p.mu.Unlock()
			if !cutting && match != nil && match(room[:n]) {
				cutting = true
				close(cut)
			}
			request := room[:n]
			if alter != nil {
				request = alter(request)
			}
			if _, err := server.Write(request); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// answers passes on what the server answers, until the connection is to be cut.
func (p *Proxy) answers(client, server net.Conn, cut chan struct{}) {
	defer client.Close()
	room := make([]byte, 1<<20)
	for {
		n, err := server.Read(room)
		select {
		case <-cut:
			return // the server has done it; nobody will hear
		default:
		}
		p.mu.Lock()
		alter := p.tell
		p.mu.Unlock()
		answer := room[:n]
		if alter != nil {
			answer = alter(answer)
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}
