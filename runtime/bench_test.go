package runtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/workflow"
)

// open starts a node with the given YAML on a store on disk.
func open(tb testing.TB, yaml string) *runtime.Node {
	tb.Helper()
	dir := tb.TempDir()
	path := filepath.Join(dir, "workflow.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		tb.Fatal(err)
	}
	project, found := definitions.Load(path)
	if project == nil {
		found.Print(os.Stderr)
		tb.Fatal("the workflow does not load")
	}
	store, err := embedded.Open(filepath.Join(dir, "data"), embedded.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	node, err := runtime.New(runtime.Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return node.Deploy(tb.Context(), project) },
		func() error { return node.Start(tb.Context()) },
	} {
		if err := step(); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() {
		if err := node.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	return node
}

// BenchmarkSignal measures durable signals without HTTP, 64 at a time: each ends
// its execution.
func BenchmarkSignal(b *testing.B) {
	node := open(b, "id: one\ntasks:\n  - {id: hold, type: wait, wait_for: go}\n")
	parallel(b, func(i int) error {
		_, err := node.Begin(b.Context(), workflow.Start{WorkflowID: "one", ExecID: fmt.Sprint("x", i)})
		return err
	})
	b.ReportAllocs()
	b.ResetTimer()
	parallel(b, func(i int) error {
		_, err := node.Signal(b.Context(), workflow.Signal{
			ID: fmt.Sprint("s", i), ExecID: fmt.Sprint("x", i), Name: "go", Minted: true,
			Payload: workflow.Value(`{"decision":"approved","approved_by":"manager@company.com"}`), Source: "api",
		})
		return err
	})
}

// parallel does b.N things, 64 at a time.
func parallel(b *testing.B, do func(i int) error) {
	b.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 64 {
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	wg.Wait()
}
