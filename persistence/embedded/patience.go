package embedded

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patience stands between pebble and the disk. Pebble gives up for good when the
// file that lists its files (the manifest) cannot be written, and when a file of
// rows cannot be written it tries again at once, again and again. So, once the store is
// open, writes of the manifest hold until they succeed, and after a failure the
// next file of rows is begun only after a while. Both happen in the background;
// the writer notices by the backlog of the journal.
type patience struct {
	vfs.FS
	closing chan struct{} // closed when the store closes: no more patience

	mu      sync.Mutex
	patient bool
	failed  time.Time     // the last failure
	hold    time.Duration // before the next try
}

var errClosing = errors.New("the store is closing")

func newPatience(fs vfs.FS) *patience { return &patience{FS: fs, closing: make(chan struct{})} }

// begin makes it patient: from now on there is a store that can refuse writes meanwhile.
func (p *patience) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patient = true
}

// Unwrap returns the FS below.
func (p *patience) Unwrap() vfs.FS { return p.FS }

// note remembers the outcome of a write and returns how long to hold before the next one.
func (p *patience) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.hold = 0
		return
	}
	p.failed = time.Now()
	p.hold = min(max(2*p.hold, probeFirst), probeLast)
}

// pause holds as long as the last failure demands; false when the store closes or is not open yet.
func (p *patience) pause() bool {
	p.mu.Lock()
	patient, wait := p.patient, p.hold-time.Since(p.failed)
	p.mu.Unlock()
	if !patient {
		return false
	}
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-p.closing:
		return false
	}
}

// insist does something until it succeeds.
func (p *patience) insist(do func() error) error {
	for {
		err := do()
		p.note(err)
		if err == nil || !p.pause() {
			return err
		}
		select {
		case <-p.closing:
			return errors.Join(errClosing, err)
		default:
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
		p.note(err)
		if err != nil {
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

// watched is a file of rows: pebble tries again by itself with another one.
type watched struct {
	vfs.File
	patience *patience
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.File.Write(b)
	if err != nil {
		w.patience.note(err)
	}
	return n, err
}

func (w *watched) Sync() error {
	err := w.File.Sync()
	w.patience.note(err)
	return err
}

func (w *watched) SyncData() error {
	err := w.File.SyncData()
	w.patience.note(err)
	return err
}

// vital is a file or folder that must be written for pebble to go on. It keeps
// what is not synced yet: after a failed sync the disk has lost it, so it is
// written again before the next one.
type vital struct {
	vfs.File
	patience *patience
	synced   int64
	pending  []byte
	dirty    bool // a sync failed: pending must be written again
}

func (v *vital) Write(b []byte) (int, error) {
	written := 0
	err := v.patience.insist(func() error {
		n, err := v.File.Write(b[written:])
		written += n
		return err
	})
	v.pending = append(v.pending, b[:written]...)
	return written, err
}

func (v *vital) Sync() error     { return v.sync(v.File.Sync) }
func (v *vital) SyncData() error { return v.sync(v.File.SyncData) }

func (v *vital) sync(sync func() error) error {
	return v.patience.insist(func() error {
		if v.dirty && len(v.pending) > 0 {
			if _, err := v.File.WriteAt(v.pending, v.synced); err != nil {
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
