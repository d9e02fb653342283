package redis

import (
	"context"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
)

// bounds are the least and the greatest member of a range, as Redis wants them.
type bounds struct{ least, greatest string }

func from(member []byte) string   { return "[" + string(member) }
func beyond(member []byte) string { return "(" + string(member) }

// upTo is the greatest bound of everything that a prefix begins. It changes prefix.
func upTo(prefix []byte) string {
	if next := after(prefix); next != nil {
		return beyond(next)
	}
	return "+"
}

// under is everything that a prefix begins.
func under(prefix []byte) bounds {
	if len(prefix) == 0 {
		return bounds{"-", "+"}
	}
	return bounds{from(prefix), upTo(append([]byte(nil), prefix...))}
}

// evaluateEach runs a script in some partitions at once, with arguments for each.
func (s *Store) evaluateEach(ctx context.Context, in []*partition, script *script, call func(*partition) (keys []string, args []any)) ([]*goredis.Cmd, error) {
	for taught := false; ; taught = true {
		cmds := make([]*goredis.Cmd, len(in))
		_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for i, p := range in {
				keys, args := call(p)
				cmds[i] = evaluation(ctx, script, keys, args...)
				_ = pipe.Process(ctx, cmds[i]) // only queues
			}
			return nil
		})
		if taught || !unknownScript(cmds) {
			return cmds, err
		}
		// It restarted since, or was promoted; the writer teaches only what it meets.
		if err := s.client.each(ctx, teach); err != nil {
			return nil, err
		}
	}
}

func unknownScript(cmds []*goredis.Cmd) bool {
	for _, c := range cmds {
		if c.Err() != nil && strings.HasPrefix(c.Err().Error(), "NOSCRIPT") {
			return true
		}
	}
	return false
}

// entry is a member of an index with its row, if the index has rows.
type entry struct {
	member string
	row    string
	some   bool // the row is there
	part   *partition
}

// cursor walks one index over all partitions as if it were one, in the order of
// its members. Each partition is read in chunks.
type cursor struct {
	store       *Store
	index, rows string // keys; rows is "" for an index without
	greatest    string
	chunk       int
	heads       []*head
	err         error
}

// head is what was read of one partition and not shown yet.
type head struct {
	part    *partition
	least   string
	entries []entry
	end     bool // nothing is left behind the entries
}

// walk begins a cursor over the partitions. want is how many entries the caller
// expects to look at.
func (s *Store) walk(in []*partition, index, rows string, b bounds, want int) *cursor {
	c := &cursor{store: s, index: index, rows: rows, greatest: b.greatest}
	c.chunk = min(max(want/len(in)+1, leastChunk), mostChunk)
	for _, p := range in {
		c.heads = append(c.heads, &head{part: p, least: b.least})
	}
	return c
}

// next returns the next entry, false at the end or after an error.
func (c *cursor) next(ctx context.Context) (entry, bool) {
	if err := c.fill(ctx); err != nil {
		c.err = err
		return entry{}, false
	}
	var first *head
	for _, h := range c.heads {
		if len(h.entries) > 0 && (first == nil || h.entries[0].member < first.entries[0].member) {
			first = h
		}
	}
	if first == nil {
		return entry{}, false
	}
	e := first.entries[0]
	first.entries = first.entries[1:]
	return e, true
}

// fill reads on in every partition of which nothing is at hand.
func (c *cursor) fill(ctx context.Context) error {
	var empty []*head
	var in []*partition
	for _, h := range c.heads {
		if len(h.entries) == 0 && !h.end {
			empty = append(empty, h)
			in = append(in, h.part)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	at := 0
	read := rangesScript
	if c.rows != "" {
		read = rowsScript
	}
	cmds, err := c.store.evaluateEach(ctx, in, read, func(p *partition) ([]string, []any) {
		h := empty[at]
		at = (at + 1) % len(empty) // it may be asked for all of them again
		if c.rows != "" {
			return []string{p.key(c.index), p.key(c.rows)}, []any{c.chunk, h.least, c.greatest}
		}
		return []string{p.key(c.index)}, []any{"up", c.chunk, h.least, c.greatest}
	})
	if err != nil {
		return unavailable(ctx, "read the index", c.index, err)
	}
	for i, h := range empty {
		if err := c.take(h, cmds[i]); err != nil {
			return err
		}
	}
	return nil
}

// take takes the answer of a partition.
func (c *cursor) take(h *head, cmd *goredis.Cmd) error {
	answer, err := cmd.Slice()
	if err != nil || len(answer) == 0 {
		return fmt.Errorf("%w: read the index %q: %v, %w", persistence.ErrUnavailable, c.index, answer, err)
	}
	members, _ := answer[0].([]any)
	var rows []any
	if c.rows != "" {
		rows, _ = answer[1].([]any)
	}
	for i, m := range members {
		e := entry{part: h.part}
		e.member, _ = m.(string)
		if i < len(rows) {
			e.row, e.some = rows[i].(string)
		}
		h.entries = append(h.entries, e)
	}
	h.end = len(members) < c.chunk
	if n := len(h.entries); n > 0 {
		h.least = beyond([]byte(h.entries[n-1].member))
	}
	return nil
}

// pageOf is how many items a call that asks for limit gets at most.
func pageOf(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}
