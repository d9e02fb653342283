package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Request is something asked of the owner of a key, or of the node at an address.
type Request struct {
	Key     string
	Address string // not "": this node, whoever owns what, and once only
	Message Message
	Until   time.Time

	// Older says the same in words that a node of an older release knows, in case
	// that the owner does not know the type of the message; nil: there are none.
	Older func() (Message, error)

	// Done is called once with the answer, or with what kept it from coming:
	// ErrNoAnswer when the request may have been carried out. Here is called
	// instead when this node turns out to be the owner. Neither may block.
	Done func(Message, error)
	Here func(resent bool)
}

// The errors of requests.
var (
	// ErrNoAnswer says that no answer came in time.
	ErrNoAnswer = errors.New("no answer of the node that owns it came in time")
	// ErrNoOwner says that the request was never sent: nobody was there to take it.
	ErrNoOwner = errors.New("no node of the cluster was there to take it in time")
	// errTooMany says that the request was not sent, because of MaxPending.
	errTooMany = errors.New("too many requests to other nodes are under way")
)

// asking is a request under way.
type asking struct {
	*Request
	id       uint64
	address  string    // that the present attempt went to; "" while it holds
	member   string    // id of the member there
	due      time.Time // when it is tried again
	attempts int
	first    time.Time // when it was sent to that member for the first time
	asked    string    // the address of that member
	resent   bool      // an attempt may have arrived
	sent     bool      // there was an attempt
}

// requests are all that this node has asked of others and not heard of yet. They
// outlive a link: what was asked before a node lost its place goes on after it
// has come back. It is what Proto.Actor calls a context, too; the stock one looks
// at a deadline only between attempts of five seconds.
type requests struct {
	link    func() Link // nil: there is none now
	mu      sync.Mutex
	pending map[uint64]*asking
	last    uint64
	count   atomic.Int64
	resends atomic.Uint64
	silence silence // for look alone
}

func newRequests(link func() Link, logger *slog.Logger) *requests {
	// An answer to the process before, at the same address, must not look like
	// one to this: ids go on from a random one.
	return &requests{link: link, pending: make(map[uint64]*asking), last: rand.Uint64(), silence: silence{logger, make(map[string]time.Time)}}
}

// Ask sends a request to its owner, again when that moves, until it is answered
// or its time is over.
func (r *requests) Ask(q *Request) {
	a := &asking{Request: q}
	r.mu.Lock()
	if len(r.pending) >= MaxPending {
		r.mu.Unlock()
		q.Done(Message{}, errTooMany)
		return
	}
	r.last++
	a.id = r.last
	r.pending[a.id] = a
	r.count.Store(int64(len(r.pending)))
	then := r.attempt(a, time.Now())
	r.mu.Unlock()
	if then != nil {
		then()
	}
}

// attempt tries a request now. What it returns is to be called without the lock.
func (r *requests) attempt(a *asking, now time.Time) func() {
	if now.After(a.Until) {
		err := ErrNoOwner
		if a.resent || a.sent {
			err = ErrNoAnswer
		}
		return r.end(a, func() { a.Done(Message{}, err) })
	}
	link := r.link()
	if link == nil {
		a.asked = ""
		a.hold(now)
		return nil
	}
	address, member := a.Address, ""
	if address == "" {
		owner, here := link.Owner(a.Key)
		switch {
		case here:
			return r.end(a, func() { a.Here(a.resent) })
		case owner == nil:
			a.asked = ""
			a.hold(now)
			return nil
		}
		address, member = owner.Address, owner.ID
	}
	if a.resent {
		r.resends.Add(1)
	}
	if a.asked != address {
		a.first, a.asked = now, address
	}
	a.address, a.member, a.due, a.sent = address, member, now.Add(AttemptTimeout), true
	a.attempts++
	m := a.Message
	m.Resent = a.resent
	return func() { link.Send(address, a.Key, &frame{Message: m, ID: a.id}) }
}

// hold lets a request rest a moment before it is tried again.
func (a *asking) hold(now time.Time) {
	a.address = ""
	a.due = now.Add(min(holdFirst<<min(a.attempts, holdDoublings), holdMost))
	a.attempts++
}

// end forgets a request. The caller holds the lock and calls what is returned without it.
func (r *requests) end(a *asking, then func()) func() {
	delete(r.pending, a.id)
	r.count.Store(int64(len(r.pending)))
	return then
}

