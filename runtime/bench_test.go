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
	parallel(b, b.N, func(i int) error {
		_, err := node.Begin(b.Context(), workflow.Start{WorkflowID: "one", ExecID: fmt.Sprint("x", i)})
		return err
	})
	b.ReportAllocs()
	b.ResetTimer()
	parallel(b, b.N, func(i int) error {
		_, err := node.Signal(b.Context(), workflow.Signal{
			ID: fmt.Sprint("s", i), ExecID: fmt.Sprint("x", i), Name: "go", Minted: true,
			Payload: workflow.Value(`{"decision":"approved","approved_by":"manager@company.com"}`), Source: "api",
		})
		return err
	})
}

// parallel does n things, 64 at a time.
func parallel(b *testing.B, n int, do func(i int) error) {
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
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// BenchmarkBatch measures durable signals that come 250 at a time, without HTTP:
// to executions that each of them ends, and to one that waits again after each.
func BenchmarkBatch(b *testing.B) {
	const size = 250
	payload := workflow.Value(`{"order_id":"A-1001","status":"paid","amount":129.9}`)
	send := func(b *testing.B, node *runtime.Node, to func(i int) string) {
		b.ReportAllocs()
		b.ResetTimer()
		parallel(b, b.N/size+1, func(batch int) error {
			signals := make([]workflow.Signal, size)
			for i := range signals {
				n := batch*size + i
				signals[i] = workflow.Signal{ID: fmt.Sprint("s", n), ExecID: to(n), Name: "go", Minted: true, Payload: payload, Source: "api"}
			}
			for _, r := range node.Signals(b.Context(), signals, nil) {
				if r.Err != nil {
					return r.Err
				}
			}
			return nil
		})
	}
	b.Run("ends", func(b *testing.B) {
		node := open(b, "id: one\ntasks:\n  - {id: hold, type: wait, wait_for: go}\n")
		parallel(b, b.N+size, func(i int) error {
			_, err := node.Begin(b.Context(), workflow.Start{WorkflowID: "one", ExecID: fmt.Sprint("x", i)})
			return err
		})
		send(b, node, func(i int) string { return fmt.Sprint("x", i) })
	})
	b.Run("waits again", func(b *testing.B) {
		node := open(b, "id: loop\ntasks:\n  - {id: hold, type: wait, wait_for: go, on_success: {next: hold}}\n")
		for i := range 64 {
			if _, err := node.Begin(b.Context(), workflow.Start{WorkflowID: "loop", ExecID: fmt.Sprint("x", i)}); err != nil {
				b.Fatal(err)
			}
		}
		send(b, node, func(i int) string { return fmt.Sprint("x", i/size%64) })
	})
}
