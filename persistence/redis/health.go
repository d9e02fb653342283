package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
)

// fault is why nothing is written now.
type fault struct{ err error }

// fail begins a time without writes.
func (s *Store) fail(cause error) {
	f := &fault{err: fmt.Errorf("%w: nothing was written: %w", persistence.ErrUnavailable, cause)}
	if s.fault.CompareAndSwap(nil, f) {
		s.log.Error("the store refuses writes until its Redis takes them again", "error", cause)
	} else {
		s.fault.Store(f) // the newest cause is what a person wants to read
	}
	s.hold = probeFirst
	s.probeAt.Reset(s.hold)
}

// probe tries to write again after a failure.
func (s *Store) probe() {
	if s.fault.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	err := s.link(ctx)
	if err == nil {
		s.fault.Store(nil)
		s.log.Info("the store takes writes again")
		return
	}
	s.fault.Store(&fault{err: fmt.Errorf("%w: nothing was written: %w", persistence.ErrUnavailable, err)})
	s.hold = min(2*s.hold, probeLast)
	s.probeAt.Reset(s.hold)
}

// watch looks whether the Redis would write, without writing, and what it promises.
func (s *Store) watch() {
	if s.fault.Load() != nil {
		return // probe is at it
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	err := s.recognise(ctx)
	if err == nil {
		var now condition
		if now, err = s.survey(ctx); err == nil {
			s.observe(now)
			err = errors.Join(now.trouble, now.fit(s.address))
		}
	}
	if err != nil {
		s.fail(err)
		return
	}
	if s.undelivered {
		if err := s.drain(ctx); err != nil {
			s.log.Warn("events wait in an outbox", "error", err)
		}
	}
	if err := s.repairTakes(ctx); err != nil {
		s.log.Warn("events that were being taken wait", "error", err)
	}
}

// recognise reads whether every partition is there and of this store.
func (s *Store) recognise(ctx context.Context) error {
	marks := make([]*goredis.SliceCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			marks[i] = pipe.HMGet(ctx, p.mark, fieldIncarnation, fieldWrites)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, m := range marks {
		found, _ := m.Val()[0].(string)
		if found != s.incarnation {
			return &wrongRedis{want: s.incarnation, found: found, remembered: s.file}
		}
		text, _ := m.Val()[1].(string)
		n, _ := strconv.ParseInt(text, 10, 64) // absent in a new store
		s.compare(s.parts[i], n)
	}
	return nil
}

// link makes sure that the writer is connected to its own Redis, that the scripts
// are there, and that nothing it sent before can still be written: it takes every
// partition under a new generation.
func (s *Store) link(ctx context.Context) error {
	err := s.takeAll(ctx)
	if err != nil {
		_, err = s.meaning(err)
	}
	return err
}

func (s *Store) takeAll(ctx context.Context) error {
	s.client.refresh(ctx)
	if err := s.client.each(ctx, teach); err != nil {
		return err
	}
	s.generation++
	s.flagged = false // it may be another Redis that knows less
	groups := map[*goredis.Client][]*partition{}
	for _, p := range s.parts {
		c, err := s.client.master(ctx, p.mark)
		if err != nil {
			return err
		}
		groups[c] = append(groups[c], p)
	}
	for c, parts := range groups {
		if err := s.fence(ctx, c, parts); err != nil {
			return err
		}
	}
	return nil
}

// fence takes partitions of one Redis.
func (s *Store) fence(ctx context.Context, c *goredis.Client, parts []*partition) error {
	pipe := c.Pipeline()
	cmds := make([]*goredis.Cmd, len(parts))
	old := fieldWriter + strconv.FormatInt(int64(s.epoch)-keptWriters, 10)
	for i, p := range parts {
		cmds[i] = evaluation(ctx, fenceScript, []string{p.mark}, s.incarnation, s.field, strconv.FormatUint(s.generation, 10), old)
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	confirm := s.confirmation(ctx, pipe)
	_, _ = pipe.Exec(ctx) // every command has its own answer
	for i, p := range parts {
		n, err := cmds[i].Int64()
		if err != nil {
			return err
		}
		s.compare(p, n)
	}
	return confirm()
}

// compare notices that a Redis has forgotten writes which it acknowledged: after a
// failover to a replica that was behind, or a restart without the last second.
func (s *Store) compare(p *partition, writes int64) {
	known := s.seen[p.number].swapDown(writes)
	if writes < known {
		s.stats.forgotten.Add(uint64(known - writes))
		s.log.Error("the Redis has lost acknowledged writes; executions go on from what it has",
			"at_least", known-writes, "partition", p.base, "durability", s.Durability())
	}
}

// confirmation asks, at the end of a pipeline, that the replicas have synced it.
// What it returns is called after the pipeline and says whether they have.
func (s *Store) confirmation(ctx context.Context, pipe goredis.Pipeliner) func() error {
	want := s.address.Replicas
	if want == 0 {
		return func() error { return nil }
	}
	cmd := goredis.NewSliceCmd(ctx, "waitaof", 1, want, s.address.Confirm.Milliseconds())
	_ = pipe.Process(ctx, cmd) // only queues
	return func() error {
		counts, err := cmd.Result()
		if err != nil {
			return fmt.Errorf("ask the replicas to confirm (WAITAOF): %w", err)
		}
		if len(counts) == 2 {
			local, _ := counts[0].(int64)
			remote, _ := counts[1].(int64)
			if local >= 1 && remote >= int64(want) {
				return nil
			}
		}
		return fmt.Errorf("of %d replicas that have to sync a write %v have done so within %v (WAITAOF: here and there)", want, counts, s.address.Confirm)
	}
}

// highest is the greatest count of writes seen of a partition.
type highest struct{ n atomic.Int64 }

func (h *highest) raise(n int64) {
	for {
		was := h.n.Load()
		if n <= was || h.n.CompareAndSwap(was, n) {
			return
		}
	}
}

// swapDown sets the count, even to a lower one, and returns what it was.
func (h *highest) swapDown(n int64) int64 { return h.n.Swap(n) }

// isNetwork reports whether an error is one of the way to a Redis.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, goredis.ErrPoolTimeout)
}

// gate lets reads in until the store is closed.
type gate struct {
	mu     sync.RWMutex
	closed bool
}

func (g *gate) enter() error {
	g.mu.RLock()
	if g.closed {
		g.mu.RUnlock()
		return persistence.ErrClosed
	}
	return nil
}

func (g *gate) leave() { g.mu.RUnlock() }

func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
}
