//go:build linux && (amd64 || arm64)

package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// direct writes segments past the page cache. A write and its sync are one request
// to the kernel - Linux AIO, io_submit(2), with O_DIRECT and RWF_DSYNC - and the
// writer waits for the answer as it would for a connection. So no thread of the node
// stands still in a system call, which takes a processor away from the Go scheduler,
// and nobody is woken up halfway.
//
// The disk takes whole blocks: a write begins with what is there already of its first
// block, and ends with zeros. The page cache writes whole pages, too, so no more of
// what was acknowledged can be torn.
type direct struct {
	context uintptr  // the kernel's name for our requests, of which there is one at a time
	done    *os.File // an eventfd that says when there is an answer
	doneFD  uintptr  // which os.File tells only for the price of waiting otherwise
	room    []byte   // whole blocks outside of the heap, which the kernel reads
	closed  bool     // for good

	file uintptr // the segment
	at   int64   // where the block begins that the next write begins in
	tail int     // bytes of that block which are there already, at the front of the room

	request iocb
	list    [1]*iocb
	answer  ioEvent
}

// iocb and ioEvent are what linux/aio_abi.h calls so, in little endian.
type iocb struct {
	_         uint64
	_         uint32
	rwFlags   uint32
	operation uint16
	_         int16
	file      uint32
	from      *byte
	size      uint64
	offset    int64
	_         uint64
	flags     uint32
	done      uint32
}

type ioEvent struct {
	_, _      uint64
	result, _ int64
}

// The constants of linux/aio_abi.h and linux/fs.h that package syscall lacks.
const (
	aioWrite  = 1 // IOCB_CMD_PWRITE
	aioTellFD = 1 // IOCB_FLAG_RESFD
	aioDSync  = 2 // RWF_DSYNC

	ext4Magic = 0xef53     // of linux/magic.h
	xfsMagic  = 0x58465342 // of the same
)

// newDirect returns nil when the files are not those of the disk, and when the kernel
// does not offer what it takes.
func newDirect(fs vfs.FS) *direct {
	if fs != vfs.Default {
		return nil
	}
	d := new(direct)
	if _, _, errno := syscall.Syscall(syscall.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&d.context)), 0); errno != 0 {
		return nil
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno == 0 {
		d.done, d.doneFD = os.NewFile(fd, "eventfd"), fd
		d.room, _ = syscall.Mmap(-1, 0, directBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	}
	if d.room == nil {
		_ = d.close() // the page cache is there for everybody
		return nil
	}
	return d
}

// close waits until no request is under way: nothing is written behind it.
func (d *direct) close() error {
	if d == nil || d.closed {
		return nil
	}
	d.closed = true
	var err error
	if _, _, errno := syscall.Syscall(syscall.SYS_IO_DESTROY, d.context, 0, 0); errno != 0 {
		err = errno
	}
	if d.done != nil {
		err = errors.Join(err, d.done.Close())
	}
	if d.room != nil {
		err = errors.Join(err, syscall.Munmap(d.room))
	}
	return err
}

// begin writes the first blocks of a segment and reports whether the rest may be
// appended. When it may not, somebody else has to write all of it.
func (d *direct) begin(f vfs.File, blocks []byte) bool {
	if d == nil || d.closed || !syncsDirect(f.Fd()) {
		return false
	}
	d.file, d.at, d.tail = f.Fd(), 0, 0
	if d.pastCache(true) == nil && d.append(blocks) == nil {
		return true
	}
	_ = d.pastCache(false) // where that fails, writing fails, and says why
	return false
}

// syncsDirect reports whether a file lies where a write with RWF_DSYNC is known to flush
// the disk. What comes over a network or from a process may take the flag for a wish, so
// it is synced by the call that nobody misunderstands.
func syncsDirect(fd uintptr) bool {
	var s syscall.Statfs_t
	if err := syscall.Fstatfs(int(fd), &s); err != nil {
		return false
	}
	return s.Type == ext4Magic || s.Type == xfsMagic
}

// pastCache has the segment written past the page cache, or no more.
func (d *direct) pastCache(on bool) error {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, d.file, syscall.F_GETFL, 0)
	if errno != 0 {
		return errno
	}
	flags &^= syscall.O_DIRECT
	if on {
		flags |= syscall.O_DIRECT
	}
	if _, _, errno = syscall.Syscall(syscall.SYS_FCNTL, d.file, syscall.F_SETFL, flags); errno != 0 {
		return errno
	}
	return nil
}

// append writes what comes next in the segment and returns when it is on the disk.
// After an error it is not known what is.
func (d *direct) append(b []byte) error {
	for len(b) > 0 {
		n := copy(d.room[d.tail:], b)
		size := d.tail + n
		whole := roundUp(size, directBlock)
		clear(d.room[size:whole])
		if err := d.write(whole); err != nil {
			return err
		}
		kept := size &^ (directBlock - 1)
		d.at += int64(kept)
		d.tail = copy(d.room, d.room[kept:size])
		b = b[n:]
	}
	return nil
}

// write writes that many bytes of the room and waits until they are on the disk.
func (d *direct) write(size int) error {
	d.request = iocb{
		operation: aioWrite, file: uint32(d.file), from: &d.room[0], size: uint64(size), offset: d.at,
		rwFlags: aioDSync, flags: aioTellFD, done: uint32(d.doneFD),
	}
	d.list[0] = &d.request
	if _, _, errno := syscall.Syscall(syscall.SYS_IO_SUBMIT, d.context, 1, uintptr(unsafe.Pointer(&d.list[0]))); errno != 0 {
		return errno
	}
	var answers [8]byte
	if _, err := d.done.Read(answers[:]); err != nil {
		return d.giveUp(fmt.Errorf("wait for the disk: %w", err))
	}
	n, _, errno := syscall.Syscall6(syscall.SYS_IO_GETEVENTS, d.context, 0, 1, uintptr(unsafe.Pointer(&d.answer)), 0, 0)
	switch {
	case errno != 0 || n != 1:
		return d.giveUp(fmt.Errorf("ask what the disk answered: %d answers, %w", n, errno))
	case d.answer.result < 0:
		return syscall.Errno(-d.answer.result)
	case d.answer.result != int64(size):
		return fmt.Errorf("only %d of %d bytes were written", d.answer.result, size)
	}
	return nil
}

// giveUp ends it after a request whose answer never came. The request must not outlive
// its segment, whose file is used again for other frames.
func (d *direct) giveUp(why error) error {
	return errors.Join(why, d.close())
}
