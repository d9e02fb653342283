package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/workflow"
)

// opened opens a store in four partitions.
func opened(t *testing.T, addr string, more string) *Store {
	t.Helper()
	a, err := ParseAddress("redis://" + addr + "?partitions=4" + more)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), a, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func commitTo(t *testing.T, s *Store, c *persistence.Commit) error {
	t.Helper()
	answer := make(chan error, 1)
	c.Done = func(err error) { answer <- err }
	s.Submit(c)
	select {
	case err := <-answer:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

// born is the first commit of an execution with a unique key.
func born(s *Store, exec, key string, id uint64) *persistence.Commit {
	return &persistence.Commit{ExecID: exec, ID: id, Epoch: s.Epoch(), Now: &workflow.State{
		ExecID: exec, WorkflowID: "w", Version: 1, Status: workflow.Running, Key: key, Unique: key != "",
	}}
}

// apart is an id like the given one whose partition is another than that of exec.
func apart(s *Store, exec, id string) string {
	for i := 0; ; i++ {
		if name := fmt.Sprint(id, i); s.home(name) != s.home(exec) {
			return name
		}
	}
}

// TestOutboxIsDrained: a node dies between the commit and the event's way home. The
// event is not missing for a moment, and another node carries it, once.
func TestOutboxIsDrained(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.Addr, "")
	ev := workflow.Event{ID: apart(s, "e", "ev"), Name: "paid"}
	c := born(s, "e", "", 1)
	c.Events = []workflow.Event{ev}
	if err := commitTo(t, s, c); err != nil {
		t.Fatal(err)
	}
	// Put it back as if the node had died behind the commit.
	home, row := s.home(ev.ID), eventRow(persistence.Accepted(ev))
	ctx := t.Context()
	s.client.reads.HDel(ctx, home.key(keyEvents), ev.ID)
	s.client.reads.ZRem(ctx, home.key(keyOpen), string(member1(ev.ID)))
	s.client.reads.Del(ctx, home.key(keyBooks))
	s.client.reads.HSet(ctx, s.home("e").key(keyOutbox), ev.ID, row)
	if _, err := s.Event(ctx, ev.ID); err != nil {
		t.Errorf("an event in an outbox: %v", err)
	}
	other := opened(t, server.Addr, "")
	open, err := other.OpenEvents(ctx, "", 10)
	if err != nil || len(open) != 1 || open[0].Event.ID != ev.ID {
		t.Errorf("open events: %v, %v", open, err)
	}
	if n := s.client.reads.HLen(ctx, s.home("e").key(keyOutbox)).Val(); n != 0 {
		t.Errorf("%d events are left in the outbox", n)
	}
	books, err := other.Books(ctx)
	if err != nil || len(books) != 1 || books[0].Accepted != 1 || !books[0].Balanced() {
		t.Errorf("the books are %+v, %v", books, err)
	}
}

// leave writes a claim as a node leaves it that dies before its commit.
func leave(t *testing.T, s *Store, key, exec string, commit uint64, age time.Duration) {
	t.Helper()
	c := s.claimOf("w", key, exec)
	made := uint64(time.Now().Add(-age).UnixMilli())
	value := append(ordered.Number(ordered.Number(nil, commit), made), exec...)
	if err := s.client.reads.HSet(t.Context(), c.home.key(keyClaims), string(c.field), value).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestClaimsThatWereLeft: a claim whose execution never came is taken over once it is
// old, and its commit, should it still come, is refused; a young one is waited for.
func TestClaimsThatWereLeft(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.Addr, "")
	leave(t, s, "young", "dead", 7, 0)
	if err := commitTo(t, s, born(s, "e1", "young", 1)); !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("a key that somebody is just taking: %v", err)
	}
	leave(t, s, "old", "dead", 7, time.Hour)
	if _, err := s.Holder(t.Context(), "w", "old"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("holder of a key whose execution never came: %v", err)
	}
	if err := commitTo(t, s, born(s, "e2", "old", 2)); err != nil {
		t.Errorf("a key that was left: %v", err)
	}
	if err := commitTo(t, s, born(s, "dead", "", 7)); err != nil {
		t.Errorf("a commit without a claim is barred by none: %v", err)
	}
	// The same with its claim: it was made by then, and only the commit was late.
	late := born(s, "late", "older", 8)
	leave(t, s, "older", "late", 8, time.Hour)
	if err := commitTo(t, s, born(s, "e3", "older", 3)); err != nil {
		t.Fatal(err)
	}
	w := &write{kind: writeCommit, exec: "late", stamp: persistence.Stamp{Version: 1, Epoch: s.Epoch(), Commit: 8}}
	w.part = s.home("late")
	w.begin(w.part.keyOf(keyState, "late"), "commit", ordered.Number(nil, 0), ordered.Number(nil, 0), appendStamp(nil, w.stamp))
	var changes persistence.Changes
	changes.Derive(nil, late.Now)
	s.claims(w, &changes)
	w.set(keyState+"late", persistence.AppendSnapshot(appendStamp(nil, w.stamp), late.Now, s.Epoch(), 8))
	w.claim = nil // it was made long ago
	if err := s.await(t.Context(), w); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("a commit that comes after its claim was taken over: %v, want a conflict", err)
	}
	if holder, err := s.Holder(t.Context(), "w", "older"); err != nil || holder != "e3" {
		t.Errorf("the key is held by %q, %v", holder, err)
	}
}

