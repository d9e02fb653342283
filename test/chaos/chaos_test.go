package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// TestKillUnderLoad is the promise "kill -9 under load, any number of times:
// nothing acknowledged is lost, nothing is applied twice". CHAOS_ROUNDS sets the
// number of kills and CHAOS_SEED repeats the dice of a run that failed (the
// moments of a kill relative to the load are the machine's own).
func TestKillUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binary for a minute; left out by -short")
	}
	rounds := int(setting(t, "CHAOS_ROUNDS", defaultRounds))
	seed := setting(t, "CHAOS_SEED", uint64(time.Now().UnixNano()))
	t.Logf("CHAOS_SEED=%d CHAOS_ROUNDS=%d, %d clients", seed, rounds, clients)
	r := newRun(t, seed)
	ended := make(chan error, 1)
	go func() { ended <- r.load.run(t.Context()) }()
	for i := range rounds {
		r.start(t)
		r.trouble(t, i%4 == 3)
		r.kill()
		if i == rounds/2 {
			r.start(t)
			r.trouble(t, false)
			r.term(t)
		}
	}
	r.start(t)
	close(r.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.judge(t)
}

// TestStopUnderLoad is the promise "SIGTERM under load: exit code 0, the drain
// takes at most ten seconds, nothing acknowledged is lost".
func TestStopUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binary; left out by -short")
	}
	r := newRun(t, setting(t, "CHAOS_SEED", uint64(time.Now().UnixNano())))
	ended := make(chan error, 1)
	go func() { ended <- r.load.run(t.Context()) }()
	r.start(t)
	r.trouble(t, false)
	r.term(t)
	r.start(t)
	close(r.load.quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.judge(t)
}

// run is one data folder, the node on it, and the load.
type run struct {
	options binary.Options
	node    *binary.Node
	load    *load
	dice    *rand.Rand
	ready   []time.Duration // of every restart
	drains  []time.Duration
	kills   int
	freezes int
}

// program builds the real binary once for all tests, into a folder that
// TestMain removes. CHAOS_PROGRAM names one that is built already.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CHAOS_PROGRAM"); path != "" {
		return path, nil
	}
	return binary.Build(context.Background(), folder)
})

var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "signalbox-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func newRun(t *testing.T, seed uint64) *run {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{
		options: binary.Options{Path: path, Project: filepath.Join("testdata", "project"), Data: t.TempDir()},
		load:    &load{ledger: NewLedger(), gate: &gate{}, http: newHTTP(), seed: seed, hold: retryAfter, quit: make(chan struct{})},
		dice:    rand.New(rand.NewPCG(seed, 0)),
	}
	t.Cleanup(func() {
		r.load.http.CloseIdleConnections()
		if r.node != nil {
			r.node.Kill()
		}
	})
	return r
}

func (r *run) start(t *testing.T) {
	t.Helper()
	node, err := binary.Start(r.options)
	if err != nil {
		t.Fatal(err)
	}
	if r.node != nil {
		r.ready = append(r.ready, node.Ready)
	}
	r.node = node
	if err := (api{base: node.URL, http: r.load.http}).ready(t.Context()); err != nil {
		t.Fatalf("%v; its log ends:\n%s", err, node.Log())
	}
	r.load.gate.move(node.URL)
}

// trouble lets the load run for a random while, with a freeze in the middle if
// asked, and fails when the node ends by itself.
func (r *run) trouble(t *testing.T, freeze bool) {
	t.Helper()
	left := killAfterMin + time.Duration(r.dice.Int64N(int64(killAfterMax-killAfterMin)))
	if freeze {
		r.freezes++
		r.alive(t, left/2)
		r.node.Freeze()
		r.alive(t, freezeFor)
		r.node.Thaw()
		left /= 2
	}
	r.alive(t, left)
}

func (r *run) alive(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-r.node.Ended():
		t.Fatalf("the node ended by itself; its log ends:\n%s", r.node.Log())
	}
}

func (r *run) kill() {
	r.node.Kill()
	r.load.gate.move("")
	r.kills++
}

func (r *run) term(t *testing.T) {
	t.Helper()
	took, err := r.node.Stop(drainTimeout)
	r.load.gate.move("")
	if err != nil {
		t.Fatalf("SIGTERM under load: %v", err)
	}
	r.drains = append(r.drains, took)
}

// judge ends the run: it gathers the evidence from the node that runs now,
// prints the summary line and fails unless the verdict is clean.
func (r *run) judge(t *testing.T) {
	t.Helper()
	begun := time.Now()
	e, err := gather(t.Context(), api{base: r.node.URL, http: r.load.http}, r.load.ledger, r.load.seed, settleTimeout)
	if err != nil {
		t.Fatalf("%v; the node's log ends:\n%s", err, r.node.Log())
	}
	v := Judge(r.load.ledger, e, listeners)
	fmt.Printf("chaos: seed=%d kills=%d freezes=%d stops=%d clients=%d starts=%d signals=%d events=%d unknown=%d turned_away=%d lost=%d doubled=%d disordered=%d disagreed=%d ready_p50=%v ready_max=%v drain_max=%v checked_in=%v\n",
		r.load.seed, r.kills, r.freezes, len(r.drains), clients, v.Starts, v.Signals, v.Events, v.Unknown, r.load.ledger.away,
		len(v.Lost), len(v.Doubled), len(v.Disordered), len(v.Disagreed),
		ms(percentile(r.ready, 50)), ms(percentile(r.ready, 100)), ms(percentile(r.drains, 100)), ms(time.Since(begun)))
	if err := v.Err(); err != nil {
		t.Errorf("%v\nthe node's log ends:\n%s", err, r.node.Log())
	}
	if v.Signals == 0 || v.Events == 0 {
		t.Errorf("nothing was acknowledged (%d signals, %d events): the run proves nothing", v.Signals, v.Events)
	}
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a whole number", name, text)
	}
	return n
}
