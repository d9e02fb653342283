package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// life is a Link on Proto.Actor: an actor system of its own, apart from that of
// the executions, with its cluster and remote. Its id is the member's. A node
// that loses its place throws it away and makes another.
type life struct {
	options  Options
	handler  Handler
	provider *provider
	lookup   *lookup
	system   *actor.ActorSystem
	cluster  *cluster.Cluster
	subs     *eventstream.Subscription

	// Proto.Actor's remote must not be used before it has started, as an answer to
	// what the life before was asked would, nor after its end.
	mu     sync.RWMutex
	opened bool
	closed bool
}

func newLife(o Options, h Handler, requests *requests) (*life, error) {
	host, text, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("the cluster's address %q: %w", o.Listen, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the cluster's address %q: the port is a number up to 65535", o.Listen)
	}
	l := &life{options: o, handler: h, lookup: &lookup{handler: h}}
	l.lookup.setUp = l.openDoors
	l.provider = newProvider(o, h, l.lookup)
	l.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet(o.Logger) }))
	options := append(wireOptions(o), remote.WithEndpointWriterBatchSize(batch), remote.WithEndpointWriterQueueSize(queue), func(c *remote.Config) { c.MaxRetryCount = 1 })
	if o.Advertise != "" {
		options = append(options, remote.WithAdvertisedHost(o.Advertise))
	}
	config := cluster.Configure("signalbox", l.provider, l.lookup, remote.Configure(host, int(port), options...),
		cluster.WithClusterContextProducer(func(*cluster.Cluster) cluster.Context { return requests }),
		cluster.WithHeartbeatExpiration(never))
	config.GossipInterval = never
	l.cluster = cluster.New(l.system, config)
	l.subs = l.system.EventStream.Subscribe(func(event any) {
		if gone, ok := event.(*remote.EndpointTerminatedEvent); ok {
			h.Lost(gone.Address)
		}
	})
	return l, nil
}

// Open implements Link.
func (l *life) Open(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() {
		defer func() {
			// Proto.Actor panics when it cannot listen.
			if cause := recover(); cause != nil {
				failed <- fmt.Errorf("the cluster cannot listen on %s: %v", l.options.Listen, cause)
			}
		}()
		l.cluster.StartMember() // it sleeps for a second at its end, for nobody
	}()
	var err error
	select {
	case err = <-l.provider.started:
	case err = <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, l.Close(context.WithoutCancel(ctx)))
	}
	return nil
}

// openDoors spawns the actors that take messages of other nodes.
func (l *life) openDoors(*cluster.Cluster) {
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *wrapperspb.BytesValue:
			f, err := unpack(m)
			if err != nil {
				l.options.Logger.Warn("a message of another node cannot be read", "err", err)
				f.Type, f.Body = "", []byte(err.Error())
			}
			l.handler.Received(f)
		case *actor.DeadLetterResponse:
			l.handler.Lost(m.Target.GetAddress())
		}
	})
	for _, name := range doorNames {
		if _, err := l.system.Root.SpawnNamed(props, name); err != nil {
			l.options.Logger.Error("a door of the cluster cannot be opened", "door", name, "err", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
}

// Self implements Link.
func (l *life) Self() Member { return *l.provider.self.Load() }

// Owner implements Link.
func (l *life) Owner(key string) (*Member, bool) { return l.lookup.owner(key) }

// Table implements Link.
func (l *life) Table() *Table {
	if !l.provider.held() {
		return nil
	}
	return l.lookup.table.Load()
}

// Send implements Link. Keys are spread over the doors.
func (l *life) Send(address, key string, f *frame) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !l.opened || l.closed {
		return
	}
	f.Sender = l.system.Address()
	if t := l.lookup.table.Load(); t != nil {
		f.View = t.View.Number
	}
	door := doorOf(key)
	l.system.Root.RequestWithCustomSender(actor.NewPID(address, door), f.pack(), actor.NewPID(f.Sender, door))
}

// Refresh implements Link.
func (l *life) Refresh() {
	select {
	case l.provider.poked <- struct{}{}:
	default:
	}
}

// Retire implements Link.
func (l *life) Retire(ctx context.Context) error { return l.provider.retire(ctx) }

// Close implements Link. Proto.Actor's own way takes two seconds of sleep and
// refuses nobody meanwhile; this one ends what it began in its order.
func (l *life) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	table := l.lookup.table.Load()
	err := l.provider.leave(ctx)
	l.system.EventStream.Unsubscribe(l.subs)
	l.cluster.Gossip.Shutdown()
	if l.cluster.Remote != nil {
		if table != nil {
			for _, m := range table.View.Members {
				l.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: m.Address})
			}
		}
		stopRemote(l.cluster.Remote)
	}
	l.system.Shutdown()
	return err
}

// stopRemote closes the listener. A remote that never came to listen has none,
// and Proto.Actor does not look.
func stopRemote(r *remote.Remote) {
	defer func() { _ = recover() }()
	r.Shutdown(false)
}

// quiet is a logger for Proto.Actor, which has much to say at every level about
// connections that come and go: it says it to those who debug.
func quiet(l *slog.Logger) *slog.Logger {
	return slog.New(demoted{l.With("component", "protoactor").Handler()})
}

// demoted writes every record at the level of debug.
type demoted struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }
