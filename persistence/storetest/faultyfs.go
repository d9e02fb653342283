package storetest

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Op is something that is done to a file.
type Op string

// The operations that FaultyFS can fail.
const (
	OpCreate Op = "create"
	OpOpen   Op = "open"
	OpWrite  Op = "write"
	OpSync   Op = "sync"
	OpRename Op = "rename"
	OpRemove Op = "remove"
	OpRead   Op = "read"
)

// FaultyFS is a file system that fails on purpose. It is safe for many goroutines.
type FaultyFS struct {
	vfs.FS
	full atomic.Bool
	slow atomic.Int64 // nanoseconds of each sync

	mu     sync.RWMutex
	fail   func(Op, string) error
	torn   bool
	synced func(path string)
}

// NewFaultyFS wraps a file system; it fails nothing until it is told to.
func NewFaultyFS(fs vfs.FS) *FaultyFS { return &FaultyFS{FS: fs} }

// Unwrap returns the file system below.
func (f *FaultyFS) Unwrap() vfs.FS { return f.FS }

// Fail sets what decides on every operation: an error fails it. nil fails nothing.
// A write that fails leaves the first half of its bytes when torn is true, none otherwise.
func (f *FaultyFS) Fail(torn bool, decide func(op Op, path string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.torn = decide, torn
}

// SetFull makes every write that needs more room fail with ENOSPC, as a full disk does.
// Writing over what a file has already still works.
func (f *FaultyFS) SetFull(full bool) { f.full.Store(full) }

// SetSlow makes every sync take that long at least.
func (f *FaultyFS) SetSlow(d time.Duration) { f.slow.Store(int64(d)) }

// OnSync is called before and after every sync of a file or folder, where a
// power cut tells apart what is durable.
func (f *FaultyFS) OnSync(hook func(path string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = hook
}

func (f *FaultyFS) check(op Op, path string) error {
	f.mu.RLock()
	decide := f.fail
	f.mu.RUnlock()
	if decide == nil {
		return nil
	}
	return decide(op, path)
}

// Create fails, or wraps the file.
func (f *FaultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.check(OpCreate, name); err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	return f.wrap(name)(f.FS.Create(name, c))
}

// Open fails, or wraps the file.
func (f *FaultyFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := f.check(OpOpen, name); err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return f.wrap(name)(f.FS.Open(name, opts...))
}

// OpenReadWrite fails, or wraps the file.
func (f *FaultyFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := f.check(OpOpen, name); err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return f.wrap(name)(f.FS.OpenReadWrite(name, c, opts...))
}

// OpenDir wraps the folder.
func (f *FaultyFS) OpenDir(name string) (vfs.File, error) { return f.wrap(name)(f.FS.OpenDir(name)) }

// ReuseForWrite fails, or wraps the file.
func (f *FaultyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.check(OpRename, from); err != nil {
		return nil, &os.PathError{Op: "reuse", Path: from, Err: err}
	}
	return f.wrap(to)(f.FS.ReuseForWrite(from, to, c))
}

// Rename fails, or passes on.
func (f *FaultyFS) Rename(from, to string) error {
	if err := f.check(OpRename, from); err != nil {
		return &os.PathError{Op: "rename", Path: from, Err: err}
	}
	return f.FS.Rename(from, to)
}

// Remove fails, or passes on.
func (f *FaultyFS) Remove(name string) error {
	if err := f.check(OpRemove, name); err != nil {
		return &os.PathError{Op: "remove", Path: name, Err: err}
	}
	return f.FS.Remove(name)
}

func (f *FaultyFS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(file vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &faultyFile{File: file, fs: f, name: name}, nil
	}
}

// faultyFile is a file that fails on purpose.
type faultyFile struct {
	vfs.File
	fs   *FaultyFS
	name string
	end  int64 // where Write goes on
}

// admit decides on a write of b at an offset: how much of it is made, and the error.
func (f *faultyFile) admit(b []byte, at int64) (int, error) {
	if f.fs.full.Load() {
		info, err := f.File.Stat()
		if err != nil {
			return 0, err
		}
		if room := info.Size() - at; room < int64(len(b)) {
			return int(max(0, room)), &os.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
		}
	}
	if err := f.fs.check(OpWrite, f.name); err != nil {
		f.fs.mu.RLock()
		torn := f.fs.torn
		f.fs.mu.RUnlock()
		n := 0
		if torn {
			n = len(b) / 2
		}
		return n, &os.PathError{Op: "write", Path: f.name, Err: err}
	}
	return len(b), nil
}

// Write writes what the fault leaves of b.
func (f *faultyFile) Write(b []byte) (int, error) {
	n, fault := f.admit(b, f.end)
	n, err := f.File.Write(b[:n])
	f.end += int64(n)
	if err == nil {
		err = fault
	}
	return n, err
}

// WriteAt writes what the fault leaves of b.
func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	n, fault := f.admit(b, at)
	n, err := f.File.WriteAt(b[:n], at)
	if err == nil {
		err = fault
	}
	return n, err
}

// Read fails, or reads.
func (f *faultyFile) Read(b []byte) (int, error) {
	if err := f.fs.check(OpRead, f.name); err != nil {
		return 0, &os.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.Read(b)
}

// ReadAt fails, or reads.
func (f *faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.fs.check(OpRead, f.name); err != nil {
		return 0, &os.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.ReadAt(b, at)
}

// Sync fails, or takes its time.
func (f *faultyFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData fails, or takes its time.
func (f *faultyFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *faultyFile) sync(sync func() error) error {
	f.fs.mu.RLock()
	hook := f.fs.synced
	f.fs.mu.RUnlock()
	if hook != nil {
		hook(f.name)
		defer hook(f.name)
	}
	if d := f.fs.slow.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	if err := f.fs.check(OpSync, f.name); err != nil {
		return &os.PathError{Op: "sync", Path: f.name, Err: err}
	}
	return sync()
}

var (
	_ vfs.FS    = (*FaultyFS)(nil)
	_ io.Closer = (*faultyFile)(nil)
)
