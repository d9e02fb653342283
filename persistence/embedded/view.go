package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
)

// reader is what rows are read through: the rows as they are, or a view.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

// view is the rows as of one moment. It is made of iterators and not of pebble's
// snapshot, because closing a snapshot waits for the manifest, and reads must go
// on when that cannot be written. One goroutine uses it.
type view struct{ base *pebble.Iterator }

func newView(db *pebble.DB) (*view, error) {
	base, err := db.NewIter(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: view the rows: %w", persistence.ErrUnavailable, err)
	}
	return &view{base: base}, nil
}

// NewIter returns an iterator that sees what the view sees.
func (v *view) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	return v.base.Clone(pebble.CloneOptions{IterOptions: o})
}

// Get returns the value of a key. It is valid until the next Get.
func (v *view) Get(key []byte) ([]byte, io.Closer, error) {
	if v.base.SeekGE(key) && bytes.Equal(v.base.Key(), key) {
		value, err := v.base.ValueAndErr()
		return value, io.NopCloser(nil), err
	}
	if err := v.base.Error(); err != nil {
		return nil, nil, err
	}
	return nil, nil, pebble.ErrNotFound
}

func (v *view) close(err error) error {
	if closing := v.base.Close(); closing != nil {
		return errors.Join(err, fmt.Errorf("%w: view the rows: %w", persistence.ErrUnavailable, closing))
	}
	return err
}
