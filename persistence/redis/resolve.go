package redis

import (
	"bytes"
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
)

// resolve finds out what became of writes whose answer was lost. It is asked after
// link, so nothing that was sent before can still land: what is not there now will
// never be.
func (s *Store) resolve(ctx context.Context, items []*write) error {
	found := map[*write]*goredis.StringCmd{}
	for _, w := range items {
		if w.fate != lost {
			continue
		}
		c, err := s.client.master(ctx, w.part.mark)
		if err != nil {
			return err
		}
		switch w.kind {
		case writeCommit:
			found[w] = c.GetRange(ctx, w.part.keyOf(keyState, w.exec), 0, stampBytes-1)
		case writeAccept, writeSettle, writeRelease:
			found[w] = c.HGet(ctx, w.part.key(keyEvents), w.receipt.Event.ID)
		case writeReplace:
			found[w] = c.HGet(ctx, w.part.key(keyDocuments), string(w.guard[2].([]byte)))
		default:
			w.fate = unsent // it may be done twice
			continue
		}
		if _, err := found[w].Result(); err != nil && err != goredis.Nil {
			return err
		}
	}
	chains := map[string][]*write{}
	for _, w := range items {
		switch {
		case w.kind == writeCommit:
			chains[w.exec] = append(chains[w.exec], w)
		case w.kind == writeReplace && w.fate == lost:
			w.resolveDocument(found[w].Result())
		case (w.kind == writeSettle || w.kind == writeRelease) && w.fate == lost:
			w.fate = unsent
			if found[w].Val() == string(w.row) {
				w.fate = written
			}
		case w.fate == lost:
			w.resolveEvent(found[w].Val())
		}
	}
	for _, chain := range chains {
		for _, w := range chain {
			if w.fate == lost {
				resolveChain(chain, stampOf(found[w].Val()))
				break
			}
		}
	}
	return nil
}

// resolveEvent compares what is stored with what was sent.
func (w *write) resolveEvent(row string) {
	switch row {
	case "":
		w.fate = unsent
	case string(w.row):
		w.fate = written
	default:
		w.fate = written
		w.takeKnown(row)
	}
}

// resolveDocument compares what is stored with what was sent. When somebody else has
// written since, sending it again finds a conflict, which is what there is by then.
func (w *write) resolveDocument(body string, err error) {
	var there []byte
	if err == nil {
		there = still([]byte(body))
	}
	w.fate = unsent
	if bytes.Equal(there, w.row) {
		w.fate = written
	}
}

// resolveChain judges commits of one execution, in their order, by the stamp that
// is stored. Those up to the one that is stored are written, those behind it are
// not. When the stamp is none of theirs and not what the first was made on,
// somebody else has written since, perhaps on top of ours.
func resolveChain(chain []*write, now persistence.Stamp) {
	last := -1
	for i, w := range chain {
		if w.stamp == now && now.Commit != 0 {
			last = i
		}
	}
	untouched := now.Version == chain[0].expect && now.Commit == chain[0].parent
	for i, w := range chain {
		switch {
		case w.fate != lost:
		case i <= last:
			w.fate = written
		case last >= 0 || untouched:
			w.fate = unsent
		default:
			w.fate = refused
			w.err = fmt.Errorf("%w: whether it was written is not known, execution %q was written since by somebody else; send it again with the same id",
				persistence.ErrUnavailable, w.exec)
		}
	}
}
