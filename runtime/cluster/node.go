package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// Actors is what a node of a cluster needs of the actors on it.
type Actors interface {
	Local(*actors.Deliver)
	FanOut(eventID string)
	CatchUp()
	Notify(execID string)
	Watched() []string
	Quarantine(execID, cause string)
	LetGo()
	Rebalance(ctx context.Context, departed bool) error
	Live(context.Context) int
	Leaving(context.Context) int
}

// Node is this process as a part of the cluster, life after life. It satisfies
// actors.Peers.
type Node struct {
	options  Options
	actors   Actors
	find     func(hash string) (*workflow.Definition, error)
	requests *requests
	watches  watches
	link     atomic.Pointer[Link]
	open     func() (Link, error)

	fenced    chan error    // a life ended by itself
	moved     chan struct{} // there is another table
	departed  atomic.Bool   // and somebody has gone since the actors were told
	closing   context.CancelFunc
	done      sync.WaitGroup
	leaving   atomic.Bool
	moves     atomic.Uint64 // partitions that changed hands as seen from here
	fences    atomic.Uint64
	handing   atomic.Int64 // executions that leave this node now
	balancing atomic.Bool  // moves are under way
}

// New makes a node that is in no cluster yet.
func New(o Options) *Node {
	if o.TTL <= 0 {
		o.TTL = LeaseTTL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("component", "cluster")
	n := &Node{options: o, fenced: make(chan error, 1), moved: make(chan struct{}, 1)}
	n.watches.byID = make(map[string]map[string]time.Time)
	n.requests = newRequests(n.current, o.Logger)
	n.open = func() (Link, error) { return newLife(n.options, n, n.requests) }
	return n
}

// current is the link of the present life, nil between two.
func (n *Node) current() Link {
	if l := n.link.Load(); l != nil {
		return *l
	}
	return nil
}

// Start joins the cluster and tells the actors what is theirs. find returns the
// definition of a hash, for starts that other nodes send.
func (n *Node) Start(ctx context.Context, a Actors, find func(hash string) (*workflow.Definition, error)) error {
	n.actors, n.find = a, find
	background, cancel := context.WithCancel(context.Background())
	n.closing = cancel
	if err := n.join(ctx); err != nil {
		cancel()
		return err
	}
	for _, run := range []func(context.Context){n.requests.run, n.live, n.balance, n.keepHouse} {
		n.done.Go(func() { run(background) })
	}
	return nil
}

// join begins a life.
func (n *Node) join(ctx context.Context) error {
	link, err := n.open()
	if err != nil {
		return err
	}
	// The link says what moved while it opens, and then it must be there to ask.
	n.link.Store(&link)
	if err := link.Open(ctx); err != nil {
		n.link.Store(nil)
		return fmt.Errorf("joining the cluster: %w", err)
	}
	self := link.Self()
	n.options.Logger.Info("this node is a member of the cluster", "node", self.ID, "address", self.Address)
	return nil
}

// live brings the node back whenever it has lost its place.
func (n *Node) live(ctx context.Context) {
	for {
		var cause error
		select {
		case <-ctx.Done():
			return
		case cause = <-n.fenced:
		}
		n.options.Logger.Warn("this node lost its place in the cluster: it owns nothing any more, and joins again as another member", "cause", cause)
		if old := n.link.Swap(nil); old != nil {
			if err := (*old).Close(ctx); err != nil {
				n.options.Logger.Debug("the life that was lost did not end well", "err", err)
			}
		}
		for hold := rejoinAfter; ctx.Err() == nil; hold = min(2*hold, rejoinMost) {
			err := n.join(ctx)
			if err == nil {
				break
			}
			n.options.Logger.Warn("this node could not join the cluster; trying again", "err", err, "after", hold)
			pause(ctx, hold)
		}
	}
}

// pause holds for d or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Moved implements Handler.
func (n *Node) Moved(before, now *Table) {
	if before != nil {
		n.moves.Add(uint64(now.Moved(before)))
	}
	alone := len(now.View.Members) == 1
	recent := now.View.SinceDeparture >= 0 && now.View.SinceDeparture < recentDeparture.Milliseconds()
	if before == nil && alone || recent {
		n.departed.Store(true)
	}
	n.options.Logger.Info("the members of the cluster changed", "view", now.View.Number, "members", len(now.View.Members))
	n.balancing.Store(true)
	go n.requests.moved(now, before == nil)
	select {
	case n.moved <- struct{}{}:
	default:
	}
}

// Fenced implements Handler.
func (n *Node) Fenced(cause error) {
	n.fences.Add(1)
	n.actors.LetGo()
	select {
	case n.fenced <- cause:
	default:
	}
}

// Lost implements Handler.
func (n *Node) Lost(address string) { n.requests.lost(address) }

// balance tells the actors of every change of owners, one after the other.
func (n *Node) balance(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.moved:
		}
		departed := n.departed.Swap(false)
		for ctx.Err() == nil {
			err := n.actors.Rebalance(ctx, departed)
			if err == nil {
				break
			}
			n.options.Logger.Warn("what is ours after a change of members cannot be read; trying again", "err", err)
			pause(ctx, rejoinAfter)
		}
		n.balancing.Store(false)
	}
}

