package acceptance

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/runtime"
)

const examplesDir = "../../examples"

// TestExamples runs the script of every example against a real node, in
// virtual time, through the same handlers that answer over the network.
func TestExamples(t *testing.T) {
	entries, err := os.ReadDir(examplesDir)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		ran++
		dir := filepath.Join(examplesDir, entry.Name())
		t.Run(entry.Name(), func(t *testing.T) {
			steps := readExample(t, dir)
			project, diagnostics := definitions.Load(dir)
			if diagnostics.Errors() {
				diagnostics.Print(t.Output())
				t.Fatalf("%s does not load", dir)
			}
			synctest.Test(t, func(t *testing.T) {
				n := openExample(t, project)
				play(t, n, steps)
			})
		})
	}
	if ran < 6 {
		t.Fatalf("only %d examples were found in %s", ran, examplesDir)
	}
}

// readExample fails when an example has no script, no README, or a script
// that expects nothing.
func readExample(t *testing.T, dir string) []step {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Errorf("an example without a README helps nobody: %v", err)
	}
	file, err := os.Open(filepath.Join(dir, "example.txt"))
	if err != nil {
		t.Fatalf("an example without a script is not run by anybody: %v", err)
	}
	defer file.Close()
	steps, err := parseExample(file)
	if err != nil {
		t.Fatalf("%s/%v", dir, err)
	}
	for _, s := range steps {
		if s.verb == "expect" {
			return steps
		}
	}
	t.Fatalf("%s/example.txt expects nothing", dir)
	return nil
}

// nothing is an environment without models and keys: examples run offline.
func nothing(string) string { return "" }

func openExample(t *testing.T, project *definitions.Project) *runtime.Node {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	n, err := runtime.New(runtime.Options{Store: store, Logger: logger, Registry: prometheus.NewRegistry(), Version: "test", Getenv: nothing})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Deploy(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}
