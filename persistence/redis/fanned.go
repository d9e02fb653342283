package redis

import (
	"cmp"
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/workflow"
)

// A commit takes an event from its fan-out only while that asks, so that a fan-out which
// stood still cannot bring a decided event to a wait that opened since. In the partition
// of the event the script that writes the commit looks. In another one the writer asks
// before it sends the commit, and after the commit was made: the wait was open when the
// event was asking, whenever the commit is written.

// stands adds the condition that an event stands so.
func (o *ops) stands(was workflow.Standing, ev *workflow.Event) {
	id := []byte(ev.ID)
	switch was {
	case workflow.StandsAsking:
		o.asking(ev.ID)
		return
	case workflow.StandsUndecided: // a release before does not say so in keyUndecided
		o.add("?", keyOpen, member1(ev.ID))
		return
	case workflow.StandsKept:
		o.stillKept(ev)
		o.add("-", keyTakers, id)
	case workflow.StandsConsumed:
		o.add("=", keyEvents, id, []byte(columnConsumed))
	case workflow.StandsBuried:
		o.add("=", keyEvents, id, []byte(columnDead+columnExpired))
	default:
		o.add("-", keyEvents, id)
	}
	o.alone = true
}

// asking adds the condition that an event is asking. A commit with it may share a call
// with the write that settles the event: it is as if the commit had come first.
func (o *ops) asking(id string) {
	o.add("?", keyOpen, member1(id))
	o.add("-", keyUndecided, []byte(id))
}

// fanned adds what a commit takes from fan-outs.
func (s *Store) fanned(w *write, ids []string) {
	for _, id := range ids {
		if s.home(id) == w.part {
			w.asking(id)
		} else {
			w.fanned = append(w.fanned, id)
		}
	}
}

// askFirst asks whether the events that a group takes from fan-outs are asking, and
// returns the writes that may be sent.
func (s *Store) askFirst(items []*write) []*write {
	type standing struct {
		open      *goredis.FloatCmd
		undecided *goredis.BoolCmd
	}
	events := map[string]standing{}
	for _, w := range items {
		for _, id := range w.fanned {
			events[id] = standing{}
		}
	}
	if len(events) == 0 {
		return items
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	_, _ = s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for id := range events {
			home := s.home(id)
			events[id] = standing{pipe.ZScore(ctx, home.key(keyOpen), string(member1(id))), pipe.HExists(ctx, home.key(keyUndecided), id)}
		}
		return nil
	}) // every command has its own answer
	var sent []*write
	for _, w := range items {
		for _, id := range w.fanned {
			e := events[id]
			open, undecided := e.open.Err(), e.undecided.Err()
			switch {
			case open == goredis.Nil || open == nil && e.undecided.Val():
				w.refuseLater(fmt.Errorf("event %q: %w", id, errNotKept))
			case open != nil || undecided != nil:
				w.refuseLater(unavailable(ctx, "nothing was written: read event", id, cmp.Or(open, undecided)))
			}
		}
		if w.fate != refused {
			sent = append(sent, w)
		}
	}
	return sent
}
