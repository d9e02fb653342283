package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// replayed is what an opening found in the journal.
type replayed struct {
	last    header   // of the newest segment; zero when there is none
	end     uint64   // behind its last good frame
	next    uint64   // number of the next frame
	numbers []uint64 // of the segments that are still there, oldest first
	frames  int      // that were applied again
}

// replay applies, in order, every frame with a higher number than applied, which
// is the last one that the synced rows have. When that is unknownFrame it applies
// all there are, which is the same in the end: the last write of a row wins. It
// changes nothing on the disk: where a single bit of a frame has flipped, it is put
// right in memory.
func replay(fs vfs.FS, log *slog.Logger, dir string, applied uint64, apply func(payload []byte) error) (replayed, error) {
	r := replayed{next: applied + 1}
	names, err := fs.List(dir)
	if err != nil {
		return r, fmt.Errorf("list the journal: %w", err)
	}
	r.numbers = segmentsOf(names)
	segments, err := readHeaders(fs, log, dir, r.numbers)
	if err != nil {
		return r, err
	}
	if applied == unknownFrame {
		applied = 0
		if len(segments) > 0 {
			applied = segments[0].first - 1
		}
		r.next = applied + 1
	}
	for i, h := range segments {
		file := fs.PathJoin(dir, segmentName(h.number))
		var want uint64
		if i+1 < len(segments) {
			after := segments[i+1]
			if after.first <= applied+1 {
				continue // the synced rows have all of it; a crash came before its removal
			}
			if after.prev != h.number || after.prevSalt != h.salt {
				return r, &Damage{File: file, Cause: fmt.Sprintf("the next segment there is %s, but it follows segment %d", segmentName(after.number), after.prev)}
			}
			want = after.prevEnd
		}
		if h.first > r.next {
			return r, &Damage{File: file, Cause: fmt.Sprintf("it begins with frame %d, but frame %d is nowhere", h.first, r.next)}
		}
		b, err := readFile(fs, file)
		if err != nil {
			return r, fmt.Errorf("read %s: %w", file, err)
		}
		r.last = h
		r.end, r.next, err = frames(file, b, h, want, func(number uint64, payload []byte) error {
			if number <= applied {
				return nil
			}
			r.frames++
			return apply(payload)
		}, func(number uint64) {
			log.Error("one bit of the journal had flipped, and was put right", "file", file, "frame", number)
		})
		if err != nil {
			return r, err
		}
	}
	r.next = max(r.next, applied+1)
	return r, nil
}

// readHeaders reads the headers of the segments, oldest first. A file gets a
// segment's name when its header is on the disk, so a bad one is damage.
func readHeaders(fs vfs.FS, log *slog.Logger, dir string, numbers []uint64) ([]header, error) {
	page := make([]byte, framesAt)
	headers := make([]header, len(numbers))
	for i, number := range numbers {
		file := fs.PathJoin(dir, segmentName(number))
		if err := readPage(fs, file, page); err != nil {
			return nil, err
		}
		h, err := decodeHeader(page)
		if err != nil && putHeaderRight(page) {
			log.Error("one bit of the journal had flipped, and was put right", "file", file)
			h, err = decodeHeader(page)
		}
		if err == nil && h.number != number {
			err = fmt.Errorf("its header says that it is segment %d", h.number)
		}
		if err != nil {
			return nil, &Damage{File: file, Cause: err.Error()}
		}
		headers[i] = h
	}
	return headers, nil
}

func readPage(fs vfs.FS, file string, page []byte) error {
	f, err := fs.Open(file)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	n, err := f.ReadAt(page, 0)
	if errors.Is(err, io.EOF) {
		clear(page[n:]) // decodeHeader says what a short one is
		err = nil
	}
	return errors.Join(err, f.Close())
}

// segmentsOf returns the numbers of the segments among the names, lowest first.
func segmentsOf(names []string) []uint64 {
	var numbers []uint64
	for _, name := range names {
		if number, ok := segmentNumber(name); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// dropOldSpares makes room before anything is written: on a full disk an opening
// may need what the last one kept ready.
func dropOldSpares(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err == nil {
		err = removeSpares(fs, dir, names)
	}
	if err != nil {
		return fmt.Errorf("remove old spares of the journal: %w", err)
	}
	return nil
}

// removeSpares removes what earlier openings kept ready: its content is unknown.
func removeSpares(fs vfs.FS, dir string, names []string) error {
	var err error
	for _, name := range names {
		if strings.HasSuffix(name, spareSuffix) {
			err = errors.Join(err, fs.Remove(fs.PathJoin(dir, name)))
		}
	}
	return err
}

// setAside renames the segments from the damaged one on, so that an opening with
// salvage keeps them for a person to look at. The new segments get their numbers, so
// the names are on the disk before that, and what an earlier salvage kept stays.
func setAside(fs vfs.FS, dir string, d *Damage) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	from, _ := segmentNumber(fs.PathBase(d.File))
	for _, number := range segmentsOf(names) {
		if number >= from {
			name := segmentName(number)
			err = errors.Join(err, fs.Rename(fs.PathJoin(dir, name), fs.PathJoin(dir, aside(name, names))))
		}
	}
	return errors.Join(err, syncDir(fs, dir))
}

// aside is a name for a damaged segment that is not among the names.
func aside(segment string, names []string) string {
	free := segment + damagedSuffix
	for n := 2; slices.Contains(names, free); n++ {
		free = fmt.Sprintf("%s%s-%d", segment, damagedSuffix, n)
	}
	return free
}
