package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeDir makes a folder and makes its name durable.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder %s: %w", dir, err)
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil {
		return fmt.Errorf("the folder above %s: %w", dir, err)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(fs vfs.FS, dir string) error {
	handle, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	if err := errors.Join(handle.Sync(), handle.Close()); err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	return nil
}

// ownerFile holds a line about the process that has the folder.
const ownerFile = "owner"

// lockDir takes the folder for this process alone.
func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	owner := fs.PathJoin(dir, ownerFile)
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("lock the folder: %w; it has to belong to the user who runs the node", err)
	}
	if err != nil {
		who, reading := readFile(fs, owner)
		if reading != nil || len(who) == 0 {
			who = []byte("a process that is not known")
		}
		return nil, fmt.Errorf("another signalbox is running on this folder, %s; stop it, or name another folder with --data: %w", who, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	f, err := fs.Create(owner, category)
	if err == nil {
		_, err = fmt.Fprintf(f, "pid %d on %s", os.Getpid(), host)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write who has the folder: %w", err), lock.Close())
	}
	return lock, nil
}

// folderBytes is what the files of a folder take, as far as it can be seen: files
// come and go while it looks.
func folderBytes(fs vfs.FS, dir string) uint64 {
	names, err := fs.List(dir)
	if err != nil {
		return 0
	}
	var total uint64
	for _, name := range names {
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err == nil {
			total += uint64(info.Size())
		}
	}
	return total
}
