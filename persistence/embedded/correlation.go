package embedded

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// KeyPaths returns the paths on which open waits of a name are indexed. It jumps
// from path to path in the index itself, so there is nothing beside it that
// could disagree with it.
func (s *Store) KeyPaths(ctx context.Context, name string) ([]string, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	known := s.unawaited.of(name)
	if known.keyed.Load() {
		return nil, nil
	}
	var out []string
	prefix := key1(nil, famCorrelation, name)
	err := s.jump(ctx, prefix, prefix, func(it *pebble.Iterator) (bool, error) {
		p := parts{Rest: it.Key()[len(prefix):]}
		path := p.ID()
		if p.Err != nil {
			return false, p.Err
		}
		out = append(out, path)
		return it.SeekGE(ordered.After(key2(nil, famCorrelation, name, path))), nil
	})
	if err == nil && len(out) == 0 {
		known.keyed.Store(true)
	}
	return out, err
}

// jump walks a family with an iterator that each moves on by itself, until it
// says that nothing more is there.
func (s *Store) jump(ctx context.Context, prefix, from []byte, each func(*pebble.Iterator) (bool, error)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: afterAll(prefix)})
	if err != nil {
		return fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err)
	}
	n := 0
	for ok := it.First(); ok && err == nil; {
		if n++; n%contextEvery == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		ok, err = each(it)
	}
	if closing := it.Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, closing))
	}
	return err
}

// correlated lists the waits that are indexed by a key: those of a name and a
// path, or of every one that there is. The order is that of the index.
func (s *Store) correlated(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	var page workflow.Page[workflow.WaitRow]
	prefix := []byte{famCorrelation}
	switch {
	case q.Name != "" && q.Path != "":
		prefix = ordered.ID(key2(nil, famCorrelation, q.Name, q.Path), q.Key)
	case q.Name != "":
		prefix = key1(nil, famCorrelation, q.Name)
	}
	from, err := keyCursor(q.Cursor, prefix)
	if err != nil {
		return page, err
	}
	limit := pageOf(q.Limit)
	var last []byte
	err = s.jump(ctx, prefix, from, func(it *pebble.Iterator) (bool, error) {
		at, there, err := indexedAt(it.Key())
		if err != nil {
			return false, err
		}
		if at.key != q.Key || q.Path != "" && at.path != q.Path {
			return nextKey(it, at, q), nil
		}
		row, err := s.keyedRow(at, there)
		if err != nil || row == nil || q.WorkflowID != "" && row.WorkflowID != q.WorkflowID {
			return err == nil && it.Next(), err
		}
		if len(page.Items) == limit {
			page.Next = base64.RawURLEncoding.EncodeToString(last)
			return false, nil
		}
		page.Items = append(page.Items, *row)
		last = append(last[:0], it.Key()...)
		return it.Next(), nil
	})
	return page, err
}

// keyCursor is where a page begins.
func keyCursor(cursor string, prefix []byte) ([]byte, error) {
	if cursor == "" {
		return prefix, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || !bytes.HasPrefix(b, prefix) || len(b) == len(prefix) {
		return nil, badCursor(cursor)
	}
	if _, _, err := indexedAt(b); err != nil {
		return nil, badCursor(cursor)
	}
	return append(b, 0), nil
}

// indexed is what a key of famCorrelation says in front of the place of its wait.
type indexed struct{ name, path, key string }

// indexedAt takes a key of famCorrelation apart; rest is the place of the wait: what
// stands behind the name in famKeyed.
func indexedAt(key []byte) (at indexed, rest []byte, err error) {
	p := parts{Rest: key[1:]}
	at = indexed{name: p.ID(), path: p.ID(), key: p.ID()}
	rest = p.Rest
	p.Instant()
	p.ID()
	p.ID()
	return at, rest, p.End()
}

// nextKey jumps to the wanted key of the same path, or of the next one.
func nextKey(it *pebble.Iterator, at indexed, q workflow.WaitQuery) bool {
	path := key2(nil, famCorrelation, at.name, at.path)
	if at.key < q.Key && (q.Path == "" || at.path == q.Path) {
		return it.SeekGE(ordered.ID(path, q.Key))
	}
	return it.SeekGE(ordered.After(path))
}

// keyedRow reads the wait that an index entry stands for, nil when it was closed
// since the scan began.
func (s *Store) keyedRow(at indexed, place []byte) (*workflow.WaitRow, error) {
	row, found, err := s.db.get(append(key1(nil, famKeyed, at.name), place...), nil)
	if err != nil {
		return nil, unavailable("read a wait for", at.name, err)
	}
	if !found {
		return nil, nil
	}
	p := parts{Rest: place}
	p.Instant()
	out, err := persistence.DecodeWaitRow(p.ID(), row)
	return &out, err
}

// twoLists walks the rows of two families of the same layout as one list.
type twoLists struct {
	its   [2]*pebble.Iterator
	valid [2]bool
}

// listWaits opens the waits with keys and those without, from a place behind the
// byte of the family on.
func listWaits(r reader, prefix, from []byte, families ...byte) (*twoLists, error) {
	l := new(twoLists)
	for i, family := range families {
		lower, bound := bytes.Clone(from), bytes.Clone(prefix)
		lower[0], bound[0] = family, family
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: ordered.After(bound)})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err), l.close())
		}
		l.its[i], l.valid[i] = it, it.First()
	}
	return l, nil
}

// head is the iterator with the next row, -1 at the end.
func (l *twoLists) head() int {
	switch {
	case l.valid[0] && l.valid[1]:
		if bytes.Compare(l.its[1].Key()[1:], l.its[0].Key()[1:]) < 0 {
			return 1
		}
		return 0
	case l.valid[1]:
		return 1
	case l.valid[0]:
		return 0
	}
	return -1
}

func (l *twoLists) next(head int) { l.valid[head] = l.its[head].Next() }

func (l *twoLists) close() error {
	var err error
	for _, it := range l.its {
		if it == nil {
			continue
		}
		if closing := it.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, closing))
		}
	}
	return err
}
