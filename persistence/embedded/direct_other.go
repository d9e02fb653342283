//go:build !linux || !(amd64 || arm64)

package embedded

import "github.com/cockroachdb/pebble/v2/vfs"

// direct is there on Linux alone; elsewhere segments go through the page cache.
type direct struct{}

func newDirect(vfs.FS) *direct { return nil }

func (*direct) close() error                { return nil }
func (*direct) begin(vfs.File, []byte) bool { return false }
func (*direct) append([]byte) error         { return nil }