// keepHouse does what must be done now and then although nothing happened.
func (n *Node) keepHouse(ctx context.Context) {
	watch, catchUp := time.NewTicker(watchEvery), time.NewTicker(catchUpEvery)
	defer watch.Stop()
	defer catchUp.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch.C:
			n.rewatch()
		case <-catchUp.C:
			n.actors.CatchUp()
		}
	}
}

// Leave hands over everything that this node owns and returns when nothing of it
// is left here: executions finish what they have under way and leave memory,
// what comes for them is sent on, and what this node asked of others is answered. The node stays a member that owns nothing,
// so that answers come and go, until Close.
func (n *Node) Leave(ctx context.Context) error {
	link := n.current()
	if link == nil || n.leaving.Swap(true) {
		return nil
	}
	table := link.Table()
	if table == nil || table.Held(link.Self().ID) == Partitions {
		return nil // nobody is there to take over
	}
	if err := link.Retire(ctx); err != nil {
		return fmt.Errorf("handing over to the other nodes: %w", err)
	}
	n.actors.LetGo()
	for {
		left := n.actors.Leaving(ctx)
		n.handing.Store(int64(left))
		if ctx.Err() != nil {
			return fmt.Errorf("%d executions were still here when the time was over: %w", left, ctx.Err())
		}
		if left == 0 && n.requests.count.Load() == 0 {
			return nil
		}
		pause(ctx, tick)
	}
}

// Close ends the membership. Whatever this node owned is taken over by others.
func (n *Node) Close(ctx context.Context) error {
	if n.closing == nil {
		return nil
	}
	link := n.current()
	if link != nil {
		n.flush(ctx, link)
	}
	n.closing()
	n.done.Wait()
	n.requests.stop()
	if link = n.current(); link == nil {
		return nil
	}
	return link.Close(ctx)
}

// flush makes sure that the answers that are on their way to other nodes have
// been read there: messages to one node pass one after the other.
func (n *Node) flush(ctx context.Context, link Link) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	n.askAll(ctx, link, Message{Type: typeFlush})
}

// answerOf is what one member said when all were asked.
type answerOf struct {
	member Member
	body   []byte
	err    error
}

