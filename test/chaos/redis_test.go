package chaos

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
)

// TestRedisBreaksUnderLoad is the promise "whatever happens to the Redis of a real
// node: no 2xx for what was not kept, /readyz is 503 and says why, and the node
// goes on by itself when the Redis does". The clients' ledger is judged at the end.
func TestRedisBreaksUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("breaks a real Redis under a real node; left out by -short")
	}
	t.Parallel() // it mostly waits
	r := newRun(t, setting(t, "CHAOS_SEED", 1))
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	r.options.Args = []string{"--store", "redis://" + server.Addr}
	r.load.ledger.Resends = true // by the store, which repeats what it heard no answer to
	ended := make(chan error, 1)
	go func() { ended <- r.load.run(t.Context()) }()
	r.start(t)
	r.alive(t, time.Second)
	away := filepath.Join(t.TempDir(), "files")
	for _, trouble := range []struct {
		name, says string // "" says: it is over before a word of it must be heard
		lasts      time.Duration
		begin, end func()
	}{
		{"killed", "store: ", time.Second, server.Kill, server.Restart},
		{"stopped", "store: ", longFreeze, server.Pause, server.Resume},
		{"out of memory", "maxmemory", time.Second,
			func() { server.Do("CONFIG", "SET", "maxmemory", "1mb") },
			func() { server.Do("CONFIG", "SET", "maxmemory", "0") }},
		{"a replica", "replica", time.Second,
			func() { server.Do("REPLICAOF", "127.0.0.1", "1") },
			func() { server.Do("REPLICAOF", "NO", "ONE") }},
		{"restarted empty", "empty", time.Second,
			func() { server.Kill(); server.Move(away); server.Restart() },
			func() { server.Kill(); server.Empty(); server.PutBack(away); server.Restart() }},
		{"killed and back at once", "", time.Second, func() { server.Kill(); server.Restart() }, func() {}},
	} {
		trouble.begin()
		began := time.Now()
		if trouble.says != "" {
			r.unready(t, trouble.says)
		}
		noticed := time.Since(began)
		r.alive(t, trouble.lasts)
		trouble.end()
		began = time.Now()
		r.readyAgain(t)
		t.Logf("Redis %s: noticed after %v, ready again %v after it was well", trouble.name, ms(noticed), ms(time.Since(began)))
		r.alive(t, time.Second)
	}
	close(r.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.judge(t)
}

// TestSentinelPromotesUnderARealNode kills the primary of a node whose replica has
// everything: the node goes on with the replica by itself, within ten seconds, and
// knows what was acknowledged before.
func TestSentinelPromotesUnderARealNode(t *testing.T) {
	if testing.Short() {
		t.Skip("lets a real sentinel promote a replica; left out by -short")
	}
	t.Parallel()
	r := newRun(t, setting(t, "CHAOS_SEED", 2))
	watched := redistest.StartWatched(t)
	r.options.Args = []string{"--store", "redis+sentinel://" + watched.Sentinel.Addr + "/" + watched.Name}
	r.load.ledger.Resends = true
	ended := make(chan error, 1)
	go func() { ended <- r.load.run(t.Context()) }()
	r.start(t)
	r.alive(t, time.Second)
	r.load.gate.move("") // no replica confirms, so it must have caught up
	r.alive(t, time.Second)
	watched.Primary.Kill()
	began := time.Now()
	r.load.gate.move(r.node.URL)
	r.unready(t, "store: ")
	r.readyAgain(t)
	took := time.Since(began)
	t.Logf("ready again %v after the death of the primary", ms(took))
	if took > answersAgain {
		t.Errorf("the node took %v to go on with the replica", took)
	}
	r.alive(t, time.Second)
	close(r.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.judge(t)
}

// readyAgain waits until the node is ready again.
func (r *run) readyAgain(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(healed); ; {
		err := (api{base: r.node.URL, http: r.load.http}).ready(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the node is not ready within %v: %v; its log ends:\n%s", healed, err, r.node.Log())
		}
		r.alive(t, 20*time.Millisecond)
	}
}

// unready waits until /readyz is 503 with that text.
func (r *run) unready(t *testing.T, text string) {
	t.Helper()
	var last string
	for until := time.Now().Add(healed); time.Now().Before(until); r.alive(t, 20*time.Millisecond) {
		resp, err := r.load.http.Get(r.node.URL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		last = fmt.Sprint(resp.Status, " ", string(body))
		if resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), text) {
			return
		}
	}
	t.Fatalf("/readyz does not become 503 with %q: %s", text, last)
}
