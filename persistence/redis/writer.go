package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// run is the writer: the only goroutine that writes.
func (s *Store) run() {
	defer close(s.ended)
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	var items []*write
	for {
		var closed bool
		// Whoever is ready to submit goes first: under load the group grows and the
		// syncs become fewer, and an idle node loses nothing.
		runtime.Gosched()
		items, closed = s.queue.Take(items)
		if len(items) > 0 {
			s.writeAll(items)
			clear(items)
			continue
		}
		if closed {
			return
		}
		select {
		case <-s.queue.Wake:
		case <-s.probeAt.C:
			s.probe()
		case <-watch.C:
			s.watch()
		case answer := <-s.draining:
			answer <- s.drain(context.Background())
		}
	}
}

// writeAll writes the items, as many of them together as the bounds allow.
func (s *Store) writeAll(items []*write) {
	for len(items) > 0 {
		n, bytes, room := 0, 0, persistence.Room{}
		for n < len(items) && n < maxGroup && (n == 0 || bytes+items[n].Weight() <= maxGroupBytes) && !s.mustWait(items[n], items[:n]) {
			bytes += items[n].Weight()
			room.Add(s.queue.Room(items[n]))
			n++
		}
		s.writeGroup(items[:n])
		s.queue.Answered(room)
		items = items[n:]
	}
}

// writeGroup writes a group and answers everybody in it.
func (s *Store) writeGroup(items []*write) {
	if f := s.fault.Load(); f != nil {
		for _, w := range items {
			w.refuse(f.err)
		}
		return
	}
	s.flag(items)
	s.deliver(s.takeFirst(s.claimFirst(s.askFirst(unsettled(nil, items)))))
	s.freeAfterwards(items)
	if len(s.parts) > 1 {
		s.untake(items)
		s.confirm(items)
	}
	s.offer(items)
	s.count(items)
	var away []*write
	for _, w := range items {
		if len(w.away) > 0 && w.fate == written {
			away = append(away, w)
			continue
		}
		w.answer()
	}
	if len(away) == 0 {
		return
	}
	s.carry(away)
	for _, w := range away {
		w.answer()
	}
}

// count keeps the figures.
func (s *Store) count(items []*write) {
	var grouped uint64
	failed := false
	for _, w := range items {
		switch {
		case w.fate == written:
			grouped++
			if w.kind == writeCommit {
				s.stats.commits.Add(1)
			}
		case errors.Is(w.err, persistence.ErrConflict):
			s.stats.conflicts.Add(1)
		case w.fate != refused:
			failed = true
		}
	}
	if failed {
		s.stats.failures.Add(1)
	}
	if grouped > 0 {
		s.stats.groups.Add(1)
		s.stats.grouped.Add(grouped)
	}
}

// deliver sends writes until the fate of each is known, or until that has taken
// too long: then the store refuses writes until it has found its Redis again.
func (s *Store) deliver(items []*write) {
	s.send(context.Background(), items)
	pending := unsettled(nil, items)
	if len(pending) == 0 {
		return
	}
	limit := time.Now().Add(resolveLimit)
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	defer cancel()
	cause := pending[0].err
	for hold := probeFirst; len(pending) > 0; hold = min(2*hold, probeLast) {
		err := s.link(ctx)
		if err == nil {
			err = s.resolve(ctx, pending)
		}
		if err == nil {
			pending = s.again(pending)
		} else {
			cause = err
		}
		var wrong *wrongRedis
		if len(pending) > 0 && (errors.As(cause, &wrong) || time.Now().Add(hold).After(limit)) {
			s.giveUp(pending, cause)
			return
		}
		if len(pending) > 0 {
			time.Sleep(hold)
		}
	}
}

// again sends what is certainly not written and returns what is unsettled then.
func (s *Store) again(items []*write) []*write {
	var repeated []*write
	for _, w := range items {
		if w.fate == unsent {
			repeated = append(repeated, w)
		}
	}
	s.send(context.Background(), repeated)
	return unsettled(items[:0], items)
}

// unsettled appends to dst the items whose fate is not known, or that are not written yet.
func unsettled(dst, items []*write) []*write {
	for _, w := range items {
		if w.fate == unsent || w.fate == lost {
			dst = append(dst, w)
		}
	}
	return dst
}

// giveUp tells what is known and begins a time without writes.
func (s *Store) giveUp(items []*write, cause error) {
	for _, w := range items {
		if w.fate == lost {
			w.err = fmt.Errorf("%w: whether it was written is not known, send it again with the same id: %w", persistence.ErrUnavailable, cause)
			continue
		}
		w.err = fmt.Errorf("%w: nothing was written: %w", persistence.ErrUnavailable, cause)
	}
	s.fail(cause)
}

// send sends writes to where they belong and notes what came of each. Writes to
// one partition are sent in their order.
func (s *Store) send(ctx context.Context, items []*write) {
	if s.client.cluster == nil {
		s.sendTo(ctx, s.client.single, items)
		return
	}
	groups := map[*goredis.Client][]*write{}
	for _, w := range items {
		c, err := s.client.master(ctx, w.part.mark)
		if err != nil {
			w.fate, w.err = unsent, err
			continue
		}
		groups[c] = append(groups[c], w)
	}
	var all sync.WaitGroup
	for c, group := range groups {
		all.Go(func() { s.sendTo(ctx, c, group) })
	}
	all.Wait()
}

