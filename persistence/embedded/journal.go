package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// category of our writes in the statistics that a vfs may keep.
const category vfs.DiskWriteCategory = "signalbox-journal"

// errAbandoned is the state between a failed write and the next segment.
var errAbandoned = errors.New("the segment was given up after a failed write")

// journal is the writer's side of the journal. Only the writer uses it, apart
// from the spares, which the janitor prepares.
type journal struct {
	fs       vfs.FS
	dir      string
	handle   vfs.File // of dir, to sync names
	capacity int64    // of segments that the janitor makes
	direct   *direct  // nil where everything goes through the page cache

	cur    header
	file   vfs.File // nil when the segment was given up
	past   bool     // whether it is written past the page cache
	offset int64    // behind the last good frame
	room   int64    // size of the file
	next   uint64   // number of the next frame

	mu     sync.Mutex
	spares []string // names of files that are full of zeros or of old frames, ready for use
	minted uint64   // number in the name of the last spare
}

// append writes and syncs a frame whose payload begins at frameHeader. It does
// not rotate: fits says whether there is room. After an error nothing was
// written, as far as any reader will ever see, and the segment is given up:
// what a failed sync left on the disk is unknown and is not asked twice.
func (j *journal) append(frame []byte) error {
	if j.file == nil {
		return errAbandoned
	}
	frame = sealFrame(frame, j.next, j.cur.salt)
	if err := j.write(frame); err != nil {
		err = fmt.Errorf("segment %s, offset %d: %w", segmentName(j.cur.number), j.offset, err)
		return errors.Join(err, j.abandon())
	}
	j.offset += int64(len(frame))
	j.next++
	return nil
}

// write writes what comes next in the segment and returns when it is on the disk.
func (j *journal) write(frame []byte) error {
	if j.past {
		return j.direct.append(frame)
	}
	n, err := j.file.WriteAt(frame, j.offset)
	if err == nil && n < len(frame) {
		err = fmt.Errorf("only %d of %d bytes were written", n, len(frame))
	}
	if err == nil {
		err = j.file.SyncData()
	}
	return err
}

// fits reports whether a frame of that size has room in the current segment.
func (j *journal) fits(frame int) bool {
	return j.file != nil && j.offset+int64(roundUp(frame, frameAlign)) <= j.room
}

// abandon gives up the current segment; the header of the next one says where it ended.
func (j *journal) abandon() error {
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

// rotate begins a new segment with room for a frame of that size. Until it
// succeeds nothing can be appended; after an error it may be tried again.
func (j *journal) rotate(frame int) error {
	if err := j.abandon(); err != nil {
		return fmt.Errorf("close segment %s: %w", segmentName(j.cur.number), err)
	}
	name, err := j.takeSpare(int64(roundUp(framesAt+frame, directBlock)))
	if err != nil {
		return err
	}
	h := j.following()
	path := j.fs.PathJoin(j.dir, segmentName(h.number))
	f, room, err := j.begin(name, path, h)
	if err != nil {
		return fmt.Errorf("begin segment %s: %w", segmentName(h.number), err)
	}
	j.cur, j.file, j.offset, j.room = h, f, framesAt, room
	return nil
}

// begin turns a spare into a segment: the header is on the disk before the name,
// so that every file with a segment's name has a whole header, after any crash.
func (j *journal) begin(spare, path string, h header) (vfs.File, int64, error) {
	from := j.fs.PathJoin(j.dir, spare)
	f, err := j.fs.OpenReadWrite(from, category)
	if err != nil {
		return nil, 0, err
	}
	room, err := j.prepare(f, h)
	if err == nil {
		err = j.fs.Rename(from, path)
	}
	if err == nil {
		err = j.handle.Sync()
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close(), j.discard(from), j.discard(path))
	}
	return f, room, nil
}

func (j *journal) prepare(f vfs.File, h header) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	page := append(h.encode(), make([]byte, framesAt-headerBytes)...)
	if j.past = j.direct.begin(f, page); j.past {
		return info.Size(), nil
	}
	if _, err := f.WriteAt(page, 0); err != nil {
		return 0, err
	}
	return info.Size(), f.SyncData()
}

// discard removes a file that a failed attempt left, if it is there.
func (j *journal) discard(path string) error {
	if _, err := j.fs.Stat(path); err != nil {
		return nil
	}
	return j.fs.Remove(path)
}

