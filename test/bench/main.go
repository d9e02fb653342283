// Bench measures the real program: it builds it, runs it on a temporary folder,
// drives it over HTTP and prints one table, which it also writes as JSON. The
// numbers to reach are in the table; ratios are to the echo of the same stack in
// the same round, because machines differ.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// settings say how much is measured.
type settings struct {
	rounds   int
	requests int
	waits    int

	correlated int
	only       parts
	path       string // of a program that is built already, "" to build it
	results    string // folder of the JSON, "" for none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse reads the flags, whose defaults come from the environment.
func parse() settings {
	var s settings
	if text := os.Getenv("BENCH_ONLY"); text != "" {
		if err := s.only.Set(text); err != nil {
			fmt.Fprintf(os.Stderr, "bench: BENCH_ONLY=%q: %v\n", text, err)
			os.Exit(2)
		}
	}
	flag.IntVar(&s.rounds, "rounds", fromEnv("BENCH_ROUNDS", roundsDefault), "rounds of each measurement (BENCH_ROUNDS)")
	flag.IntVar(&s.requests, "requests", fromEnv("BENCH_REQUESTS", requestsDefault), "requests of each kind in a round (BENCH_REQUESTS)")
	flag.IntVar(&s.waits, "waits", fromEnv("BENCH_WAITS", waitsDefault), "waiting executions, 0 to leave that part out (BENCH_WAITS)")
	flag.IntVar(&s.correlated, "correlated", fromEnv("BENCH_CORRELATED", correlatedDefault), "correlated waits among which one event finds its own, 0 to leave events out (BENCH_CORRELATED)")
	flag.Var(&s.only, "only", "parts to measure, with commas: "+strings.Join(partNames, ", ")+" (BENCH_ONLY)")
	flag.StringVar(&s.path, "program", os.Getenv("BENCH_PROGRAM"), "a built signalbox to measure instead of building one (BENCH_PROGRAM)")
	flag.StringVar(&s.results, "results", filepath.Join("bench", "results"), "folder of the JSON, empty for none")
	flag.Parse()
	if s.requests < slicesOfRound*batchSize {
		fmt.Fprintf(os.Stderr, "bench: %d requests are less than a batch in each slice of a round: want %d or more\n", s.requests, slicesOfRound*batchSize)
		os.Exit(2)
	}
	return s
}

// partNames are the parts of the table, in their order.
var partNames = []string{"rounds", "costs", "events", "redis", "nodes"}

// parts are those that are chosen; none stands for all.
type parts []string

// String names them.
func (p *parts) String() string { return strings.Join(*p, ",") }

// Set chooses parts by their names.
func (p *parts) Set(text string) error {
	*p = strings.Split(text, ",")
	for _, name := range *p {
		if !slices.Contains(partNames, name) {
			return fmt.Errorf("%q is none of %s", name, strings.Join(partNames, ", "))
		}
	}
	return nil
}

func (p parts) has(name string) bool { return len(p) == 0 || slices.Contains(p, name) }

func fromEnv(name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		fmt.Fprintf(os.Stderr, "bench: %s=%q: want a whole number\n", name, text)
		os.Exit(2)
	}
	return n
}

func run(ctx context.Context, s settings) error {
	root, err := os.MkdirTemp("", "signalbox-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if s.path == "" {
		say("building")
		if s.path, err = binary.Build(ctx, root); err != nil {
			return err
		}
	}
	r := &report{Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(ctx), Machine: describe()}
	for i, part := range []func(settings, string) ([]row, error){
		func(s settings, root string) ([]row, error) { return inRounds(ctx, s, root) }, costs, correlation, onRedis, onNodes,
	} {
		if !s.only.has(partNames[i]) {
			continue
		}
		rows, err := part(s, root)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, rows...)
	}
	if err := r.table(os.Stdout); err != nil {
		return err
	}
	if s.results == "" {
		return nil
	}
	path, err := r.save(s.results)
	if err == nil {
		say("written to %s", path)
	}
	return err
}

// inRounds makes the rounds of one node on its own store.
func inRounds(ctx context.Context, s settings, root string) ([]row, error) {
	var all rounds
	for i := range s.rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		say("round %d of %d", i+1, s.rounds)
		if err := all.one(ctx, s, root, i); err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	return all.rows(), nil
}

// say tells a person what happens now; the table alone goes to standard output.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
