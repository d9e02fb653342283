package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// provider tells Proto.Actor who is in the cluster, from a membership, and keeps
// this node in it. It is Proto.Actor's ClusterProvider.
type provider struct {
	options  Options
	handler  Handler
	lookup   *lookup
	cluster  *cluster.Cluster
	began    time.Time    // what renewed counts from, by the monotonic clock
	renewed  atomic.Int64 // nanoseconds from began to the last renewal's beginning
	lost     atomic.Bool
	poked    chan struct{}
	stop     context.CancelFunc
	stopped  chan struct{}
	started  chan error // what became of the start, once
	refused  map[string]bool
	self     atomic.Pointer[Member]
	mu       sync.Mutex // one renewal at a time
	lastView uint64
}

func newProvider(o Options, h Handler, l *lookup) *provider {
	p := &provider{
		options: o, handler: h, lookup: l, began: time.Now(), refused: make(map[string]bool),
		poked: make(chan struct{}, 1), stopped: make(chan struct{}), started: make(chan error, 1),
	}
	l.provider = p
	return p
}

// held reports whether the lease has certainly not run out: this node counts
// from before it asked, Redis from after.
func (p *provider) held() bool {
	return !p.lost.Load() && time.Since(p.began)-time.Duration(p.renewed.Load()) < p.options.TTL
}

// StartMember implements cluster.ClusterProvider: it joins and stays.
func (p *provider) StartMember(c *cluster.Cluster) error {
	err := p.join(c)
	p.started <- err
	return nil // Proto.Actor panics over an error; who opens the link reads started
}

func (p *provider) join(c *cluster.Cluster) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost.Load() {
		return errors.New("it was closed before it was open")
	}
	p.cluster = c
	self := Member{ID: c.ActorSystem.ID, Address: c.ActorSystem.Address(), Protocol: Protocol, Version: p.options.Version}
	ctx, cancel := context.WithTimeout(context.Background(), p.options.TTL)
	defer cancel()
	at := time.Since(p.began)
	view, err := p.options.Membership.Join(ctx, self)
	if err != nil {
		return err
	}
	for _, m := range view.Members {
		if m.Protocol != Protocol {
			err := &OtherProtocol{m}
			return errors.Join(err, p.options.Membership.Leave(ctx, self.ID))
		}
		if m.ID == self.ID {
			self = m
		}
	}
	p.self.Store(&self)
	p.renewed.Store(int64(at))
	background, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.show(view)
	go p.stay(background)
	return nil
}

// StartClient implements cluster.ClusterProvider. Every node is a member.
func (p *provider) StartClient(*cluster.Cluster) error {
	return errors.New("a node of this cluster is a member of it, never a client")
}

// Shutdown implements cluster.ClusterProvider: it leaves.
func (p *provider) Shutdown(bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.options.TTL)
	defer cancel()
	return p.leave(ctx)
}

func (p *provider) leave(ctx context.Context) error {
	p.mu.Lock()
	stop := p.stop
	if stop == nil {
		p.lost.Store(true) // it never joined, and must not from now on
	}
	p.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	<-p.stopped
	p.lookup.clear()
	if p.lost.Swap(true) {
		return nil
	}
	return p.options.Membership.Leave(ctx, p.self.Load().ID)
}

// stay renews the lease, a few times within its TTL and whenever the members
// may have changed, until it is told to stop or the lease is lost.
func (p *provider) stay(ctx context.Context) {
	defer close(p.stopped)
	changes := p.options.Membership.Changes(ctx)
	beat := p.options.TTL / beats
	timer := time.NewTimer(beat)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-p.poked:
		case <-timer.C:
		}
		err := p.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			timer.Reset(beat)
			continue
		case errors.Is(err, ErrLost) || !p.held():
			p.fence(err)
			return
		}
		p.options.Logger.Warn("the lease of this node in the cluster could not be renewed; trying again", "err", err)
		timer.Reset(beat / beats)
	}
}

// renew keeps the lease and shows what it finds.
func (p *provider) renew(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, p.options.TTL/beats)
	defer cancel()
	at := time.Since(p.began)
	view, err := p.options.Membership.Renew(ctx, *p.self.Load())
	if err != nil {
		return err
	}
	p.renewed.Store(int64(at))
	if view.Number != p.lastView {
		p.show(view)
	}
	return nil
}

