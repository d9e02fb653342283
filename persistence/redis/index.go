package redis

import (
	"context"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence/ordered"
)

// bounds are the least and the greatest member of a range, as Redis wants them.
type bounds struct{ least, greatest string }

func from(member []byte) string   { return "[" + string(member) }
func beyond(member []byte) string { return "(" + string(member) }

// upTo is the greatest bound of everything that a prefix begins. It changes prefix.
func upTo(prefix []byte) string {
	if next := ordered.After(prefix); next != nil {
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

// cursor walks one index, or several that have one order, over all partitions as if
// they were one, in the order of members. Each partition is read in chunks, and all
// indexes of it as of one moment, so that what moves from one to another is not missed.
type cursor struct {
	store    *Store
	indexes  []string
	rows     string  // key of the hash of rows, "" for indexes without
	script   *script // that reads
	greatest string
	chunk    int
	heads    []*head
	err      error
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
func (s *Store) walk(in []*partition, b bounds, want int, indexes ...string) *cursor {
	c := &cursor{store: s, indexes: indexes, script: rangesScript, greatest: b.greatest}
	c.chunk = min(max(want/len(in)+1, leastChunk), mostChunk)
	for _, p := range in {
		c.heads = append(c.heads, &head{part: p, least: b.least})
	}
	return c
}

// with has a cursor read a row for each member, by a script that knows how.
func (c *cursor) with(read *script, rows string) *cursor {
	c.script, c.rows = read, rows
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
	cmds, err := c.store.evaluateEach(ctx, in, c.script, func(p *partition) ([]string, []any) {
		h := empty[at]
		at = (at + 1) % len(empty) // it may be asked for all of them again
		return c.call(p, h.least)
	})
	if err != nil {
		return unavailable(ctx, "read the index", c.indexes[0], err)
	}
	for i, h := range empty {
		answer, err := cmds[i].Slice()
		if err != nil {
			return unavailable(ctx, "read the index", c.indexes[0], err)
		}
		c.take(h, answer)
	}
	return nil
}

// call is what the script is called with.
func (c *cursor) call(p *partition, least string) (keys []string, args []any) {
	if c.rows != "" {
		keys = append(keys, p.key(c.rows))
		args = []any{c.chunk, least, c.greatest}
	} else {
		args = []any{"up", c.chunk}
	}
	for i, index := range c.indexes {
		keys = append(keys, p.key(index))
		if c.rows == "" {
			args = append(args, i+1, least, c.greatest)
		}
	}
	return keys, args
}

// take takes the answer of a partition, as much of it as is complete: of an index
// that has more nothing is known behind its last member.
func (c *cursor) take(h *head, answer []any) {
	h.end = true
	known := ""
	each := 1
	if c.rows != "" {
		each = 2
	}
	for i := 0; i+each <= len(answer); i += each {
		members, _ := answer[i].([]any)
		var rows []any
		if each == 2 {
			rows, _ = answer[i+1].([]any)
		}
		var last string
		for j, m := range members {
			e := entry{part: h.part}
			e.member, _ = m.(string)
			if j < len(rows) {
				e.row, e.some = rows[j].(string)
			}
			h.entries = append(h.entries, e)
			last = e.member
		}
		if len(members) >= c.chunk {
			h.end = false
			if known == "" || last < known {
				known = last
			}
		}
	}
	if len(c.indexes) > 1 {
		slices.SortFunc(h.entries, func(a, b entry) int { return strings.Compare(a.member, b.member) })
		h.entries = slices.DeleteFunc(h.entries, func(e entry) bool { return known != "" && e.member > known })
	}
	if n := len(h.entries); n > 0 {
		h.least = beyond([]byte(h.entries[n-1].member))
	}
}

// pageOf is how many items a call that asks for limit gets at most.
func pageOf(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}
