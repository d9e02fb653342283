package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/signalbox/signalbox/actors"
)

// Received implements Handler: it does what another node asks.
func (n *Node) Received(f frame) {
	link := n.current()
	if link == nil {
		return // the sender asks again, or whoever owns it then
	}
	if t := link.Table(); t != nil && f.View > t.View.Number {
		link.Refresh() // the sender has heard of a change that we have not
	}
	switch f.Type {
	case typeReply, typeMoved, typeUnknown:
		n.requests.answered(f)
	case typeDeliver, typeSignal:
		n.delivered(link, f)
	case typeFan:
		if id := string(f.Body); n.Here(id) {
			n.actors.FanOut(id)
		}
	case typeWatch:
		n.watchedBy(link, f)
	case typeChanged:
		n.actors.Notify(string(f.Body))
	case typeQuarantine:
		var ill illness
		if err := json.Unmarshal(f.Body, &ill); err != nil {
			n.options.Logger.Warn("the quarantine that another node tells of cannot be read", "from", f.Sender, "err", err)
			return
		}
		n.actors.Quarantine(ill.ExecID, ill.Cause)
	case typeFlush:
		back(link, "", f, Message{Type: typeReply})
	case typeDescribe:
		go n.describe(link, f)
	default:
		if f.ID != 0 {
			back(link, "", f, Message{Type: typeUnknown, Body: fmt.Appendf(nil, "it does not know the request %q: it runs another release. %s", f.Type, f.Body)})
		}
	}
}

// back answers a request.
func back(link Link, key string, f frame, m Message) {
	link.Send(f.Sender, key, &frame{Message: m, ID: f.ID})
}

// delivered takes a delivery of another node in. The reply goes back by whatever
// link there is when it comes: a node that lost its place still knows the answer.
func (n *Node) delivered(link Link, f frame) {
	d, err := n.decode(f)
	if err != nil {
		back(link, "", f, Message{Type: typeUnknown, Body: []byte(err.Error())})
		return
	}
	if !n.Here(d.ExecID) {
		back(link, d.ExecID, f, Message{Type: typeMoved})
		return
	}
	if f.Resent {
		resent(d)
	}
	d.Moved = func() {
		if link := n.current(); link != nil {
			back(link, d.ExecID, f, Message{Type: typeMoved})
		}
	}
	d.Reply = func(r actors.Reply) {
		m := Message{Type: typeReply}
		var err error
		if m.Body, err = encodeReply(r, f.Type == typeSignal); err != nil {
			m = Message{Type: typeUnknown, Body: []byte(err.Error())}
		}
		if link := n.current(); link != nil {
			back(link, d.ExecID, f, m)
		}
	}
	n.actors.Local(d)
}

// decode reads the delivery in a frame.
func (n *Node) decode(f frame) (*actors.Deliver, error) {
	if f.Type == typeSignal {
		return readSignal(f.Body)
	}
	return decodeDelivery(f.Body, n.find)
}

// watches are the executions of this node that somebody on another one watches.
type watches struct {
	mu   sync.RWMutex
	byID map[string]map[string]time.Time // execution, address, until when
}

// Watch implements actors.Peers.
func (n *Node) Watch(execID string) {
	n.tellOwner(execID, Message{Type: typeWatch, Body: []byte(execID)})
}

// watchedBy remembers that another node wants to hear of an execution, and tells
// it at once that it may have changed: it may have, before this was heard.
func (n *Node) watchedBy(link Link, f frame) {
	id := string(f.Body)
	w := &n.watches
	w.mu.Lock()
	at := w.byID[id]
	if at == nil && len(w.byID) < maxWatches {
		at = make(map[string]time.Time)
		w.byID[id] = at
	}
	if at != nil {
		at[f.Sender] = time.Now().Add(watchFor)
	}
	w.mu.Unlock()
	link.Send(f.Sender, id, &frame{Message: Message{Type: typeChanged, Body: f.Body}})
}

// Changed implements actors.Peers.
func (n *Node) Changed(execID string) {
	w := &n.watches
	w.mu.RLock()
	defer w.mu.RUnlock()
	at := w.byID[execID]
	if len(at) == 0 {
		return
	}
	link := n.current()
	if link == nil {
		return
	}
	for address := range at {
		link.Send(address, execID, &frame{Message: Message{Type: typeChanged, Body: []byte(execID)}})
	}
}

// rewatch says again what is watched here and lets the watchers look, so that
// none that missed a message is late for long; and forgets who says so no more.
func (n *Node) rewatch() {
	for _, id := range n.actors.Watched() {
		if !n.Here(id) {
			n.Watch(id)
			n.actors.Notify(id)
		}
	}
	present := time.Now()
	w := &n.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, at := range w.byID {
		for address, until := range at {
			if until.Before(present) {
				delete(at, address)
			}
		}
		if len(at) == 0 {
			delete(w.byID, id)
		}
	}
}

// Held is what a member says of itself.
type Held struct {
	Live    int `json:"live"`    // executions in memory
	Handing int `json:"handing"` // of them, those that are on their way to another member
	Pending int `json:"pending"` // requests to other members under way
}

func (n *Node) held(ctx context.Context) Held {
	return Held{Live: n.actors.Live(ctx), Handing: n.actors.Leaving(ctx), Pending: int(n.requests.count.Load())}
}

func (n *Node) describe(link Link, f frame) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	body, err := json.Marshal(n.held(ctx))
	if err != nil {
		body = []byte("{}")
	}
	back(link, "", f, Message{Type: typeReply, Body: body})
}
