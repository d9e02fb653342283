package redis_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/workflow"
)

// patience is how long a test waits for a store; it is only reached by a failure.
const patience = 30 * time.Second

// openAt opens a store at an address, closing it with the test.
func openAt(t testing.TB, address string, o redis.Options) *redis.Store {
	t.Helper()
	s, err := tryAt(t, address, o)
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

func tryAt(t testing.TB, address string, o redis.Options) (*redis.Store, error) {
	t.Helper()
	a, err := redis.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return redis.Open(t.Context(), a, o)
}

// life is an execution at a version: it waits for a name that tells the version.
func life(exec string, version uint64) *workflow.State {
	return &workflow.State{
		ExecID: exec, WorkflowID: "orders", Definition: "d", Version: version, Seq: version, Status: workflow.Waiting,
		CreatedAt: 1_700_000_000_000, UpdatedAt: 1_700_000_000_000 + workflow.Instant(version),
		Waits: []workflow.OpenWait{{ID: "hold/1", Task: "hold", Name: fmt.Sprintf("name-%d", version%3), OpenedAt: 1_700_000_000_000}},
	}
}

// lived is the commit that leads to a version of a life; its id is the version's.
func lived(exec string, version, epoch uint64) *persistence.Commit {
	c := &persistence.Commit{
		ExecID: exec, Expect: version - 1, Parent: version - 1, ID: version, Epoch: epoch, Now: life(exec, version),
		Records:  []workflow.Record{{Seq: version, At: 1_700_000_000_000, Type: workflow.TaskStarted}},
		Receipts: []workflow.Receipt{{SignalID: fmt.Sprintf("signal-%d", version), ExecID: exec, Name: "n", Fate: workflow.FateConsumed}},
	}
	if version > 1 {
		c.Was = life(exec, version-1)
	}
	return c
}

func submit(s persistence.Store, c *persistence.Commit) <-chan error {
	answer := make(chan error, 1)
	c.Done = func(err error) { answer <- err }
	s.Submit(c)
	return answer
}

func answerOf(t testing.TB, answer <-chan error) error {
	t.Helper()
	select {
	case err := <-answer:
		return err
	case <-time.After(patience):
		t.Fatalf("no answer within %v", patience)
		return nil
	}
}

func commit(t testing.TB, s persistence.Store, c *persistence.Commit) error {
	t.Helper()
	return answerOf(t, submit(s, c))
}

func must(t testing.TB, s persistence.Store, c *persistence.Commit) {
	t.Helper()
	if err := commit(t, s, c); err != nil {
		t.Fatalf("commit of %q to version %d: %v", c.ExecID, c.Now.Version, err)
	}
}

// at checks that an execution is whole and at a version, or at one behind it when
// may is set, and returns which.
func at(t testing.TB, s persistence.Store, exec string, least uint64, may bool) uint64 {
	t.Helper()
	var version uint64
	snapshot, err := s.Load(t.Context(), exec)
	switch {
	case err == nil:
		version = snapshot.State.Version
	case !errors.Is(err, persistence.ErrNotFound):
		t.Fatal(err)
	}
	if version < least || version > least && !may {
		t.Fatalf("execution %s is at version %d, and version %d was acknowledged last", exec, version, least)
	}
	records, err := s.Records(t.Context(), exec, 0, 10_000)
	if err != nil || uint64(len(records)) != version {
		t.Fatalf("execution %s at version %d has %d records, %v", exec, version, len(records), err)
	}
	if _, err := s.Receipt(t.Context(), fmt.Sprintf("signal-%d", version), exec); version > 0 && err != nil {
		t.Fatalf("execution %s at version %d: %v", exec, version, err)
	}
	if _, err := s.Receipt(t.Context(), fmt.Sprintf("signal-%d", version+1), exec); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatalf("execution %s at version %d has the receipt of the next: %v", exec, version, err)
	}
	waits, err := s.Waits(t.Context(), workflow.WaitQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range waits.Items {
		if w.ExecID == exec && w.OpenWait != life(exec, version).Waits[0] {
			t.Fatalf("execution %s at version %d is listed as waiting for %v", exec, version, w.OpenWait)
		}
	}
	return version
}

// healthy waits until a store takes writes again.
func healthy(t testing.TB, s persistence.Store) {
	t.Helper()
	await(t, "health", func() bool { return s.Health() == nil })
}

// ill waits until a store says why it takes none, in words with that text.
func ill(t testing.TB, s persistence.Store, text string) {
	t.Helper()
	await(t, "the words "+text, func() bool { return s.Health() != nil && strings.Contains(s.Health().Error(), text) })
}

func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-limit:
			t.Fatalf("no %s within %v", what, patience)
		case <-tick.C:
		}
	}
}

