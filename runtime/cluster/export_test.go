package cluster

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Crash ends a node as the death of its process would: nobody is told, and what
// was on its way is gone.
func (n *Node) Crash() {
	n.closing()
	n.done.Wait()
	l := (*n.link.Load()).(*life)
	l.provider.stop()
	<-l.provider.stopped
	l.provider.lost.Store(true)
	l.lookup.clear()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	stopRemote(l.cluster.Remote)
	l.system.Shutdown()
}

// AskRaw sends a request of any type to the owner of a key.
func (n *Node) AskRaw(q *Request) { n.requests.Ask(q) }

// Push sends bytes to the door of another node as they are.
func (n *Node) Push(address string, raw []byte) {
	l := (*n.link.Load()).(*life)
	l.system.Root.Send(actor.NewPID(address, doorNames[0]), &wrapperspb.BytesValue{Value: raw})
}

// Address is where other nodes reach this one.
func (n *Node) Address() string { return (*n.link.Load()).Self().Address }

// The codec, for its tests.
var (
	EncodeDelivery = encodeDelivery
	DecodeDelivery = decodeDelivery
	EncodeReply    = encodeReply
	DecodeReply    = decodeReply
	Inputs         = inputs
)
