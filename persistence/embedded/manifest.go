package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The manifest, in which pebble lists its files, is a row of blocks, in each of which
// chunks follow one another, as in the log of LevelDB:
//
//	[checksum 4][length 2][kind 1][payload ...]
//
// in little endian. The checksum covers the kind and the payload.
const (
	chunkHeader   = 7
	lastChunkKind = 4
)

// checkManifest looks through the manifest before pebble does, which takes what is behind
// a damaged chunk for the torn tail of a write, and removes the files that are named there.
// A bit that has flipped is put right; other damage is an error.
func checkManifest(fs vfs.FS, log *slog.Logger, dir string) error {
	found, err := pebble.Peek(dir, fs)
	if err != nil || !found.Exists {
		return err
	}
	b, err := readFile(fs, found.ManifestFilename)
	if err != nil {
		return err
	}
	flipped := 0
	for at := 0; at < len(b); {
		if left := manifestBlock - at%manifestBlock; left < chunkHeader {
			at += left // too short for a chunk
			continue
		}
		size, ok := chunkAt(b, at)
		switch {
		case ok:
			at += size
		case putChunkRight(b, at):
			flipped++
		case chunkFollows(b, at+1):
			return fmt.Errorf("%s, which lists the files of sorted rows, is damaged at byte %d; restore the folder from a backup", found.ManifestFilename, at)
		default:
			at = len(b) // a torn tail, or zeros; the journal tells whether something is missing
		}
	}
	if flipped == 0 {
		return nil
	}
	log.Error("bits of the list of the sorted rows had flipped, and were put right", "file", found.ManifestFilename, "bits", flipped)
	return rewrite(fs, found.ManifestFilename, b)
}

// rewrite writes over a file.
func rewrite(fs vfs.FS, name string, b []byte) error {
	f, err := fs.OpenReadWrite(name, category)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// chunkAt is the size of the chunk at a place, false when there is no good one.
func chunkAt(b []byte, at int) (size int, ok bool) {
	if len(b)-at < chunkHeader {
		return 0, false
	}
	kind := b[at+6]
	size = chunkHeader + int(binary.LittleEndian.Uint16(b[at+4:]))
	if kind == 0 || kind > lastChunkKind || size > len(b)-at || size > manifestBlock-at%manifestBlock {
		return 0, false
	}
	return size, checksum(crc32.Checksum(b[at+6:at+size], castagnoli)) == binary.LittleEndian.Uint32(b[at:])
}

// putChunkRight puts a chunk right in which one bit has flipped, and reports whether it could.
func putChunkRight(b []byte, at int) bool {
	if len(b)-at < chunkHeader {
		return false
	}
	length := binary.LittleEndian.Uint16(b[at+4:])
	for bit := range 16 {
		binary.LittleEndian.PutUint16(b[at+4:], length^1<<bit)
		if _, ok := chunkAt(b, at); ok {
			return true
		}
	}
	binary.LittleEndian.PutUint16(b[at+4:], length)
	end := at + chunkHeader + int(length)
	if end > len(b) || length == 0 {
		return false
	}
	return putMaskedRight(b[at+6:end], b[at:])
}

// chunkFollows reports whether there is a good chunk at or behind a place.
func chunkFollows(b []byte, from int) bool {
	for at := from; at < len(b); at++ {
		if size, ok := chunkAt(b, at); ok && size > chunkHeader {
			return true
		}
	}
	return false
}

// dropOptions removes what pebble wrote of its options, which it does at each opening: it
// reads them for nothing that this store lets anybody choose, and does not open when one
// bit of them has flipped.
func dropOptions(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	for _, name := range names {
		if strings.HasPrefix(name, "OPTIONS-") {
			err = errors.Join(err, fs.Remove(fs.PathJoin(dir, name)))
		}
	}
	return err
}