// askAll asks every other member the same and returns what they say in time.
func (n *Node) askAll(ctx context.Context, link Link, m Message) []answerOf {
	table := link.Table()
	if table == nil {
		return nil
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(askTimeout)
	}
	self := link.Self().ID
	answers := make(chan answerOf, len(table.View.Members))
	asked := 0
	for _, member := range table.View.Members {
		if member.ID == self {
			continue
		}
		asked++
		n.requests.Ask(&Request{Address: member.Address, Message: m, Until: until, Done: func(m Message, err error) {
			answers <- answerOf{member, m.Body, err}
		}})
	}
	var all []answerOf
	for range asked {
		select {
		case a := <-answers:
			all = append(all, a)
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// Here implements actors.Peers.
func (n *Node) Here(key string) bool {
	link := n.current()
	if link == nil {
		return false
	}
	_, here := link.Owner(key)
	return here
}

// Deliver implements actors.Peers.
func (n *Node) Deliver(d *actors.Deliver) {
	if d.Moved != nil {
		d.Moved()
		return
	}
	spelled := func() (Message, error) {
		body, err := encodeDelivery(d)
		return Message{Type: typeDeliver, Body: body}, err
	}
	var m Message
	var older func() (Message, error)
	var err error
	if in, ok := plainSignal(d); ok {
		m, older = Message{Type: typeSignal, Body: appendSignal(d, &in)}, spelled
	} else {
		m, err = spelled()
	}
	if err == nil && len(m.Body) > MaxMessageBytes {
		err = &workflow.Refusal{Code: workflow.CodeInvalid,
			Message: fmt.Sprintf("it has %d bytes, and %d is what one node sends to another", len(m.Body), MaxMessageBytes),
			Hint:    "keep what is large in a file store and send a link to it; nothing was kept"}
	}
	if err != nil {
		answer(d, actors.Reply{Err: err})
		return
	}
	until := d.Until
	if until.IsZero() {
		until = time.Now().Add(RequestTimeout)
	}
	n.requests.Ask(&Request{
		Key: d.ExecID, Message: m, Older: older, Until: until,
		Done: func(m Message, err error) { answer(d, outcome(m, err)) },
		Here: func(again bool) {
			if again {
				resent(d)
			}
			n.actors.Local(d)
		},
	})
}

func answer(d *actors.Deliver, r actors.Reply) {
	if d.Reply != nil {
		d.Reply(r)
	}
}

// outcome is the reply that an answer holds, or what its sender is told instead.
func outcome(m Message, err error) actors.Reply {
	switch {
	case err == nil:
		r, err := decodeReply(m.Body)
		if err != nil {
			r.Err = unknown(err)
		}
		return r
	case errors.Is(err, ErrNoOwner), errors.Is(err, errTooMany):
		return actors.Reply{Err: &workflow.Refusal{
			Code: workflow.CodeOverloaded, Message: "it could not be brought to the node that owns it, and was not kept: " + err.Error(),
			Hint: "send it again after a moment, with the same id", RetryAfter: retryAfter,
		}}
	}
	return actors.Reply{Err: unknown(err)}
}

func unknown(cause error) *workflow.Refusal {
	return &workflow.Refusal{
		Code: workflow.CodeTimeout, Message: "the outcome is unknown: " + cause.Error(),
		Hint: "send it again with the same id: if the first one was kept you get its receipt", RetryAfter: retryAfter,
	}
}

// Fan implements actors.Peers.
func (n *Node) Fan(eventID string) {
	n.tellOwner(eventID, Message{Type: typeFan, Body: []byte(eventID)})
}

// Quarantined implements actors.Peers.
func (n *Node) Quarantined(execID, cause string) {
	body, err := json.Marshal(illness{execID, cause})
	if err != nil {
		n.options.Logger.Error("a quarantine cannot be told to the other nodes", "exec_id", execID, "err", err)
		return
	}
	link := n.current()
	if link == nil {
		return
	}
	table := link.Table()
	if table == nil {
		return
	}
	for _, m := range table.View.Members {
		if m.ID != link.Self().ID {
			link.Send(m.Address, execID, &frame{Message: Message{Type: typeQuarantine, Body: body}})
		}
	}
}

type illness struct {
	ExecID string `json:"exec"`
	Cause  string `json:"cause"`
}

// tellOwner sends a message to the owner of a key and does not wait.
func (n *Node) tellOwner(key string, m Message) {
	link := n.current()
	if link == nil {
		return
	}
	if owner, here := link.Owner(key); owner != nil && !here {
		link.Send(owner.Address, key, &frame{Message: m})
	}
}
