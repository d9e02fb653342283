package acceptance

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/runtime"
)

// A script tells in time what is done to a node and what must be true:
//
//	script(t, yaml,
//		At("0s", Start("x", "order", `{}`), Status("x", "WAITING")),
//		At("5m", Signal("x", "paid", `{}`, Outcome("delivered"))),
//		Want(Between("30m", "30m1s"), Status("x", "TIMED_OUT")))
//
// It runs in virtual time against a whole node on a store in memory, so an hour
// costs nothing and a millisecond is exact. When it ends, the history of every
// execution is folded again and must give the stored state.
//
// The words of a script are in words_test.go.

// act does something to the node, or says what is not as it must be.
type act func(*world) error

// line is what happens at one moment.
type line struct {
	at   time.Duration
	text string
	acts []act
	not  bool // the acts must not hold yet
}

// At does the acts, in order, at a moment after the start of the script.
func At(when string, acts ...act) []line {
	return []line{{at: moment(when), text: "at " + when, acts: acts}}
}

// window is a span of time.
type window struct {
	from, until time.Duration
	text        string
}

// Between is the span in which something must become true.
func Between(from, until string) window {
	return window{moment(from), moment(until), "between " + from + " and " + until}
}

// Want says that every one of the acts becomes true within the window: a
// millisecond before it none of them holds, at its end all of them do.
func Want(w window, acts ...act) []line {
	var lines []line
	for _, a := range acts {
		lines = append(lines, line{at: w.from - time.Millisecond, text: "too early, before " + w.text, acts: []act{a}, not: true})
	}
	return append(lines, line{at: w.until, text: "wanted " + w.text, acts: acts})
}

func moment(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err) // a mistake in a script, seen at its first run
	}
	return d
}

// world is a node in a bubble of virtual time.
type world struct {
	t       *testing.T
	ctx     context.Context
	project *definitions.Project
	disk    *vfs.MemFS
	store   *embedded.Store
	run     *runtime.Node
	node    http.Node // the same, as the front door sees it
	started map[string]bool
}

// script plays the lines in the order of their moments; lines of the same
// moment in the order in which they are written.
func script(t *testing.T, yaml string, lines ...[]line) {
	t.Helper()
	project := load(t, yaml)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, ctx: t.Context(), project: project, disk: vfs.NewCrashableMem(), started: map[string]bool{}}
		w.open()
		begun := time.Now()
		all := slices.Concat(lines...)
		slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.at, b.at) })
		for _, l := range all {
			time.Sleep(time.Until(begun.Add(l.at))) // virtual
			if !w.play(l) {
				break
			}
		}
		w.replay()
		w.close()
	})
}

// play does the acts of one line; false when the script cannot go on.
func (w *world) play(l line) bool {
	w.t.Helper()
	for i, a := range l.acts {
		synctest.Wait()
		err := a(w)
		if l.not && err == nil {
			w.t.Errorf("%s: act %d holds already", l.text, i+1)
			return false
		}
		if !l.not && err != nil {
			w.t.Errorf("%s: act %d: %v", l.text, i+1, err)
			return false
		}
	}
	synctest.Wait()
	return true
}

// load compiles the YAML as a person's file would be; warnings are allowed.
func load(t *testing.T, yaml string) *definitions.Project {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signalbox.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	project, diagnostics := definitions.Load(file)
	if diagnostics.Errors() {
		diagnostics.Print(t.Output())
		t.Fatal("the script's YAML does not load")
	}
	return project
}

// open brings a node up on the disk.
func (w *world) open() {
	w.t.Helper()
	logger := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	if w.store, err = embedded.Open("store", embedded.Options{FS: w.disk, Log: logger}); err != nil {
		w.t.Fatal(err)
	}
	if w.run, err = runtime.New(runtime.Options{
		Store: w.store, Logger: logger, Version: "acceptance",
		Getenv: func(string) string { return "" }, // no model but the mock, whatever the machine has
	}); err != nil {
		w.t.Fatal(err)
	}
	w.node = w.run
	if err := w.run.Deploy(w.ctx, w.project); err != nil {
		w.t.Fatal(err)
	}
	if err := w.run.Start(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// close stops the node and the store in good order.
func (w *world) close() {
	w.t.Helper()
	if err := w.run.Stop(w.ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

// PowerLoss cuts the power: what was not on the disk is gone, and a new node
// comes up on what is left.
func PowerLoss() act {
	return func(w *world) error {
		left := w.disk.CrashClone(vfs.CrashCloneCfg{})
		w.close() // the old node writes to a disk that nobody will read
		w.disk = left
		w.open()
		return nil
	}
}

// Restart stops the node in good order and brings it up again.
func Restart() act {
	return func(w *world) error {
		w.close()
		w.open()
		return nil
	}
}

// Down stops the node for a while: timers that come due meanwhile are overdue
// when it comes up again.
func Down(d time.Duration) act {
	return func(w *world) error {
		w.close()
		time.Sleep(d) // virtual
		w.open()
		return nil
	}
}

// fail formats what is not as it must be.
func fail(format string, args ...any) error { return fmt.Errorf(format, args...) }