// refusedUnwritten checks an answer that says that nothing was written.
func refusedUnwritten(t testing.TB, err error, text string) {
	t.Helper()
	if !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was written") || !strings.Contains(err.Error(), text) {
		t.Fatalf("got error %v, want one that says that nothing was written, and %q", err, text)
	}
}

// slow skips a test that waits for seconds, in a run that is to be short.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
}

// TestKilled kills Redis under load, again and again: what was acknowledged is
// there, nothing is there twice, and the store goes on without a restart.
func TestKilled(t *testing.T) {
	slow(t)
	const rounds, owners = 4, 6
	server := redistest.Start(t)
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	acknowledged := make([]uint64, owners)
	for range rounds {
		var load sync.WaitGroup
		for i := range owners {
			load.Go(func() {
				exec := fmt.Sprintf("e%d", i)
				for {
					err := <-submit(s, lived(exec, acknowledged[i]+1, s.Epoch()))
					if err != nil {
						return // the owner does not know; it looks after the round
					}
					acknowledged[i]++
				}
			})
		}
		enough := s.Stats().Commits + 80
		await(t, "load", func() bool { return s.Stats().Commits > enough })
		server.Kill()
		load.Wait()
		server.Restart()
		healthy(t, s)
		for i := range owners {
			acknowledged[i] = at(t, s, fmt.Sprintf("e%d", i), acknowledged[i], true)
		}
	}
	t.Logf("%d kills, %d commits acknowledged, 0 lost, 0 twice", rounds, s.Stats().Commits)
}

// TestBlink kills Redis and starts it again at once: the store finds out what became
// of the writes that were under way, and their senders see no error.
func TestBlink(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	must(t, s, lived("e", 1, s.Epoch()))
	var answers []<-chan error
	for version := uint64(2); version <= 400; version++ {
		answers = append(answers, submit(s, lived("e", version, s.Epoch())))
		if version == 200 {
			server.Kill()
			server.Restart()
		}
	}
	for i, answer := range answers {
		if err := answerOf(t, answer); err != nil {
			t.Fatalf("commit to version %d: %v", i+2, err)
		}
	}
	at(t, s, "e", 400, false)
}

// TestStopped stops Redis without ending it. Senders are told within seconds that
// it is not known, and what lands when it wakes up is whole and once.
func TestStopped(t *testing.T) {
	slow(t)
	server := redistest.Start(t)
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	must(t, s, lived("e", 1, s.Epoch()))
	server.Pause()
	begin := time.Now()
	err := commit(t, s, lived("e", 2, s.Epoch()))
	if !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("a commit to a stopped Redis: %v, want that it is not known", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the answer took %v", took)
	}
	refusedUnwritten(t, commit(t, s, lived("other", 1, s.Epoch())), "")
	if s.Health() == nil {
		t.Error("a store whose Redis is stopped is healthy")
	}
	server.Resume()
	healthy(t, s)
	version := at(t, s, "e", 1, true)
	must(t, s, lived("e", version+1, s.Epoch()))
	at(t, s, "other", 0, false)
}

// TestEmptied restarts Redis without its files. The store refuses it, for writes of
// every kind and for reads, which would find nothing, and takes it again when the files are back.
func TestEmptied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "data", "redis.json")
	s := openAt(t, "redis://"+server.Addr, redis.Options{Remember: file})
	must(t, s, lived("e", 1, s.Epoch()))
	server.Kill()
	away := filepath.Join(t.TempDir(), "files")
	server.Move(away)
	server.Restart()
	refusedUnwritten(t, commit(t, s, lived("new", 1, s.Epoch())), "this Redis is empty")
	refusedUnwritten(t, s.PutDocument(t.Context(), "kind", "id", []byte("body")), "this Redis is empty")
	ill(t, s, file)
	if _, err := s.Load(t.Context(), "e"); !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "this Redis is empty") {
		t.Errorf("reading from an empty Redis: %v", err)
	}
	if _, err := tryAt(t, "redis://"+server.Addr, redis.Options{Remember: file}); err == nil || !strings.Contains(err.Error(), "remove the file "+file) {
		t.Errorf("opening an empty Redis that is remembered: %v, want the way out", err)
	}
	if keys := server.Do("DBSIZE"); keys != "0" {
		t.Errorf("%s keys were written to a Redis that was refused", keys)
	}
	server.Kill()
	server.Empty()
	server.PutBack(away)
	server.Restart()
	healthy(t, s)
	must(t, s, lived("e", 2, s.Epoch()))
	at(t, s, "new", 0, false)
}

