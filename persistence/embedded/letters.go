package embedded

import (
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// letters are what the writer knows of the dead letters: enough to replace, to
// drop and to bound them without reading. They are bounded, so all of them are here.
type letters struct {
	byID    map[string]*letter
	classes [2]letterClass // of refused messages, of accepted ones
	undone  []func()       // takes back what the group did, the last first
	dropped uint64         // by the group, because there were too many
}

// letter is one dead letter.
type letter struct {
	id    string
	at    workflow.Instant
	size  int
	class int
	gone  bool // still in the heap, but not kept any more
}

// letterClass is the letters that share a bound, the first that died on top.
type letterClass struct {
	heap         letterHeap
	count, bytes int
}

const (
	refusedLetters  = 0
	acceptedLetters = 1
)

// letterBounds are the most letters and bytes of each class.
var letterBounds = [2][2]int{
	refusedLetters:  {workflow.MaxRefusedLetters, workflow.MaxRefusedLetterBytes},
	acceptedLetters: {workflow.MaxLetters, workflow.MaxLetterBytes},
}

func newLetters() letters { return letters{byID: map[string]*letter{}} }

func (l *letters) add(n *letter) {
	l.insert(n)
	l.undone = append(l.undone, func() { l.remove(l.byID[n.id]) })
}

func (l *letters) insert(n *letter) {
	n.gone = false
	l.byID[n.id] = n
	c := &l.classes[n.class]
	c.count++
	c.bytes += n.size
	heap.Push(&c.heap, n)
}

// drop is remove with the way back.
func (l *letters) drop(n *letter) {
	l.remove(n)
	l.undone = append(l.undone, func() {
		again := *n // the old one may be in the heap still, as gone
		l.insert(&again)
	})
}

func (l *letters) remove(n *letter) {
	n.gone = true
	if l.byID[n.id] == n {
		delete(l.byID, n.id)
	}
	c := &l.classes[n.class]
	c.count--
	c.bytes -= n.size
	if len(c.heap) > 2*c.count+heapSlack {
		c.tidy()
	}
}

// tidy takes the ones that are gone out of the heap.
func (c *letterClass) tidy() {
	kept := c.heap[:0]
	for _, n := range c.heap {
		if !n.gone {
			kept = append(kept, n)
		}
	}
	clear(c.heap[len(kept):])
	c.heap = kept
	heap.Init(&c.heap)
}

// oldest is the letter that died first, nil when there is none.
func (c *letterClass) oldest() *letter {
	for len(c.heap) > 0 && c.heap[0].gone {
		heap.Pop(&c.heap)
	}
	if len(c.heap) == 0 {
		return nil
	}
	return c.heap[0]
}

// kept is how many letters there are.
func (l *letters) kept() int64 { return int64(len(l.byID)) }

func (l *letters) shown() {
	clear(l.undone)
	l.undone, l.dropped = l.undone[:0], 0
}

func (l *letters) undo() {
	for i := len(l.undone) - 1; i >= 0; i-- {
		l.undone[i]()
	}
	l.shown()
}

type letterHeap []*letter

func (h letterHeap) Len() int { return len(h) }
func (h letterHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].id < h[j].id
}
func (h letterHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *letterHeap) Push(x any)   { *h = append(*h, x.(*letter)) }
func (h *letterHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

// openLetters reads what the writer must know.
func openLetters(r reader, log *slog.Logger) (letters, error) {
	l := newLetters()
	prefix := []byte{famLetterAt}
	err := scan(context.Background(), r, prefix, prefix, func(tail, value []byte) (bool, error) {
		p := parts{Rest: tail}
		n := &letter{at: p.Past(), id: p.ID()}
		class, size, _, err := splitLetter(value)
		if err == nil {
			err = p.End()
		}
		n.class, n.size = class, size
		if err == nil {
			l.insert(n)
		}
		return true, err
	})
	if pebble.IsCorruptionError(err) {
		log.Error("some dead letters are damaged; they are listed no more, and do not count", "error", err)
		err = nil
	}
	return l, err
}

// splitLetter takes a row of famLetterAt apart.
func splitLetter(value []byte) (class, size int, summary []byte, err error) {
	if len(value) < 2 || value[0] > acceptedLetters {
		return 0, 0, nil, ordered.ErrKey
	}
	n, width := binary.Uvarint(value[1:])
	if width <= 0 {
		return 0, 0, nil, ordered.ErrKey
	}
	return int(value[0]), int(n), value[1+width:], nil
}

// keep adds the rows of dead letters to the operations of a write; of several of
// one id the last.
func (w *write) keep(kept []workflow.DeadLetter) {
	for i := range kept {
		id := kept[i].ID
		if !slices.ContainsFunc(kept[i+1:], func(l workflow.DeadLetter) bool { return l.ID == id }) {
			w.letter(&kept[i])
		}
	}
}

func (w *write) letter(l *workflow.DeadLetter) {
	n := &letter{id: l.ID, at: l.At, size: l.Size(), class: refusedLetters}
	if l.Accepted {
		n.class = acceptedLetters
	}
	w.letters = append(w.letters, n)
	w.val = persistence.AppendDeadLetter(w.val[:0], l)
	w.set(key1(w.key[:0], famLetter, l.ID), w.val)
	summary := *l
	summary.Payload = nil
	w.val = binary.AppendUvarint(append(w.val[:0], byte(n.class)), uint64(n.size))
	w.val = persistence.AppendDeadLetter(w.val, &summary)
	w.set(letterAtKey(w.key[:0], l.At, l.ID), w.val)
}

// bury takes a write into the group: first it drops the letters that the write
// revives or replaces, then come the operations of the write, which hold the new
// letters, and then the letters go that are too many.
func (s *Store) bury(w *write) {
	g := &s.group
	if len(w.revived) > 0 || len(w.letters) > 0 {
		var before ops
		for _, id := range w.revived {
			s.dropLetter(&before, s.letters.byID[id])
		}
		for _, n := range w.letters {
			s.dropLetter(&before, s.letters.byID[n.id])
			s.letters.add(n)
		}
		g.add(&before)
	}
	g.add(&w.ops)
	if len(w.letters) > 0 {
		var after ops
		for class := range s.letters.classes {
			s.boundLetters(&after, class)
		}
		g.add(&after)
	}
}

func (s *Store) boundLetters(o *ops, class int) {
	c, bounds := &s.letters.classes[class], letterBounds[class]
	for c.count > bounds[0] || c.bytes > bounds[1] {
		s.dropLetter(o, c.oldest())
		s.letters.dropped++
	}
}

// dropLetter drops one letter; nil is none.
func (s *Store) dropLetter(o *ops, n *letter) {
	if n == nil {
		return
	}
	s.letters.drop(n)
	o.delete(key1(o.key[:0], famLetter, n.id))
	o.delete(letterAtKey(o.key[:0], n.at, n.id))
}

// KeepLetters keeps dead letters of refused messages.
func (s *Store) KeepLetters(kept []workflow.DeadLetter, done func(error)) {
	w := newWrite(writeLetters)
	w.done = done
	w.keep(kept)
	s.push(w)
}

// DropLetters forgets dead letters.
func (s *Store) DropLetters(ctx context.Context, ids []string) (int, error) {
	w := newWrite(writeDrop)
	forgot := new(int)
	w.revived, w.forgot = ids, forgot
	if err := s.await(ctx, w); err != nil {
		return 0, err
	}
	return *forgot, nil
}

// SweepLetters forgets the dead letters that died before the instant.
func (s *Store) SweepLetters(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	w := newWrite(writeOldLetters)
	forgot := new(int)
	w.earliest, w.limit, w.forgot = before, pageOf(limit), forgot
	if err := s.await(ctx, w); err != nil {
		return 0, err
	}
	return *forgot, nil
}

// judgeDrop drops the letters of those ids that are there.
func (s *Store) judgeDrop(w *write) {
	var o ops
	for _, id := range w.revived {
		if n := s.letters.byID[id]; n != nil {
			s.dropLetter(&o, n)
			*w.forgot++
		}
	}
	s.group.add(&o)
}

// judgeOldLetters drops the letters that died first.
func (s *Store) judgeOldLetters(w *write) {
	var o ops
	for class := range s.letters.classes {
		for *w.forgot < w.limit {
			n := s.letters.classes[class].oldest()
			if n == nil || n.at >= w.earliest {
				break
			}
			s.dropLetter(&o, n)
			*w.forgot++
		}
	}
	s.group.add(&o)
}

// Letter returns a dead letter whole.
func (s *Store) Letter(ctx context.Context, id string) (*workflow.DeadLetter, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	row, found, err := s.db.get(key1(nil, famLetter, id), nil)
	if err != nil {
		return nil, unavailable("read dead letter", id, err)
	}
	if !found {
		return nil, fmt.Errorf("dead letter %q: %w", id, persistence.ErrNotFound)
	}
	l, err := persistence.DecodeDeadLetter(row)
	if err != nil {
		return nil, unavailable("decode dead letter", id, err)
	}
	return l, nil
}

// Letters lists dead letters, those that died last first. A cursor names the
// last one shown, by its death and id.
func (s *Store) Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error) {
	var page workflow.Page[*workflow.DeadLetter]
	after, err := decodeCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.leave()
	prefix := []byte{famLetterAt}
	from := prefix
	if after != nil {
		from = append(letterAtKey(nil, after.created, after.exec), 0)
	}
	limit := pageOf(q.Limit)
	err = scan(ctx, s.db, prefix, from, func(tail, value []byte) (bool, error) {
		p := parts{Rest: tail}
		at, _ := p.Past(), p.ID()
		_, _, summary, err := splitLetter(value)
		if err == nil {
			err = p.End()
		}
		if err != nil || at < q.Since {
			return false, err
		}
		l, err := persistence.DecodeDeadLetter(summary)
		if err != nil || !q.Selects(l) {
			return err == nil, err
		}
		if len(page.Items) == limit {
			last := page.Items[limit-1]
			page.Next = place{created: last.At, exec: last.ID}.cursor()
			return false, nil
		}
		page.Items = append(page.Items, l)
		return true, nil
	})
	return page, err
}
