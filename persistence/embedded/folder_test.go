package embedded

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// unlockable is a disk that gives nobody a lock.
type unlockable struct {
	vfs.FS
	why error
}

func (u unlockable) Lock(string) (io.Closer, error) { return nil, u.why }

// TestAFolderThatCannotBeLockedSaysWhy: another node is one reason, a volume of
// another user is another one.
func TestAFolderThatCannotBeLockedSaysWhy(t *testing.T) {
	for says, why := range map[string]error{
		"another signalbox is running": syscall.EAGAIN,
		"has to belong to the user":    &os.PathError{Op: "open", Path: "store/LOCK", Err: syscall.EACCES},
	} {
		if _, err := lockDir(unlockable{vfs.NewMem(), why}, "store"); !errors.Is(err, why) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v gives %v, want something about %q", why, err, says)
		}
	}
}
