package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// gate tells the clients where the node is, or the nodes in turn. Its zero value
// is closed.
type gate struct {
	mu      sync.Mutex
	urls    []string
	turn    int
	changed chan struct{}
}

// move sets the addresses of the nodes; none, or "", says that there is none now.
func (g *gate) move(urls ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.urls = slices.DeleteFunc(urls, func(url string) bool { return url == "" })
	if g.changed != nil {
		close(g.changed)
	}
	g.changed = make(chan struct{})
}

// now returns the address of whose turn it is, "" for none, and a channel that is closed when it changes.
func (g *gate) now() (string, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	if len(g.urls) == 0 {
		return "", g.changed
	}
	g.turn++
	return g.urls[g.turn%len(g.urls)], g.changed
}

// await returns the address as soon as there is one, and a channel that is
// closed when it changes.
func (g *gate) await(ctx context.Context) (string, <-chan struct{}, error) {
	for {
		url, changed := g.now()
		if url != "" {
			return url, changed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", nil, fmt.Errorf("no node to talk to: %w", ctx.Err())
		}
	}
}

// load is what all clients share.
type load struct {
	ledger *Ledger
	gate   *gate
	deaf   *gate // of the first few clients, who hear of no trouble; nil: there are none
	http   *http.Client
	seed   uint64
	hold   time.Duration // before a node that has failed a client is asked again
	quit   chan struct{} // closed: each client ends after what it is doing
}

// client is one sender. It sends one thing at a time, apart from the copies
// that it sends of it on purpose.
type client struct {
	*load
	number int
	dice   *rand.Rand
	events int
	lanes  [2]lane // an execution of its own, and one that it shares with its neighbour
}

// lane is the execution that a client sends to now, and what it has sent there.
type lane struct {
	name string
	turn int // how many executions this lane has used up
	sent int // to the present one
	exec string
}

// run starts the clients and returns when all have ended.
func (l *load) run(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make(chan error, clients)
	for i := range clients {
		c := &client{load: l, number: i, dice: rand.New(rand.NewPCG(l.seed, uint64(i)))}
		c.lanes[0].name = "own-" + strconv.Itoa(i)
		c.lanes[1].name = "shared-" + strconv.Itoa(i/2)
		group.Go(func() {
			if err := c.run(ctx); err != nil {
				failures <- fmt.Errorf("client %d: %w", c.number, err)
			}
		})
	}
	group.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (c *client) run(ctx context.Context) error {
	for {
		select {
		case <-c.quit:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		var err error
		if c.dice.IntN(100) < 8 {
			err = c.sendEvent(ctx)
		} else {
			err = c.sendSignal(ctx, &c.lanes[min(1, c.dice.IntN(4)/3)])
		}
		if errors.Is(err, errRefused) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errRefused ends a client whose request was answered as no correct node
// answers it. The ledger has the answer, and the judge makes it a failure.
var errRefused = errors.New("refused")

// open makes sure that a lane has an execution that its signals can go to.
func (c *client) open(ctx context.Context, on *lane) error {
	if on.exec != "" && on.sent < signalsPerExecution {
		return nil
	}
	on.turn++
	on.sent = 0
	on.exec = on.name + "-" + strconv.Itoa(on.turn)
	c.ledger.Started(on.exec, false)
	err := c.insist(ctx, nil, func(a api) error {
		return a.start(ctx, "counter", on.exec, map[string]any{"lane": on.name})
	})
	if err == nil {
		c.ledger.Started(on.exec, true)
	}
	return err
}

func (c *client) sendSignal(ctx context.Context, on *lane) error {
	if err := c.open(ctx, on); err != nil {
		return err
	}
	on.sent++
	s := c.ledger.Signal(Sent{
		ID:   fmt.Sprintf("s-%s-%d-%d", on.exec, c.number, on.sent),
		Exec: on.exec, Client: c.number, N: on.sent,
	})
	payload := map[string]any{"n": on.sent, "client": c.number}
	attempt := func(a api) error {
		answer, err := a.signal(ctx, s.Exec, s.ID, signalName, payload)
		if err == nil {
			c.ledger.Answered(s, answer)
		}
		return err
	}
	return c.send(ctx, s, attempt)
}

func (c *client) sendEvent(ctx context.Context) error {
	c.events++
	s := c.ledger.Event(Sent{ID: fmt.Sprintf("e-%d-%d", c.number, c.events), Client: c.number, N: c.events})
	attempt := func(a api) error {
		answer, err := a.event(ctx, s.ID, eventName, map[string]any{"event": s.ID})
		if err == nil {
			c.ledger.Answered(s, answer)
		}
		return err
	}
	return c.send(ctx, s, attempt)
}

// send carries out a message: mostly once, sometimes as two copies at the same
// time, and sometimes it gives up when it does not learn the outcome.
func (c *client) send(ctx context.Context, s *Sent, attempt func(api) error) error {
	twice, giveUp := c.dice.IntN(20) == 0, c.dice.IntN(8) == 0
	if giveUp {
		return c.once(ctx, s, attempt)
	}
	if !twice {
		return c.insist(ctx, s, attempt)
	}
	copied := make(chan error, 1)
	go func() { copied <- c.insist(ctx, s, attempt) }()
	err := c.insist(ctx, s, attempt)
	return errors.Join(err, <-copied)
}

// once tries a message until the node says something about it or an outcome
// stays unknown, whichever comes first.
func (c *client) once(ctx context.Context, s *Sent, attempt func(api) error) error {
	err := c.insistUntil(ctx, s, attempt, func(err error) bool {
		var lost *unanswered
		return errors.As(err, &lost)
	})
	var lost *unanswered
	if errors.As(err, &lost) {
		return nil
	}
	return err
}

// insist tries until the node has carried out the request.
func (c *client) insist(ctx context.Context, s *Sent, attempt func(api) error) error {
	return c.insistUntil(ctx, s, attempt, func(error) bool { return false })
}

// insistUntil tries until the node has carried out the request or stop says so
// of the error. What no correct node says goes into the ledger and ends it too.
func (c *client) insistUntil(ctx context.Context, s *Sent, attempt func(api) error, stop func(error) bool) error {
	door := c.gate
	if c.deaf != nil && c.number < deafClients {
		door = c.deaf
	}
	for {
		url, changed, err := door.await(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		err = attempt(api{base: url, http: c.http})
		if err == nil {
			return nil
		}
		c.ledger.Failed(began)
		var lost *unanswered
		var r *refusal
		switch {
		case errors.As(err, &lost):
			if s != nil {
				c.ledger.Unknown(s)
			}
		case errors.As(err, &r) && r.turnedAway():
			c.ledger.TurnedAway()
		default:
			c.ledger.Refused("client %d: %v", c.number, err)
			return errRefused
		}
		if stop(err) {
			return err
		}
		pause(ctx, c.hold, changed)
		if ctx.Err() != nil {
			return fmt.Errorf("%w, and the last attempt said: %w", ctx.Err(), err)
		}
	}
}