// answered takes an answer in. One that nobody waits for any more is dropped.
func (r *requests) answered(f frame) {
	r.mu.Lock()
	a := r.pending[f.ID]
	if a == nil || a.address != f.Sender && f.Type == typeMoved {
		r.mu.Unlock()
		return
	}
	var then func()
	switch f.Type {
	case typeMoved:
		// Nothing was done there: this attempt leaves no doubt behind.
		a.hold(time.Now())
		if link := r.link(); link != nil {
			then = link.Refresh
		}
	case typeUnknown:
		if a.Older != nil {
			then = r.older(a)
			break
		}
		then = r.end(a, func() { a.Done(Message{}, fmt.Errorf("node %s: %s", f.Sender, f.Body)) })
	default:
		then = r.end(a, func() { a.Done(f.Message, nil) })
	}
	r.mu.Unlock()
	if then != nil {
		then()
	}
}

// older asks once more in older words.
func (r *requests) older(a *asking) func() {
	m, err := a.Older()
	if err != nil {
		return r.end(a, func() { a.Done(Message{}, err) })
	}
	own := *a.Request // the caller's stays as it is
	own.Message, own.Older = m, nil
	a.Request, a.resent = &own, true
	return r.attempt(a, time.Now())
}

// look tries again what is due, and tells those whose time is over.
func (r *requests) look(now time.Time) {
	r.each(func(a *asking) func() {
		if now.Before(a.due) && now.Before(a.Until) {
			return nil
		}
		if a.asked != "" {
			r.silence.of(a.asked, a.first, now)
		}
		if a.address != "" {
			a.resent = true
			if a.Request.Address != "" {
				return r.end(a, func() { a.Done(Message{}, ErrNoAnswer) })
			}
		}
		return r.attempt(a, now)
	})
}

// lost doubts everything that was sent to an address.
func (r *requests) lost(address string) {
	now := time.Now()
	r.each(func(a *asking) func() {
		if a.address != address {
			return nil
		}
		a.resent = true
		if a.Request.Address != "" {
			return r.end(a, func() { a.Done(Message{}, ErrNoAnswer) })
		}
		a.hold(now)
		return nil
	})
}

// moved routes again what waits for an owner, and what was sent to a member that
// is gone. What was sent to one that is there is answered by it, unless this node
// began a new life: then answers to the old one find nobody.
func (r *requests) moved(now *Table, newLife bool) {
	alive := make(map[string]bool)
	for i := range now.View.Members {
		alive[now.View.Members[i].ID] = !newLife
	}
	at := time.Now()
	r.each(func(a *asking) func() {
		if a.address != "" && (alive[a.member] || a.Request.Address != "") {
			return nil
		}
		a.resent = a.resent || a.address != ""
		return r.attempt(a, at)
	})
}

// each does something with every request. What follows from it is done in the
// order in which they were asked, so that those for one execution keep theirs.
func (r *requests) each(do func(*asking) func()) {
	if r.count.Load() == 0 {
		return
	}
	type step struct {
		id uint64
		do func()
	}
	var after []step
	r.mu.Lock()
	for id, a := range r.pending {
		if then := do(a); then != nil {
			after = append(after, step{id, then})
		}
	}
	r.mu.Unlock()
	slices.SortFunc(after, func(a, b step) int { return cmp.Compare(a.id, b.id) })
	for _, then := range after {
		then.do()
	}
}

// run looks after the requests until the context ends.
func (r *requests) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			r.look(now)
		}
	}
}

// stop tells everybody whose request is under way that it will not be answered.
func (r *requests) stop() {
	r.each(func(a *asking) func() {
		return r.end(a, func() { a.Done(Message{}, ErrNoAnswer) })
	})
}

// Request implements cluster.Context: whoever asks Proto.Actor for an identity
// gets our way of asking.
func (r *requests) Request(identity, _ string, message any, options ...cluster.GrainCallOption) (any, error) {
	body, ok := message.(*wrapperspb.BytesValue)
	if !ok {
		return nil, fmt.Errorf("a request to %q holds %T; nodes send each other BytesValue only", identity, message)
	}
	f, err := unpack(body)
	if err != nil {
		return nil, err
	}
	timeout := RequestTimeout
	call := &cluster.GrainCallConfig{Timeout: timeout}
	for _, option := range options {
		option(call)
	}
	type answer struct {
		message Message
		err     error
	}
	answers := make(chan answer, 1)
	r.Ask(&Request{
		Key: identity, Message: f.Message, Until: time.Now().Add(call.Timeout),
		Done: func(m Message, err error) { answers <- answer{m, err} },
		Here: func(bool) { answers <- answer{err: errors.New("it is owned here: ask the actors of this node")} },
	})
	a := <-answers
	return (&frame{Message: a.message}).pack(), a.err
}

// RequestFuture implements cluster.Context. Futures starve under load and keep
// their deadline to themselves, so there are none.
func (r *requests) RequestFuture(identity, _ string, _ any, _ ...cluster.GrainCallOption) (*actor.Future, error) {
	return nil, fmt.Errorf("%q is asked with Request or Ask: futures are not offered", identity)
}
