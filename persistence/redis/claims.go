package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
)

// A unique key belongs to one live execution of a workflow. In a store with one
// partition its row is written by the script that writes the execution. In one
// with several the two may be on different nodes of a Redis Cluster, and it goes
// in steps: the key is claimed, then the commit is written, and the claim is given
// back when the commit was refused. The end of an execution gives it back too.
//
// A crash between the steps leaves a claim whose execution never came or has
// finished. So a claim counts while its execution lives. Who finds one whose
// execution is not there bars the commit that it was made for, if it should still
// come, and then takes the claim over, if it is still the same.

// claim is a unique key of a workflow that an execution must get or gives back.
type claim struct {
	workflow, key string
	exec          string
	home          *partition
	field         []byte
}

func (s *Store) claimOf(workflow, key, exec string) *claim {
	field := member2(workflow, key)
	return &claim{workflow: workflow, key: key, exec: exec, home: s.home(string(field)), field: field}
}

// claimHeader stands in front of the execution in a claim.
const claimHeader = 16

func holderOf(claim string) string { return claim[min(claimHeader, len(claim)):] }

func (c *claim) taken(holder string) error {
	return &persistence.KeyTaken{WorkflowID: c.workflow, Key: c.key, Holder: holder}
}

// claims adds what a commit does to unique keys.
func (s *Store) claims(w *write, c *persistence.Changes) {
	if c.Released != "" {
		w.free = s.claimOf(c.Was.WorkflowID, c.Released, w.exec)
	}
	if c.Claimed != "" {
		w.claim = s.claimOf(c.Now.WorkflowID, c.Claimed, w.exec)
		w.guard[0], w.alone = "claiming", true
	}
	alone := len(s.parts) == 1
	switch {
	case w.claim != nil && alone:
		w.guard = append(w.guard, w.key(w.part.key(keyClaims)), w.claim.field, w.exec, "")
		w.put(keyClaims, w.claim.field, append(ordered.Number(ordered.Number(nil, w.stamp.Commit), 0), w.exec...))
	case w.claim != nil:
		w.guard = append(w.guard, "", "", "", w.key(w.part.keyOf(keyBarred, w.exec)))
	}
	if w.free != nil && alone {
		w.unclaim(w.free, nil)
		w.free = nil
	}
}

// unclaim gives a claim back, if the execution has it and, when one is given, by that commit.
func (o *ops) unclaim(c *claim, commit []byte) {
	o.add("U", keyClaims, c.field, []byte(c.exec), commit)
}

// mustWait says whether a write has to wait for the group before it: its claim is
// judged by what is stored, and two claims of one key are made one after the other.
func (s *Store) mustWait(w *write, group []*write) bool {
	if w.claim == nil || len(s.parts) == 1 {
		return false
	}
	for _, before := range group {
		if before.kind != writeCommit {
			continue
		}
		if before.exec == w.exec || before.claim != nil && string(before.claim.field) == string(w.claim.field) {
			return true
		}
	}
	return false
}

// claimFirst makes the claims of a group, in a store of several partitions, and
// returns the writes that may be sent; the others are refused.
func (s *Store) claimFirst(items []*write) []*write {
	if len(s.parts) == 1 {
		return items
	}
	var claimers []*write
	for _, w := range items {
		if w.claim != nil {
			claimers = append(claimers, w)
		}
	}
	if len(claimers) == 0 {
		return items
	}
	claimers = s.firstInLine(claimers)
	old := map[*write]string{}
	for range claimRounds {
		if claimers = s.tryClaims(claimers, old); len(claimers) == 0 {
			break
		}
	}
	for _, w := range claimers {
		w.refuseLater(fmt.Errorf("%w: nothing was written: others take the key %q at the same time; send it again", persistence.ErrUnavailable, w.claim.key))
	}
	var sent []*write
	for _, w := range items {
		if w.fate != refused {
			sent = append(sent, w)
		}
	}
	return sent
}

// refuseLater marks a write as refused; it is answered with its group.
func (w *write) refuseLater(err error) { w.fate, w.err = refused, err }

// firstInLine refuses commits that were not made on what is stored: that is
// looked at before the key.
func (s *Store) firstInLine(claimers []*write) []*write {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	stamps := make([]*goredis.StringCmd, len(claimers))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, w := range claimers {
			stamps[i] = pipe.GetRange(ctx, w.part.keyOf(keyState, w.exec), 0, stampBytes-1)
		}
		return nil
	})
	var good []*write
	for i, w := range claimers {
		now := stampOf(stamps[i].Val())
		switch {
		case err != nil:
			w.refuseLater(unavailable(ctx, "nothing was written: read execution", w.exec, err))
		case now.Version != w.expect || now.Commit != w.parent || now.Epoch > w.stamp.Epoch:
			w.refuseLater(w.conflict(now))
		default:
			good = append(good, w)
		}
	}
	return good
}

