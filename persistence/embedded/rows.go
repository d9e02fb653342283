package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openRows opens the sorted rows. They have no log of their own: the journal is
// in front of them. They never stall a writer either: see pressure.
func openRows(fs vfs.FS, dir string, log *rowLog) (*pebble.DB, error) {
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
		L0CompactionThreshold:       8,
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      log,
		EventListener: &pebble.EventListener{
			BackgroundError: func(error) {}, // pebble tries again, and patience knows why
			DataCorruption:  log.damaged,
		},
	}
	// A read that asks for a compaction waits for the manifest.
	opts.Experimental.ReadSamplingMultiplier = -1
	// Rows are short-lived and small; compressing them cost a fifth of a signal's
	// processor time and saved half of its disk, of which there is more.
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open the rows in %s: %w", dir, err)
	}
	return db, nil
}

// rowLog hears what pebble says. Pebble ends the process on what it calls fatal;
// we go on reading, refuse to write, and say that a restart is needed.
type rowLog struct {
	log    *slog.Logger
	fatal  atomic.Pointer[error]
	onFail func(error) // called once, with the first fatal one
}

// Infof drops what is of no interest to an operator.
func (l *rowLog) Infof(string, ...any) {}

// Errorf passes an error of the background on.
func (l *rowLog) Errorf(format string, args ...any) {
	l.log.Warn("the sorted rows report an error", "error", fmt.Sprintf(format, args...))
}

// Fatalf notes that the rows cannot be written any more. It returns, unlike pebble's own.
func (l *rowLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf("the sorted rows cannot be written any more: %s; restart the node, nothing acknowledged is lost", fmt.Sprintf(format, args...))
	l.log.Error("the store stops writing", "error", err)
	if l.fatal.CompareAndSwap(nil, &err) && l.onFail != nil {
		l.onFail(err)
	}
}

func (l *rowLog) damaged(info pebble.DataCorruptionInfo) {
	l.log.Error("a file of sorted rows is damaged; what lies in it cannot be read", "path", info.Path, "error", info.Details)
}

// get copies the row of a key into dst, false when there is none.
func get(r reader, key, dst []byte) ([]byte, bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

// readMeta reads the numbers that the store keeps about itself.
func readMeta(r reader) (applied, epoch uint64, waits int64, err error) {
	row, found, err := get(r, keyFormat, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	if found {
		if len(row) != 4 {
			return 0, 0, 0, fmt.Errorf("the row of the format has %d bytes", len(row))
		}
		if format := binary.BigEndian.Uint32(row); format > formatNow {
			return 0, 0, 0, fmt.Errorf("the folder was written in format %d by a newer release, and this one knows formats up to %d; use that release or a newer one", format, formatNow)
		}
	}
	row, found, err = get(r, keyEpoch, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	if found && len(row) == 8 {
		epoch = binary.BigEndian.Uint64(row)
	}
	row, found, err = get(r, keyApplied, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	if found && len(row) == 16 {
		applied = binary.BigEndian.Uint64(row)
		waits = int64(binary.BigEndian.Uint64(row[8:]))
	}
	return applied, epoch, waits, nil
}