// TestNothingLandsLate: what was sent under an older generation of a writer is refused,
// whenever it arrives; so is what comes with another incarnation.
func TestNothingLandsLate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := opened(t, server.Addr, "")
	p := s.home("e")
	try := func(incarnation string, generation uint64) error {
		w := &write{}
		w.part = p
		w.begin(p.key(keyDocuments), "none")
		w.document("kind", "id", []byte("late"))
		sender := &Store{incarnation: incarnation, field: s.field, generation: generation}
		call := sender.call(t.Context(), []*write{w})
		_ = s.client.single.Process(t.Context(), call) // the command holds its error
		return call.Err()
	}
	if err := try(s.incarnation, 0); err == nil || !strings.HasPrefix(err.Error(), "FENCED") {
		t.Errorf("an older generation: %v", err)
	}
	if err := try("another", 1); err == nil || !strings.HasPrefix(err.Error(), "INCARNATION") {
		t.Errorf("another incarnation: %v", err)
	}
	if err := try(s.incarnation, 1); err != nil {
		t.Errorf("the generation of now: %v", err)
	}
}

// reply is an answer of Redis that is an error.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// TestWhatErrorsMean is the table of what an error says about a write.
func TestWhatErrorsMean(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fate
		says string
	}{
		{reply("LOADING Redis is loading the dataset in memory"), unsent, "reading its files"},
		{reply("OOM command not allowed when used memory > 'maxmemory'. script: 4be3, on @user_script:55."), unsent, "maxmemory"},
		{reply("ERR Error running script: @user_script: 55: -OOM command not allowed"), unsent, "OOM"},
		{reply("READONLY You can't write against a read only replica."), unsent, "replica"},
		{reply("MISCONF Redis is configured to save RDB snapshots"), unsent, "its disk"},
		{reply("MOVED 3999 127.0.0.1:6381"), unsent, "MOVED"},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), unsent, "TRYAGAIN"},
		{reply("NOSCRIPT No matching script."), unsent, "NOSCRIPT"},
		{reply("FENCED 3"), unsent, "FENCED"},
		{reply("INCARNATION none"), unsent, "this Redis is empty"},
		{reply("INCARNATION other"), unsent, "another one than before"},
		{reply("WRONGTYPE Operation against a key"), refused, "should not happen"},
		{errors.New("EOF"), lost, "EOF"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, unsent, "refused"},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, lost, "reset"},
	} {
		got, err := meaning(c.err)
		if got != c.want || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: fate %d and %v, want fate %d and something about %q", c.err, got, err, c.want, c.says)
		}
	}
}

// TestReplicasConfirm asks replicas to confirm, which this proxy answers for: a short
// count is no 2xx, and the store takes no writes until they confirm again.
func TestReplicasConfirm(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.Between(t, server.Addr)
	answers := func(counts string) {
		asked := []byte("*4\r\n$7\r\nwaitaof\r\n$1\r\n1\r\n$1\r\n1\r\n$3\r\n100\r\n")
		script := "return {" + counts + "}"
		said := []byte(fmt.Sprintf("*3\r\n$4\r\neval\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(script), script))
		proxy.Alter(
			func(request []byte) []byte { return bytes.ReplaceAll(request, asked, said) },
			func(answer []byte) []byte {
				return bytes.Replace(answer, []byte("redis_version:7.0"), []byte("redis_version:7.4"), 1)
			})
	}
	answers("1,1")
	s := opened(t, proxy.Addr, "&replicas=1&confirm=100ms")
	if s.Durability() != workflow.Replicated {
		t.Fatalf("the level is %s", s.Durability())
	}
	if err := commitTo(t, s, born(s, "e1", "", 1)); err != nil {
		t.Fatal(err)
	}
	answers("1,0")
	err := commitTo(t, s, born(s, "e2", "", 2))
	if !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "not known") || !strings.Contains(err.Error(), "of 1 replicas") {
		t.Errorf("a commit that no replica confirmed: %v", err)
	}
	if s.Health() == nil {
		t.Error("a store whose replicas do not confirm is healthy")
	}
	answers("1,1")
	for limit := time.Now().Add(30 * time.Second); s.Health() != nil; {
		if time.Now().After(limit) {
			t.Fatal(s.Health())
		}
		time.Sleep(5 * time.Millisecond)
	}
	// The sender sends the same again and finds that it was written.
	if err := commitTo(t, s, born(s, "e2", "", 2)); err != nil {
		t.Errorf("the same commit again: %v", err)
	}
	if _, err := s.Load(context.Background(), "e2"); err != nil {
		t.Error(err)
	}
}
