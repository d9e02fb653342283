package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// meta is what the store knows of itself.
type meta struct {
	epoch   uint64
	applied uint64 // number of the last frame that the rows have; unknown when that cannot be read
	waits   int64  // open waits; unknownWaits when that cannot be read
	format  uint64 // in which it was written; zero when there is nothing yet, or that cannot be read
}

const (
	unknownFrame = math.MaxUint64
	unknownWaits = math.MinInt64
)

// readMeta reads what the store knows of itself. When those rows are damaged it
// goes on with what is safe: an epoch that is higher than any count of openings,
// and everything that is left of the journal applied again.
func readMeta(r reader, log *slog.Logger) (meta, error) {
	var m meta
	format, err := number(r, keyFormat, 4)
	if err == nil && format > formatNow {
		return m, fmt.Errorf("the folder was written in format %d by a newer release, and this one knows formats up to %d; use that release or a newer one", format, formatNow)
	}
	m.format = format
	if err == nil {
		m.epoch, err = number(r, keyEpoch, 8)
	}
	var row []byte
	if err == nil {
		row, _, err = r.get(keyApplied, nil)
	}
	if err != nil && !pebble.IsCorruptionError(err) {
		return m, fmt.Errorf("read what the store knows of itself: %w", err)
	}
	if err != nil {
		log.Error("what the store knows of itself is damaged; it goes on without", "error", err)
		return meta{epoch: uint64(time.Now().UnixMilli()), applied: unknownFrame, waits: unknownWaits}, nil
	}
	if len(row) == 16 {
		m.applied, m.waits = binary.BigEndian.Uint64(row), int64(binary.BigEndian.Uint64(row[8:]))
	}
	return m, nil
}

// number reads a number of that many bytes, zero when there is none.
func number(r reader, key []byte, size int) (uint64, error) {
	row, _, err := r.get(key, nil)
	if err != nil || len(row) != size {
		return 0, err
	}
	var b [8]byte
	copy(b[8-size:], row)
	return binary.BigEndian.Uint64(b[:]), nil
}

// countWaits counts the open waits when the count itself was lost.
func countWaits(r reader) int64 {
	var n int64
	for _, family := range []byte{famWait, famKeyed} {
		prefix := []byte{family}
		if err := scan(context.Background(), r, prefix, prefix, func(_, _ []byte) (bool, error) { n++; return true, nil }); err != nil {
			return unknownWaits
		}
	}
	return n
}
