package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Options say how a store is opened.
type Options struct {
	// Remember is a file beside the node that names the store in the Redis, so that
	// an empty or another Redis is noticed at the next opening. "" remembers it
	// only while the store is open.
	Remember string

	// Log hears of failures and of their end; nil drops them.
	Log *slog.Logger
}

// Store is the store in a Redis. It implements persistence.Store.
type Store struct {
	address *Address
	prefix  string
	file    string
	log     *slog.Logger
	client  *client

	incarnation string
	parts       []*partition
	epoch       uint64
	field       string // of this writer in the marks

	queue    *persistence.Queue[*write]
	draining chan chan error
	ended    chan struct{} // closed when the writer ended
	running  bool          // the writer was started
	fault    atomic.Pointer[fault]
	level    atomic.Pointer[workflow.Durability]
	disk     atomic.Uint64

	// Of the writer alone, and of the opening before it.
	generation  uint64
	seen        []highest
	hold        time.Duration // before the next probe
	probeAt     *time.Timer
	undelivered bool // events are left in an outbox
	flagged     bool // all partitions say that events are kept

	damaged persistence.DamagedEvents

	stats  counters
	gate   gate
	once   sync.Once
	result error // of Close
}

var _ persistence.Store = (*Store)(nil)

// counters are what Stats tells, and how many acknowledged writes were lost.
type counters struct {
	commits, conflicts, groups, grouped, failures, forgotten, dropped atomic.Uint64
}

// Open opens the store in the Redis at an address, making it when the Redis is
// empty. It waits a few seconds for a Redis that is starting. A Redis that is not
// the one which Options.Remember names is refused.
func Open(ctx context.Context, a *Address, o Options) (*Store, error) {
	s := &Store{
		address: a, prefix: a.Prefix, file: o.Remember,
		log:      cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		client:   dial(a),
		queue:    persistence.NewQueue[*write](maxQueued, maxQueuedBytes, errFull),
		draining: make(chan chan error),
		ended:    make(chan struct{}),
		probeAt:  time.NewTimer(time.Hour),
	}
	s.damaged.Log = s.log
	s.probeAt.Stop()
	if err := awaitRedis(ctx, s.open); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store in %s: %w", a, spelledOut(err)), s.client.close())
	}
	s.running = true
	go s.run()
	return s, nil
}

// open does the work of Open; it may be done again after it failed.
func (s *Store) open(ctx context.Context) error {
	now, err := s.survey(ctx)
	if err != nil {
		return err
	}
	if err := now.fit(s.address); err != nil {
		return err
	}
	if err := s.client.each(ctx, teach); err != nil {
		return err
	}
	if err := s.permitted(ctx); err != nil {
		return err
	}
	if err := s.identify(ctx); err != nil {
		return err
	}
	if err := s.beginEpoch(ctx); err != nil {
		return err
	}
	if err := s.link(ctx); err != nil {
		return err
	}
	s.observe(now)
	return s.drain(ctx)
}

func (s *Store) home(id string) *partition { return homeOf(s.parts, id) }

// Epoch is this opening's number.
func (s *Store) Epoch() uint64 { return s.epoch }

// Durability is what the Redis was found to promise, a second ago at most.
func (s *Store) Durability() workflow.Durability { return *s.level.Load() }

// Health says why writes are refused now; it wraps persistence.ErrUnavailable.
func (s *Store) Health() error {
	if f := s.fault.Load(); f != nil {
		return f.err
	}
	return nil
}

// Stats describes the work of the store so far. Open waits and dead
// letters are those in the Redis, of all nodes; -1 when it does not answer soon.
func (s *Store) Stats() persistence.Stats {
	st := persistence.Stats{
		Commits:   s.stats.commits.Load(),
		Conflicts: s.stats.conflicts.Load(),
		Groups:    s.stats.groups.Load(),
		Grouped:   s.stats.grouped.Load(),
		Failures:  s.stats.failures.Load(),
		Lost:      s.stats.forgotten.Load(),
		DiskBytes: s.disk.Load(),
		Waits:     -1,
		Letters:   -1,

		LettersDropped: s.stats.dropped.Load(),
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsLimit)
	defer cancel()
	if s.begin(ctx) != nil {
		return st
	}
	defer s.gate.leave()
	var waits, letters, kept []*goredis.IntCmd
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for _, p := range s.parts {
			waits = append(waits, pipe.ZCard(ctx, p.key(keyWaits)), pipe.ZCard(ctx, p.key(keyKeyed)))
			kept = append(kept, pipe.ZCard(ctx, p.key(keyExpiring)))
			letters = append(letters, pipe.ZCard(ctx, p.key(keyRefused)), pipe.ZCard(ctx, p.key(keyAccepted)))
		}
		return nil
	})
	if err != nil {
		return st
	}
	st.Waits, st.Letters = 0, 0
	for i := range kept {
		st.Kept += kept[i].Val()
	}
	for i := range waits {
		st.Waits += waits[i].Val()
		st.Letters += letters[i].Val()
	}
	return st
}

// Close finishes queued commits and closes the connections.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.queue.Close()
		<-s.ended
		s.probeAt.Stop()
		s.gate.close()
		if err := s.client.close(); err != nil {
			s.result = fmt.Errorf("close the store in %s: %w", s.address, err)
		}
	})
	return s.result
}

func (s *Store) isClosed() bool {
	return s.queue.Closed()
}

// begin lets a read in, for a caller who may have given up already; gate.leave
// ends it. Of a Redis that is not ours nothing is read: all would seem to be gone.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var wrong *wrongRedis
	if f := s.fault.Load(); f != nil && errors.As(f.err, &wrong) && !s.isClosed() {
		return fmt.Errorf("%w: nothing was read: %w", persistence.ErrUnavailable, wrong)
	}
	return s.gate.enter()
}
