package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/executors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/workflow"
)

// Options are what a node is made of. Store and Logger are required.
type Options struct {
	Store        persistence.Store
	Logger       *slog.Logger
	Registry     *prometheus.Registry // nil: metrics are counted and shown nowhere
	Version      string
	Dir          string              // of the project, where process tools run
	AllowPrivate bool                // HTTP tools may reach private addresses
	Retention    time.Duration       // how long finished executions are kept; zero: DefaultRetention
	Getenv       func(string) string // where models without configuration look; nil: the process environment
	Cluster      *cluster.Options    // nil: this node is alone
}

// Node is one Signalbox process without its front door.
type Node struct {
	options   Options
	store     persistence.Store
	logger    *slog.Logger
	catalog   *definitions.Catalog
	pool      *executors.Pool
	hands     *hands
	system    *actors.System
	telemetry *telemetry
	cluster   *cluster.Node // nil: this node is alone

	mu      sync.Mutex // one Deploy at a time
	secrets atomic.Pointer[map[string]string]
	state   atomic.Pointer[string] // starting, ready, draining
	sweeper context.CancelFunc
	swept   chan struct{}
}

// New wires a node; nothing runs before Start.
func New(o Options) (*Node, error) {
	if o.Store == nil || o.Logger == nil {
		return nil, errors.New("runtime: a node needs a Store and a Logger")
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	n := &Node{options: o, store: o.Store, logger: o.Logger}
	n.set("starting")
	n.catalog = definitions.NewCatalog(n.bundle)
	n.telemetry = newTelemetry(n)
	n.hands = &hands{parked: make(map[string]bool), wake: func(id string) { n.system.Tell(&actors.Deliver{ExecID: id}) }}
	n.pool = executors.NewPool(executors.New(n.tools()), executors.DefaultWorkers, executors.DefaultBacklog, executors.Hooks{
		Ended: n.telemetry.ended, Room: func(executors.Lane) { n.hands.room() }, Logger: o.Logger,
	})
	n.hands.pool = n.pool
	options := actors.Options{
		Store: o.Store, Catalog: catalog{n.catalog}, Hands: n.hands, Observer: n.telemetry, Logger: o.Logger,
	}
	if o.Cluster != nil {
		n.cluster = cluster.New(*o.Cluster)
		options.Peers = n.cluster
	}
	n.system = actors.NewSystem(options)
	return n, nil
}

// Start brings the actors to life and resumes what a crash or a stop
// interrupted. Deploy comes first, so that events find their triggers.
func (n *Node) Start(ctx context.Context) error {
	if err := n.system.Start(ctx); err != nil {
		return fmt.Errorf("the node cannot resume its work: %w", err)
	}
	if n.cluster != nil {
		if err := n.cluster.Start(ctx, n.system, catalog{n.catalog}.Version); err != nil {
			return err
		}
	}
	background, cancel := context.WithCancel(context.Background())
	n.sweeper, n.swept = cancel, make(chan struct{})
	go n.sweep(background)
	n.set("ready")
	return nil
}

// Stop refuses new work, lets commits finish and stops the actors; running
// tasks are interrupted and issued again at the next start, or by the other nodes. The store stays
// open. It takes StopTimeout at most, or less when the context ends.
func (n *Node) Stop(ctx context.Context) error {
	n.set("draining")
	if n.sweeper != nil {
		n.sweeper()
		<-n.swept
	}
	if n.cluster == nil {
		return errors.Join(within(ctx, drainTimeout, n.system.Stop), within(ctx, poolTimeout, n.pool.Stop))
	}
	// The other nodes take over first, and answers go out until the very end.
	return errors.Join(within(ctx, leaveTimeout, n.cluster.Leave), within(ctx, drainTimeout, n.system.Stop),
		within(ctx, poolTimeout, n.pool.Stop), within(ctx, partTimeout, n.cluster.Close))
}

// within gives one step of a stop its own time.
func within(ctx context.Context, most time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return step(ctx)
}

// Deploy makes the project's workflows the current ones. Their bundles are
// durable before any execution can start on them.
func (n *Node) Deploy(ctx context.Context, p *definitions.Project) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range p.Workflows {
		_, err := n.store.Document(ctx, definitionKind, w.Hash)
		if errors.Is(err, persistence.ErrNotFound) {
			err = n.store.PutDocument(ctx, definitionKind, w.Hash, w.Bundle)
		}
		if err != nil {
			return fmt.Errorf("workflow %s cannot be stored: %w", w.ID, err)
		}
	}
	n.secrets.Store(&p.Secret)
	n.catalog.Replace(p)
	return nil
}

// definitionKind is the kind of the documents that hold bundles by content hash.
const definitionKind = "definition"

func (n *Node) bundle(hash string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return n.store.Document(ctx, definitionKind, hash)
}

func (n *Node) secret() map[string]string {
	if s := n.secrets.Load(); s != nil {
		return *s
	}
	return nil
}

func (n *Node) set(state string) { n.state.Store(&state) }

// sweep forgets what finished longer ago than the retention.
func (n *Node) sweep(ctx context.Context) {
	defer close(n.swept)
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := n.system.SweepBroadcasts(ctx, workflow.InstantOf(time.Now()).Add(-n.options.Retention)); err != nil && ctx.Err() == nil {
			n.logger.Warn("finished broadcasts could not be swept; trying again later", "err", err)
		}
		n.sweepLetters(ctx)
		for {
			forgotten, err := n.store.Sweep(ctx, workflow.InstantOf(time.Now()).Add(-n.options.Retention), sweepBatch)
			if err != nil && ctx.Err() == nil {
				n.logger.Warn("finished executions could not be swept; trying again later", "err", err)
			}
			if err != nil || forgotten == 0 {
				break
			}
		}
	}
}

// Health implements the front door's Node.
func (n *Node) Health() workflow.Health {
	h := workflow.Health{
		Status: *n.state.Load(), Durability: n.store.Durability(), Version: n.options.Version,
	}
	h.Ready = h.Status == "ready"
	if err := n.store.Health(); err != nil {
		h.Ready, h.Status = false, "degraded"
		h.Problems = append(h.Problems, "store: "+err.Error())
	}
	if n.cluster != nil {
		if problem := n.cluster.Problem(); problem != "" {
			h.Ready, h.Status = false, "degraded"
			h.Problems = append(h.Problems, "cluster: "+problem)
		}
	}
	return h
}

// Workflows implements the front door's Node.
func (n *Node) Workflows() []*definitions.Workflow { return n.catalog.All() }

// mintID makes an id that nobody else has: RFC 9562, version 7, ordered by time.
func mintID() string { return uuid.Must(uuid.NewV7()).String() }