// tryClaims makes claims and returns those to try again, with what they may replace.
func (s *Store) tryClaims(claimers []*write, old map[*write]string) []*write {
	tries := make([]*write, len(claimers))
	for i, w := range claimers {
		t := &write{kind: writeClaim}
		t.part = w.claim.home
		t.begin(t.part.key(keyClaims), "claim", w.claim.field, []byte(w.exec), []byte(old[w]))
		t.add("C", keyClaims, w.claim.field, ordered.Number(nil, w.stamp.Commit), []byte(w.exec))
		tries[i] = t
	}
	s.deliver(tries)
	var again []*write
	for i, t := range tries {
		w := claimers[i]
		switch {
		case t.fate == written:
			// One that replaced a claim outlives a refusal: it may be another commit's of
			// the same execution.
			w.claimed = t.found == ""
		case !errors.Is(t.err, errMoved):
			w.refuseLater(t.err)
		default:
			if s.mayReplace(w, t) {
				old[w] = t.found
				again = append(again, w)
			}
		}
	}
	return again
}

// mayReplace says whether a claim is one that was left behind; otherwise it
// refuses the write.
func (s *Store) mayReplace(w, try *write) bool {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	holder := holderOf(try.found)
	if len(try.found) < claimHeader {
		return true // no claim that this store writes
	}
	lives, there, err := s.lives(ctx, w.claim, holder)
	switch {
	case err != nil:
		w.refuseLater(unavailable(ctx, "nothing was written: read the holder of key", w.claim.key, err))
		return false
	case lives:
		w.refuseLater(w.claim.taken(holder))
		return false
	case there:
		return true
	}
	made := int64(binary.BigEndian.Uint64([]byte(try.found[8:claimHeader])))
	if try.foundAt-made < claimGrace.Milliseconds() {
		w.refuseLater(fmt.Errorf("%w: nothing was written: execution %q is just taking the key %q; send it again", persistence.ErrUnavailable, holder, w.claim.key))
		return false
	}
	bar := &write{kind: writeForget}
	bar.part = s.home(holder)
	bar.begin(bar.part.keyOf(keyState, holder), "absent")
	bar.add("B", keyBarred+holder, []byte(try.found[:8]), fmt.Append(nil, int(barredFor.Seconds())))
	s.deliver([]*write{bar})
	if bar.fate != written && !errors.Is(bar.err, errMoved) {
		w.refuseLater(bar.err)
		return false
	}
	// When it came meanwhile, the next try finds it alive.
	return bar.fate == written
}

// lives says whether an execution is there, and whether it lives and has the key.
func (s *Store) lives(ctx context.Context, c *claim, exec string) (lives, there bool, err error) {
	row, err := s.client.reads.Get(ctx, s.home(exec).keyOf(keyState, exec)).Result()
	if errors.Is(err, goredis.Nil) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	snapshot, err := decodeState(exec, row)
	var corrupt *persistence.Corrupt
	if errors.As(err, &corrupt) {
		return true, true, nil // nobody knows; a person has to look at it first
	}
	if err != nil {
		return false, false, err
	}
	st := snapshot.State
	return st.Unique && st.Key == c.key && st.WorkflowID == c.workflow && !st.Status.Finished(), true, nil
}

// freeAfterwards gives back the claims of commits that finished their execution,
// and of those that were refused. What cannot be given back now does not count any
// more, and whoever wants the key takes it over.
func (s *Store) freeAfterwards(items []*write) {
	var free []*write
	for _, w := range items {
		var c *claim
		var commit []byte
		switch {
		case w.free != nil && w.fate == written:
			c = w.free
		case w.claimed && errors.Is(w.err, persistence.ErrConflict):
			c, commit = w.claim, ordered.Number(nil, w.stamp.Commit)
		default:
			continue
		}
		f := &write{kind: writeRows}
		f.part = c.home
		f.begin(f.part.key(keyClaims), "none")
		f.unclaim(c, commit)
		free = append(free, f)
	}
	if len(free) > 0 && s.fault.Load() == nil {
		s.deliver(free)
	}
}

// Holder returns the live execution that has a unique key, or persistence.ErrNotFound.
func (s *Store) Holder(ctx context.Context, workflowID, key string) (string, error) {
	if err := s.begin(ctx); err != nil {
		return "", err
	}
	defer s.gate.leave()
	none := fmt.Errorf("key %q of workflow %q: %w", key, workflowID, persistence.ErrNotFound)
	c := s.claimOf(workflowID, key, "")
	row, err := s.client.reads.HGet(ctx, c.home.key(keyClaims), string(c.field)).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return "", none
	case err != nil:
		return "", unavailable(ctx, "read the holder of key", key, err)
	}
	holder := holderOf(row)
	if len(s.parts) == 1 {
		return holder, nil
	}
	lives, _, err := s.lives(ctx, c, holder)
	switch {
	case err != nil:
		return "", unavailable(ctx, "read the holder of key", key, err)
	case !lives:
		return "", none
	}
	return holder, nil
}
