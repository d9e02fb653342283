package embedded

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
)

// view is the rows as of one moment. It is made of iterators and not of pebble's
// snapshot, because closing a snapshot waits for the manifest, and reads must go
// on when that cannot be written. One goroutine uses it.
type view struct{ base *pebble.Iterator }

func newView(r *rows) (*view, error) {
	if err := r.drain(); err != nil {
		return nil, fmt.Errorf("%w: view the rows: %w", persistence.ErrUnavailable, err)
	}
	base, err := r.walk(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: view the rows: %w", persistence.ErrUnavailable, err)
	}
	return &view{base: base}, nil
}

// NewIter returns an iterator that sees what the view sees.
func (v *view) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	return v.base.Clone(pebble.CloneOptions{IterOptions: o})
}

func (v *view) get(key, dst []byte) ([]byte, bool, error) {
	if v.base.SeekGE(key) && bytes.Equal(v.base.Key(), key) {
		value, err := v.base.ValueAndErr()
		return append(dst, value...), err == nil, err
	}
	return dst, false, v.base.Error()
}

func (v *view) close(err error) error {
	if closing := v.base.Close(); closing != nil {
		return errors.Join(err, fmt.Errorf("%w: view the rows: %w", persistence.ErrUnavailable, closing))
	}
	return err
}