// TestAnother opens another Redis than the one that is remembered.
func TestAnother(t *testing.T) {
	t.Parallel()
	one, other := redistest.Start(t), redistest.Start(t)
	file := filepath.Join(t.TempDir(), "redis.json")
	openAt(t, "redis://"+one.Addr, redis.Options{Remember: file})
	openAt(t, "redis://"+other.Addr, redis.Options{})
	_, err := tryAt(t, "redis://"+other.Addr, redis.Options{Remember: file})
	if err == nil || !strings.Contains(err.Error(), "another one than before") || !strings.Contains(err.Error(), file) {
		t.Errorf("opening another Redis: %v", err)
	}
	openAt(t, "redis://"+one.Addr, redis.Options{Remember: file})
}

// TestManyBegin opens a store from several nodes at once in a Redis that is empty, or
// in which a node has died while it made the store: all of them open the same one.
func TestManyBegin(t *testing.T) {
	t.Parallel()
	for _, half := range []string{"", "incarnation"} {
		server := redistest.Start(t)
		if half != "" {
			server.Do("HSET", "signalbox:{meta}:store", half, "HALFMADE")
		}
		var nodes sync.WaitGroup
		for range 8 {
			nodes.Go(func() {
				s, err := tryAt(t, "redis://"+server.Addr, redis.Options{})
				if err == nil {
					err = s.Close()
				}
				if err != nil {
					t.Errorf("with %q there: %v", half, err)
				}
			})
		}
		nodes.Wait()
		if made := server.Do("HGET", "signalbox:{meta}:store", "incarnation"); half != "" && made != "HALFMADE" {
			t.Errorf("the incarnation that was drawn is now %q", made)
		}
	}
}

// TestReplica makes Redis a replica: nothing is acknowledged until it is none.
func TestReplica(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	must(t, s, lived("e", 1, s.Epoch()))
	server.Do("REPLICAOF", "127.0.0.1", "1")
	refusedUnwritten(t, commit(t, s, lived("e", 2, s.Epoch())), "replica")
	at(t, s, "e", 1, false) // reads go on
	server.Do("REPLICAOF", "NO", "ONE")
	healthy(t, s)
	must(t, s, lived("e", 2, s.Epoch()))
}

// TestFull fills Redis: nothing is acknowledged, or written by half, until there is room.
func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	must(t, s, lived("e", 1, s.Epoch()))
	server.Do("CONFIG", "SET", "maxmemory", "1mb")
	refusedUnwritten(t, commit(t, s, lived("e", 2, s.Epoch())), "maxmemory")
	ill(t, s, "maxmemory")
	at(t, s, "e", 1, false)
	server.Do("CONFIG", "SET", "maxmemory", "0")
	healthy(t, s)
	must(t, s, lived("e", 2, s.Epoch()))
	at(t, s, "e", 2, false)
	server.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1gb")
	ill(t, s, "set it to noeviction")
	if _, err := tryAt(t, "redis://"+server.Addr, redis.Options{}); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("opening a Redis that forgets keys: %v", err)
	}
}

// TestLoading restarts a Redis that takes long to read its files.
func TestLoading(t *testing.T) {
	slow(t)
	server := redistest.Start(t)
	s := openAt(t, "redis://"+server.Addr, redis.Options{})
	must(t, s, lived("e", 1, s.Epoch()))
	server.Do("EVAL", "for i = 1, 400 do redis.call('SET', 'filler' .. i, i) end", "0")
	server.Do("BGREWRITEAOF")
	server.Await("aof_rewrite_in_progress:0", "INFO", "persistence")
	server.Kill()
	server.RestartSlowly("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024") // 4 s
	server.Await("LOADING", "PING")
	refusedUnwritten(t, commit(t, s, lived("e", 2, s.Epoch())), "") // the reason is LOADING, or that it did not even say so in time
	healthy(t, s)
	must(t, s, lived("e", 2, s.Epoch()))
	at(t, s, "e", 2, false)
}

// writes matches a request that runs the script of writes.
func writes(request []byte) bool {
	return bytes.Contains(request, []byte("evalsha")) && bytes.Contains(request, []byte("commit"))
}

// TestCutAfterCommit cuts the connection after Redis has written and before the
// answer: the store finds the commits, answers well, and nothing is there twice.
func TestCutAfterCommit(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"redis://%s", "redis://%s?partitions=4"} {
		server := redistest.Start(t)
		proxy := redistest.Between(t, server.Addr)
		s := openAt(t, fmt.Sprintf(address, proxy.Addr), redis.Options{})
		proxy.CutAfter(once(writes))
		first := submit(s, lived("e", 1, s.Epoch()))
		second := submit(s, lived("e", 2, s.Epoch()))
		third := submit(s, lived("f", 1, s.Epoch()))
		for i, answer := range []<-chan error{first, second, third} {
			if err := answerOf(t, answer); err != nil {
				t.Errorf("commit %d whose answer was lost: %v", i, err)
			}
		}
		at(t, s, "e", 2, false)
		at(t, s, "f", 1, false)
		// The same commit again, as from a sender who heard nothing: already applied.
		must(t, s, lived("e", 2, s.Epoch()))
		at(t, s, "e", 2, false)

		proxy.CutAfter(once(func(request []byte) bool { return bytes.Contains(request, []byte("fresh")) }))
		type accepted struct {
			known bool
			err   error
		}
		answer := make(chan accepted, 1)
		s.AcceptEvent(workflow.Event{ID: "ev", Name: "paid"}, func(_ *workflow.EventReceipt, known bool, err error) { answer <- accepted{known, err} })
		if a := <-answer; a.known || a.err != nil {
			t.Errorf("an event whose answer was lost: known %v, error %v", a.known, a.err)
		}
	}
}