// retire renews the lease as a member that owns nothing any more.
func (p *provider) retire(ctx context.Context) error {
	self := *p.self.Load()
	self.Leaving = true
	p.self.Store(&self)
	return p.renew(ctx)
}

// fence ends this life: from now on the node owns nothing.
func (p *provider) fence(cause error) {
	p.lost.Store(true)
	p.lookup.clear()
	p.handler.Fenced(cause)
}

// show makes a view the present one, for placement first and then for
// Proto.Actor, which closes its connections to those who are gone.
func (p *provider) show(view View) {
	p.lastView = view.Number
	var members cluster.Members
	ours := View{Number: view.Number, SinceDeparture: view.SinceDeparture}
	for _, m := range view.Members {
		if m.Protocol != Protocol {
			p.refuse(m)
			continue
		}
		host, port, err := splitAddress(m.Address)
		if err != nil {
			p.refuse(m)
			continue
		}
		ours.Members = append(ours.Members, m)
		members = append(members, &cluster.Member{Id: m.ID, Host: host, Port: port, Kinds: p.cluster.GetClusterKinds()})
	}
	p.lookup.show(NewTable(ours))
	p.cluster.MemberList.UpdateClusterTopology(members)
}

// refuse says once that a member cannot be one of ours.
func (p *provider) refuse(m Member) {
	if p.refused[m.ID] {
		return
	}
	p.refused[m.ID] = true
	p.options.Logger.Error("a node is refused: it speaks another protocol of the cluster, or its address is none",
		"node", m.ID, "address", m.Address, "version", m.Version, "protocol", m.Protocol, "ours", Protocol)
}

func splitAddress(address string) (host string, port int32, err error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", 0, fmt.Errorf("the address of a node: %w", err)
	}
	// The brackets of IPv6 stay: Proto.Actor puts both together as they are.
	i := strings.LastIndexByte(address, ':')
	n, err := strconv.ParseUint(address[i+1:], 10, 16)
	if err != nil || n == 0 || i == 0 {
		return "", 0, fmt.Errorf("the address of a node, %q, is not HOST:PORT", address)
	}
	return address[:i], int32(n), nil
}

// lookup knows who owns what. It is Proto.Actor's IdentityLookup: an identity is
// a key, and the actor that speaks for all that a member owns is one of its
// doors. Behind the door the member's own map of live actors goes on.
type lookup struct {
	handler  Handler
	provider *provider
	table    atomic.Pointer[Table] // nil: this node has no place
	selfID   string
	setUp    func(*cluster.Cluster)
}

// owner is the member that owns a key, and whether it is this node.
func (l *lookup) owner(key string) (m *Member, here bool) {
	t := l.table.Load()
	if t == nil || !l.provider.held() {
		return nil, false
	}
	m = t.Owner(key)
	return m, m != nil && m.ID == l.selfID
}

func (l *lookup) show(t *Table) {
	before := l.table.Swap(t)
	l.handler.Moved(before, t)
}

func (l *lookup) clear() { l.table.Store(nil) }

// Get implements cluster.IdentityLookup. It never waits.
func (l *lookup) Get(identity *cluster.ClusterIdentity) *actor.PID {
	m, _ := l.owner(identity.Identity)
	if m == nil {
		return nil
	}
	return actor.NewPID(m.Address, doorOf(identity.Identity))
}

// RemovePid implements cluster.IdentityLookup. Doors are not remembered.
func (l *lookup) RemovePid(*cluster.ClusterIdentity, *actor.PID) {}

// Setup implements cluster.IdentityLookup. The remote takes messages by now and
// nobody knows of this node yet: the moment to open the doors.
func (l *lookup) Setup(c *cluster.Cluster, _ []string, _ bool) {
	l.selfID = c.ActorSystem.ID
	l.setUp(c)
}

// Shutdown implements cluster.IdentityLookup.
func (l *lookup) Shutdown() { l.clear() }

// doorOf names the door that messages about a key go through.
func doorOf(key string) string { return doorNames[Partition(key)%doors] }

var doorNames = func() (names [doors]string) {
	for i := range names {
		names[i] = "door" + strconv.Itoa(i)
	}
	return names
}()
