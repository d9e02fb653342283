package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// post is the mailbox of a seat. Beside what any mailbox does it takes what is for the
// execution that sits there from whoever has it, until it is closed; and it lets a
// sender who waits for his reply handle that himself, instead of waking somebody for
// it. One goroutine at a time handles what came, in the order in which it came.
type post struct {
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	used       atomic.Int64 // when it was opened, or a turn began last, by the clock of Unix, in nanoseconds

	mu        sync.Mutex
	commands  []any // of the library, which go first
	messages  []any
	handled   int    // how many of the messages
	running   bool   // somebody handles them
	suspended bool   // a failure is being looked at
	of        string // the execution whose deliveries it takes from everybody; "" when it is closed
}

var _ actor.Mailbox = (*post)(nil)

// RegisterHandlers implements actor.Mailbox.
func (p *post) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	p.invoker, p.dispatcher = invoker, dispatcher
}

// Start implements actor.Mailbox.
func (p *post) Start() {}

// UserMessageCount implements actor.Mailbox.
func (p *post) UserMessageCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.messages) - p.handled
}

// PostUserMessage implements actor.Mailbox.
func (p *post) PostUserMessage(m any) {
	p.mu.Lock()
	p.messages = append(p.messages, m)
	p.wake()
}

// PostSystemMessage implements actor.Mailbox.
func (p *post) PostSystemMessage(m any) {
	p.mu.Lock()
	p.commands = append(p.commands, m)
	p.wake()
}

// wake unlocks, and has what came handled unless somebody is at it.
func (p *post) wake() {
	idle := !p.running
	p.running = true
	p.mu.Unlock()
	if idle {
		p.dispatcher.Schedule(p.run)
	}
}

// give takes what came for an execution; false when the post is closed, or another one
// has it by now. A sender who stays until he is answered handles it himself unless
// somebody is at it: he does what others would have done for him, and never much more.
func (p *post) give(execID string, m any, stays bool) bool {
	p.mu.Lock()
	if p.of != execID {
		p.mu.Unlock()
		return false
	}
	p.messages = append(p.messages, m)
	if !stays || p.running {
		p.wake()
		return true
	}
	p.running = true
	p.mu.Unlock()
	if p.handle(ownTurn) {
		p.dispatcher.Schedule(p.run)
	}
	return true
}

// open has the post take what comes for an execution.
func (p *post) open(execID string) {
	p.used.Store(time.Now().UnixNano())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of = execID
}

// close has what comes from now on wait until the execution has left, and reports
// whether something is in the post that came before.
func (p *post) close() (rest bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of = ""
	return p.handled < len(p.messages)
}

// forsake closes the post of a seat that has stopped, and takes out what nobody handles there.
func (p *post) forsake() (rest []any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest = p.messages[p.handled:]
	p.of, p.messages, p.handled = "", nil, 0
	return rest
}

// closed reports whether nothing is taken.
func (p *post) closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of == ""
}

// seize lets nobody else handle what comes, until release; false when somebody does, or
// when there is something to be handled.
func (p *post) seize() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || p.suspended || len(p.commands) > 0 || p.handled < len(p.messages) {
		return false
	}
	p.running = true
	return true
}

// release has somebody called for what came meanwhile.
func (p *post) release() {
	if p.rests() {
		p.dispatcher.Schedule(p.run)
	}
}

func (p *post) run() {
	for p.handle(throughput) {
		runtime.Gosched()
	}
}

// handle handles so many messages, and reports whether there are more; if not,
// the next that comes has somebody called again.
func (p *post) handle(most int) (more bool) {
	var m any
	defer func() {
		if cause := recover(); cause != nil {
			p.invoker.EscalateFailure(cause, m)
			more = true
		}
	}()
	for range most {
		var command, ok bool
		if m, command, ok = p.next(); !ok {
			return false
		}
		if command {
			p.invoker.InvokeSystemMessage(m)
		} else {
			p.invoker.InvokeUserMessage(m)
		}
	}
	return p.rests()
}

// next takes what is to be handled next.
func (p *post) next() (m any, command, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.commands) > 0 {
		m, p.commands = p.commands[0], p.commands[1:]
		switch m.(type) {
		case *actor.SuspendMailbox:
			p.suspended = true
		case *actor.ResumeMailbox:
			p.suspended = false
		default:
			return m, true, true
		}
	}
	p.commands = nil
	if p.empty() {
		p.running = false
		return nil, false, false
	}
	m, p.messages[p.handled] = p.messages[p.handled], nil
	p.handled++
	p.tidy()
	return m, false, true
}

// tidy uses the room of what was handled again.
func (p *post) tidy() {
	switch rest := len(p.messages) - p.handled; {
	case rest == 0 && cap(p.messages) > keepPost:
		p.messages, p.handled = nil, 0
	case rest <= p.handled && (rest == 0 || p.handled >= keepPost):
		copy(p.messages, p.messages[p.handled:])
		clear(p.messages[rest:])
		p.messages, p.handled = p.messages[:rest], 0
	}
}

func (p *post) empty() bool { return p.suspended || p.handled == len(p.messages) }

// rests reports whether something is left to be handled.
func (p *post) rests() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = len(p.commands) > 0 || !p.empty()
	return p.running
}