// once is a match that accepts one request.
func once(match func([]byte) bool) func([]byte) bool {
	done := false
	return func(request []byte) bool {
		if done || !match(request) {
			return false
		}
		done = true
		return true
	}
}

// TestLost gives Redis older files than it had: that acknowledged writes are gone is
// said aloud, with their number, and executions go on from what is there.
func TestLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logged
	s := openAt(t, "redis://"+server.Addr, redis.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, s, lived("e", 1, s.Epoch()))
	copied := filepath.Join(t.TempDir(), "files")
	server.Copy(copied)
	for version := uint64(2); version <= 6; version++ {
		must(t, s, lived("e", version, s.Epoch()))
	}
	server.Kill()
	server.Empty()
	server.PutBack(copied)
	server.Restart()
	await(t, "word of the loss", func() bool { return strings.Contains(log.String(), "has lost acknowledged writes") })
	if !strings.Contains(log.String(), "at_least=5") {
		t.Errorf("5 writes were lost, and the log says:\n%s", log.String())
	}
	healthy(t, s)
	if err := commit(t, s, lived("e", 7, s.Epoch())); !errors.Is(err, persistence.ErrConflict) {
		t.Errorf("a commit on top of what was lost: %v, want a conflict", err)
	}
	must(t, s, lived("e", 2, s.Epoch()))
}

// logged is a log that a test may read meanwhile.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestFailover kills a primary under load and lets a sentinel promote its replica.
// The store goes on within ten seconds, without a restart; what was acknowledged and
// lost is said, because nobody asked the replica to confirm.
func TestFailover(t *testing.T) {
	slow(t)
	watched := redistest.StartWatched(t)
	var log logged
	address := "redis+sentinel://" + watched.Sentinel.Addr + "/" + watched.Name
	s := openAt(t, address, redis.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	var acknowledged uint64
	var load sync.WaitGroup
	var enough atomic.Bool
	load.Go(func() {
		for !enough.Load() && <-submit(s, lived("e", acknowledged+1, s.Epoch())) == nil {
			acknowledged++
		}
	})
	await(t, "load", func() bool { return s.Stats().Commits > 50 })
	watched.Primary.Kill()
	begin := time.Now()
	watched.Sentinel.Await(watched.Replica.Port(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", watched.Name)
	healthy(t, s)
	took := time.Since(begin)
	enough.Store(true) // the load ends with an error, or it has not even noticed
	load.Wait()
	inARow := 0 // the store may not have noticed either, and has several connections
	await(t, "steady reads from the new primary", func() bool {
		inARow++
		if _, err := s.Records(t.Context(), "e", 0, 1); err != nil || s.Health() != nil {
			inARow = 0
		}
		return inARow > 20
	})
	if took > 10*time.Second {
		t.Errorf("the failover took %v", took)
	}
	version := at(t, s, "e", 1, true)
	if version < acknowledged && !strings.Contains(log.String(), "has lost acknowledged writes") {
		t.Errorf("version %d was acknowledged and %d is there, and the log says nothing of it:\n%s", acknowledged, version, log.String())
	}
	must(t, s, lived("e", version+1, s.Epoch()))
	t.Logf("writes go on %v after the kill; %d acknowledged, %d there", took.Round(time.Millisecond), acknowledged, version)
}

// TestUser opens a store as a user of the access control list, with a password.
func TestUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "keeper", "on", ">p@ss/word", "~signalbox:*", "+@all")
	server.Do("ACL", "SETUSER", "default", "off")
	must(t, openAt(t, "redis://keeper:p%40ss%2Fword@"+server.Addr, redis.Options{}), lived("e", 1, 1))
	for _, address := range []string{"redis://keeper:wrong@" + server.Addr, "redis://" + server.Addr} {
		begin := time.Now()
		_, err := tryAt(t, address, redis.Options{})
		if err == nil || strings.Contains(err.Error(), "wrong@") {
			t.Errorf("opening as %s: %v", address, err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("a wrong password was tried for %v", took)
		}
	}
}
