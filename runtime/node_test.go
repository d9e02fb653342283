package runtime_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/workflow"
)

const orders = `
id: orders
input:
  type: object
  required: [item]
  properties:
    item: {type: string}
    count: {type: integer, default: 1}
tasks:
  - {id: paid, type: wait, wait_for: paid}
  - {id: pack, tool: echo, with: {item: "{{ .workflow.input.item }}", count: "{{ .workflow.input.count }}"}}
`

// inMemory starts a node on a store in memory.
func inMemory(t *testing.T, yaml string, registry *prometheus.Registry, retention time.Duration) (*runtime.Node, func()) {
	t.Helper()
	store, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	return on(t, store, yaml, registry, retention)
}

// on starts a node on a store.
func on(t *testing.T, store persistence.Store, yaml string, registry *prometheus.Registry, retention time.Duration) (*runtime.Node, func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workflow.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	project, found := definitions.Load(path)
	if project == nil {
		found.Print(t.Output())
		t.Fatal("the workflow does not load")
	}
	node, err := runtime.New(runtime.Options{Store: store, Logger: slog.New(slog.DiscardHandler), Registry: registry, Version: "test", Retention: retention})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(node.Deploy(t.Context(), project), node.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	return node, func() {
		if err := errors.Join(node.Stop(context.Background()), store.Close()); err != nil {
			t.Error(err)
		}
	}
}

func refused(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func TestAStartUnderTheSameIDIsTheSameExecution(t *testing.T) {
	node, stop := inMemory(t, orders, nil, 0)
	defer stop()
	begin := func(workflowID, input string) (*workflow.State, bool, error) {
		begun, err := node.Begin(t.Context(), workflow.Start{WorkflowID: workflowID, ExecID: "o-1", Input: workflow.Value(input)})
		return begun.State, begun.Known, err
	}
	first, known, err := begin("orders", `{"item":"lamp"}`)
	if err != nil || known || string(first.Input) != `{"count":1,"item":"lamp"}` {
		t.Fatalf("the first start: known=%t, input %s, %v", known, first.Input, err)
	}
	if _, known, err = begin("orders", `{ "count": 1, "item": "lamp" }`); err != nil || !known {
		t.Fatalf("the same start: known=%t, %v", known, err)
	}
	if _, _, err = begin("orders", `{"item":"chair"}`); refused(err) != workflow.CodeExecutionExists {
		t.Fatalf("another input: %v", err)
	}
	if _, _, err = begin("orders", `{"count":"many"}`); refused(err) != workflow.CodeInputInvalid {
		t.Fatalf("an input that breaks the schema: %v", err)
	}
	if _, _, err = begin("order", `{}`); refused(err) != workflow.CodeNoWorkflow || !strings.Contains(err.Error(), `did you mean "orders"`) {
		t.Fatalf("an unknown workflow: %v", err)
	}
}

func TestFinishedExecutionsAreForgottenAfterTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, stop := inMemory(t, orders, nil, time.Hour)
		defer stop()
		for _, id := range []string{"done", "waiting"} {
			if _, err := node.Begin(t.Context(), workflow.Start{WorkflowID: "orders", ExecID: id, Input: workflow.Value(`{"item":"lamp"}`)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := node.Signal(t.Context(), workflow.Signal{ID: "s", ExecID: "done", Name: "paid"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(55 * time.Minute)
		if s, err := node.Execution(t.Context(), "done"); err != nil || s.Status != workflow.Success {
			t.Fatalf("before the retention ends: %v, %v", s, err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if _, err := node.Execution(t.Context(), "done"); refused(err) != workflow.CodeNoExecution {
			t.Fatalf("after the retention: %v", err)
		}
		if receipts, err := node.SignalReceipts(t.Context(), "s", 10); err != nil || len(receipts) != 0 {
			t.Fatalf("the receipt of its signal: %v, %v", receipts, err)
		}
		if receipt, err := node.EventReceipt(t.Context(), "s"); err != nil || receipt != nil {
			t.Fatalf("the receipt of an event that never was: %v, %v", receipt, err)
		}
		if s, err := node.Execution(t.Context(), "waiting"); err != nil || s.Status != workflow.Waiting {
			t.Fatalf("the one that still waits: %v, %v", s, err)
		}
	})
}

// laborious forgets one execution at a time, as the store does with large ones.
type laborious struct{ persistence.Store }

func (l laborious) Sweep(ctx context.Context, before workflow.Instant, _ int) (int, error) {
	return l.Store.Sweep(ctx, before, 1)
}

func TestASweepGoesOnWhileThereIsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		node, stop := on(t, laborious{store}, orders, nil, time.Hour)
		defer stop()
		ids := []string{"a", "b", "c"}
		for _, id := range ids {
			if _, err := node.Begin(t.Context(), workflow.Start{WorkflowID: "orders", ExecID: id, Input: workflow.Value(`{"item":"lamp"}`)}); err != nil {
				t.Fatal(err)
			}
			if _, err := node.Signal(t.Context(), workflow.Signal{ID: "s", ExecID: id, Name: "paid"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(62 * time.Minute) // the first sweep after the retention is over by then
		synctest.Wait()
		for _, id := range ids {
			if _, err := node.Execution(t.Context(), id); refused(err) != workflow.CodeNoExecution {
				t.Errorf("%s: %v, want %s", id, err, workflow.CodeNoExecution)
			}
		}
	})
}

func TestAStoppedNodeTakesNothingMore(t *testing.T) {
	node, stop := inMemory(t, orders, nil, 0)
	if !node.Health().Ready {
		t.Fatalf("a started node is %+v", node.Health())
	}
	stop()
	if h := node.Health(); h.Ready || h.Status == "ready" {
		t.Fatalf("a stopped node is %+v", h)
	}
	if _, err := node.Signal(t.Context(), workflow.Signal{ID: "s", ExecID: "x", Name: "paid"}); refused(err) != workflow.CodeStopping {
		t.Fatalf("a signal: %v", err)
	}
	if _, _, err := node.Event(t.Context(), workflow.Event{ID: "e", Name: "x"}); refused(err) != workflow.CodeStopping {
		t.Fatalf("an event: %v", err)
	}
}

// TestEveryDocumentedMetricExists reads the names in docs/operations.md and
// looks for them in a node that has done a bit of everything it can do here.
func TestEveryDocumentedMetricExists(t *testing.T) {
	registry := prometheus.NewRegistry()
	_, stop := inMemory(t, orders, registry, 0)
	defer stop()
	described := make(chan *prometheus.Desc, 1000)
	registry.Describe(described)
	close(described)
	var known strings.Builder
	for d := range described {
		known.WriteString(d.String())
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`signalbox_[a-z_]+[a-z]`).FindAllString(string(page), -1)
	if len(names) < 15 {
		t.Fatalf("the page names only %v", names)
	}
	for _, name := range names {
		if name != "signalbox_http" && !strings.Contains(known.String(), `"`+name+`"`) {
			t.Errorf("docs/operations.md names %s, which does not exist", name)
		}
	}
}
