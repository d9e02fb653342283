package embedded

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The journal is a row of segments, files of a fixed size that are filled with
// zeros when they are made, so that a sync has no metadata to write. A segment is
//
//	[header, one page][frame]...[zeros, or what is left of an earlier use]
//
// and a frame, at an offset that is a multiple of eight, is
//
//	[crc32c 4][length 4][number 8][salt 8][payload ...][zeros to a multiple of 8]
//
// all in little endian. Frames are numbered without a gap over all segments. The
// salt is the segment's own, a random number, so that a frame that is left of an
// earlier use of the file is not taken for one of now, and no payload can
// pretend to be a frame. The checksum covers all that follows it.
//
// The header names the end of the segment before: frames beyond it were answered
// as failed and must not come back.
const (
	segmentMagic = "SIGBOXJ1"
	headerBytes  = 8 * 8 // magic, number, salt, first frame, then number, salt and end of the segment before; checksum
	framesAt     = 4096
	frameHeader  = 24
	frameAlign   = 8
	headerSumAt  = headerBytes - 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a segment says of itself.
type header struct {
	number uint64 // of the segment, from 1
	salt   uint64
	first  uint64 // number of the first frame in it

	prev     uint64 // number of the segment before, 0 for none
	prevSalt uint64
	prevEnd  uint64 // offset behind the last frame in it that counts
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, segmentMagic...)
	for _, n := range []uint64{h.number, h.salt, h.first, h.prev, h.prevSalt, h.prevEnd} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(crc32.Checksum(b, castagnoli)))
}

func decodeHeader(b []byte) (header, error) {
	if len(b) < framesAt || string(b[:len(segmentMagic)]) != segmentMagic {
		return header{}, fmt.Errorf("it does not begin as a segment does")
	}
	if uint64(crc32.Checksum(b[:headerSumAt], castagnoli)) != binary.LittleEndian.Uint64(b[headerSumAt:]) {
		return header{}, fmt.Errorf("the checksum of its header is wrong")
	}
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return header{number: n(1), salt: n(2), first: n(3), prev: n(4), prevSalt: n(5), prevEnd: n(6)}, nil
}

// sealFrame completes a frame whose payload begins at frameHeader: it fills in
// the header and pads it.
func sealFrame(frame []byte, number, salt uint64) []byte {
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeader))
	binary.LittleEndian.PutUint64(frame[8:], number)
	binary.LittleEndian.PutUint64(frame[16:], salt)
	binary.LittleEndian.PutUint32(frame, crc32.Checksum(frame[4:], castagnoli))
	for len(frame)%frameAlign != 0 {
		frame = append(frame, 0)
	}
	return frame
}

// frameAt returns the payload of the frame at the beginning of b and the room it
// takes with its padding, or false when there is none of that salt and number.
func frameAt(b []byte, number, salt uint64) (payload []byte, room int, ok bool) {
	if len(b) < frameHeader || binary.LittleEndian.Uint64(b[16:]) != salt || binary.LittleEndian.Uint64(b[8:]) != number {
		return nil, 0, false
	}
	length := int64(binary.LittleEndian.Uint32(b[4:]))
	if length > maxFrame || length > int64(len(b)-frameHeader) {
		return nil, 0, false
	}
	whole := b[:frameHeader+length]
	if crc32.Checksum(whole[4:], castagnoli) != binary.LittleEndian.Uint32(whole) {
		return nil, 0, false
	}
	return whole[frameHeader:], min(roundUp(len(whole), frameAlign), len(b)), true
}

// roundUp returns the next multiple of a power of two.
func roundUp(n, to int) int { return (n + to - 1) &^ (to - 1) }

// Damage says that the journal is damaged where an acknowledged write was, so
// that going on would forget it silently.
type Damage struct {
	File   string
	Offset int64
	Cause  string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the journal is damaged: %s, offset %d: %s; writes that were acknowledged cannot be read any more. "+
		"Restore the folder from a backup, or have it salvaged (signalbox store salvage): that keeps everything before this place and moves the rest aside",
		d.File, d.Offset, d.Cause)
}

// frames calls each for every frame of a segment, in order, and returns the
// offset behind the last one and the number of the next one. It ends at the first
// place where no frame is. When that place is before want, which is where the
// next segment says that this one ended, or when valid frames follow it, this is
// damage; otherwise it is the torn tail of a write that nobody was told of.
// A want of zero means that no segment follows. Where it would be damage, one bit that has
// flipped is put right in b, and flipped is told in which frame.
func frames(file string, b []byte, h header, want uint64, each func(number uint64, payload []byte) error, flipped func(number uint64)) (uint64, uint64, error) {
	end, number := framesAt, h.first
	limit := len(b)
	if want != 0 {
		if want < framesAt || want > uint64(len(b)) {
			return 0, 0, &Damage{File: file, Offset: int64(len(b)), Cause: fmt.Sprintf("the next segment says that it ended at %d", want)}
		}
		limit = int(want)
	}
	at, found := 0, false // the frame that follows where none is
	for end < limit {
		payload, room, ok := frameAt(b[end:limit], number, h.salt)
		if !ok {
			if want == 0 {
				at, found = later(b, end, number, h.salt)
			}
			if want == 0 && !found || !putFrameRight(b[end:limit], number, h.salt) {
				break
			}
			flipped(number)
			found = false
			continue
		}
		if err := each(number, payload); err != nil {
			return 0, 0, fmt.Errorf("%s, offset %d: %w", file, end, err)
		}
		end += room
		number++
	}
	if want != 0 && uint64(end) != want {
		return 0, 0, &Damage{File: file, Offset: int64(end), Cause: fmt.Sprintf("no valid frame %d, although frames up to offset %d were acknowledged", number, want)}
	}
	if want == 0 && found {
		return 0, 0, &Damage{File: file, Offset: int64(end), Cause: fmt.Sprintf("no valid frame %d, although a later one is valid at offset %d", number, at)}
	}
	return uint64(end), number, nil
}

// later looks for a valid frame behind a place where there is none. Only frames
// of this segment's salt are tried, so that looking is one pass over the bytes.
func later(b []byte, from int, number, salt uint64) (int, bool) {
	for at := from + frameAlign; at+frameHeader <= len(b); at += frameAlign {
		if binary.LittleEndian.Uint64(b[at+16:]) != salt {
			continue
		}
		n := binary.LittleEndian.Uint64(b[at+8:])
		if n < number || n-number > uint64(len(b)/frameHeader) {
			continue
		}
		if _, _, ok := frameAt(b[at:], n, salt); ok {
			return at, true
		}
	}
	return 0, false
}

const (
	segmentSuffix = ".journal"
	spareSuffix   = ".spare"
	damagedSuffix = ".damaged"
)

func segmentName(number uint64) string { return fmt.Sprintf("%012d%s", number, segmentSuffix) }

// segmentNumber is the number in a segment's name; false for other files.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	var number uint64
	if _, err := fmt.Sscanf(digits, "%d", &number); err != nil || segmentName(number) != name {
		return 0, false
	}
	return number, true
}

// readFile reads a whole file.
func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return b, err
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, err
	}
	return b, nil
}
