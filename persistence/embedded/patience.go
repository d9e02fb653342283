package embedded

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patience stands between pebble and the disk. Pebble gives up for good when the
// file that lists its files (the manifest) cannot be written, and when a file of
// rows cannot be written it tries again at once, again and again. So writes of the
// manifest hold until they succeed - while the store is being opened, for a
// limited time - and after a failure the next file of rows is begun only after a
// while. Both happen in the background; the writer notices by the backlog of the
// journal.
type patience struct {
	vfs.FS
	closing chan struct{} // closed when the store closes: no more patience

	mu     sync.Mutex
	onFull func()        // called when the disk is full: who has something to give up does
	until  time.Time     // the end of patience; zero for none
	cause  error         // of the last failure
	failed time.Time     // when it was, of a file of rows
	hold   time.Duration // before the next file of rows
	fatal  bool          // pebble gave up, and does not know it: it goes on trying
	held   []string      // tables that pebble has no use for, while the store is being opened
}

func newPatience(fs vfs.FS) *patience {
	return &patience{FS: fs, closing: make(chan struct{}), until: time.Now().Add(openLimit)}
}

// failing remembers why a write failed, and has room made when the disk is full.
func (p *patience) failing(err error) {
	p.mu.Lock()
	p.cause = err
	makeRoom := p.onFull
	p.mu.Unlock()
	if makeRoom != nil && errors.Is(err, syscall.ENOSPC) {
		makeRoom()
	}
}

// setOnFull sets what is called when the disk is full. It must not block.
func (p *patience) setOnFull(makeRoom func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onFull = makeRoom
}

// opened takes the limit away: from now on there is a store that refuses writes meanwhile.
// A table that cannot be removed is found again by the next opening.
func (p *patience) opened() {
	p.mu.Lock()
	held := p.held
	p.until, p.held = time.Time{}, nil
	p.mu.Unlock()
	for _, name := range held {
		_ = p.FS.Remove(name)
	}
}

// Remove keeps the tables that pebble does not find in its list until it is certain that
// nothing is missing there: what is damaged is left to a person whole.
func (p *patience) Remove(name string) error {
	p.mu.Lock()
	hold := !p.until.IsZero() && strings.HasSuffix(name, ".sst")
	if hold {
		p.held = append(p.held, name)
	}
	p.mu.Unlock()
	if hold {
		return nil
	}
	return p.FS.Remove(name)
}

// Unwrap returns the FS below.
func (p *patience) Unwrap() vfs.FS { return p.FS }

// note remembers that a file of rows failed, or that one was written to its end.
func (p *patience) note(err error) {
	if err != nil {
		p.failing(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.hold = 0
		return
	}
	p.failed = time.Now()
	p.hold = min(max(2*p.hold, probeFirst), probeLast)
}

// giveUp slows pebble down for good, after it gave up.
func (p *patience) giveUp(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cause, p.fatal = err, true
}

// lastCause is why a write failed most recently, nil when none ever did.
func (p *patience) lastCause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// pause holds until the next file of rows may be begun.
func (p *patience) pause() {
	p.mu.Lock()
	left := p.hold - time.Since(p.failed)
	if p.fatal {
		left = probeLast
	}
	p.mu.Unlock()
	if left > 0 {
		p.sleep(left)
	}
}

// sleep returns false when the store closes meanwhile.
func (p *patience) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.closing:
		return false
	}
}

// insist does something until it succeeds, the store closes, or patience ends.
func (p *patience) insist(do func() error) error {
	for hold := probeFirst; ; hold = min(2*hold, probeLast) {
		err := do()
		if err == nil {
			return nil
		}
		p.failing(err)
		p.mu.Lock()
		over := !p.until.IsZero() && time.Now().After(p.until)
		p.mu.Unlock()
		if over || !p.sleep(hold) {
			return err
		}
	}
}

// vital reports whether pebble gives up when the file cannot be written.
func (p *patience) vital(name string) bool {
	base := p.FS.PathBase(name)
	return strings.HasPrefix(base, "MANIFEST") || strings.HasPrefix(base, "marker") || strings.HasPrefix(base, "OPTIONS")
}

// Create insists for vital files and holds after a failure for the others.
func (p *patience) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !p.vital(name) {
		p.pause()
		f, err := p.FS.Create(name, c)
		if err != nil {
			p.note(err)
			return nil, err
		}
		return &watched{File: f, patience: p}, nil
	}
	var f vfs.File
	err := p.insist(func() (err error) {
		if err = p.settle(name); err == nil {
			f, err = p.FS.Create(name, c)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &vital{File: f, patience: p}, nil
}

// settle syncs the folder of a marker before the marker is made. A marker names
// a file beside it, and pebble leaves the order of the two names to the disk: a
// power cut might leave the marker alone, and a folder that cannot be opened.
func (p *patience) settle(name string) error {
	if !strings.HasPrefix(p.FS.PathBase(name), "marker") {
		return nil
	}
	dir, err := p.FS.OpenDir(p.FS.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Rename insists: it is how pebble makes a file count.
func (p *patience) Rename(from, to string) error {
	return p.insist(func() error { return p.FS.Rename(from, to) })
}

// OpenDir returns a folder whose Sync insists.
func (p *patience) OpenDir(name string) (vfs.File, error) {
	f, err := p.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &vital{File: f, patience: p}, nil
}

// watched is a file of rows: pebble tries again by itself with another one. Once
// it failed it goes on failing, although pebble syncs it nevertheless.
type watched struct {
	vfs.File
	patience *patience
	failed   error
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.File.Write(b)
	if err != nil && w.failed == nil {
		w.failed = err
		w.patience.note(err)
	}
	return n, err
}

func (w *watched) Sync() error     { return w.sync(w.File.Sync) }
func (w *watched) SyncData() error { return w.sync(w.File.SyncData) }

func (w *watched) sync(sync func() error) error {
	if w.failed != nil {
		return w.failed
	}
	w.failed = sync()
	w.patience.note(w.failed)
	return w.failed
}

// vital is a file or folder that must be written for pebble to go on. It keeps
// what is not synced yet: after a failed sync the disk has lost it, so it is
// written again before the next one.
type vital struct {
	vfs.File
	patience *patience
	mu       sync.Mutex // a folder is synced by whoever flushes and whoever compacts
	synced   int64
	pending  []byte
	dirty    bool // a sync failed: pending must be written again
}

// Write keeps the bytes before it writes them: a file may change what it is given.
func (v *vital) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	begin, written := len(v.pending), 0
	v.pending = append(v.pending, b...)
	err := v.patience.insist(func() error {
		n, err := v.File.Write(b[written:])
		if written += n; err != nil {
			b = bytes.Clone(v.pending[begin:])
		}
		return err
	})
	v.pending = v.pending[:begin+written]
	return written, err
}

func (v *vital) Sync() error     { return v.sync(v.File.Sync) }
func (v *vital) SyncData() error { return v.sync(v.File.SyncData) }

func (v *vital) sync(sync func() error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.patience.insist(func() error {
		if v.dirty && len(v.pending) > 0 {
			if _, err := v.File.WriteAt(bytes.Clone(v.pending), v.synced); err != nil {
				return err
			}
		}
		if err := sync(); err != nil {
			v.dirty = true
			return err
		}
		v.synced += int64(len(v.pending))
		v.pending, v.dirty = v.pending[:0], false
		return nil
	})
}