// takeSpare returns a spare of at least that size, making one when none is ready.
func (j *journal) takeSpare(least int64) (string, error) {
	j.mu.Lock()
	if n := len(j.spares); n > 0 && least <= j.capacity {
		name := j.spares[n-1]
		j.spares = j.spares[:n-1]
		j.mu.Unlock()
		return name, nil
	}
	j.mu.Unlock()
	return j.makeSpare(max(least, min(j.capacity, firstSegmentBytes)))
}

// addSpare makes a spare of full size when there is none.
func (j *journal) addSpare() error {
	if j.spareCount() > 0 {
		return nil
	}
	name, err := j.makeSpare(j.capacity)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spares = append(j.spares, name)
	return nil
}

// dropSpares gives the room of the spares back to a disk that is full.
func (j *journal) dropSpares() error {
	j.mu.Lock()
	names := j.spares
	j.spares = nil
	j.mu.Unlock()
	return removeSpares(j.fs, j.dir, names)
}

func (j *journal) spareCount() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.spares)
}

// mint returns a name for a spare that none had since the opening.
func (j *journal) mint() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.minted++
	return fmt.Sprintf("%d%s", j.minted, spareSuffix)
}

func (j *journal) makeSpare(size int64) (string, error) {
	name := j.mint()
	path := j.fs.PathJoin(j.dir, name)
	if err := fill(j.fs, path, size); err != nil {
		return "", errors.Join(fmt.Errorf("make room for the journal: %w", err), j.discard(path))
	}
	return name, nil
}

// fill makes a file of zeros on the disk.
func fill(fs vfs.FS, path string, size int64) error {
	f, err := fs.OpenReadWrite(path, category)
	if err != nil {
		return err
	}
	zeros := make([]byte, min(size, zerosBytes))
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// retire removes a segment whose writes are all in synced rows, or keeps its file
// as a spare. The new name is on the disk before the file is written again, so
// that no crash can show another segment's bytes under the old name.
func (j *journal) retire(number uint64) error {
	path := j.fs.PathJoin(j.dir, segmentName(number))
	info, err := j.fs.Stat(path)
	if err != nil {
		return err
	}
	if j.spareCount() >= spareSegments || info.Size() != j.capacity {
		return j.fs.Remove(path)
	}
	name := j.mint()
	if err := j.fs.Rename(path, j.fs.PathJoin(j.dir, name)); err != nil {
		return err
	}
	if err := j.handle.Sync(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spares = append(j.spares, name)
	return nil
}

// close ends the use of the journal. With all writes in synced rows, clean says
// so, only the header of another segment is left, which says how far the rows have to be.
func (j *journal) close(clean bool) error {
	err := j.abandon()
	if clean && err == nil && j.conclude() == nil {
		err = j.clear()
	}
	return errors.Join(err, j.direct.close(), j.handle.Close())
}

// conclude begins a segment without room for a frame. What it leaves when it fails no
// opening looks at.
func (j *journal) conclude() error {
	name, err := j.makeSpare(framesAt)
	if err != nil {
		return err
	}
	j.cur, j.offset = j.following(), framesAt
	f, _, err := j.begin(name, j.fs.PathJoin(j.dir, segmentName(j.cur.number)), j.cur)
	if err != nil {
		return err
	}
	return f.Close()
}

// clear removes all files of the journal but the newest segment, the oldest ones first,
// so that what a crash leaves of it is whole.
func (j *journal) clear() error {
	names, err := j.fs.List(j.dir)
	if err != nil {
		return err
	}
	for _, number := range segmentsOf(names) {
		if number != j.cur.number {
			err = errors.Join(err, j.fs.Remove(j.fs.PathJoin(j.dir, segmentName(number))))
		}
	}
	return errors.Join(err, removeSpares(j.fs, j.dir, names), j.handle.Sync())
}

// following is the header of the segment behind the current one.
func (j *journal) following() header {
	return header{
		number: j.cur.number + 1, salt: newSalt(), first: j.next,
		prev: j.cur.number, prevSalt: j.cur.salt, prevEnd: uint64(j.offset),
	}
}

func newSalt() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails, it ends the process before
	return binary.LittleEndian.Uint64(b[:])
}
