package embedded

import (
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openSorted opens the sorted rows. They have no log of their own: the journal is
// in front of them. They never stall a writer either: see pressure.
func openSorted(fs vfs.FS, dir string, log *rowLog, turns *scheduler) (*pebble.DB, error) {
	opts := &pebble.Options{
		FS:                 fs,
		DisableWAL:         true,
		FormatMajorVersion: pebble.FormatValueSeparation,
		CacheSize:          cacheBytes,
		MaxOpenFiles:       maxOpenFiles,
		MemTableSize:       memTableBytes,
		// A stalled apply would hold the writer for as long as the disk is full.
		// The backlog of the journal bounds the same memory, and refuses instead.
		MemTableStopWritesThreshold: math.MaxInt32,
		L0StopWritesThreshold:       math.MaxInt32,
		L0CompactionThreshold:       16, // layers are merged once there are half as many
		LBaseMaxBytes:               baseBytes,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      log,
		EventListener: &pebble.EventListener{
			BackgroundError: turns.failed, // pebble tries again, and patience knows why
			FlushEnd:        func(pebble.FlushInfo) { turns.added() },
			CompactionEnd: func(info pebble.CompactionInfo) {
				if info.Err == nil {
					turns.succeeded()
				}
			},
			DataCorruption: log.damaged,
		},
	}
	// A read that asks for a compaction waits for the manifest.
	opts.Experimental.ReadSamplingMultiplier = -1
	opts.Experimental.CompactionScheduler = turns
	// The disk under the journal is shared with the rows: what they do not write
	// makes its syncs shorter, which is worth the processor time of compressing them.
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	filtered(opts)
	type opened struct {
		db  *pebble.DB
		err error
	}
	result := make(chan opened, 1)
	go func() {
		defer func() {
			// Pebble may panic while it cleans up after an opening that failed.
			if cause := recover(); cause != nil {
				result <- opened{err: fmt.Errorf("pebble broke off: %v", cause)}
			}
		}()
		db, err := pebble.Open(dir, opts)
		result <- opened{db, err}
	}()
	select {
	case r := <-result:
		if r.err != nil {
			return nil, fmt.Errorf("open the rows in %s: %w", dir, r.err)
		}
		log.opened.Store(true)
		return r.db, nil
	case <-log.gaveUp:
		return nil, fmt.Errorf("open the rows in %s: %w", dir, *log.fatal.Load())
	}
}

// tableFilter tells of nearly every key that is not in a table that it is not.
const tableFilter = bloom.FilterPolicy(10)

func filtered(o *pebble.Options) *pebble.Options {
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = tableFilter
	}
	return o
}

// rowLog hears what pebble says. Pebble ends the process on what it calls fatal;
// we go on reading, refuse to write, and say that a restart is needed.
type rowLog struct {
	log    *slog.Logger
	opened atomic.Bool
	fatal  atomic.Pointer[error]
	gaveUp chan struct{} // closed after the first fatal error
	onFail func(error)   // called once, with that

	harmed harmed
}

// Infof drops what is of no interest to an operator.
func (l *rowLog) Infof(string, ...any) {}

// Errorf passes an error of the background on.
func (l *rowLog) Errorf(format string, args ...any) {
	l.log.Warn("the sorted rows report an error", "error", fmt.Sprintf(format, args...))
}

// Fatalf notes that the rows cannot be written any more. It returns, unlike
// pebble's own; but not while pebble is being opened, when it would try the same
// again for ever: then it ends the goroutine, and the opening fails.
func (l *rowLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf("the sorted rows cannot be written any more: %s; restart the node, nothing acknowledged is lost", fmt.Sprintf(format, args...))
	if l.fatal.CompareAndSwap(nil, &err) {
		l.log.Error("the store stops writing", "error", err)
		l.onFail(err)
		close(l.gaveUp)
	}
	if !l.opened.Load() {
		runtime.Goexit()
	}
}

func (l *rowLog) damaged(info pebble.DataCorruptionInfo) {
	if l.harmed.note(info.Path) {
		l.log.Error("a file of sorted rows is damaged; it is mended with what can be read of it", "path", info.Path, "error", info.Details)
	}
}
