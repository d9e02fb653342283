package embedded_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// TestSuiteOnDisk and TestSuiteInMemory run what every store must pass, on a real
// folder and in memory with segments so small that they turn over all the time.
func TestSuiteOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		dir := t.TempDir()
		return func() (persistence.Store, error) { return embedded.Open(dir, embedded.Options{}) }
	})
}

func TestSuiteInMemory(t *testing.T) { storetest.Run(t, inMemory) }

// TestModel compares the store with a model under random work.
func TestModel(t *testing.T) { storetest.RunModel(t, inMemory) }

func inMemory(*testing.T) storetest.Opener {
	fs := vfs.NewMem()
	return func() (persistence.Store, error) {
		return embedded.Open("/data", embedded.Options{FS: fs, SegmentBytes: 32 << 10})
	}
}