// sendTo sends writes to one Redis as one pipeline.
func (s *Store) sendTo(ctx context.Context, c *goredis.Client, items []*write) {
	if len(items) == 0 {
		return
	}
	pipe := c.Pipeline()
	calls := inCalls(items)
	cmds := make([]*goredis.Cmd, len(calls))
	for i, call := range calls {
		cmds[i] = s.call(ctx, call)
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	flags := askFlags(ctx, pipe, items)
	confirm := s.confirmation(ctx, pipe)
	_, _ = pipe.Exec(ctx) // every command has its own answer
	for i, call := range calls {
		s.judgeAll(call, cmds[i])
	}
	for _, w := range items {
		if asked := flags[w.part]; asked != nil {
			w.flag = asked.Err() != nil || asked.Val() > 0
		}
	}
	err := confirm()
	for _, w := range items {
		if err != nil && w.fate == written {
			w.fate, w.err = lost, err
		}
	}
}

// askFlags asks, behind the commits that open waits, whether events are kept anywhere.
func askFlags(ctx context.Context, pipe goredis.Pipeliner, items []*write) map[*partition]*goredis.IntCmd {
	var flags map[*partition]*goredis.IntCmd
	for _, w := range items {
		if len(w.opened) > 0 && flags[w.part] == nil {
			if flags == nil {
				flags = map[*partition]*goredis.IntCmd{}
			}
			flags[w.part] = pipe.Exists(ctx, w.part.key(keyKeeps))
		}
	}
	return flags
}

// inCalls divides writes into calls of the script: each is of one partition, in the
// order of the writes, and one that must be alone is.
func inCalls(items []*write) [][]*write {
	var calls [][]*write
	open := map[*partition]int{} // the call that takes more
	for _, w := range items {
		at, some := open[w.part]
		if some && !w.alone && len(calls[at]) < maxCall {
			calls[at] = append(calls[at], w)
			continue
		}
		calls = append(calls, []*write{w})
		if open[w.part] = len(calls) - 1; w.alone {
			delete(open, w.part)
		}
	}
	return calls
}

// call is the call of the script that makes writes of one partition.
func (s *Store) call(ctx context.Context, items []*write) *goredis.Cmd {
	keys, size := make([]string, 0, 16+3*len(items)), 3
	for _, w := range items {
		size += 1 + len(w.guard) + len(w.args)
	}
	args := make([]any, 0, size)
	args = append(args, s.incarnation, s.field, strconv.FormatUint(s.generation, 10))
	numbers := make(map[string]int, cap(keys))
	var places []int // in this call, of the keys of a write
	for _, w := range items {
		places = places[:0]
		for _, key := range w.keys {
			n := numbers[key]
			if n == 0 {
				keys = append(keys, key)
				n = len(keys)
				numbers[key] = n
			}
			places = append(places, n)
		}
		args = append(args, len(w.guard)+len(w.args))
		for _, part := range [...][]any{w.guard, w.args} {
			for _, a := range part {
				if at, ok := a.(keyAt); ok {
					a = places[at]
				}
				args = append(args, a)
			}
		}
	}
	return evaluation(ctx, writeScript, keys, args...)
}

// judgeAll notes what the answer of a call says about its writes.
func (s *Store) judgeAll(items []*write, cmd *goredis.Cmd) {
	answer, err := cmd.Slice()
	if err == nil && len(answer) != len(items)+1 {
		err = fmt.Errorf("Redis gave %d answers for %d writes", len(answer), len(items))
	}
	if err != nil {
		fate, err := s.meaning(err)
		for _, w := range items {
			w.fate, w.err = fate, err
		}
		return
	}
	if n, ok := answer[0].(int64); ok {
		s.seen[items[0].part.number].raise(n)
	}
	for i, w := range items {
		s.judge(w, answer[i+1])
	}
}

// judge notes what the answer of the script says about a write.
func (s *Store) judge(w *write, said any) {
	w.fate, w.err = written, nil
	answer, ok := said.([]any)
	if !ok {
		return
	}
	switch code, _ := answer[0].(int64); code {
	case 1:
		w.found, _ = answer[1].(string)
		w.gone, _ = answer[2].(int64)
		w.dropped, _ = answer[3].(int64)
		s.stats.dropped.Add(uint64(w.dropped))
		return
	case 4:
		w.fate, w.err = refused, errNotKept
		return
	case 5:
		w.fate, w.err = refused, fmt.Errorf("%w: %d events", persistence.ErrFull, workflow.MaxKept)
		return
	case 3:
		claim, _ := answer[1].(string)
		w.fate, w.err = refused, w.claim.taken(holderOf(claim))
		return
	}
	there, _ := answer[1].(string)
	w.found = there
	switch w.kind {
	case writeClaim:
		w.fate, w.err = refused, errMoved
		if len(answer) > 2 {
			w.foundAt, _ = answer[2].(int64)
		}
	case writeCommit:
		w.fate, w.err = refused, w.conflict(stampOf(there))
	case writeAccept:
		w.takeKnown(there)
	case writeForget, writeConfirm:
		w.fate, w.err = refused, errMoved
	case writeReplace:
		w.fate, w.err = refused, fmt.Errorf("document %q: %w: %w", w.exec, persistence.ErrConflict, errMoved)
	}
}

func (w *write) conflict(now persistence.Stamp) error {
	return fmt.Errorf("execution %q is at version %d by commit %x of epoch %d, the commit expects version %d by commit %x and is of epoch %d: %w",
		w.exec, now.Version, now.Commit, now.Epoch, w.expect, w.parent, w.stamp.Epoch, persistence.ErrConflict)
}

// takeKnown makes the answer of an acceptance that of the event which was there.
func (w *write) takeKnown(row string) {
	stored, err := decodeEvent(w.receipt.Event.ID, row)
	if err != nil {
		w.fate, w.err = refused, err
		return
	}
	w.receipt, w.known = stored, true
}

var errMoved = errors.New("it changed since it was looked at")
